"""Waits: a deadline, and wait strategies for testcontainers whose errors say what was waited for."""

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
from labkit.containers._logs import LAST_LINES, last_lines

if TYPE_CHECKING:
    from labkit.containers._element import Element  # which waits by these strategies

SERVER_S = 30.0
"""How long a server of labkit's own images may take to answer, in seconds."""

FIRST_PAUSE_S = 0.005
LONGEST_PAUSE_S = 0.05
LOOK_S = 0.4
"""The time between two looks at whether the container still runs, in seconds."""

LONGEST_LOOK_S = 3.0
"""The same when it has ended several times; each time doubles it up to this."""

ANSWER_S = 2.0
"""How long one request or command of a wait may take, in seconds."""

QUIET_S = 0.2
"""After how many seconds an open but silent connection counts as a server that waits for a request."""


class Deadline:
    """A number of seconds from now; another thread may end it early.

    stop is the event that ends it early; None means that nothing does.
    """

    def __init__(self, seconds: float, stop: threading.Event | None = None) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds
        self._stop = stop or threading.Event()

    @property
    def over(self) -> bool:
        """Whether the seconds have passed."""
        return time.monotonic() > self._end

    def pause(self, seconds: float) -> None:
        """Sleep for these seconds, or to the deadline when that comes first.

        :raises Stopped: when the wait was ended early.
        """
        if self._stop.wait(max(0.0, min(seconds, self._end - time.monotonic()))):
            raise Stopped

    def until(self, ask: Callable[[], object]) -> str | None:
        """Call ask again and again until it returns something true; then return None.

        When the deadline passes first, return why the last call did not succeed. An OSError of ask means "not
        yet".

        :raises Stopped: when the wait was ended early.
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
    """Waits until an element answers as it should. A connection that is merely accepted is not enough.

    A container that ends meanwhile is started again: what it needs at its start may come a moment later.

    what says in words what is waited for, and reads on from the element's name. ask gets the element and is
    called until it returns something true; an OSError means "not yet". met gets the element and returns why
    it is not ready, for the error text; "" means that the last OSError says it.
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
        self._ends: list[int] = []
        """The exit code of each time that the container ended."""

    def wait_until_ready(self, container: "Element") -> None:  # type: ignore[override]  # it needs the namespace
        """Wait until it answers.

        :raises NotReady: when it is not ready in time; with how often it ended and its last log lines.
        :raises Stopped: when the namespace's stop is set.
        """
        self._ends.clear()
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
        """Look now and then, because the engine answers slowly; start a container that has ended again."""
        if time.monotonic() < self._next_look:
            return
        engine = element.namespace.engine
        with refusals(engine, f"{element.name} {self._what}"):
            state = engine.client.api.inspect_container(element.get_container_id())["State"]
        if not state["Running"]:
            self._ends.append(state["ExitCode"])
            element.start_again()
        self._next_look = time.monotonic() + min(LOOK_S * 2 ** len(self._ends), LONGEST_LOOK_S)

    def _late(self, element: "Element", met: str) -> NotReady:
        who = f"the service {element.service}" if element.service else f"the image {element.image}"
        next_step = f"find out what {who} waits for before it answers, then try again"
        if self._ends:
            times = "once" if len(self._ends) == 1 else f"{len(self._ends)} times"
            met = f"its container ended {times}, the last time with exit code {self._ends[-1]}; {met}"
            next_step = "correct what its last lines say; name what it needs to start in its depends_on"
        expected = f"{element.name} {self._what} within {self._within_s:g} s"
        return NotReady(expected, _with_lines(met, element), next_step)


def _with_lines(met: str, element: "Element") -> str:
    """Return why a wait was not met, with the last log lines of the element below, or that it has none."""
    lines = last_lines(element.namespace.engine, element.get_container_id(), LAST_LINES)
    logged = [f"          | {line}" for line in lines if line.strip()]
    return "\n".join([met, *(logged or ["its log is empty"])])


def responds(port: int, path: str, within_s: float = SERVER_S) -> Answers:
    """Return a wait until GET of a path, at a port of the container, is answered with 200."""

    def ask(element: "Element") -> bool:
        host = element.namespace.engine.host
        status = _http.request(host, element.get_exposed_port(port), "GET", path, timeout_s=ANSWER_S).status
        if status != HTTPStatus.OK:
            message = f"it answers {status}"
            raise ConnectionError(message)
        return True

    return Answers(f"answers GET {path} with 200", ask, within_s)


def listens(port: int, within_s: float = SERVER_S) -> Answers:
    """Return a wait until a server in the container keeps a connection open, or sends something.

    The engine's proxy accepts a connection even when nobody listens in the container, but then closes it at
    once.
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
