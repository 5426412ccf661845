"""The environment's database: PostgreSQL, whose state can be kept and put back."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg

from labkit.environment._fingerprint import fingerprint
from labkit.environment._kept import Kept
from labkit.environment._migrations import migrate
from labkit.environment._server import EMPTY, Server, copy, drop, keep, replace
from labkit.environment._ways import WAYS
from labkit.errors import LabError

PREFIX = "snapshot_"


class Database:
    """The database `name` of a server.

    A snapshot is a copy inside the server (`CREATE DATABASE … TEMPLATE … STRATEGY file_copy`, PostgreSQL 15),
    so a restore costs a file copy whatever was changed, and leaves nothing behind that a ROLLBACK or a DELETE
    would miss: sequences, statistics and the schema are put back too.
    """

    ways = tuple(WAYS)
    """The ways to keep a state: see keep."""

    def __init__(self, name: str, server: Server, used: Callable[..., None]) -> None:
        """Keep its name and its server; used hears what was done with it."""
        self.name, self._server, self._used = name, server, used

    @property
    def url(self) -> str:
        """Return where it is reached from outside the environment, as a libpq URL."""
        return f"postgresql://postgres@{self._server.host}:{self._server.port}/{self.name}"

    def connect(self, **settings: Any) -> psycopg.Connection[Any]:  # noqa: ANN401 - psycopg's own settings
        """Return a new connection to it; close it, or use it in a with statement. settings are psycopg's.

        A snapshot or a restore ends all connections.
        """
        return self._server.connect(self.name, **settings)

    def answers(self) -> bool:
        """Tell whether the server takes queries."""
        return self._server.answers()

    def beside(self, name: str) -> "Database":
        """Make an empty database in the same server and return it; one of the same name is dropped before."""
        with self._server.session() as server:
            drop(server, name)
            copy(server, EMPTY, name)
        self._used("beside", database=name)
        return Database(name, self._server, self._used)

    def create(self, migrations: Path) -> None:
        """Make the database and apply the migrations, as migrate does."""
        with self._server.session() as server:
            copy(server, EMPTY, self.name)
        with self.connect() as connection:
            migrate(connection, migrations)

    def migrate(self, migrations: Path) -> list[str]:
        """Apply a folder's .sql files that were not applied yet, in the order of their names; return these.

        It may be in use: each file is applied whole or not at all, and waits at most a second for a lock.

        :raises LabError: when one that was applied has changed or is gone since, or PostgreSQL refuses one.
        """
        with self.connect() as connection:
            fresh = migrate(connection, migrations)
        if fresh:
            self._used("migrate", migrations=fresh)
        return fresh

    def snapshot(self, name: str = "snapshot") -> None:
        """Keep the present state under a name; a snapshot of the same name is replaced."""
        with self._server.alone() as server:
            drop(server, PREFIX + name)
            keep(server, self.name, PREFIX + name)
        self._used("snapshot", snapshot=name)

    def restore(self, name: str = "snapshot") -> None:
        """Put the state of a snapshot back.

        The copy is made beside the database and then takes its name, so that the database is never away, and
        is still there when the copy fails.

        :raises LabError: when there is no such snapshot.
        """
        with self._server.alone() as server:
            if name not in self._snapshots(server):
                known = ", ".join(self._snapshots(server)) or "none"
                raise LabError(
                    f"a snapshot: {known}", repr(name), f"take it first: database.snapshot({name!r})"
                )
            replace(server, self.name, lambda new: copy(server, PREFIX + name, new))
        self._used("restore", snapshot=name)

    def keep(self, way: str) -> Kept:
        """Keep the present state in one of the ways, to put it back often: `with database.keep(way) as kept`.

        | way | a restore is | and does not put back |
        |---|---|---|
        | rollback | a ROLLBACK TO SAVEPOINT | what other connections did; sequences |
        | template | a copy of files, beside, then a rename | |
        | spare clone | a rename; the copy was made before | |
        | truncate and load | COPY into emptied tables | the schema |
        | dump | pg_restore, beside, then a rename | |
        | container | a new container of an image | |

        :raises LabError: when there is no such way.
        """
        if way not in WAYS:
            raise LabError(f"a way: {', '.join(WAYS)}", repr(way), "name one of them")
        return WAYS[way](self._server, self.name, self._used)

    def snapshots(self) -> list[str]:
        """Return the names of the snapshots."""
        with self._server.session() as server:
            return self._snapshots(server)

    def fingerprint(self) -> str:
        """Return a SHA-256 over the schema and all rows, the same however the rows lie on the disk."""
        with self.connect() as connection:
            return fingerprint(connection)

    def dump(self) -> bytes:
        """Return the database as pg_dump writes it in its custom format, for pg_restore."""
        container = self._server.container
        file = container.fresh_path()
        container.run("pg_dump", "--username=postgres", "--format=custom", f"--file={file}", self.name)
        try:
            return container.read(file)
        finally:
            container.run("rm", "-f", file)

    @staticmethod
    def _snapshots(server: psycopg.Connection[Any]) -> list[str]:
        rows = server.execute(
            "SELECT datname FROM pg_database WHERE starts_with(datname, %s) ORDER BY 1", [PREFIX]
        )
        return [name.removeprefix(PREFIX) for (name,) in rows]
