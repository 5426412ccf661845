"""Four protocols that bring a toggle to several instances, while one request passes through two of them.

A request is mixed when one instance answered it by the old code and another by the new code. A mixed request
is always wrong. A refused request is wrong where the protocol promises that no instance has to refuse.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from labkit.model._explore import Action

HOPS = 2
"""The number of instances that the request passes through; two suffice for a mixed answer."""

Flags = tuple[bool, ...]


@dataclass(frozen=True)
class ToggleState:
    """The store's value, the value that each instance knows, and the values that answered the request."""

    on: bool
    known: Flags
    answers: Flags = ()


@dataclass(frozen=True)
class WatchOnly:
    """Each instance watches the store and answers by the value that it knows."""

    instances: int

    @property
    def initial(self) -> ToggleState:
        """The toggle is off, and all instances know that."""
        return ToggleState(on=False, known=(False,) * self.instances)

    def steps(self, state: ToggleState) -> Iterator[tuple[Action, ToggleState]]:
        """Switch the toggle on once; the change reaches each instance at a time of its own."""
        if not state.on:
            yield Action("switch on"), replace(state, on=True)
        for at in range(self.instances):
            if state.known[at] != state.on:
                yield Action("the change reaches", at), replace(state, known=with_flag(state.known, at))
        yield from _answers(state)

    def wrong(self, state: ToggleState) -> str:
        """Return "mixed" for a request that met both values."""
        return _mixture(state.answers)


@dataclass(frozen=True)
class SameInstant:
    """All instances switch in the same instant, by perfect clocks."""

    instances: int

    @property
    def initial(self) -> ToggleState:
        """The toggle is off everywhere."""
        return ToggleState(on=False, known=(False,) * self.instances)

    def steps(self, state: ToggleState) -> Iterator[tuple[Action, ToggleState]]:
        """Switch all in one step."""
        if not state.on:
            yield Action("switch on everywhere"), replace(state, on=True, known=(True,) * self.instances)
        yield from _answers(state)

    def wrong(self, state: ToggleState) -> str:
        """Return "mixed" for a request that met both values."""
        return _mixture(state.answers)


@dataclass(frozen=True)
class RevisionHeaderState(ToggleState):
    """As ToggleState.

    header is the value at the revision in the request's header, None before the first hop. up is whether the
    store answers, refused whether an instance refused the request.
    """

    header: bool | None = None
    up: bool = True
    refused: bool = False


@dataclass(frozen=True)
class RevisionHeader:
    """The first instance writes its revision into the request; the others answer as of that revision.

    An instance that does not know the revision asks the store, and must refuse while the store is down.
    refusals is whether such a refusal counts as wrong.
    """

    instances: int
    refusals: bool = False

    @property
    def initial(self) -> RevisionHeaderState:
        """The toggle is off, all instances know that, and the store is up."""
        return RevisionHeaderState(on=False, known=(False,) * self.instances)

    def steps(self, state: RevisionHeaderState) -> Iterator[tuple[Action, RevisionHeaderState]]:
        """Yield the steps of WatchOnly; the store may go down and come up again at any time."""
        yield (
            Action("the store goes down" if state.up else "the store comes up"),
            replace(state, up=not state.up),
        )
        if not state.on and state.up:
            yield Action("switch on"), replace(state, on=True)
        for at in range(self.instances):
            if state.up and state.known[at] != state.on:
                yield Action("the change reaches", at), replace(state, known=with_flag(state.known, at))
            if len(state.answers) < HOPS and not state.refused:
                yield self._hop(state, at)

    def _hop(self, state: RevisionHeaderState, at: int) -> tuple[Action, RevisionHeaderState]:
        header = state.known[at] if state.header is None else state.header
        if header and not (state.known[at] or state.up):
            return Action("the request is refused at", at), replace(state, refused=True)
        after = replace(state, header=header, answers=(*state.answers, header))
        return Action("the request passes", at), after

    def wrong(self, state: RevisionHeaderState) -> str:
        """Return "mixed" for a request that met both values, and "refused" when refusals count."""
        return _mixture(state.answers) or ("refused" if self.refusals and state.refused else "")


@dataclass(frozen=True)
class TwoPhaseState(ToggleState):
    """As ToggleState, where on means committed; ready are those who acknowledged, live those who run.

    counted is whether the coordinator has counted all as ready, joined whether an instance joined after that.
    header and refused are as in RevisionHeaderState.
    """

    staged: bool = False
    ready: Flags = ()
    live: Flags = ()
    counted: bool = False
    joined: bool = False
    header: bool | None = None
    refused: bool = False


@dataclass(frozen=True)
class TwoPhase:
    """Stage; every live instance acknowledges; count; commit. The last instance joins at any time.

    The request has a header as in RevisionHeader; an instance that acknowledged answers by the new value
    without the store. guarded: one transaction commits and checks that no instance joined since the count.
    """

    instances: int
    guarded: bool = True

    @property
    def initial(self) -> TwoPhaseState:
        """The toggle is off, nothing is staged, and the last instance does not run yet."""
        none = (False,) * self.instances
        return TwoPhaseState(on=False, known=none, ready=none, live=(*(True for _ in none[1:]), False))

    def steps(self, state: TwoPhaseState) -> Iterator[tuple[Action, TwoPhaseState]]:
        """Yield the steps of the coordinator, and those of each instance."""
        yield from self._coordinator(state)
        for at in range(self.instances):
            if not state.live[at]:
                # An instance that joins reads the committed value before it becomes ready.
                yield (
                    Action("joins:", at),
                    replace(
                        state,
                        live=with_flag(state.live, at),
                        joined=True,
                        known=with_flag(state.known, at, state.on),
                        ready=with_flag(state.ready, at, state.on),
                    ),
                )
                continue
            if state.staged and not state.ready[at]:
                yield Action("acknowledges:", at), replace(state, ready=with_flag(state.ready, at))
            if state.on and not state.known[at]:
                yield Action("the change reaches", at), replace(state, known=with_flag(state.known, at))
            if len(state.answers) < HOPS and not state.refused:
                yield self._hop(state, at)

    def _coordinator(self, state: TwoPhaseState) -> Iterator[tuple[Action, TwoPhaseState]]:
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

    def _hop(self, state: TwoPhaseState, at: int) -> tuple[Action, TwoPhaseState]:
        header = state.known[at] if state.header is None else state.header
        if header and not (state.ready[at] or state.known[at]):
            return Action("the request is refused at", at), replace(state, refused=True)
        after = replace(state, header=header, answers=(*state.answers, header))
        return Action("the request passes", at), after

    def wrong(self, state: TwoPhaseState) -> str:
        """Return "mixed" for a request that met both values, and "refused" for one that was refused."""
        return _mixture(state.answers) or ("refused" if state.refused else "")


def with_flag(flags: Flags, at: int, value: bool = True) -> Flags:  # noqa: FBT001, FBT002 - it sets a flag
    """Return flags with a value at one place."""
    return (*flags[:at], value, *flags[at + 1 :])


def _answers(state: ToggleState) -> Iterator[tuple[Action, ToggleState]]:
    if len(state.answers) < HOPS:
        for at, known in enumerate(state.known):
            yield Action("the request passes", at), replace(state, answers=(*state.answers, known))


def _mixture(answers: Flags) -> str:
    return "mixed" if len(set(answers)) > 1 else ""
