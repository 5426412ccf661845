"""What is in the engine by label: list it, remove it, and sweep up after owners that are gone."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from labkit.engine import _reaper
from labkit.engine._labels import Label
from labkit.engine._owner import Owner

if TYPE_CHECKING:
    from docker import DockerClient

    from labkit.engine._engine import Engine


@dataclass(frozen=True)
class Owned:
    """A container, network, volume or image with labels of labkit. state is a container's, else ""."""

    kind: Literal["container", "network", "volume", "image"]
    id: str
    name: str
    labels: Mapping[str, str] = field(hash=False)
    state: str = ""


def filters(labels: Mapping[str, str | None]) -> list[str]:
    """Return labels as the engine's filter wants them; None asks only that the label is there."""
    return [str(name) if value is None else f"{name}={value}" for name, value in labels.items()]


def owned(client: "DockerClient", labels: Mapping[str, str | None]) -> list[Owned]:
    """Return everything that carries all the labels."""
    found = []
    for kind, thing in _reaper.find(client, filters(labels)):
        told = thing.attrs
        name = told.get("Name") or next(iter(told.get("Names") or told.get("RepoTags") or [""]), "")
        carried = told.get("Labels") or {}
        found.append(Owned(kind, thing.id, name.lstrip("/"), carried, told.get("State", "")))  # type: ignore[arg-type]
    return found


def sweep(engine: "Engine", workspace: str) -> int:
    """Remove what dead owners left in one workspace; return how many things went.

    Other workspaces are not looked at: their owners may be alive where this process cannot see them.
    """
    things = engine.owned({Label.WORKSPACE: workspace})
    owners = {thing.labels[Label.OWNER] for thing in things if Label.OWNER in thing.labels}
    dead = sorted(owner for owner in owners if not Owner.parse(owner).alive())
    return sum(engine.remove({Label.WORKSPACE: workspace, Label.OWNER: owner}) for owner in dead)
