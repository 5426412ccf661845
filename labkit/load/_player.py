"""Sends a plan: an open model, one greenlet an arrival. Imported in the child process only."""

from time import perf_counter
from urllib.parse import urlsplit

import gevent
from gevent.event import Event
from gevent.pool import Pool
from httptools import HttpParserError
from locust import User
from locust.env import Environment

from labkit.load._closed import confine
from labkit.load._connection_pool import ConnectionPool, Response
from labkit.load._listener import ANSWER, FAILED, Listener
from labkit.load._measurement import Failure, Key
from labkit.load._outcome import BROKEN_OFF
from labkit.load._recorder import Recorder
from labkit.load._request import Request
from labkit.load._schedule import Schedule
from labkit.load._timer import Timer
from labkit.load._visit import visit, visitor

_IN_FLIGHT = 2000  # more requests without an answer delay the next ones, which shows as scheduling lag
_LEAD_S = 0.2  # the first requests are ready before they are due
_DETAIL_BYTES = 200


class Player:
    """Sends each request of the plan at its time and fires locust's `request` event for each answer.

    For a User class of the plan it lets a user arrive, whose own client fires the event.
    """

    def __init__(self, schedule: Schedule, url: str, recorder: Recorder, stop: Event) -> None:
        self._schedule, self._recorder, self._stop = schedule, recorder, stop
        # An exception of a task ends the visit, so locust must not go on after it.
        self._environment = Environment(host=url, catch_exceptions=False)
        Listener(self._environment, recorder)
        self._connections, self._greenlets = ConnectionPool(url), Pool(_IN_FLIGHT)
        # Made once: a request is the same to the byte each time.
        self._arrivals: list[tuple[Request, bytes] | type[User]] = [
            (entry, entry.message(self._connections.host))
            if isinstance(entry, Request)
            else visitor(entry, url)
            for entry in schedule.requests
        ]
        if any(isinstance(entry, type) for entry in schedule.requests):
            self._environment.create_local_runner()
            confine({urlsplit(url).hostname or ""})

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
            arrival = self._arrivals[index]
            if isinstance(arrival, tuple):
                self._greenlets.spawn(self._send, due, *arrival)
            else:
                self._greenlets.spawn(self._visit, due, arrival)

    def _visit(self, due: float, leaving: type[User]) -> None:
        ended = visit(leaving, self._environment, max(0.0, perf_counter() - due))
        if not ended.is_complete:
            self._recorder.outcome(BROKEN_OFF)

    def _send(self, due: float, request: Request, message: bytes) -> None:
        """Send one request and fire the event for its answer."""
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
        self._environment.events.request.fire(  # type: ignore[no-untyped-call] # locust's
            request_type=request.method,
            name=request.path.partition("?")[0],
            response_time=latency_ms,
            response_length=0,
            exception=cause or None,
            context={ANSWER: (Key(int(at_s), response.version, request.name), failure)},
        )

    def _cause(self, error: OSError | HttpParserError) -> str:
        """Return a short text that is the same for failures of the same cause."""
        if isinstance(error, TimeoutError):
            return f"no answer in {self._schedule.timeout_s:g} s"
        if isinstance(error, OSError):
            return f"connection: {(error.strerror or str(error)).lower()}"
        return "no valid HTTP in the answer"
