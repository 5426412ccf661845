"""The visit of a locust user who arrives, does one task and leaves. Imported in the child process only."""

from contextlib import suppress
from contextvars import ContextVar
from typing import Any

from locust import SequentialTaskSet, TaskSet, User
from locust.env import Environment
from locust.exception import RescheduleTask, RescheduleTaskImmediately, StopUser


class Visit:
    """One visit: how late it began, which versions answered it, and whether the user came to the end."""

    def __init__(self, lag_s: float) -> None:
        self.lag_s = lag_s
        self.versions: set[str] = set()
        self.is_complete = False

    def take_lag(self) -> float:
        """Return the lag for the first request of the visit, 0 for all others."""
        lag_s, self.lag_s = self.lag_s, 0.0
        return lag_s


current: ContextVar[Visit | None] = ContextVar("visit", default=None)
"""The visit that the running greenlet is; None for a user who stays."""


def visitor(user_class: type[User], host: str) -> type[User]:
    """Return a class like this one, whose users leave after one task."""
    leaving: type[User] = type(user_class.__name__, (user_class,), {"host": host})
    # Set afterwards: a class that is made adds its tasks to those of its base.
    leaving.tasks = [_once(task) for task in user_class.tasks]
    return leaving


def _once(task: Any) -> Any:  # noqa: ANN401 - a function or a TaskSet class, as locust has it
    if isinstance(task, type) and issubclass(task, SequentialTaskSet):
        task = _through(task)

    def run(user: User) -> None:
        with suppress(RescheduleTask, RescheduleTaskImmediately, StopUser):  # how task sets and users end
            task(user).run() if isinstance(task, type) else task(user)
        if visit := current.get():
            visit.is_complete = True
        raise StopUser

    return run


def _through(sequence: type[SequentialTaskSet]) -> type[SequentialTaskSet]:
    """Return a task set like this one that ends after its last task."""
    ending: type[SequentialTaskSet] = type(sequence.__name__, (sequence,), {})
    ending.tasks = [*sequence.tasks, TaskSet.interrupt]
    return ending


def visit(leaving: type[User], environment: Environment, lag_s: float) -> Visit:
    """Let a user of a class of `visitor` arrive, and return the visit when it has ended."""
    this = Visit(lag_s)
    current.set(this)
    with suppress(Exception):  # recorded by the listener to user_error
        leaving(environment).run()  # type: ignore[no-untyped-call] # locust's
    return this
