"""Which instance a rolling upgrade replaces next: named rules."""

from collections.abc import Callable, Sequence

from labkit.deployment._fleet import Fleet
from labkit.environment import Instance

Order = Callable[[Fleet, Sequence[Instance]], list[Instance]]
"""Takes the fleet and those of its instances that are still to be replaced; returns these, the next first."""


def oldest_first(fleet: Fleet, waiting: Sequence[Instance]) -> list[Instance]:
    """Replace them in the order in which they were started."""
    del fleet
    return list(waiting)


def newest_first(fleet: Fleet, waiting: Sequence[Instance]) -> list[Instance]:
    """Replace the one that was started last first: the others have proven themselves for longer."""
    del fleet
    return list(waiting)[::-1]


def idle_first(fleet: Fleet, waiting: Sequence[Instance]) -> list[Instance]:
    """Replace the one first that works on the fewest requests at the moment: it is drained soonest."""
    known = fleet.environment.balancer.servers(fleet.service)
    return sorted(waiting, key=lambda it: known[it.name].sessions if it.name in known else 0)
