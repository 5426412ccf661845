"""What the engine has with given labels."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from labkit.engine._labels import filters

if TYPE_CHECKING:
    from docker import APIClient, DockerClient

Kind = Literal["container", "network", "volume", "image"]
KINDS: tuple[Kind, ...] = ("container", "network", "volume", "image")


@dataclass(frozen=True)
class Owned:
    """A container, network, volume or image with labels of labkit.

    state is a container's, else ""; ports is how many ports of a container are published, else 0.
    """

    kind: Kind
    id: str
    name: str
    labels: Mapping[str, str] = field(hash=False)
    state: str = ""
    ports: int = 0


# The low-level API, because the library's objects ask the engine once more for each container.
_LISTS: Mapping[Kind, Callable[["APIClient", dict[str, Any]], list[dict[str, Any]]]] = {
    "container": lambda api, chosen: api.containers(all=True, filters=chosen),
    "network": lambda api, chosen: api.networks(filters=chosen),
    "volume": lambda api, chosen: api.volumes(filters=chosen)["Volumes"] or [],
    "image": lambda api, chosen: api.images(filters=chosen),
}


def ask(
    client: "DockerClient",
    labels: Mapping[str, str | None],
    pool: ThreadPoolExecutor,
    kinds: Iterable[Kind] = KINDS,
) -> dict[Kind, Future[list[Owned]]]:
    """Ask for several kinds at once: the list of images alone takes as long as the other three together."""
    chosen = {"label": filters(labels)}
    return {kind: pool.submit(_listed, client, kind, chosen) for kind in kinds}


def owned(
    client: "DockerClient", labels: Mapping[str, str | None], kinds: Iterable[Kind] = KINDS
) -> list[Owned]:
    """Return everything of these kinds that carries all the labels, in the order of the kinds."""
    with ThreadPoolExecutor(len(KINDS), thread_name_prefix="labkit-list") as pool:
        lists = ask(client, labels, pool, kinds)
        return [thing for kind in lists for thing in lists[kind].result()]


def _listed(client: "DockerClient", kind: Kind, chosen: dict[str, Any]) -> list[Owned]:
    return [_read(kind, entry) for entry in _LISTS[kind](client.api, chosen)]


def _read(kind: Kind, entry: Mapping[str, Any]) -> Owned:
    """Read an entry of one of the engine's lists; each kind has its name elsewhere, and a volume no id."""
    names: Sequence[str] = entry.get("Names") or entry.get("RepoTags") or [entry.get("Name", "")]
    return Owned(
        kind=kind,
        id=entry.get("Id") or entry["Name"],
        name=names[0].lstrip("/"),
        labels=entry.get("Labels") or {},
        state=entry.get("State", ""),
        ports=sum("PublicPort" in port for port in entry.get("Ports") or []) if kind == "container" else 0,
    )
