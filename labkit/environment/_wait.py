"""Waits with a deadline, and the error that says what was waited for."""

import threading
import time
from collections.abc import Callable, Iterable

from labkit.errors import LabError

FIRST_PAUSE_S = 0.005
LONGEST_PAUSE_S = 0.05
LAST_LINES = 12


class NotReady(LabError):
    """A part of an environment did not do in time what it was waited for."""


class Stopped(Exception):
    """Another part failed or the user pressed Ctrl-C, so this wait has lost its sense."""


class Deadline:
    """A number of seconds from now, which another thread may cut short.

    stop is the event that cuts it; None means nothing does.
    """

    def __init__(self, seconds: float, stop: threading.Event | None = None) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds
        self._stop = stop or threading.Event()

    @property
    def over(self) -> bool:
        """Tell whether the seconds have gone by."""
        return time.monotonic() > self._end

    def pause(self, seconds: float) -> None:
        """Sleep, at most to the end.

        :raises Stopped: when the wait was cut short.
        """
        if self._stop.wait(max(0.0, min(seconds, self._end - time.monotonic()))):
            raise Stopped

    def until(self, ask: Callable[[], object]) -> str | None:
        """Ask again and again until the answer is true: then None, else what the last question met.

        OSError counts as "not yet".

        :raises Stopped: when the wait was cut short.
        """
        pause, met = FIRST_PAUSE_S, "no answer"
        while True:
            try:
                if ask():
                    return None
            except OSError as problem:
                met = problem.strerror or str(problem) or type(problem).__name__
            if self.over:
                return met
            self.pause(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE_S)


def seen(met: str, lines: Iterable[str] = ()) -> str:
    """Return what a wait met, with the last log lines beneath it."""
    kept = [line for line in lines if line.strip()][-LAST_LINES:]
    return "\n".join([met, *(f"          | {line}" for line in kept)])
