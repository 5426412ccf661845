"""Which environments exist, read from the labels in the engine, so that every process sees the same."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from labkit.containers import refusals
from labkit.engine import CLAIM, Engine, Label, Owner


@dataclass(frozen=True)
class EnvironmentStatus:
    """One live environment.

    owner is its owner label, see engine.Owner. containers is how many containers it has, of which `ended` do
    not run any more. services maps a service to its number of instances. complete is False while a process
    creates or removes it for its workspace, and when that process died: the process is the owner then.
    """

    name: str
    stage: str
    owner: str
    created_at: datetime
    containers: int
    services: Mapping[str, int] = field(default_factory=dict)
    complete: bool = True
    ended: int = 0

    @property
    def owner_alive(self) -> bool:
        """Whether the owner may still need it."""
        return Owner.parse(self.owner).alive()

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data, its time as ISO 8601 in UTC."""
        return {**asdict(self), "created_at": self.created_at.isoformat()}


class Labelled(NamedTuple):
    """A network, a container or a volume that carries labels of labkit; kind is one of these words.

    state is a container's, else "".
    """

    kind: str
    labels: Mapping[str, str]
    created_at: datetime
    state: str = ""


def labelled(engine: Engine, labels: Mapping[str, str | None]) -> list[Labelled]:
    """Return the networks, containers and volumes with these labels; None asks for any value.

    The networks come first: their labels are labkit's alone, while a container has its image's too.
    """
    texts = [name if value is None else f"{name}={value}" for name, value in labels.items()]
    with refusals(engine, "the environments in the engine are listed"):
        containers = engine.client.api.containers(all=True, filters={"label": texts})
        networks = engine.client.api.networks(filters={"label": texts})
        volumes = engine.client.api.volumes(filters={"label": texts})["Volumes"] or []
    return [
        *(Labelled("network", one["Labels"] or {}, _time(one["Created"])) for one in networks),
        *(
            Labelled("container", one["Labels"], datetime.fromtimestamp(one["Created"], UTC), one["State"])
            for one in containers
        ),
        *(Labelled("volume", one["Labels"] or {}, _time(one["CreatedAt"])) for one in volumes),
    ]


def statuses(engine: Engine, workspace: str) -> list[EnvironmentStatus]:
    """Return the environments of one workspace, the oldest first, unfinished ones too."""
    groups: dict[str, list[Labelled]] = {}
    for thing in labelled(engine, {Label.WORKSPACE: workspace, Label.ENVIRONMENT: None}):
        groups.setdefault(thing.labels[Label.ENVIRONMENT], []).append(thing)
    listed = [_status(name, group) for name, group in groups.items()]
    return sorted(listed, key=lambda status: (status.created_at, status.name))


def _status(name: str, group: Iterable[Labelled]) -> EnvironmentStatus:
    things, services = list(group), dict[str, int]()
    for thing in things:
        service = thing.labels.get(Label.SERVICE)
        if thing.labels.get(Label.ROLE) == "service" and service:  # anybody may write labels
            services[service] = services.get(service, 0) + 1
    claim = next((thing for thing in things if thing.labels.get(Label.ROLE) == CLAIM), None)
    return EnvironmentStatus(
        name=name,
        stage=things[0].labels.get(Label.STAGE, ""),
        owner=(claim or things[0]).labels.get(Label.OWNER, ""),
        created_at=min(thing.created_at for thing in things),
        containers=sum(thing.kind == "container" for thing in things),
        services=dict(sorted(services.items())),
        complete=claim is None,
        ended=sum(thing.state == "exited" for thing in things),
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
