"""Waits: a deadline, and testcontainers' wait strategies with errors that say what was waited for."""

import shlex
import socket
import threading
import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from testcontainers.core.waiting_utils import WaitStrategy

from labkit import _http
from labkit._uninterruptible import Stopped
from labkit.containers._errors import NotReady, refusals
from labkit.containers._logs import last_lines

if TYPE_CHECKING:
    from labkit.containers._element import Element  # which waits by these strategies

SERVER_S = 30.0
"""How long a server of labkit's own images may take to answer, in seconds."""

FIRST_PAUSE_S = 0.005
LONGEST_PAUSE_S = 0.05
LOOK_S = 0.4
"""How often a wait looks whether the container still runs, in seconds."""

LAST_LINES = 12
ANSWER_S = 2.0
"""How long one question may take, in seconds."""

QUIET_S = 0.2
"""How long a connection that nobody closes counts as a server that waits for a request, in seconds."""


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
        """Return whether the seconds have gone by."""
        return time.monotonic() > self._end

    def pause(self, seconds: float) -> None:
        """Sleep, at most to the end.

        :raises Stopped: when the wait was cut short.
        """
        if self._stop.wait(max(0.0, min(seconds, self._end - time.monotonic()))):
            raise Stopped

    def until(self, ask: Callable[[], object]) -> str | None:
        """Ask again and again until the answer is true.

        Return None then; at the end of the seconds return what the last question met. OSError counts as "not
        yet".

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


class Answers(WaitStrategy):
    """Waits until an element answers as it should: ready is what its server says, not an accepted connection.

    what says in words what is waited for. ask gets the element, and is asked until it returns something
    true; an OSError means "not yet". met gets the element and returns what the last question met; "" leaves
    that to the OSError.
    """

    def __init__(
        self,
        what: str,
        ask: Callable[[Any], object],
        within_s: float = SERVER_S,
        met: Callable[[Any], str] = lambda _: "",
    ) -> None:
        super().__init__()
        self._what, self._ask, self._met, self._within_s = what, ask, met, within_s
        self._next_look = 0.0

    def wait_until_ready(self, container: "Element") -> None:  # type: ignore[override]  # it needs the namespace
        """Wait until it answers.

        :raises NotReady: when the container ends, or the time is over; with its last log lines.
        :raises Stopped: when the namespace's stop was set.
        """
        self._next_look = time.monotonic() + LOOK_S
        deadline = Deadline(self._within_s, container.namespace.stop)
        last = deadline.until(lambda: self._answered(container))
        if last is not None:
            raise self._late(container, self._met(container) or last)

    def _answered(self, element: "Element") -> object:
        try:
            if answer := self._ask(element):
                return answer
        except OSError:
            self._look(element)
            raise
        self._look(element)
        return None

    def _look(self, element: "Element") -> None:
        """Raise NotReady when the container has ended; asked now and then, for the engine is slow to ask."""
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + LOOK_S
        engine = element.namespace.engine
        with refusals(engine, f"{element.name} {self._what}"):
            state = engine.client.api.inspect_container(element.get_container_id())["State"]
        if not state["Running"]:
            ended = f"its container ended with exit code {state['ExitCode']}"
            next_step = "correct what its last lines say, then create the environment again"
            raise NotReady(f"{element.name} {self._what}", _with_lines(ended, element), next_step)

    def _late(self, element: "Element", met: str) -> NotReady:
        who = f"the service {element.service}" if element.service else f"the image {element.image}"
        next_step = f"find out from these lines what {who} waits for, and create the environment again"
        expected = f"{element.name} {self._what} within {self._within_s:g} s"
        return NotReady(expected, _with_lines(met, element), next_step)


def _with_lines(met: str, element: "Element") -> str:
    """Return what a wait met, with the last log lines of the element beneath it."""
    lines = last_lines(element.namespace.engine, element.get_container_id(), LAST_LINES)
    return "\n".join([met, *(f"          | {line}" for line in lines if line.strip())])


def responds(port: int, path: str, within_s: float = SERVER_S) -> Answers:
    """Return a wait until GET of a path, at a port inside, is answered with 200."""

    def ask(element: "Element") -> bool:
        host = element.namespace.engine.host
        status = _http.request(host, element.get_exposed_port(port), "GET", path, timeout_s=ANSWER_S).status
        if status != HTTPStatus.OK:
            message = f"it answers {status}"
            raise ConnectionError(message)
        return True

    return Answers(f"answers GET {path} with 200", ask, within_s)


def listens(port: int, within_s: float = SERVER_S) -> Answers:
    """Return a wait until a server inside keeps a connection open, or says something.

    The engine's proxy accepts a connection before anybody listens inside, but closes it at once then.
    """

    def ask(element: "Element") -> bool:
        where = (element.namespace.engine.host, element.get_exposed_port(port))
        with socket.create_connection(where, ANSWER_S) as connection:
            connection.settimeout(QUIET_S)
            try:
                return bool(connection.recv(1))
            except TimeoutError:
                return True

    return Answers(f"listens at port {port}", ask, within_s)


def succeeds(command: Sequence[str], within_s: float = SERVER_S) -> Answers:
    """Return a wait until a command in the container ends with exit code 0."""

    def ask(element: "Element") -> bool:
        done = element.execute(command, timeout_s=ANSWER_S)
        if not done.ok:
            raise ConnectionError(done.output.strip() or f"exit code {done.exit_code}")
        return True

    return Answers(f"succeeds with {shlex.join(command)}", ask, within_s)
