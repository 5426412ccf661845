"""Four ways to bring a toggle to several instances, while one request passes through two of them.

Wrong is a request that was answered by the old code at one instance and by the new code at another, or, where
the protocol promises that it cannot happen, one that an instance had to refuse.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from labkit.model._explore import Action

HOPS = 2
Flags = tuple[bool, ...]


@dataclass(frozen=True)
class Seen:
    """The store's value, what each instance knows of it, and the values by which the request was answered."""

    on: bool
    known: Flags
    answers: Flags = ()


@dataclass(frozen=True)
class Watch:
    """Each instance watches the store and answers by what it knows."""

    instances: int

    @property
    def initial(self) -> Seen:
        """The toggle is off, and all know that."""
        return Seen(on=False, known=(False,) * self.instances)

    def steps(self, state: Seen) -> Iterator[tuple[Action, Seen]]:
        """Switch the toggle on once; the news travels to each instance by itself."""
        if not state.on:
            yield Action("switch on"), replace(state, on=True)
        for at in range(self.instances):
            if state.known[at] != state.on:
                yield Action("the news reaches", at), replace(state, known=put(state.known, at))
        yield from _answers(state)

    def wrong(self, state: Seen) -> str:
        """Refuse a request that saw both values."""
        return _mixed(state.answers)


@dataclass(frozen=True)
class SameInstant:
    """All instances switch in the same instant, by perfect clocks."""

    instances: int

    @property
    def initial(self) -> Seen:
        """The toggle is off everywhere."""
        return Seen(on=False, known=(False,) * self.instances)

    def steps(self, state: Seen) -> Iterator[tuple[Action, Seen]]:
        """Switch all in one step."""
        if not state.on:
            yield Action("switch on everywhere"), replace(state, on=True, known=(True,) * self.instances)
        yield from _answers(state)

    def wrong(self, state: Seen) -> str:
        """Refuse a request that saw both values."""
        return _mixed(state.answers)


@dataclass(frozen=True)
class StampedState(Seen):
    """As Seen; stamp is the value at the revision that the request carries, None before its first hop."""

    stamp: bool | None = None
    up: bool = True
    refused: bool = False


@dataclass(frozen=True)
class Stamped:
    """The first instance stamps the request with its revision; the others answer as of that one.

    One that has not heard of the revision asks the store for it, and must refuse while the store is down;
    refusals is whether such a refusal counts as wrong.
    """

    instances: int
    refusals: bool = False

    @property
    def initial(self) -> StampedState:
        """The toggle is off, all know that, and the store is up."""
        return StampedState(on=False, known=(False,) * self.instances)

    def steps(self, state: StampedState) -> Iterator[tuple[Action, StampedState]]:
        """Do as Watch; the store may go down and come up again at any time."""
        yield (
            Action("the store goes down" if state.up else "the store comes up"),
            replace(state, up=not state.up),
        )
        if not state.on and state.up:
            yield Action("switch on"), replace(state, on=True)
        for at in range(self.instances):
            if state.up and state.known[at] != state.on:
                yield Action("the news reaches", at), replace(state, known=put(state.known, at))
            if len(state.answers) < HOPS and not state.refused:
                yield self._hop(state, at)

    def _hop(self, state: StampedState, at: int) -> tuple[Action, StampedState]:
        stamp = state.known[at] if state.stamp is None else state.stamp
        if stamp and not (state.known[at] or state.up):
            return Action("the request is refused at", at), replace(state, refused=True)
        after = replace(state, stamp=stamp, answers=(*state.answers, stamp))
        return Action("the request passes", at), after

    def wrong(self, state: StampedState) -> str:
        """Refuse a request that saw both values, and one that was refused when refusals count."""
        return _mixed(state.answers) or ("refused" if self.refusals and state.refused else "")


@dataclass(frozen=True)
class Phases(Seen):
    """As Seen, where on is the commit; ready is who acknowledged, live who runs.

    counted is whether the coordinator has counted all as ready, joined whether somebody came after that.
    """

    staged: bool = False
    ready: Flags = ()
    live: Flags = ()
    counted: bool = False
    joined: bool = False
    stamp: bool | None = None
    refused: bool = False


@dataclass(frozen=True)
class TwoPhase:
    """Stage; every live instance acknowledges; count; commit. The last instance joins at any time.

    The request is stamped as in Stamped; an instance that acknowledged needs no store to answer by the new
    value. guarded: the commit is one transaction with the check that nobody joined since the count.
    """

    instances: int
    guarded: bool = True

    @property
    def initial(self) -> Phases:
        """The toggle is off, nothing is staged, and the last instance does not run yet."""
        none = (False,) * self.instances
        return Phases(on=False, known=none, ready=none, live=(*(True for _ in none[1:]), False))

    def steps(self, state: Phases) -> Iterator[tuple[Action, Phases]]:
        """Yield what the coordinator does, and each instance by itself."""
        yield from self._coordinator(state)
        for at in range(self.instances):
            if not state.live[at]:
                # Who joins reads what is committed before it is ready.
                yield (
                    Action("joins:", at),
                    replace(
                        state,
                        live=put(state.live, at),
                        joined=True,
                        known=put(state.known, at, state.on),
                        ready=put(state.ready, at, state.on),
                    ),
                )
                continue
            if state.staged and not state.ready[at]:
                yield Action("acknowledges:", at), replace(state, ready=put(state.ready, at))
            if state.on and not state.known[at]:
                yield Action("the news reaches", at), replace(state, known=put(state.known, at))
            if len(state.answers) < HOPS and not state.refused:
                yield self._hop(state, at)

    def _coordinator(self, state: Phases) -> Iterator[tuple[Action, Phases]]:
        if not state.staged:
            yield Action("stage"), replace(state, staged=True)
        elif state.on:
            return
        elif not state.counted:
            waiting = (live and not ready for live, ready in zip(state.live, state.ready, strict=True))
            if not any(waiting):
                yield Action("count the ready"), replace(state, counted=True, joined=False)
        elif self.guarded and state.joined:
            yield Action("the commit is refused: count again"), replace(state, counted=False)
        else:
            yield Action("commit"), replace(state, on=True)

    def _hop(self, state: Phases, at: int) -> tuple[Action, Phases]:
        stamp = state.known[at] if state.stamp is None else state.stamp
        if stamp and not (state.ready[at] or state.known[at]):
            return Action("the request is refused at", at), replace(state, refused=True)
        after = replace(state, stamp=stamp, answers=(*state.answers, stamp))
        return Action("the request passes", at), after

    def wrong(self, state: Phases) -> str:
        """Refuse a request that saw both values or was refused."""
        return _mixed(state.answers) or ("refused" if state.refused else "")


def put(flags: Flags, at: int, value: bool = True) -> Flags:  # noqa: FBT001, FBT002 - it sets a flag
    """Return flags with another value at one place."""
    return (*flags[:at], value, *flags[at + 1 :])


def _answers(state: Seen) -> Iterator[tuple[Action, Seen]]:
    if len(state.answers) < HOPS:
        for at, known in enumerate(state.known):
            yield Action("the request passes", at), replace(state, answers=(*state.answers, known))


def _mixed(answers: Flags) -> str:
    return "mixed" if len(set(answers)) > 1 else ""
