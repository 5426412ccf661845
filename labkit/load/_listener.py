"""Records what locust's events tell. Imported in the child process only."""

from collections.abc import Iterator
from traceback import extract_tb
from types import TracebackType
from typing import Any

import locust.stats
from gevent.local import local
from locust import TaskSet, User
from locust.contrib.fasthttp import FAILURE_EXCEPTIONS
from locust.env import Environment
from locust.event import EventHook
from locust.exception import CatchResponseError

from labkit.load._histogram import lower_edge, middle_ms
from labkit.load._measurement import Failure, Key
from labkit.load._recorder import FAILED, Recorder
from labkit.load._visit import current

_DETAIL = 200


def _finer_bucket(milliseconds: float) -> float:
    """Replace locust's rounding to whole milliseconds, which doubles times under 1 ms."""
    return middle_ms(lower_edge(int(milliseconds * 1e3)))


class Listener:
    """Listens to the requests, to the errors of tasks and to the outcomes of an environment."""

    def __init__(self, environment: Environment, recorder: Recorder) -> None:
        self._recorder, self._greenlet = recorder, local()
        locust.stats.bucket_response_time = _finer_bucket  # type: ignore[assignment] # keys may be floats
        environment.events.request.add_listener(self._answer)  # type: ignore[no-untyped-call] # locust's
        environment.events.user_error.add_listener(self._user_error)  # type: ignore[no-untyped-call] # locust's
        environment.events.outcome = EventHook()  # type: ignore[attr-defined, no-untyped-call] # for labkit.load.outcome
        environment.events.outcome.add_listener(recorder.outcome)  # type: ignore[attr-defined] # as above

    def _answer(
        self,
        request_type: str,
        name: str,
        response_time: float | None,
        exception: Exception | None = None,
        response: Any = None,  # noqa: ANN401 - of the user's client; None without one
        **_: object,
    ) -> None:
        """Record the answer to a user's request; the first one of a visit counts from its planned time."""
        visit, lag_s = current.get(), 0.0
        if visit:
            lag_s = visit.take_lag()
            self._recorder.request(lag_s)
        else:
            self._recorder.sent += 1
        latency_ms = (response_time or 0.0) + lag_s * 1e3
        at_s = max(0.0, self._recorder.seconds() - latency_ms / 1e3)
        version = str((getattr(response, "headers", None) or {}).get("X-Labkit-Version") or "")
        request, status = f"{request_type} {name}", getattr(response, "status_code", 0)
        failure = None
        self._greenlet.has_failed = bool(exception)
        if exception:
            detail = str(getattr(response, "text", "") or "")[:_DETAIL]
            failure = Failure(at_s, request, cause_of(exception, status), version, detail)
        elif visit:
            visit.versions.add(version)
        mixed = visit is not None and len(visit.versions) > 1
        self._recorder.answer(Key(int(at_s), version, request), latency_ms, failure, mixed=mixed)

    def _user_error(
        self, user_instance: User | TaskSet, exception: Exception, tb: TracebackType | None
    ) -> None:
        """Record an exception of a task as a failure, unless it only repeats that a request failed."""
        if getattr(self._greenlet, "error", None) is exception:
            return  # a task set in a task set tells it twice
        self._greenlet.error = exception
        if isinstance(exception, FAILURE_EXCEPTIONS) and getattr(self._greenlet, "has_failed", False):
            return
        user = user_instance.user if isinstance(user_instance, TaskSet) else user_instance
        at_s, name = self._recorder.seconds(), f"TASK {type(user).__name__}"
        self._recorder.sent += 1
        failure = Failure(at_s, name, _first_line(exception), "", _place(tb))
        self._recorder.answer(Key(int(at_s), "", name), None, failure)


def cause_of(error: Exception, status: int) -> str:
    """Return a short text that is the same for failures of the same cause; status 0 is for no answer."""
    if isinstance(error, CatchResponseError):
        return str(error)[:_DETAIL]
    if status >= FAILED:
        return f"status {status}"
    for one in _chain(error):
        if isinstance(one, TimeoutError):
            return "no answer in time"
        if isinstance(one, OSError) and one.strerror:
            return f"connection: {one.strerror.lower()}"
    return _first_line(error)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what caused it: requests wraps the operating system's error several times."""
    seen: set[int] = set()
    while error and id(error) not in seen:
        seen.add(id(error))
        yield error
        inner = getattr(error, "reason", None) or next(iter(error.args), None)
        error = inner if isinstance(inner, BaseException) else error.__cause__ or error.__context__


def _place(trace: TracebackType | None) -> str:
    """Return where an exception came from, in the tasks' own code."""
    frames = [frame for frame in extract_tb(trace) if "site-packages" not in frame.filename]
    return f"in {frames[-1].name}, line {frames[-1].lineno}" if frames else ""


def _first_line(error: Exception) -> str:
    text = next(iter(str(error).splitlines()), "")[:_DETAIL]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
