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

from labkit.load._alarm import Alarm
from labkit.load._define import Load, Request
from labkit.load._ledger import Ledger
from labkit.load._measurement import Failure, Key
from labkit.load._replay import Replay
from labkit.load._session import BROKEN_OFF, Session
from labkit.load._wire import Answer, Wire

_UNDER_WAY = 2000  # more unanswered requests than this hold up the next ones, which then show as late
_LEAD_S = 0.2  # the first requests are ready before they are due
_FAILED = 400
_RETRIES, _RETRY_S = 20, 0.05
_DETAIL_BYTES = 200


class Player(User):
    """Sends each request of the plan at its time and fires locust's `request` event for each answer."""

    abstract = True
    fixed_count = 1
    load: Load | Replay
    ledger: Ledger
    stop_sending: Event
    finished: Event
    start_s: float | None = None
    is_complete = False

    @task
    def play(self) -> None:
        """Play once; locust would otherwise run a task for ever."""
        try:
            self._play()
        finally:
            self.finished.set()
        raise StopUser

    def _play(self) -> None:
        """Send until the plan ends or `stop_sending` is set, then wait for the answers under way."""
        self._wire, self._pool = Wire(self.host or ""), Pool(_UNDER_WAY)
        asked = self.load.requests
        self._sessions = [it if isinstance(it, Session) else Session((it,)) for it in asked]
        self._messages = [it.requests[0].message(self._wire.host) for it in self._sessions]
        type(self).start_s = self._start_s = perf_counter() + _LEAD_S
        sending = gevent.spawn(self._send_plan)
        gevent.wait([sending, self.stop_sending], count=1)
        sending.kill()
        sending.get()
        self._pool.join()
        type(self).is_complete = True

    def _send_plan(self) -> None:
        alarm = Alarm()
        for at_s, place in self.load.plan():
            due = self._start_s + at_s
            if (early := due - perf_counter()) > 0:
                alarm.sleep(early)
            session = self._sessions[place]
            if session.is_plain:
                self._pool.spawn(self._send, due, session.requests[0], self._messages[place], set[str]())
            else:
                self._pool.spawn(self._act, due, session)

    def _act(self, due: float, session: Session) -> None:
        """Send the requests of a session; one that fails is the last."""
        identity, body, met = uuid4().hex, b"", set[str]()
        for place in range(len(session.requests)):
            try:
                request = session.step(place, body, identity)
            except ValueError:
                return self.ledger.end(BROKEN_OFF)
            answer = self._insist(due, request, session.retry_on, met)
            if not 0 < answer.status < _FAILED:
                return self.ledger.end(BROKEN_OFF)
            body = answer.body
            if place + 1 < len(session.requests):
                gevent.sleep(session.pause_s)
                due = perf_counter()
        if session.outcome:
            self.ledger.end(session.result(body))
        return None

    def _insist(self, due: float, request: Request, retry_on: int, met: set[str]) -> Answer:
        """Send a request, again and again while it is answered with a status."""
        message = request.message(self._wire.host)
        answer = self._send(due, request, message, met)
        for _ in range(_RETRIES):
            if answer.status != retry_on or not retry_on:
                break
            gevent.sleep(_RETRY_S)
            answer = self._send(perf_counter(), request, message, met)
        return answer

    def _send(self, due: float, request: Request, message: bytes, met: set[str]) -> Answer:
        """Send one request; return its answer, with a status of 0 when there was none.

        met holds the versions that have answered its session, and gets the one that does now.
        """
        self.ledger.leave(max(0.0, perf_counter() - due))
        at_s = due - self._start_s
        answer, cause = Answer(0, "", b""), ""
        try:
            answer = self._wire.call(message, self.load.timeout_s)
        except (OSError, HttpParserError) as error:
            cause = self._cause(error)
        latency_ms = (perf_counter() - due) * 1e3
        if answer.status >= _FAILED:
            cause = f"status {answer.status}"
        elif answer.status:
            met.add(answer.version)
        detail = answer.body[:_DETAIL_BYTES].decode(errors="replace")
        failure = Failure(at_s, request.name, cause, answer.version, detail) if cause else None
        self.environment.events.request.fire(
            request_type=request.method,
            name=request.path.partition("?")[0],
            response_time=latency_ms,
            response_length=0,
            exception=cause or None,
            context={
                "key": Key(int(at_s), answer.version, request.name),
                "failure": failure,
                "mixed": len(met) > 1,
            },
        )
        return answer

    def _cause(self, error: OSError | HttpParserError) -> str:
        """Return a short text that is the same for failures of the same cause."""
        if isinstance(error, TimeoutError):
            return f"no answer in {self.load.timeout_s:g} s"
        if isinstance(error, OSError):
            return f"connection: {(error.strerror or str(error)).lower()}"
        return "no valid HTTP in the answer"


def enter(ledger: Ledger) -> Any:  # noqa: ANN401 - a listener as locust wants it
    """Return a listener for locust's `request` event that enters answers into the ledger."""

    def request(response_time: float, context: dict[str, Any], **_: object) -> None:
        ledger.answer(context["key"], response_time, context["failure"], mixed=context["mixed"])

    return request
