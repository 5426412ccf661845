"""The artifact database: what happened, signed, chained, and never changed.

Every event of the pipeline is one fact: a signed in-toto statement about one thing, its subject, with
references to all that went into it. A digest identifies a thing, so each question of the chapter is a
join on digests: what runs, where something runs, what happened. `verify` finds out whether anybody changed
the record since.
"""

from labkit.artifacts._database import ArtifactDatabase
from labkit.artifacts._fact import Fact, Kind, Reference, Subject, shown
from labkit.artifacts._handed_in import HandedIn
from labkit.artifacts._key import PublicKey
from labkit.artifacts._package_query import normalized_name
from labkit.artifacts._questions import Place, RunningService
from labkit.artifacts._verify import Verification

__all__ = [
    "ArtifactDatabase",
    "Fact",
    "HandedIn",
    "Kind",
    "Place",
    "PublicKey",
    "Reference",
    "RunningService",
    "Subject",
    "Verification",
    "normalized_name",
    "shown",
]
