"""The locust user that sends a plan: an open model, one greenlet a request. Imported in the child only."""

from time import perf_counter
from typing import Any
from uuid import uuid4

import gevent
from gevent.event import Event
from gevent.pool import Pool
from httptools import HttpParserError
from locust import User, task
from locust.exception import StopUser

from labkit.load._connection_pool import ConnectionPool, Response
from labkit.load._measurement import Failure, Key
from labkit.load._recorder import Recorder
from labkit.load._request import Request
from labkit.load._schedule import Schedule
from labkit.load._session import BROKEN_OFF, Session
from labkit.load._timer import Timer

_IN_FLIGHT = 2000  # more requests without an answer delay the next ones, which shows as scheduling lag
_LEAD_S = 0.2  # the first requests are ready before they are due
_FAILED = 400
_RETRIES, _RETRY_S = 20, 0.05
_DETAIL_BYTES = 200


class Player(User):
    """Sends each request of the plan at its time and fires locust's `request` event for each answer."""

    abstract = True
    fixed_count = 1
    schedule: Schedule
    recorder: Recorder
    stop_sending: Event
    finished: Event
    start_s: float | None = None
    is_complete = False

    @task
    def play(self) -> None:
        """Play the schedule once; locust runs a task for ever unless it raises StopUser."""
        try:
            self._play()
        finally:
            self.finished.set()
        raise StopUser

    def _play(self) -> None:
        """Send until the plan ends or `stop_sending` is set, then wait for the requests in flight."""
        self._connections, self._greenlets = ConnectionPool(self.host or ""), Pool(_IN_FLIGHT)
        entries = self.schedule.requests
        self._sessions = [entry if isinstance(entry, Session) else Session((entry,)) for entry in entries]
        # Made once: a plain request is the same to the byte each time.
        self._messages = [session.requests[0].message(self._connections.host) for session in self._sessions]
        type(self).start_s = self._start_s = perf_counter() + _LEAD_S
        sending = gevent.spawn(self._send_plan)
        gevent.wait([sending, self.stop_sending], count=1)
        sending.kill()
        sending.get()
        self._greenlets.join()
        type(self).is_complete = True

    def _send_plan(self) -> None:
        timer = Timer()
        for at_s, index in self.schedule.plan():
            due = self._start_s + at_s
            if (early := due - perf_counter()) > 0:
                timer.sleep(early)
            session = self._sessions[index]
            if session.is_plain:
                self._greenlets.spawn(self._send, due, session.requests[0], self._messages[index], set[str]())
            else:
                self._greenlets.spawn(self._send_session, due, session)

    def _send_session(self, due: float, session: Session) -> None:
        """Send the requests of a session; one that fails is the last."""
        identity, body, versions = uuid4().hex, b"", set[str]()
        for index in range(len(session.requests)):
            try:
                request = session.request(index, body, identity)
            except ValueError:
                return self.recorder.session(BROKEN_OFF)
            response = self._send_with_retries(due, request, session.retry_on, versions)
            if not 0 < response.status < _FAILED:
                return self.recorder.session(BROKEN_OFF)
            body = response.body
            if index + 1 < len(session.requests):
                gevent.sleep(session.pause_s)
                due = perf_counter()
        if session.outcome:
            self.recorder.session(session.result(body))
        return None

    def _send_with_retries(self, due: float, request: Request, retry_on: int, versions: set[str]) -> Response:
        """Send a request, again and again while the answer has the status retry_on; 0 is for no retries."""
        message = request.message(self._connections.host)
        response = self._send(due, request, message, versions)
        for _ in range(_RETRIES):
            if response.status != retry_on or not retry_on:
                break
            gevent.sleep(_RETRY_S)
            response = self._send(perf_counter(), request, message, versions)
        return response

    def _send(self, due: float, request: Request, message: bytes, versions: set[str]) -> Response:
        """Send one request and return its answer, with a status of 0 when there was no answer.

        versions are those that have answered the session before; the one that answers now is added.
        """
        self.recorder.request(max(0.0, perf_counter() - due))
        at_s = due - self._start_s
        response, cause = Response(0, "", b""), ""
        try:
            response = self._connections.call(message, self.schedule.timeout_s)
        except (OSError, HttpParserError) as error:
            cause = self._cause(error)
        # From the plan, not from the sending: a late request shows its lag (see labkit.load).
        latency_ms = (perf_counter() - due) * 1e3
        if response.status >= _FAILED:
            cause = f"status {response.status}"
        elif response.status:
            versions.add(response.version)
        detail = response.body[:_DETAIL_BYTES].decode(errors="replace")
        failure = Failure(at_s, request.name, cause, response.version, detail) if cause else None
        self.environment.events.request.fire(
            request_type=request.method,
            name=request.path.partition("?")[0],
            response_time=latency_ms,
            response_length=0,
            exception=cause or None,
            context={
                "key": Key(int(at_s), response.version, request.name),
                "failure": failure,
                "mixed": len(versions) > 1,
            },
        )
        return response

    def _cause(self, error: OSError | HttpParserError) -> str:
        """Return a short text that is the same for failures of the same cause."""
        if isinstance(error, TimeoutError):
            return f"no answer in {self.schedule.timeout_s:g} s"
        if isinstance(error, OSError):
            return f"connection: {(error.strerror or str(error)).lower()}"
        return "no valid HTTP in the answer"


def record_in(recorder: Recorder) -> Any:  # noqa: ANN401 - a listener as locust wants it
    """Return a listener for locust's `request` event that records the answers."""

    def request(response_time: float, context: dict[str, Any], **_: object) -> None:
        recorder.answer(context["key"], response_time, context["failure"], mixed=context["mixed"])

    return request
