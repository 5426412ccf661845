"""Explicit-state model checking, breadth first.

Source: C. Baier, J.-P. Katoen, Principles of Model Checking (2008), 3.3.1: checking an invariant by a search.
"""

from collections import deque
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypeVar

from labkit.errors import LabError

StateT = TypeVar("StateT", bound=Hashable)


class Action(NamedTuple):
    """What happens in one step, and at which instance, counted from 0; None when it is at no instance."""

    verb: str
    instance: int | None = None

    def __str__(self) -> str:
        return self.verb if self.instance is None else f"{self.verb} {self.instance + 1}"


class Model(Protocol[StateT]):
    """A protocol that can be explored."""

    @property
    def initial(self) -> StateT:
        """The state in which the protocol begins."""

    def steps(self, state: StateT) -> Iterable[tuple[Action, StateT]]:
        """Yield each step that may come next, with the state after it."""

    def wrong(self, state: StateT) -> str:
        """Return what is wrong with a state, "" when nothing is."""


@dataclass(frozen=True)
class Exploration(Generic[StateT]):
    """The result of an exploration, with the number of states and steps that it visited.

    wrong says what is wrong with a state, "" when every state is correct. counterexample is a shortest path
    to the wrong state: each action with the state after it. It is empty when every state is correct.
    """

    states: int
    steps: int
    wrong: str = ""
    counterexample: tuple[tuple[Action, StateT], ...] = ()

    @property
    def holds(self) -> bool:
        """Return whether every state that can be reached is correct."""
        return not self.wrong

    @property
    def actions(self) -> tuple[Action, ...]:
        """The actions of the counterexample alone, for a replay."""
        return tuple(action for action, _ in self.counterexample)

    def __str__(self) -> str:
        if self.holds:
            return f"holds in all {self.states} states"
        return f"{self.wrong} after: {', '.join(map(str, self.actions))}"


def explore(model: Model[StateT], *, limit: int = 1_000_000) -> Exploration[StateT]:
    """Visit every state that can be reached, nearest first, and stop at the first that is wrong.

    :raises LabError: when there are more than limit states: their number explodes with the instances.
    """
    # Breadth first, so that the path by which a state was first reached is a shortest one.
    came_from: dict[StateT, tuple[StateT, Action] | None] = {model.initial: None}
    waiting, steps = deque([model.initial]), 0
    while waiting:
        state = waiting.popleft()
        if wrong := model.wrong(state):
            return Exploration(len(came_from), steps, wrong, _path(came_from, state))
        for action, after in model.steps(state):
            steps += 1
            if after not in came_from:
                came_from[after] = (state, action)
                waiting.append(after)
        if len(came_from) > limit:
            seen = f"{len(came_from)} states, and more to come"
            next_step = "explore fewer instances, or give a greater limit"
            raise LabError(f"at most {limit} states", seen, next_step)
    return Exploration(len(came_from), steps)


def _path(
    came_from: dict[StateT, tuple[StateT, Action] | None], state: StateT
) -> tuple[tuple[Action, StateT], ...]:
    path: list[tuple[Action, StateT]] = []
    while before := came_from[state]:
        path.append((before[1], state))
        state = before[0]
    return tuple(reversed(path))
