"""Which environments live: read from the labels in the engine, so that any process sees the same."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from labkit.engine import Engine, Label, Owner
from labkit.environment._part import PLAN, refusals


@dataclass(frozen=True)
class EnvironmentStatus:
    """One live environment. containers counts them, services maps a service to its number of instances."""

    name: str
    stage: str
    owner: str
    created_at: datetime
    containers: int
    services: Mapping[str, int] = field(default_factory=dict)

    @property
    def owner_alive(self) -> bool:
        """Tell whether the owner may still need it."""
        return Owner.parse(self.owner).alive()

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data, its time as ISO 8601 in UTC."""
        return {**asdict(self), "created_at": self.created_at.isoformat()}


@dataclass(frozen=True)
class Trace:
    """What one label set of the engine says about an environment: a container or a network of it."""

    labels: Mapping[str, str]
    created_at: datetime
    container: bool


def traces(engine: Engine, labels: Mapping[str, str | None]) -> list[Trace]:
    """Return the containers and networks with these labels."""
    wanted = {"label": [name if value is None else f"{name}={value}" for name, value in labels.items()]}
    with refusals(engine, "the environments in the engine"):
        containers = engine.client.api.containers(all=True, filters=wanted)
        networks = engine.client.api.networks(filters=wanted)
    found = [
        Trace(it["Labels"], datetime.fromtimestamp(it["Created"], UTC), container=True) for it in containers
    ]
    return found + [Trace(it["Labels"] or {}, _time(it["Created"]), container=False) for it in networks]


def statuses(engine: Engine, workspace: str) -> list[EnvironmentStatus]:
    """Return the environments of one workspace, half-made ones too, the oldest first."""
    groups: dict[str, list[Trace]] = {}
    for trace in traces(engine, {Label.WORKSPACE: workspace, Label.ENVIRONMENT: None}):
        groups.setdefault(trace.labels[Label.ENVIRONMENT], []).append(trace)
    found = [_status(name, group) for name, group in groups.items()]
    return sorted(found, key=lambda status: (status.created_at, status.name))


def plan_of(found: list[Trace]) -> str | None:
    """Return the text of the plan among the labels of one environment, None when its carrier is gone."""
    return next((trace.labels[PLAN] for trace in found if PLAN in trace.labels), None)


def _status(name: str, group: list[Trace]) -> EnvironmentStatus:
    services: dict[str, int] = {}
    for trace in group:
        if trace.labels.get(Label.ROLE) == "service":
            service = trace.labels[Label.SERVICE]
            services[service] = services.get(service, 0) + 1
    return EnvironmentStatus(
        name=name,
        stage=group[0].labels.get(Label.STAGE, ""),
        owner=group[0].labels.get(Label.OWNER, ""),
        created_at=min(trace.created_at for trace in group),
        containers=sum(trace.container for trace in group),
        services=dict(sorted(services.items())),
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
