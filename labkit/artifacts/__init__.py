"""The artifact database: what happened, signed, chained, and never changed.

Every event of the pipeline is one fact: a signed in-toto statement about one thing, its subject, with
references to all that went into it. A thing is known by its digest, so each question of the chapter is a
join on digests: what runs, where something runs, what happened. `verify` tells whether anybody changed the
record since.
"""

from labkit.artifacts._database import ArtifactDatabase
from labkit.artifacts._fact import Fact, Kind, Reference, Subject
from labkit.artifacts._questions import Place, Running
from labkit.artifacts._verify import Verification

__all__ = ["ArtifactDatabase", "Fact", "Kind", "Place", "Reference", "Running", "Subject", "Verification"]
