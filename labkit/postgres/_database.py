"""One database of a server, whose state can be snapshotted and restored."""

from pathlib import Path
from typing import Any

import psycopg

from labkit.errors import LabError
from labkit.postgres._copies import EMPTY, copy, copy_in_use, drop, replace
from labkit.postgres._fingerprint import fingerprint
from labkit.postgres._migrations import check, migrate
from labkit.postgres._server import Postgres
from labkit.postgres._strategies import STRATEGIES, SnapshotStrategy
from labkit.postgres._url import DatabaseUrl

PREFIX = "snapshot_"


class Database:
    """The database `name` of a server.

    A snapshot is a copy inside the server (`CREATE DATABASE … TEMPLATE … STRATEGY file_copy`, PostgreSQL 15),
    so a restore costs a file copy whatever was changed. It restores sequences, statistics and the schema too,
    which a ROLLBACK or a DELETE would miss.

    Its verbs raise NoAnswer when the server does not answer, because it was paused, killed or removed.
    """

    strategies = tuple(STRATEGIES)
    """The names of the snapshot strategies: see snapshot_by."""

    def __init__(self, name: str, server: Postgres) -> None:
        self.name, self.server = name, server

    @property
    def url(self) -> DatabaseUrl:
        """Where it is reached from outside the environment, as a libpq URL.

        It holds the password, which shows only in `url.reveal()`.
        """
        return self.server.url(self.name)

    def connect(self, **settings: Any) -> psycopg.Connection[Any]:  # noqa: ANN401 - psycopg's own settings
        """Return a new connection to it; close it, or use it in a with statement. settings are psycopg's.

        A snapshot or a restore ends all connections.
        """
        return self.server.connect(self.name, **settings)

    def clients(self) -> set[str]:
        """Return the addresses, in the environment's network, of all that are connected to it now."""
        query = (
            "SELECT host(client_addr) FROM pg_stat_activity WHERE datname = %s AND client_addr IS NOT NULL"
        )
        with self.server.session() as server:
            return {address for (address,) in server.execute(query, [self.name])}

    def beside(self, name: str) -> "Database":
        """Create an empty database in the same server and return it; one of that name is dropped first."""
        with self.server.session() as server:
            drop(server, name)
            copy(server, EMPTY, name)
        self._record("beside", database=name)
        return Database(name, self.server)

    def create(self, migrations: Path) -> None:
        """Create the database and apply the migrations, as migrate does."""
        with self.server.session() as server:
            copy(server, EMPTY, self.name)
        with self.connect() as connection:
            migrate(connection, migrations)

    def migrate(self, migrations: Path) -> list[str]:
        """Apply a folder's .sql files that were not applied yet, in the order of their names; return these.

        The database may be in use: each file is applied whole or not at all. One that gets no lock lets the
        others go first, and is tried again for half a minute.

        :raises LabError: when a file that was applied has changed or is gone, when PostgreSQL refuses one, or
            when one gets no lock. Also when others have waited for its locks for a second: it is stopped.
        """
        with self.connect() as connection:
            fresh = migrate(connection, migrations)
        if fresh:
            self._record("migrate", migrations=fresh)
        return fresh

    def check(self, migrations: Path) -> None:
        """Check that `migrate` can go on from what was applied; nothing is changed.

        :raises LabError: when a file that was applied has changed or is gone.
        """
        with self.connect() as connection:
            check(connection, migrations)

    def snapshot(self, name: str = "snapshot") -> None:
        """Keep the present state under a name; an older snapshot of that name is replaced."""
        with self.server.exclusive() as server:
            drop(server, PREFIX + name)
            copy_in_use(server, self.name, PREFIX + name)
        self._record("snapshot", snapshot=name)

    def restore(self, name: str = "snapshot") -> None:
        """Restore the state of a snapshot.

        The copy is made beside the database and then takes its name. So the database is never missing, and
        remains when the copy fails.

        :raises LabError: when there is no such snapshot.
        """
        with self.server.exclusive() as server:
            if name not in self._snapshots(server):
                known = ", ".join(self._snapshots(server)) or "none"
                next_step = f"take it first: database.snapshot({name!r})"
                raise LabError(f"a snapshot: {known}", repr(name), next_step)
            replace(server, self.name, lambda new: copy(server, PREFIX + name, new))
        self._record("restore", snapshot=name)

    def snapshot_by(self, strategy: str) -> SnapshotStrategy:
        """Keep the present state by a strategy, to restore it often: `with … as kept: kept.restore()`.

        | strategy | a restore is | and does not restore |
        |---|---|---|
        | rollback | a ROLLBACK TO SAVEPOINT | what other connections did; sequences |
        | template | a copy of files beside the database, then a rename | |
        | pre-built clone | a rename, for the copy was made before | |
        | truncate and load | COPY into emptied tables | the schema |
        | dump | pg_restore beside the database, then a rename | |
        | container | a new container of an image | |

        :raises LabError: when there is no such strategy.
        """
        if strategy not in STRATEGIES:
            expected = f"a snapshot strategy: {', '.join(STRATEGIES)}"
            raise LabError(expected, repr(strategy), "name one of them")
        return STRATEGIES[strategy](self.server, self.name)

    def snapshots(self) -> list[str]:
        """Return the names of the snapshots."""
        with self.server.session() as server:
            return self._snapshots(server)

    def fingerprint(self) -> str:
        """Return "sha256:…" over the schema and all rows, independent of where the rows lie on the disk."""
        with self.connect() as connection:
            return fingerprint(connection)

    def dump(self) -> bytes:
        """Return the database as pg_dump writes it in its custom format, for pg_restore."""
        file = self.server.fresh_path()
        self.server.tool("pg_dump", "--username=postgres", "--format=custom", f"--file={file}", self.name)
        try:
            return self.server.read(file)
        finally:
            self.server.tool("rm", "-f", file)

    def _record(self, use: str, **details: object) -> None:
        self.server.namespace.on_use(use, **details)

    @staticmethod
    def _snapshots(server: psycopg.Connection[Any]) -> list[str]:
        rows = server.execute(
            "SELECT datname FROM pg_database WHERE starts_with(datname, %s) ORDER BY 1", [PREFIX]
        )
        return [name.removeprefix(PREFIX) for (name,) in rows]
