"""The chapter's questions, each one query: what runs here, and where does this run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select

from labkit.artifacts._fact import Fact, Kind, Reference, Subject
from labkit.artifacts._tables import fact_table, reference_table

BEGINS = (Kind.SERVICE_DEPLOYED.value, Kind.SERVICE_UPGRADED.value)
ENDS = (Kind.SERVICE_REMOVED.value, Kind.ENVIRONMENT_DELETED.value)

CIRCUMSTANCES = ("config", "environment")
"""The roles that belong to a deployment, not to its image: one image runs in several stages."""


@dataclass(frozen=True)
class RunningService:
    """What runs as a service in a stage.

    fact is the deployment, image what it deployed. references holds, by role, everything that any fact says
    went into the image. Of configuration and environment it holds only what this deployment has.
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
                role: [{"uri": reference.uri, "digest": reference.digest} for reference in references]
                for role, references in self.references.items()
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

    What runs is the latest deployment of a service in a stage, unless the service was removed from its
    environment, or the environment was deleted, since.
    """
    of = fact_table.c
    latest = select(func.max(of.id)).where(of.kind.in_(BEGINS)).group_by(of.stage, of.service)
    for column, value in ((of.stage, stage), (of.service, service)):
        latest = latest if value is None else latest.where(column == value)
    later = fact_table.alias("later").c
    same_service = and_(later.stage == of.stage, later.service == of.service)
    ended = exists().where(
        later.id > of.id,
        later.kind.in_(ENDS),
        later.environment.is_not_distinct_from(of.environment),
        or_(later.kind == Kind.ENVIRONMENT_DELETED.value, same_service),
    )
    return select(fact_table).where(of.id.in_(latest), ~ended)


def went_into(digest: str, deployment: int) -> Select[Any]:
    """Select role, uri and digest of all that facts about this digest refer to, as a deployment runs it."""
    reference = reference_table.c
    return (
        select(reference.role, reference.uri, reference.digest)
        .join(fact_table, fact_table.c.id == reference.fact)
        .where(fact_table.c.digest == digest, _holds_in(deployment))
        .distinct()
        .order_by(reference.role, reference.uri, reference.digest)
    )


def places_of(uri: str) -> Select[Any]:
    """Select stage, environment, service, name and digest of what runs now and has this uri in it."""
    now = deployed().subquery("now").c
    # The query starts from what runs now, not from each use of the uri: a base image is in every image that
    # ever ran, so its uses are many and what runs is little.
    refers = exists().where(
        reference_table.c.fact == fact_table.c.id, reference_table.c.uri == uri, _holds_in(now.id)
    )
    inside = exists().where(fact_table.c.digest == now.digest, refers)
    return (
        select(now.stage, now.environment, now.service, now.name, now.digest)
        .where(inside)
        .order_by(now.stage, now.service)
    )


def _holds_in(deployment: int | ColumnElement[int]) -> ColumnElement[bool]:
    """Leave out the circumstances of other deployments and of tests.

    The image's own circumstances, such as the version of Python, stand in facts that have no stage.
    """
    of_image = or_(fact_table.c.stage.is_(None), fact_table.c.id == deployment)
    return or_(reference_table.c.role.not_in(CIRCUMSTANCES), of_image)
