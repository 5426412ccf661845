"""Locust users who arrive as a plan says. Imported in the child process only, when there are such users."""

from collections.abc import Callable
from functools import partial
from time import perf_counter
from urllib.parse import urlsplit

from locust import User
from locust.env import Environment

from labkit.load._closed import confine
from labkit.load._listener import Listener
from labkit.load._outcome import BROKEN_OFF
from labkit.load._recorder import Recorder
from labkit.load._visit import visit, visitor


class Visitors:
    """Lets users of the server at a URL arrive, whose own clients fire locust's `request` event."""

    def __init__(self, url: str, recorder: Recorder) -> None:
        self._url, self._recorder = url, recorder
        # An exception of a task ends the visit, so locust must not go on after it.
        self._environment = Environment(host=url, catch_exceptions=False)
        Listener(self._environment, recorder)
        self._environment.create_local_runner()
        confine({urlsplit(url).hostname or ""})

    def of(self, user: type[User]) -> Callable[[float], None]:
        """Return what lets a user of this class arrive who was due at a time of perf_counter."""
        return partial(self._arrive, visitor(user, self._url))

    def _arrive(self, leaving: type[User], due: float) -> None:
        ended = visit(leaving, self._environment, max(0.0, perf_counter() - due))
        if not ended.is_complete:
            self._recorder.outcome(BROKEN_OFF)
