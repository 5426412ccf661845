"""The state of each element of an environment, and what balancer and coordinator know of it."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from labkit.balancer import Balancer, ServerStatus
from labkit.containers import Element
from labkit.coordination import INSTANCES, Coordinator

UNKNOWN = ServerStatus(name="", status="", address="", check="", sessions=0, queued=0, requests=0)
"""What the balancer knows of an element that is no server of it."""


@dataclass(frozen=True)
class ElementStatus:
    """One element of an environment at one moment, and what the balancer and the coordinator know of it.

    role is what it is for: service, balancer, database, coordinator, stub, provider, container, harness,
    capture, module, or added. state is the engine's word (running, paused, exited …), "disconnected" for one
    that runs off the network, "missing" for one that should be there. container is its id, "" when it is
    missing. balanced is the balancer's word for an instance (UP, DOWN, DRAIN, MAINT), "" where it has none.
    requests counts those that it was given, held_ms is by how long its answers are delayed. registered says
    whether the coordinator knows an instance; None for other elements, and when no coordinator answers.
    """

    name: str
    role: str
    service: str
    version: str
    state: str
    container: str
    balanced: str = ""
    requests: int = 0
    held_ms: int = 0
    registered: bool | None = None


def status_of(
    elements: Iterable[Element], balancers: Iterable[Balancer], coordinator: Coordinator | None
) -> list[ElementStatus]:
    """Return the status of each element, by role and name.

    balancers are those that run. coordinator None means that there is none to ask. One that does not answer
    counts as none.
    """
    servers: dict[str, ServerStatus] = {}
    held_ms: dict[str, int] = {}
    registered: frozenset[str] | None = None
    for balancer in balancers:
        with suppress(OSError):
            services = balancer.all_servers().values()
            servers |= {name: server for service in services for name, server in service.items()}
            held_ms |= balancer.slowed()
    with suppress(OSError):
        if coordinator:
            registered = frozenset(key.rpartition("/")[2] for key in coordinator.values(INSTANCES))
    listed = [
        ElementStatus(
            name=element.name,
            role=element.role,
            service=element.service,
            version=element.version,
            state=element.engine_state,
            container=element.container,
            balanced=servers.get(element.name, UNKNOWN).status,
            requests=servers.get(element.name, UNKNOWN).requests,
            held_ms=held_ms.get(element.name, 0),
            registered=None
            if registered is None or element.role != "service"
            else element.name in registered,
        )
        for element in elements
    ]
    return sorted(listed, key=lambda status: (status.role, status.name))
