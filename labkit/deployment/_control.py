"""How a human, or a widget, controls a deployment that is in progress."""

from collections.abc import Callable
from threading import Event

POLL_S = 0.05


class Aborted(Exception):
    """The deployment is to end now, and its changes are to be undone."""


class Control:
    """Given to a strategy and called from another thread; a call takes effect between two steps.

    A blue/green deployment can be paused at three points: before it starts anything, before the switch while
    both sides are up, and before it removes the old side.
    """

    def __init__(self) -> None:
        self._resumed, self._aborted, self._promoted = Event(), Event(), Event()
        self._resumed.set()

    @property
    def paused(self) -> bool:
        """Whether the deployment waits, or will wait before its next step."""
        return not self._resumed.is_set()

    def pause(self) -> None:
        """Take no further step until resume or abort."""
        self._resumed.clear()

    def resume(self) -> None:
        """Take the next steps again."""
        self._resumed.set()

    def promote(self) -> None:
        """End the watching of a canary now, and deploy its version to all."""
        self._promoted.set()

    @property
    def promoted(self) -> bool:
        """Whether promote was called."""
        return self._promoted.is_set()

    @property
    def aborted(self) -> bool:
        """Whether abort was called."""
        return self._aborted.is_set()

    def abort(self) -> None:
        """End the deployment and restore what ran before it."""
        self._aborted.set()

    def wait(self, stop: Event, notify: Callable[[str], object]) -> None:
        """Return when the next step may be taken or stop is set; notify gets "paused" and "resumed".

        :raises Aborted: when abort was called.
        """
        if self.paused and not self._aborted.is_set():
            notify("paused")
            # One Event can be waited for, three can end the pause: so the other two are polled.
            while not (self._resumed.wait(POLL_S) or self._aborted.is_set() or stop.is_set()):
                pass
            notify("resumed")
        if self._aborted.is_set():
            raise Aborted("aborted")
