"""Sends a plan: an open model, one greenlet an arrival. Imported in the child process only."""

from collections.abc import Callable, Iterator
from functools import partial
from time import perf_counter

import gevent
from gevent.event import Event
from gevent.pool import Pool
from httptools import HttpParserError

from labkit.load._connection_pool import ConnectionPool, Response
from labkit.load._measurement import Failure, Key
from labkit.load._recorder import FAILED, Recorder
from labkit.load._request import Request
from labkit.load._schedule import Schedule
from labkit.load._timer import Timer
from labkit.load._users import has_users

_IN_FLIGHT = 2000  # more requests without an answer delay the next ones, which shows as scheduling lag
_LEAD_S = 0.2  # the first requests are ready before they are due
_DETAIL_BYTES = 200


class Player:
    """Sends each request of the plan at its time and records the answer.

    For a User class of the plan it lets a user arrive, whose own client fires locust's `request` event.
    """

    def __init__(self, schedule: Schedule, url: str, recorder: Recorder, stop: Event) -> None:
        self._schedule, self._recorder, self._stop = schedule, recorder, stop
        self._connections, self._greenlets = ConnectionPool(url), Pool(_IN_FLIGHT)
        self._arrivals = list(self._arrivals_of(schedule, url))

    def _arrivals_of(self, schedule: Schedule, url: str) -> Iterator[Callable[[float], object]]:
        """Yield for each entry of the plan what lets it arrive; it is called with the time it was due."""
        if has_users(schedule):
            from labkit.load._visitors import Visitors  # noqa: PLC0415 - imports locust

            visitors = Visitors(url, self._recorder)
        for entry in schedule.requests:
            if isinstance(entry, Request):  # made once: it is the same to the byte each time
                yield partial(self._send, entry, entry.message(self._connections.host))
            else:
                yield visitors.of(entry)

    def play(self) -> None:
        """Send until the plan ends or somebody stops it, then wait for what is under way."""
        self._recorder.start_s = self._start_s = perf_counter() + _LEAD_S
        sending = gevent.spawn(self._send_plan)
        gevent.wait([sending, self._stop], count=1)
        sending.kill()
        sending.get()
        self._greenlets.join(timeout=self._schedule.timeout_s)
        self._greenlets.kill()

    def _send_plan(self) -> None:
        timer = Timer()
        for at_s, index in self._schedule.plan():
            due = self._start_s + at_s
            if (early := due - perf_counter()) > 0:
                timer.sleep(early)
            self._greenlets.spawn(self._arrivals[index], due)

    def _send(self, request: Request, message: bytes, due: float) -> None:
        """Send one request and record its answer."""
        self._recorder.request(max(0.0, perf_counter() - due))
        at_s = due - self._start_s
        response, cause = Response(0, "", b""), ""
        try:
            response = self._connections.call(message, self._schedule.timeout_s)
        except (OSError, HttpParserError) as error:
            cause = self._cause(error)
        # From the plan, not from the sending: a late request shows its lag (see labkit.load).
        latency_ms = (perf_counter() - due) * 1e3
        if response.status >= FAILED:
            cause = f"status {response.status}"
        detail = response.body[:_DETAIL_BYTES].decode(errors="replace")
        failure = Failure(at_s, request.name, cause, response.version, detail) if cause else None
        self._recorder.answer(Key(int(at_s), response.version, request.name), latency_ms, failure)

    def _cause(self, error: OSError | HttpParserError) -> str:
        """Return a short text that is the same for failures of the same cause."""
        if isinstance(error, TimeoutError):
            return f"no answer in {self._schedule.timeout_s:g} s"
        if isinstance(error, OSError):
            return f"connection: {(error.strerror or str(error)).lower()}"
        return "no valid HTTP in the answer"
