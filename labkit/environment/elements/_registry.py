"""The register of what a plan asks for, besides the instances of its services."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from labkit.containers import Element, Namespace
from labkit.environment._plan import Plan

Make = Callable[[Plan, Namespace], Iterator[Element]]
M = TypeVar("M", bound=Make)

_MAKERS: list[Make] = []


def planned(make: M) -> M:
    """Register a function that yields the elements of one kind that a plan asks for, not started yet.

    It is called when an environment is created, and whenever its elements are listed, in any process. So it
    must be cheap, and depend on the plan and the namespace alone.
    """
    _MAKERS.append(make)
    return make


def elements_of(plan: Plan, namespace: Namespace) -> list[Element]:
    """Return the elements that a plan asks for, in no particular order, neither started nor attached."""
    return [element for make in _MAKERS for element in make(plan, namespace)]
