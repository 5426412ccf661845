"""Ways to put a database back into a state that was kept, all with the same four verbs."""

import statistics
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import psycopg

from labkit.environment._server import EMPTY, Server, copy, drop, keep, replace
from labkit.errors import LabError


class Kept(ABC):
    """A state of the database `name` that was kept in one way and can be put back any number of times.

    Leaving its `with` block gives back what it took; the database stays as it is then. keep_s is how long the
    keeping took, in seconds; seconds has what each restore took.
    """

    way: str
    """What the way is called: see Database.keep."""

    def __init__(self, server: Server, name: str, used: Callable[..., None]) -> None:
        """Keep the present state; used hears at the end how often it was put back."""
        self._server, self._name, self._used = server, name, used
        self._token = uuid.uuid4().hex[:8]
        self.seconds: list[float] = []
        self._closed = False
        began = time.monotonic()
        with refused(self.way):
            self._keep()
        self.keep_s = time.monotonic() - began

    def restore(self) -> None:
        """Put the state back.

        :raises LabError: when that cannot be done in this way; the message says what it does not allow.
        """
        began = time.monotonic()
        with refused(self.way):
            self._restore()
        self.seconds.append(time.monotonic() - began)

    def await_ready(self) -> None:
        """Wait until a restore has nothing to wait for; only a spare clone ever has."""
        return

    @contextmanager
    def connect(self) -> Iterator[psycopg.Connection[Any]]:
        """Give a test its connection; what it did is committed at the end of the block."""
        with self._server.connect(self._name) as connection:
            yield connection

    def close(self) -> None:
        """Give back what was taken for it, and record how often and how fast it was put back."""
        if self._closed:
            return
        self._closed = True
        with refused(self.way):
            self._give_back()
        median = round(statistics.median(self.seconds), 4) if self.seconds else None
        told = {"keep_s": round(self.keep_s, 4), "restores": len(self.seconds), "restore_s": median}
        self._used("keep", way=self.way, **told)

    @abstractmethod
    def _keep(self) -> None: ...

    @abstractmethod
    def _restore(self) -> None: ...

    @abstractmethod
    def _give_back(self) -> None: ...

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give back what was taken, also after an error."""
        self.close()


@contextmanager
def refused(way: str) -> Iterator[None]:
    """Turn what PostgreSQL refuses into an error that a user can mend."""
    try:
        yield
    except psycopg.Error as problem:
        mend = "environment.logs('database') has more; another way to restore may allow it"
        raise LabError(f"a restore by {way}", str(problem).strip(), mend) from problem


class Replaced(Kept):
    """Ways that make a new database beside the one in use, and then swap the two.

    Rows, sequences and schema come back, whoever changed them; all connections end.
    """

    def _restore(self) -> None:
        with self._server.alone() as server:
            replace(server, self._name, lambda new: self._make(server, new))

    @abstractmethod
    def _make(self, server: psycopg.Connection[Any], name: str) -> None:
        """Make a database as it was kept."""


class Template(Replaced):
    """A copy in the server, which is the template of the next database: a restore copies files."""

    way = "template"

    def _keep(self) -> None:
        with self._server.alone() as server:
            keep(server, self._name, self._copy)

    @property
    def _copy(self) -> str:
        return f"kept_{self._token}"

    def _make(self, server: psycopg.Connection[Any], name: str) -> None:
        copy(server, self._copy, name)

    def _give_back(self) -> None:
        with self._server.session() as server:
            drop(server, self._copy)


class Dump(Replaced):
    """pg_dump's custom format, read by pg_restore: rows and indexes are made anew."""

    way = "dump"

    def _keep(self) -> None:
        self._file = self._server.container.fresh_path()
        self._run("pg_dump", "--format=custom", f"--file={self._file}", self._name)

    def _make(self, server: psycopg.Connection[Any], name: str) -> None:
        copy(server, EMPTY, name)
        self._run("pg_restore", "--exit-on-error", f"--dbname={name}", self._file)

    def _give_back(self) -> None:
        self._server.container.run("rm", "-f", self._file)

    def _run(self, tool: str, *arguments: str) -> None:
        self._server.container.run(tool, "--username=postgres", *arguments)
