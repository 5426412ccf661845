"""The environment's database: PostgreSQL, whose state can be kept and put back."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from labkit.environment._fingerprint import fingerprint
from labkit.errors import LabError

SERVER = "postgres"
"""The database that every server has; the others are made and dropped from there."""

PREFIX = "snapshot_"
NEW = "restored_"
CONNECT_S = 5
_TRUE, _FALSE = sql.SQL("true"), sql.SQL("false")
LOCK = 0x6C61626B69740001
"""One snapshot or restore at a time: the number of PostgreSQL's advisory lock for it."""


class Database:
    """The database `name` at host:port.

    A snapshot is a copy inside the server (`CREATE DATABASE … TEMPLATE … STRATEGY file_copy`, PostgreSQL 15),
    so a restore costs a file copy whatever was changed, and leaves nothing behind that a ROLLBACK or a DELETE
    would miss: sequences, statistics and the schema are put back too.
    """

    def __init__(
        self, name: str, host: str, port: int, dumped: Callable[[str], bytes], used: Callable[..., None]
    ) -> None:
        """Keep where it is; dumped dumps one inside its container, used hears what was done with it."""
        self.name, self.host, self.port = name, host, port
        self._dumped, self._used = dumped, used

    @property
    def url(self) -> str:
        """Return where it is reached from outside the environment, as a libpq URL."""
        return f"postgresql://postgres@{self.host}:{self.port}/{self.name}"

    def connect(self, **settings: Any) -> psycopg.Connection[Any]:  # noqa: ANN401 - psycopg's own settings
        """Return a new connection to it; close it, or use it in a with statement. settings are psycopg's.

        A snapshot or a restore ends all connections.
        """
        return self._connect(self.name, **settings)

    def _connect(self, name: str, **settings: Any) -> psycopg.Connection[Any]:  # noqa: ANN401 - psycopg's own
        where = {"host": self.host, "port": self.port, "user": "postgres", "dbname": name}
        return psycopg.connect(
            **{"connect_timeout": CONNECT_S, "application_name": "labkit", **where, **settings}
        )

    def answers(self) -> bool:
        """Tell whether the server takes queries."""
        try:
            with self._connect(SERVER) as connection:
                return connection.execute("SELECT true").fetchone() is not None
        except psycopg.OperationalError as problem:
            raise ConnectionError(str(problem).strip()) from problem

    def beside(self, name: str) -> "Database":
        """Make an empty database in the same server and return it; one of the same name is dropped before."""
        made = sql.Identifier(name)
        with self._connect(SERVER, autocommit=True) as server:
            server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(made))
            server.execute(sql.SQL("CREATE DATABASE {} STRATEGY file_copy").format(made))
        self._used("beside", database=name)
        return Database(name, self.host, self.port, self._dumped, self._used)

    def create(self, migrations: Path) -> None:
        """Make the database and apply the migrations: a folder's .sql files, in the order of their names.

        :raises LabError: when PostgreSQL refuses one; the message names the file.
        """
        with self._connect(SERVER, autocommit=True) as server:
            server.execute(sql.SQL("CREATE DATABASE {} STRATEGY file_copy").format(sql.Identifier(self.name)))
        with self.connect() as connection:
            for file in sorted(migrations.glob("*.sql")):
                self._migrate(connection, file)

    @staticmethod
    def _migrate(connection: psycopg.Connection[Any], file: Path) -> None:
        try:
            with connection.transaction():
                connection.execute(file.read_bytes())
        except psycopg.Error as problem:
            seen = f"{file.name}: {str(problem).strip()}"
            raise LabError("PostgreSQL applies every migration", seen, f"mend {file.name}") from problem

    def snapshot(self, name: str = "snapshot") -> None:
        """Keep the present state under a name; a snapshot of the same name is replaced."""
        kept = sql.Identifier(PREFIX + name)
        with self._alone() as server, self._closed(server):
            server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(kept))
            self._copy(server, self.name, PREFIX + name)
            server.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(kept))
        self._used("snapshot", snapshot=name)

    def restore(self, name: str = "snapshot") -> None:
        """Put the state of a snapshot back.

        The copy is made beside the database and then takes its name, so that the database is away for
        milliseconds only, and is still there when the copy fails.

        :raises LabError: when there is no such snapshot.
        """
        with self._alone() as server:
            if name not in self._snapshots(server):
                known = ", ".join(self._snapshots(server)) or "none"
                raise LabError(
                    f"a snapshot: {known}", repr(name), f"take it first: database.snapshot({name!r})"
                )
            new, own = sql.Identifier(NEW + self.name), sql.Identifier(self.name)
            server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(new))
            self._copy(server, PREFIX + name, NEW + self.name)
            server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(own))
            server.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(new, own))
        self._used("restore", snapshot=name)

    def snapshots(self) -> list[str]:
        """Return the names of the snapshots."""
        with self._connect(SERVER, autocommit=True) as server:
            return self._snapshots(server)

    def fingerprint(self) -> str:
        """Return a SHA-256 over the schema and all rows, the same however the rows lie on the disk."""
        with self.connect() as connection:
            return fingerprint(connection)

    def dump(self) -> bytes:
        """Return the database as pg_dump writes it in its custom format, for pg_restore."""
        return self._dumped(self.name)

    @staticmethod
    def _snapshots(server: psycopg.Connection[Any]) -> list[str]:
        rows = server.execute(
            "SELECT datname FROM pg_database WHERE starts_with(datname, %s) ORDER BY 1", [PREFIX]
        )
        return [name.removeprefix(PREFIX) for (name,) in rows]

    @staticmethod
    def _copy(server: psycopg.Connection[Any], source: str, target: str) -> None:
        # file_copy writes no log of each page; with fsync off this halves the time of PostgreSQL 15's
        # default, wal_log.
        copy = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
        server.execute(copy.format(sql.Identifier(target), sql.Identifier(source)))

    @contextmanager
    def _alone(self) -> Iterator[psycopg.Connection[Any]]:
        """Give a connection to the server while nobody else takes a snapshot or restores."""
        with self._connect(SERVER, autocommit=True) as server:
            server.execute("SELECT pg_advisory_lock(%s)", [LOCK])
            yield server

    @contextmanager
    def _closed(self, server: psycopg.Connection[Any]) -> Iterator[None]:
        """Let nobody into the database meanwhile: PostgreSQL copies only a database without connections."""
        admit = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
        server.execute(admit.format(sql.Identifier(self.name), _FALSE))
        try:
            end = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s"
            server.execute(end, [self.name])
            yield
        finally:
            server.execute(admit.format(sql.Identifier(self.name), _TRUE))
