"""The chapter's questions, each one query: what runs here, and where does this run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, func, or_, select

from labkit.artifacts._fact import Fact, Kind, Reference, Subject
from labkit.artifacts._tables import fact_table, reference_table

DEPLOYMENTS = (Kind.SERVICE_DEPLOYED, Kind.SERVICE_UPGRADED, Kind.SERVICE_REMOVED)


@dataclass(frozen=True)
class Running:
    """What runs as a service in a stage.

    fact is the deployment, image what it deployed. references holds, by role, all that went into the image,
    as all facts about the image tell it; of configuration, only what this stage was given.
    """

    fact: Fact
    image: Subject
    references: Mapping[str, list[Reference]]

    def to_json(self) -> dict[str, Any]:
        """Return the answer as JSON data."""
        return {
            "service": self.fact.service,
            "stage": self.fact.stage,
            "environment": self.fact.environment,
            "image": self.image.to_json(),
            "deployed": {"fact": self.fact.id, "at": self.fact.at.isoformat(), "by": self.fact.by},
            "references": {
                role: [{"uri": reference.uri, "digest": reference.digest} for reference in found]
                for role, found in self.references.items()
            },
        }


@dataclass(frozen=True)
class Place:
    """Where something runs now. environment is None when the deployment named none."""

    stage: str
    environment: str | None
    service: str
    image: Subject

    def to_json(self) -> dict[str, Any]:
        """Return the place as JSON data."""
        return vars(self) | {"image": self.image.to_json()}


def deployed(stage: str | None = None, service: str | None = None) -> Select[Any]:
    """Select the facts that say what runs now; None asks for every stage or service.

    What runs is the latest deployment of a service in a stage, unless the service was removed or the
    environment was deleted since.
    """
    latest = select(func.max(fact_table.c.id)).where(
        fact_table.c.kind.in_([kind.value for kind in DEPLOYMENTS])
    )
    for column, wanted in ((fact_table.c.stage, stage), (fact_table.c.service, service)):
        latest = latest if wanted is None else latest.where(column == wanted)
    later = fact_table.alias("later")
    deleted = exists().where(
        later.c.environment == fact_table.c.environment,
        later.c.kind == Kind.ENVIRONMENT_DELETED.value,
        later.c.id > fact_table.c.id,
    )
    return select(fact_table).where(
        fact_table.c.id.in_(latest.group_by(fact_table.c.stage, fact_table.c.service)),
        fact_table.c.kind != Kind.SERVICE_REMOVED.value,
        ~deleted,
    )


def went_into(digest: str, stage: str) -> Select[Any]:
    """Select role, uri and digest of all that facts about this digest refer to, as it runs in a stage."""
    found = reference_table.c
    return (
        select(found.role, found.uri, found.digest)
        .join(fact_table, fact_table.c.id == found.fact)
        .where(fact_table.c.digest == digest, _holds_in(stage))
        .distinct()
        .order_by(found.role, found.uri, found.digest)
    )


def places_of(uri: str) -> Select[Any]:
    """Select stage, environment, service, name and digest of what runs now and has this uri in it."""
    now = deployed().subquery("now")
    # Asked of the facts about what runs, not of each use of the uri: a base image went into all that ever ran
    refers = exists().where(
        reference_table.c.fact == fact_table.c.id, reference_table.c.uri == uri, _holds_in(now.c.stage)
    )
    inside = exists().where(fact_table.c.digest == now.c.digest, refers)
    place = (now.c.stage, now.c.environment, now.c.service, now.c.name, now.c.digest)
    return select(*place).where(inside).order_by(now.c.stage, now.c.service)


def _holds_in(stage: str | ColumnElement[str]) -> ColumnElement[bool]:
    """Leave out the configuration of other stages: one image runs in several, each with its own."""
    in_stage = or_(fact_table.c.stage.is_(None), fact_table.c.stage == stage)
    return or_(reference_table.c.role != "config", in_stage)
