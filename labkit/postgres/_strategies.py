"""Snapshot strategies: ways to keep the state of a database and restore it, all with the same verbs."""

import statistics
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Self

import psycopg
from psycopg import errors, sql

from labkit.errors import LabError, NoAnswer
from labkit.postgres._copies import EMPTY, closed, copy, copy_in_use, drop, replace, swap
from labkit.postgres._fingerprint import OURS
from labkit.postgres._server import Postgres

POINT = sql.SQL("SAVEPOINT kept")
BACK = sql.SQL("ROLLBACK TO SAVEPOINT kept")

TABLES = sql.SQL("""
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = {kind} AND {ours} ORDER BY 1, 2
""")


class SnapshotStrategy(ABC):
    """A state of one database that was kept, and can be restored any number of times.

    Leaving its `with` block removes what the strategy keeps in the server; the database stays as it then is.
    snapshot_s is how long the snapshot took, restores_s how long each restore took, in seconds.
    """

    name: str
    """The strategy's name, as Database.snapshot_by takes it."""

    def __init__(self, server: Postgres, database: str) -> None:
        """Keep the present state of a database."""
        self._server, self._database = server, database
        self._token = uuid.uuid4().hex[:8]
        self.restores_s: list[float] = []
        self._closed = False
        began = time.monotonic()
        with refused(self.name):
            self._keep()
        self.snapshot_s = time.monotonic() - began

    def restore(self) -> None:
        """Restore the state.

        :raises LabError: when the strategy cannot; the error says what it does not allow.
        """
        began = time.monotonic()
        with refused(self.name):
            self._restore()
        self.restores_s.append(time.monotonic() - began)

    def await_ready(self) -> None:
        """Wait until a restore can begin at once; only a pre-built clone ever has to wait."""
        return

    @contextmanager
    def connect(self) -> Iterator[psycopg.Connection[Any]]:
        """Give a test its connection; its work is committed at the end of the block."""
        with self._server.connect(self._database) as connection:
            yield connection

    def close(self) -> None:
        """Remove what the strategy keeps in the server, and record how often and how fast it restored."""
        if self._closed:
            return
        self._closed = True
        with refused(self.name):
            self._give_back()
        median = round(statistics.median(self.restores_s), 4) if self.restores_s else None
        self._server.namespace.on_use(
            "snapshot strategy",
            strategy=self.name,
            snapshot_s=round(self.snapshot_s, 4),
            restores=len(self.restores_s),
            restore_s=median,
        )

    @abstractmethod
    def _keep(self) -> None: ...

    @abstractmethod
    def _restore(self) -> None: ...

    @abstractmethod
    def _give_back(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def refused(strategy: str) -> Iterator[None]:
    """Turn an error of PostgreSQL within the block into one that a user can fix.

    :raises LabError: for that.
    """
    try:
        yield
    except psycopg.Error as problem:
        next_step = "environment.logs('database') has more; another snapshot strategy may allow it"
        raise LabError(f"a restore by {strategy}", str(problem).strip(), next_step) from problem


class Replaced(SnapshotStrategy):
    """A strategy that makes a new database beside the one in use, and then swaps the two.

    It restores rows, sequences and schema, whoever changed them; all connections end.
    """

    def _restore(self) -> None:
        with self._server.exclusive() as server:
            replace(server, self._database, lambda new: self._make(server, new))

    @abstractmethod
    def _make(self, server: psycopg.Connection[Any], name: str) -> None:
        """Make a database with the kept state."""


class Template(Replaced):
    """A copy in the server serves as the template of the next database: a restore copies files."""

    name = "template"

    def _keep(self) -> None:
        with self._server.exclusive() as server:
            copy_in_use(server, self._database, self._copy)

    @property
    def _copy(self) -> str:
        return f"kept_{self._token}"

    def _make(self, server: psycopg.Connection[Any], name: str) -> None:
        copy(server, self._copy, name)

    def _give_back(self) -> None:
        with self._server.session() as server:
            drop(server, self._copy)


class Dump(Replaced):
    """A file in pg_dump's custom format, which pg_restore reads: rows and indexes are built anew."""

    name = "dump"

    def _keep(self) -> None:
        self._file = self._server.fresh_path()
        self._run("pg_dump", "--format=custom", f"--file={self._file}", self._database)

    def _make(self, server: psycopg.Connection[Any], name: str) -> None:
        copy(server, EMPTY, name)
        self._run("pg_restore", "--exit-on-error", f"--dbname={name}", self._file)

    def _give_back(self) -> None:
        self._server.tool("rm", "-f", self._file)

    def _run(self, tool: str, *arguments: str) -> None:
        self._server.tool(tool, "--username=postgres", *arguments)


class PrebuiltClone(Template):
    """A template with one copy made ahead: a restore swaps that copy in.

    The next copy is made in the background, and a restore that comes sooner waits for it. The strategy needs
    disk space for two more copies.
    """

    name = "pre-built clone"

    def _keep(self) -> None:
        super()._keep()
        self._background = ThreadPoolExecutor(1, thread_name_prefix="labkit-clone")
        self._next: Future[None] = self._background.submit(self._make_ready)

    def await_ready(self) -> None:
        """Wait until the next copy is ready."""
        self._next.result()

    def _restore(self) -> None:
        self.await_ready()
        with self._server.exclusive() as server:
            swap(server, self._database, self._clone, self._spent)
        self._next = self._background.submit(self._make_ready)

    def _make_ready(self) -> None:
        with self._server.session() as server:
            drop(server, self._spent)
            drop(server, self._clone)
            copy(server, self._copy, self._clone)

    def _give_back(self) -> None:
        self._background.shutdown()
        with self._server.session() as server:
            for name in (self._clone, self._spent):
                drop(server, name)
        super()._give_back()

    @property
    def _clone(self) -> str:
        return f"clone_{self._token}"

    @property
    def _spent(self) -> str:
        return f"spent_{self._token}"


class Rollback(SnapshotStrategy):
    """One connection for all tests, in one transaction that is never committed: a restore is a rollback.

    It undoes only what this connection did: not the changes of a service, for instance. It resets no
    sequence, because PostgreSQL takes no number back. What a test locks stays locked until the restore.
    """

    name = "rollback"

    def _keep(self) -> None:
        self._connection = self._server.connect(self._database)
        self._connection.execute(POINT)

    @contextmanager
    def connect(self) -> Iterator[psycopg.Connection[Any]]:
        """Give the one connection; a test's commit only releases a savepoint in its transaction."""
        with self._connection.transaction():
            yield self._connection

    def _restore(self) -> None:
        try:
            self._connection.execute(BACK)
        except (errors.NoActiveSqlTransaction, errors.InvalidSavepointSpecification) as problem:
            seen = f"its transaction has ended, and its changes stay: {str(problem).strip()}"
            next_step = 'use snapshot_by("template") when something commits'
            raise LabError("a rollback: nobody commits", seen, next_step) from problem

    def _give_back(self) -> None:
        self._connection.close()


class TruncateAndLoad(SnapshotStrategy):
    """A file of rows for each table: a restore empties all tables and loads the files.

    It restores sequences too, but not the schema: a changed table, column or index stays changed.
    """

    name = "truncate and load"

    def _keep(self) -> None:
        self._folder = self._server.fresh_path()
        self._server.tool("mkdir", self._folder)
        with self._server.connect(self._database) as connection:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            self._tables = _named(connection, "r")
            self._sequences = [(name, *_position(connection, name)) for name in _named(connection, "S")]
            for table, file in self._files():
                connection.execute(sql.SQL("COPY {} TO {}").format(table, file))

    def _restore(self) -> None:
        with self._server.connect(self._database) as connection:
            # The rows were consistent when they were kept, so no trigger or foreign key need check them.
            connection.execute("SET session_replication_role = replica")
            if self._tables:
                connection.execute(sql.SQL("TRUNCATE {}").format(sql.SQL(", ").join(self._tables)))
            for table, file in self._files():
                connection.execute(sql.SQL("COPY {} FROM {}").format(table, file))
            for sequence, last, called in self._sequences:
                connection.execute("SELECT setval(%s, %s, %s)", [sequence.as_string(), last, called])

    def _files(self) -> Iterator[tuple[sql.Identifier, sql.Literal]]:
        for number, table in enumerate(self._tables):
            yield table, sql.Literal(f"{self._folder}/{number}")

    def _give_back(self) -> None:
        self._server.tool("rm", "-rf", self._folder)


def _named(connection: psycopg.Connection[Any], kind: str) -> list[sql.Identifier]:
    rows = connection.execute(TABLES.format(kind=sql.Literal(kind), ours=OURS))
    return [sql.Identifier(*names) for names in rows]


def _position(connection: psycopg.Connection[Any], sequence: sql.Identifier) -> tuple[int, bool]:
    query = sql.SQL("SELECT last_value, is_called FROM {}").format(sequence)
    ((last, called),) = connection.execute(query).fetchall()
    return last, called


class Container(SnapshotStrategy):
    """An image of the server's container with its data: a restore removes the container and starts another.

    It restores all databases of the server, including the snapshots and what other strategies keep. The port
    changes. The image that a restore has put into use is removed with the environment.
    """

    name = "container"

    def _keep(self) -> None:
        with self._server.exclusive() as server:
            server.execute("CHECKPOINT")  # what was committed may still be in memory alone
            self._image = self._server.to_image()

    def _restore(self) -> None:
        self._end_sessions()
        self._server.replace(self._image)

    def _end_sessions(self) -> None:
        """End the connections, so that their clients learn of it at once; a dead server has none."""
        try:
            with self._server.session() as server, closed(server, self._database):
                return
        except (psycopg.OperationalError, NoAnswer):
            return

    def _give_back(self) -> None:
        self._server.remove_image(self._image)


STRATEGIES: dict[str, type[SnapshotStrategy]] = {
    strategy.name: strategy
    for strategy in (Rollback, Template, PrebuiltClone, TruncateAndLoad, Dump, Container)
}
