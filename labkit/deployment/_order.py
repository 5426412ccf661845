"""Which instance a rolling upgrade replaces next: named rules."""

from collections.abc import Callable, Sequence

from labkit.deployment._fleet import Fleet
from labkit.environment import Instance

ReplacementOrder = Callable[[Fleet, Sequence[Instance]], list[Instance]]
"""Takes the fleet and its instances that are still to be replaced; returns these, the next one first."""


def oldest_first(fleet: Fleet, waiting: Sequence[Instance]) -> list[Instance]:
    """Replace the instances in the order in which they were started."""
    del fleet
    return list(waiting)


def newest_first(fleet: Fleet, waiting: Sequence[Instance]) -> list[Instance]:
    """Replace the instance that was started last first: the others have served for longer."""
    del fleet
    return list(waiting)[::-1]


def idle_first(fleet: Fleet, waiting: Sequence[Instance]) -> list[Instance]:
    """Replace the instance with the fewest requests in progress first: it is drained soonest."""
    servers = fleet.balancer.servers(fleet.service)

    def sessions(instance: Instance) -> int:
        # The balancer may have forgotten an instance; such an instance has no requests.
        return servers[instance.name].sessions if instance.name in servers else 0

    return sorted(waiting, key=sessions)
