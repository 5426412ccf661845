"""The chapter's questions, each one query: what runs here, and where is this?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, and_, exists, func, select

from labkit.artifacts._fact import Fact, Kind, Reference, Subject
from labkit.artifacts._tables import facts, references

DEPLOYMENTS = (Kind.SERVICE_DEPLOYED, Kind.SERVICE_UPGRADED, Kind.SERVICE_REMOVED)


@dataclass(frozen=True)
class Running:
    """What runs as a service in a stage.

    fact is the deployment; image is what it deployed. references holds, by role, all that went into the image, as all
    facts about the image tell it.
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
                role: [{"uri": r.uri, "digest": r.digest} for r in found]
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


def deployed(stage: str | None = None, service: str | None = None) -> Select[tuple[Any, ...]]:
    """Select the facts that say what runs now: each stage's and service's latest deployment, unless it has ended.

    A deployment ends when the service is removed or its environment is deleted.
    """
    latest = select(func.max(facts.c.id)).where(facts.c.kind.in_(DEPLOYMENTS))
    if stage is not None:
        latest = latest.where(facts.c.stage == stage)
    if service is not None:
        latest = latest.where(facts.c.service == service)
    later = facts.alias("later")
    gone = exists().where(
        and_(
            later.c.kind == Kind.ENVIRONMENT_DELETED,
            later.c.environment == facts.c.environment,
            later.c.id > facts.c.id,
        )
    )
    return select(facts).where(
        facts.c.id.in_(latest.group_by(facts.c.stage, facts.c.service)),
        facts.c.kind != Kind.SERVICE_REMOVED,
        ~gone,
    )


def went_into(digest: str) -> Select[tuple[str, str, str]]:
    """Select role, uri and digest of everything that any fact about this digest refers to."""
    found = references.c
    return (
        select(found.role, found.uri, found.digest)
        .join(facts, facts.c.id == found.fact)
        .where(facts.c.digest == digest)
        .distinct()
        .order_by(found.role, found.uri, found.digest)
    )


def places_of(uri: str) -> Select[tuple[str, str | None, str, str, str]]:
    """Select stage, environment, service and image of what runs now and has this uri in it."""
    now = deployed().subquery()
    holds = (
        select(facts.c.digest)
        .join(references, references.c.fact == facts.c.id)
        .where(references.c.uri == uri)
    )
    return (
        select(now.c.stage, now.c.environment, now.c.service, now.c.name, now.c.digest)
        .where(now.c.digest.in_(holds))
        .order_by(now.c.stage, now.c.service)
    )
