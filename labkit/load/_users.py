"""Locust users as a load: their classes, or the locustfile in which they stand."""

import base64
import sys
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from labkit.errors import LabError
from labkit.load._target import is_allowed


@dataclass(frozen=True)
class Users:
    """Locust users in a closed model: each sends its next request after the answer to the one before.

    classes holds User classes and at most one LoadTestShape; it is empty when they stand in the file
    locustfile, "" for none. users and spawn_rate mean what they mean to locust. The users leave after
    duration_s seconds; None lets them stay until they are stopped, or until the shape ends.

    :raises LabError: when a number is not above 0, when there is no such file, or when a class is no User.
    """

    classes: tuple[type, ...]
    locustfile: str
    hosts: frozenset[str]
    users: int = 1
    spawn_rate: float = 1.0
    duration_s: float | None = None
    timeout_s: float = 1.0
    """What is under way at the end has these seconds left (locust's stop_timeout)."""

    def __post_init__(self) -> None:
        """Check the numbers, and what is known of the users before they are loaded."""
        for name in ("users", "spawn_rate", "duration_s"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise LabError(f"{name} above 0", f"{name} = {value}", f"give {name} as a positive number")
        if self.locustfile and not Path(self.locustfile).is_file():
            seen = f"there is no file {self.locustfile}"
            raise LabError("the path of a locustfile", seen, "give the path from the current folder")
        if not self.locustfile:
            for wrong in (one for one in self.classes if not (is_user(one) or is_shape(one))):
                next_step = "give a Load, a class derived from locust.HttpUser, or a locustfile's path"
                raise LabError("a Load, a locust User class or a locustfile", repr(wrong), next_step)
            check_users(self.classes, self.hosts)

    @classmethod
    def of(cls, target: Any, hosts: Collection[str], **how: Any) -> Self:  # noqa: ANN401 - checked in __post_init__
        """Return the users of a class, of several classes, or of a locustfile's path; how are the fields."""
        allowed = frozenset(hosts)
        if isinstance(target, str | Path):
            return cls((), str(Path(target).absolute()), allowed, **how)
        classes = (
            tuple(target) if isinstance(target, Iterable) and not isinstance(target, type) else (target,)
        )
        return cls(classes, "", allowed, **how)


def is_user(candidate: object) -> bool:
    """Return whether this is a locust User class. Nobody has one before locust is imported."""
    return _is_subclass(candidate, "User")


def is_shape(candidate: object) -> bool:
    """Return whether this is a LoadTestShape class."""
    return _is_subclass(candidate, "LoadTestShape")


def _is_subclass(candidate: object, name: str) -> bool:
    locust = sys.modules.get("locust")
    return isinstance(candidate, type) and locust is not None and issubclass(candidate, getattr(locust, name))


def check_users(classes: Iterable[type], hosts: Collection[str]) -> None:
    """Check that there is a user, and that no user names a host that is neither this machine nor in hosts.

    :raises LabError: when it is not so.
    """
    users = [one for one in classes if is_user(one) and not getattr(one, "abstract", False)]
    if not users:
        next_step = "derive one from locust.HttpUser and give it a method with @task"
        raise LabError("a locust User class", "none", next_step)
    for user in users:
        host = getattr(user, "host", None)
        if host and not is_allowed(urlsplit(host).hostname or "", hosts):
            raise LabError(
                expected="users of a server on this machine or on the container engine's host",
                seen=f"{user.__name__}.host = {host!r}",
                next_step="remove that line: the load's url is the host, as with locust --host",
            )


def has_users(work: object) -> bool:
    """Return whether locust users belong to a load: they stay, or they arrive as a plan says."""
    return isinstance(work, Users) or any(isinstance(entry, type) for entry in getattr(work, "requests", ()))


def pack(work: object) -> str:
    """Return a load as text for the child process, with the classes that were defined in a notebook.

    :raises LabError: when a class holds something that lives in this process alone.
    """
    # Imported when needed. Python's own pickle writes no class of a notebook, only its name.
    import cloudpickle  # noqa: PLC0415 - see above

    try:
        return base64.b64encode(cloudpickle.dumps(work)).decode()
    except Exception as error:  # whatever the __reduce__ of somebody's object raises
        raise LabError(
            expected="users whose tasks use modules, functions, text, numbers, lists and dictionaries",
            seen=f"something that cannot leave this process: {error}",
            next_step="take what the tasks need out of it first, such as url = environment.url",
        ) from error
