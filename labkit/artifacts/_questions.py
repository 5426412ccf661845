"""The chapter's questions, each one query: what runs here, and where does this run."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, exists, func, or_, select

from labkit.artifacts._fact import Fact, Kind, Reference, Subject
from labkit.artifacts._tables import fact_table, reference_table

BEGINS = (Kind.SERVICE_DEPLOYED.value, Kind.SERVICE_UPGRADED.value)
ENDS = (Kind.SERVICE_REMOVED.value, Kind.ENVIRONMENT_DELETED.value)

CIRCUMSTANCES = ("config", "environment")
"""The roles that belong to a deployment, not to its image: one image runs in several stages."""


@dataclass(frozen=True)
class RunningService:
    """What runs as a service in a stage.

    fact is the deployment, image what it deployed. beside holds the other images of which instances run too:
    while a deployment is under way, after one that was killed, or on standby; () when there are none.
    references holds, by role, everything that any fact says went into the image. Of configuration and
    environment it holds only what this deployment has, of code only the commit of the deployment's run.
    """

    fact: Fact
    image: Subject
    references: Mapping[str, list[Reference]]
    beside: tuple[Subject, ...] = ()

    @property
    def commit(self) -> str | None:
        """The full id of the commit that runs; None when no fact names one, as of a foreign image."""
        commits = [reference.digest.partition(":")[2] for reference in self.references.get("code", ())]
        return commits[0] if commits else None

    def to_json(self) -> dict[str, Any]:
        """Return the answer as JSON data."""
        return {
            "service": self.fact.service,
            "stage": self.fact.stage,
            "environment": self.fact.environment,
            "image": self.image.to_json(),
            "beside": [image.to_json() for image in self.beside],
            "commit": self.commit,
            "deployed": {"fact": self.fact.id, "at": self.fact.at.isoformat(), "by": self.fact.by},
            "references": {
                role: [{"uri": reference.uri, "digest": reference.digest} for reference in references]
                for role, references in self.references.items()
            },
        }


@dataclass(frozen=True)
class Place:
    """Where something runs now, and as what: references holds each version of it that is there.

    environment is None when the deployment named none.
    """

    stage: str
    environment: str | None
    service: str
    image: Subject
    references: tuple[Reference, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the place as JSON data."""
        references = [reference.to_json() for reference in self.references]
        return vars(self) | {"image": self.image.to_json(), "references": references}


def deployed(stage: str | None = None, service: str | None = None) -> Select[Any]:
    """Select the facts that say what was deployed last; None asks for every stage or service.

    That is the latest deployment of a service in a stage, unless the service was removed from its
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
    return select(fact_table).where(of.id.in_(latest), ~ended).order_by(of.stage, of.service)


def images_of(connection: Connection, deployment: Row[Any]) -> list[Subject]:
    """Return the images of which instances run now: the deployed one first, then those beside it.

    A deployment records which images run as it goes, in the field `running` of its facts. The last one
    counts, however the deployment ended.
    """
    of, image = fact_table.c, Subject(deployment.name, deployment.digest)
    since = select(of.payload).where(
        of.environment.is_not_distinct_from(deployment.environment),
        of.kind == Kind.ENVIRONMENT_USED.value,
        of.id > deployment.id,
        of.stage == deployment.stage,
        of.service == deployment.service,
    )
    payloads = [*connection.scalars(since.order_by(of.id.desc())), deployment.payload]
    recorded = (Fact.read(payload).predicate.get("running") for payload in payloads)
    running = next((digests for digests in recorded if digests), [image.digest])
    return [Subject(image.name, digest) for digest in sorted(running, key=image.digest.__ne__)]


def references_of(connection: Connection, digests: Iterable[str]) -> dict[str, list[Row[Any]]]:
    """Return, by image, all that facts about these images refer to, with the fact's id and stage."""
    reference, fact = reference_table.c, fact_table.c
    what = (fact.id, fact.stage, fact.digest.label("image"), reference.role, reference.uri, reference.digest)
    refers: Select[Any] = (
        select(*what)
        .join(fact_table, fact.id == reference.fact)
        .where(fact.digest.in_({*digests}))
        .order_by(reference.role, reference.uri, reference.digest)
    )
    rows: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in connection.execute(refers):
        rows[row.image].append(row)
    return rows


def went_into(rows: Iterable[Row[Any]], deployment: int) -> dict[str, list[Reference]]:
    """Return all that an image's rows refer to, by role, each once, as a deployment runs it.

    The circumstances of other deployments and of tests are left out; the image's own, such as the version of
    Python, stand in facts that have no stage. Several commits may have the same source and so the same image:
    the code is that of the newest run up to the deployment.
    """
    rows = [*rows]
    code = max((row.id for row in rows if row.role == "code" and row.id <= deployment), default=None)
    by_role: dict[str, dict[Reference, None]] = defaultdict(dict)
    for row in rows:
        own = row.id == deployment or row.stage is None or row.role not in CIRCUMSTANCES
        if own and (row.role != "code" or row.id == code):
            by_role[row.role][Reference(row.role, row.uri, row.digest)] = None
    return {role: [*references] for role, references in by_role.items()}
