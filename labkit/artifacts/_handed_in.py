"""An artifact database that somebody else hands in: it is read, checked by a public key, and not believed."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import Connection, create_engine, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from labkit.artifacts._fact import Fact, Kind
from labkit.artifacts._key import PublicKey
from labkit.artifacts._tables import fact_table
from labkit.artifacts._verify import Verification, check
from labkit.errors import LabError

LONGEST_BYTES = 1_000_000
"""The most that one value may have."""
STEPS, STEPS_EACH = 2000, 100_000
"""A question ends after so many times so many steps of SQLite's machine, which takes some seconds."""
OBJECTS = {("table", "fact"), ("table", "reference")}
ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_TRANSACTION}
PRAGMAS = {"integrity_check", "read_uncommitted"}  # the second is what SQLAlchemy asks first
UNREADABLE = (SQLAlchemyError, sqlite3.Error, LabError, ValueError, TypeError, LookupError, AttributeError)


class HandedIn:
    """A copy of somebody's artifact database: a SQLite file, beside which its -wal file may lie.

    Everything in it may be hostile. Views, triggers and all but labkit's own tables are refused, nothing is
    written, and values and questions have limits.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._engine = create_engine("sqlite://", creator=self._connection, poolclass=NullPool)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._engine.dispose()

    def verify(self, key: PublicKey) -> Verification:
        """Check all signatures by the public key, the chain and the searchable copies.

        There is no git note: whether the last facts were cut off stays unknown.

        :raises LabError: when it cannot be read.
        """
        with self._reading() as connection:
            return check(connection, key, None)

    def history(self, kind: Kind) -> list[Fact]:
        """Return the facts of a kind, oldest first.

        :raises LabError: when it cannot be read.
        """
        of_kind = (
            select(fact_table.c.payload).where(fact_table.c.kind == kind.value).order_by(fact_table.c.id)
        )
        with self._reading() as connection:
            facts = [Fact.read(payload) for payload in connection.scalars(of_kind)]
        return [fact for fact in facts if fact.kind is kind]

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection
        except UNREADABLE as fault:
            seen = str(getattr(fault, "orig", None) or fault).partition("\n")[0]
            next_step = "hand in a copy of .labkit/artifacts.db, with artifacts.db-wal if there is one"
            raise LabError("an artifact database as labkit wrote it", seen[:200], next_step) from fault

    def _connection(self) -> sqlite3.Connection:
        """Connect, look at what the file has in it, and from then on allow nothing but reading."""
        connection = sqlite3.connect(self._file)
        try:
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_BYTES)
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA query_only = ON")
            left = iter(range(STEPS))
            connection.set_progress_handler(lambda: next(left, None) is None, STEPS_EACH)
            _refuse_others(connection)
            connection.set_authorizer(_authorize)
        except BaseException:
            connection.close()
            raise
        return connection


def _refuse_others(connection: sqlite3.Connection) -> None:
    found = connection.execute("SELECT type, name FROM sqlite_schema WHERE type <> 'index'")
    if set(found) != OBJECTS:
        message = "it has not labkit's own tables, or also others, views or triggers"
        raise sqlite3.DatabaseError(message)


def _authorize(action: int, name: str | None, *_: object) -> int:
    reads = action in ALLOWED or (action == sqlite3.SQLITE_PRAGMA and name in PRAGMAS)
    return sqlite3.SQLITE_OK if reads else sqlite3.SQLITE_DENY
