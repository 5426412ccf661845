"""What a human, or a widget, may do with a deployment that is under way."""

from collections.abc import Callable
from threading import Event

POLL_S = 0.05


class Aborted(Exception):
    """The deployment is to end now, and what it did to be undone."""


class Control:
    """Given to a strategy, told from another thread; each takes effect between two steps.

    A blue/green deployment can be held before it starts anything, before the switch, with both sides up, and
    before the old side goes.
    """

    def __init__(self) -> None:
        self._go, self._abort, self._promote = Event(), Event(), Event()
        self._go.set()

    @property
    def paused(self) -> bool:
        """Tell whether the deployment waits, or will with its next step."""
        return not self._go.is_set()

    def pause(self) -> None:
        """Take no further step until resume or abort."""
        self._go.clear()

    def resume(self) -> None:
        """Go on."""
        self._go.set()

    def promote(self) -> None:
        """Let a canary that is being watched be enough of a proof now."""
        self._promote.set()

    @property
    def promoted(self) -> bool:
        """Tell whether somebody called promote."""
        return self._promote.is_set()

    def abort(self) -> None:
        """End the deployment and bring back what ran before it."""
        self._abort.set()

    def wait(self, stop: Event, tell: Callable[[str], object]) -> None:
        """Return when the next step may be taken or stop is set; tell hears "paused" and "resumed".

        :raises Aborted: when the deployment is to end.
        """
        if self.paused and not self._abort.is_set():
            tell("paused")
            while not (self._go.wait(POLL_S) or self._abort.is_set() or stop.is_set()):
                pass
            tell("resumed")
        if self._abort.is_set():
            raise Aborted("aborted")
