"""The ways that leave the database in its place, and the one that replaces its whole container."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any

import psycopg
from psycopg import errors, sql

from labkit.environment._fingerprint import OURS
from labkit.environment._kept import Dump, Kept, Template
from labkit.environment._readiness import SERVER_S, Watcher
from labkit.environment._server import closed
from labkit.environment._spare import SpareClone
from labkit.errors import LabError

POINT = sql.SQL("SAVEPOINT kept")
BACK = sql.SQL("ROLLBACK TO SAVEPOINT kept")

TABLES = sql.SQL("""
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = {kind} AND {ours} ORDER BY 1, 2
""")


class Rollback(Kept):
    """One connection for all, in one transaction that nobody ends: a restore rolls back to its savepoint.

    Nothing is put back that was done by another connection, a service's for instance; and no sequence,
    because PostgreSQL takes no number back. Whatever a test locks stays locked until the restore.
    """

    way = "rollback"

    def _keep(self) -> None:
        self._connection = self._server.connect(self._name)
        self._connection.execute(POINT)

    @contextmanager
    def connect(self) -> Iterator[psycopg.Connection[Any]]:
        """Give the one connection; a test's commit is the end of a savepoint in its transaction."""
        with self._connection.transaction():
            yield self._connection

    def _restore(self) -> None:
        try:
            self._connection.execute(BACK)
        except (errors.NoActiveSqlTransaction, errors.InvalidSavepointSpecification) as problem:
            seen = f"its transaction has ended, and what was done in it stays: {str(problem).strip()}"
            mend = "keep the state by template when something commits"
            raise LabError("a rollback: nobody commits", seen, mend) from problem

    def _give_back(self) -> None:
        self._connection.close()


class TruncateAndLoad(Kept):
    """A file of rows for each table: a restore empties all tables and loads them.

    Sequences come back too. The schema does not: a table, column or index that was changed stays changed.
    """

    way = "truncate and load"

    def _keep(self) -> None:
        self._folder = self._server.container.fresh_path()
        self._server.container.run("mkdir", self._folder)
        with self._server.connect(self._name) as connection:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            self._tables = _named(connection, "r")
            self._sequences = [(it, *_position(connection, it)) for it in _named(connection, "S")]
            for table, file in self._files():
                connection.execute(sql.SQL("COPY {} TO {}").format(table, file))

    def _restore(self) -> None:
        with self._server.connect(self._name) as connection:
            # The rows fitted each other when they were kept: no trigger and no foreign key has to look again.
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
        self._server.container.run("rm", "-rf", self._folder)


def _named(connection: psycopg.Connection[Any], kind: str) -> list[sql.Identifier]:
    found = connection.execute(TABLES.format(kind=sql.Literal(kind), ours=OURS))
    return [sql.Identifier(*names) for names in found]


def _position(connection: psycopg.Connection[Any], sequence: sql.Identifier) -> tuple[int, bool]:
    query = sql.SQL("SELECT last_value, is_called FROM {}").format(sequence)
    ((last, called),) = connection.execute(query).fetchall()
    return last, called


class Container(Kept):
    """An image of the server's container, data and all: a restore removes the container and starts another.

    All databases of the server come back as they were, also those of other ways and the snapshots. The port
    is another one afterwards. The image that a restore has put in use goes with the environment.
    """

    way = "container"

    def _keep(self) -> None:
        with self._server.alone() as server:
            server.execute("CHECKPOINT")  # what was committed may still be in memory alone
            self._image = self._server.container.to_image()

    def _restore(self) -> None:
        self._end_sessions()
        container = self._server.container
        part = container.replace(self._image)
        self._server.port = container.port(part)
        watcher = Watcher(container.scope.engine, Event())
        watcher.until(part, "answers SQL", self._server.answers, SERVER_S)

    def _end_sessions(self) -> None:
        """End the connections, so that whoever has one learns of it at once; a dead server has none."""
        try:
            with self._server.session() as server, closed(server, self._name):
                return
        except psycopg.OperationalError:
            return

    def _give_back(self) -> None:
        self._server.container.remove_image(self._image)


WAYS: dict[str, type[Kept]] = {
    it.way: it for it in (Rollback, Template, SpareClone, TruncateAndLoad, Dump, Container)
}
