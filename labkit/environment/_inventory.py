"""What an environment has at this moment: each element, and what the others know of it."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from labkit.coordination import INSTANCES, Coordinator
from labkit.environment._balancer import Balancer, ServerStatus
from labkit.environment._faults import Faulty, Reach
from labkit.environment._part import Part
from labkit.environment._plan import Plan

MISSING = "missing"


@dataclass(frozen=True)
class Element(Faulty):
    """One container of an environment, and what the balancer and the coordinator know of it.

    role is what it is for: service, balancer, database, coordinator, stub, provider, harness, capture or
    module. state is the engine's word (running, paused, exited …), "disconnected" for one that runs off the
    network, "missing" for one that the environment should have. balanced is the balancer's word for an
    instance (UP, DOWN, DRAIN, MAINT), "" where it has none; requests are those that it was given, held_ms is
    how long its answers are held back. registered tells whether the coordinator knows it; None means that
    nobody can tell.
    """

    role: str
    balanced: str = ""
    requests: int = 0
    held_ms: int = 0
    registered: bool | None = None

    def remove(self) -> None:
        """Remove its container, as if it had never been there; what it held is lost."""
        self._do("remove", lambda: self._api.remove_container(self.container, v=True, force=True))


@dataclass(frozen=True)
class Known:
    """What the elements know of each other: None for the one that cannot be asked."""

    servers: Mapping[str, ServerStatus]
    held_ms: Mapping[str, int]
    registered: frozenset[str] | None


def ask(balancer: Balancer | None, coordinator: Coordinator | None) -> Known:
    """Ask the balancer and the coordinator; one that is None or does not answer knows nothing."""
    servers: dict[str, ServerStatus] = {}
    held: dict[str, int] = {}
    registered: frozenset[str] | None = None
    with suppress(OSError):
        if balancer:
            servers = {name: it for room in balancer.all_servers().values() for name, it in room.items()}
            held = balancer.slowed()
    with suppress(OSError):
        if coordinator:
            registered = frozenset(key.rpartition("/")[2] for key in coordinator.values(INSTANCES))
    return Known(servers, held, registered)


def elements_of(reach: Reach, plan: Plan | None, parts: list[Part], known: Known) -> list[Element]:
    """Return every element by role and name; what the plan has and the engine has not is missing."""
    found = [_element(reach, part, known) for part in parts]
    names = {it.name for it in found}
    wanted = infrastructure(plan) if plan else {}
    gone = [Element(name, "", "", MISSING, "", reach, wanted[name]) for name in wanted.keys() - names]
    return sorted(found + gone, key=lambda it: (it.role, it.name))


def infrastructure(plan: Plan) -> dict[str, str]:
    """Return what an environment has beside the instances of its services: name to role."""
    if plan.module:
        return {"module": "module"}
    wanted = {"balancer": "balancer"}
    wanted |= {"database": "database"} if plan.database else {}
    wanted |= {"coordinator": "coordinator"} if plan.coordinator else {}
    wanted |= {"stub": "stub"} if plan.stubs else {}
    return wanted | {it.name: "provider" for it in plan.providers}


def _element(reach: Reach, part: Part, known: Known) -> Element:
    server = known.servers.get(part.name)
    off = part.state == "running" and reach.scope.network and not part.address and part.role == "service"
    return Element(
        name=part.name,
        service=part.service,
        version=part.version,
        state="disconnected" if off else part.state,
        container=part.id,
        reach=reach,
        role=part.role,
        balanced=server.status if server else "",
        requests=server.requests if server else 0,
        held_ms=known.held_ms.get(part.name, 0),
        registered=part.name in known.registered
        if known.registered is not None and part.role == "service"
        else None,
    )
