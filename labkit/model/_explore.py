"""Explicit-state model checking, breadth first.

Source: C. Baier, J.-P. Katoen, Principles of Model Checking (2008), 3.3.1: checking an invariant by a search.
"""

from collections import deque
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypeVar

from labkit.errors import LabError

State = TypeVar("State", bound=Hashable)


class Action(NamedTuple):
    """One step: what happens, and at which instance, counted from 0; None when it is at none."""

    verb: str
    instance: int | None = None

    def __str__(self) -> str:
        return self.verb if self.instance is None else f"{self.verb} {self.instance + 1}"


class Model(Protocol[State]):
    """What can be explored."""

    @property
    def initial(self) -> State:
        """The state in which everything begins."""

    def steps(self, state: State) -> Iterable[tuple[Action, State]]:
        """Yield each step that may come next, with the state after it."""

    def wrong(self, state: State) -> str:
        """Return what is wrong with a state, "" when nothing is."""


@dataclass(frozen=True)
class Exploration(Generic[State]):
    """What an exploration found: states and steps that it saw.

    wrong says what is wrong, "" when nothing is in any state; counterexample is then a shortest way there,
    each step with the state after it.
    """

    states: int
    steps: int
    wrong: str = ""
    counterexample: tuple[tuple[Action, State], ...] = ()

    @property
    def holds(self) -> bool:
        """Tell whether no state that can be reached is wrong."""
        return not self.wrong

    @property
    def actions(self) -> tuple[Action, ...]:
        """The steps of the counterexample alone, to be replayed."""
        return tuple(action for action, _ in self.counterexample)

    def __str__(self) -> str:
        if self.holds:
            return f"holds in all {self.states} states"
        return f"{self.wrong} after: {', '.join(map(str, self.actions))}"


def explore(model: Model[State], *, most: int = 1_000_000) -> Exploration[State]:
    """Visit every state that can be reached, nearest first, and stop at the first that is wrong.

    :raises LabError: when there are more than `most` states: their number explodes with the instances.
    """
    came: dict[State, tuple[State, Action] | None] = {model.initial: None}
    waiting, steps = deque([model.initial]), 0
    while waiting:
        state = waiting.popleft()
        if wrong := model.wrong(state):
            return Exploration(len(came), steps, wrong, _way(came, state))
        for action, after in model.steps(state):
            steps += 1
            if after not in came:
                came[after] = (state, action)
                waiting.append(after)
        if len(came) > most:
            seen, mend = f"{len(came)} states, and no end", "explore fewer instances, or allow more states"
            raise LabError(f"at most {most} states", seen, mend)
    return Exploration(len(came), steps)


def _way(came: dict[State, tuple[State, Action] | None], state: State) -> tuple[tuple[Action, State], ...]:
    way: list[tuple[Action, State]] = []
    while before := came[state]:
        way.append((before[1], state))
        state = before[0]
    return tuple(reversed(way))
