"""Waits for one part of an environment: ready is what its server answers, never an accepted connection."""

import threading
import time
from collections.abc import Callable

from labkit.engine import Engine
from labkit.environment._logs import last_lines
from labkit.environment._part import Part, refusals
from labkit.environment._wait import Deadline, NotReady, seen

SERVER_S = 30.0
"""How long a server of labkit's own images may take to answer, in seconds."""

LOOK_S = 0.4
"""How often a wait looks whether the container still runs, in seconds."""

Ask = Callable[[], object]


class Watcher:
    """Waits for parts to be ready, until somebody sets stop."""

    def __init__(self, engine: Engine, stop: threading.Event) -> None:
        self._engine = engine
        self._stop = stop

    def until(
        self, part: Part, what: str, ask: Ask, seconds: float, met: Callable[[], str] = lambda: ""
    ) -> None:
        """Wait until ask is true of a part; what says it in words, met what the last question met.

        :raises NotReady: when the container ends, or seconds are over; with its last log lines.
        :raises Stopped: when stop was set.
        """
        look = _Look(self._engine, part, what)
        last = Deadline(seconds, self._stop).until(lambda: look(ask))
        if last is not None:
            raise look.late(seconds, met() or look.met or last)


class _Look:
    """Asks a part, and looks from time to time whether its container still runs."""

    def __init__(self, engine: Engine, part: Part, what: str) -> None:
        self._engine, self._part, self._what = engine, part, what
        self._next = time.monotonic() + LOOK_S
        self.met = ""

    def __call__(self, ask: Ask) -> object:
        try:
            if answer := ask():
                return answer
        except OSError as problem:
            self.met = problem.strerror or str(problem) or type(problem).__name__
        if time.monotonic() > self._next:
            self._next = time.monotonic() + LOOK_S
            self._check()
        return None

    def _check(self) -> None:
        with refusals(self._engine, f"{self._part.name} {self._what}"):
            state = self._engine.client.api.inspect_container(self._part.id)["State"]
        if not state["Running"]:
            lines = last_lines(self._engine, self._part)
            ended = f"its container ended with exit code {state['ExitCode']}"
            mend = "mend what its last lines say, then create the environment again"
            raise NotReady(f"{self._part.name} {self._what}", seen(ended, lines), mend)

    def late(self, seconds: float, met: str) -> NotReady:
        lines = last_lines(self._engine, self._part)
        who = f"the service {self._part.service}" if self._part.service else f"the image {self._part.image}"
        mend = f"find out from these lines what {who} waits for, mend that, and create the environment again"
        return NotReady(f"{self._part.name} {self._what} within {seconds:g} s", seen(met, lines), mend)
