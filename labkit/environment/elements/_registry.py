"""Which elements an environment has by its plan, beside the instances of its services."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from labkit.containers import Element, Namespace
from labkit.environment._plan import Plan

Make = Callable[[Plan, Namespace], Iterator[Element]]
M = TypeVar("M", bound=Make)

_MAKERS: list[Make] = []


def planned(make: M) -> M:
    """Register a function that yields the elements of one kind that a plan asks for, not started yet.

    It is called when an environment is created, and again by each process that attaches to one. So what it
    yields depends on the plan and the namespace alone, and costs nothing.
    """
    _MAKERS.append(make)
    return make


def elements_of(plan: Plan, namespace: Namespace) -> list[Element]:
    """Return the elements that a plan asks for, in no order, not started and not attached."""
    return [element for make in _MAKERS for element in make(plan, namespace)]
