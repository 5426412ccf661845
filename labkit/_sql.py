"""The two ways to a SQL database that labkit keeps itself: `appending` and `reading`.

SQLite is the default; PostgreSQL takes over by URL.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, MetaData, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from labkit.errors import LabError

WAIT_S = 30
"""How long an append waits for the appends of others."""

ADVISORY_LOCK = int.from_bytes(b"labkit")
"""The number that appends to one PostgreSQL database agree on."""


def url_of(location: Path | str) -> URL:
    """Return the database URL of a path (a SQLite file) or of a URL's text.

    :raises LabError: when the text is no URL, or names a database that has no driver here.
    """
    if isinstance(location, Path) or "://" not in location:
        return URL.create("sqlite", database=str(Path(location).expanduser().absolute()))
    url = _parsed(location)
    if url is None or "@" in (url.host or ""):  # then a piece of the password was taken for the host
        # Without the text, and without the fault that quotes it: either may hold the password.
        seen = f"a text that begins with {location.partition('://')[0]}:// and is none"
        next_step = "write one such as postgresql+psycopg://user@host/name, with %40 for @ in a password"
        raise LabError("a path or a database URL", seen, next_step)
    return url


def _parsed(location: str) -> URL | None:
    """Return a text as a URL of a database that has a driver here; None when it is none."""
    try:
        url = make_url(location)
        url.get_dialect()
    except (ArgumentError, ImportError, ValueError):
        return None
    return url


def connect(url: URL, what: str, tables: MetaData) -> Engine:
    """Return an engine on a database; make the tables that are not there. what is its name in errors.

    :raises LabError: when there is no such database.
    """
    sqlite = url.get_backend_name() == "sqlite"
    engine = create_engine(url, connect_args={"timeout": WAIT_S} if sqlite else {})
    engine = engine.execution_options(labkit_what=what)
    if sqlite:
        _begin_ourselves(engine)
        _make_private(url.database or "")
    try:
        with appending(engine) as connection:
            tables.create_all(connection)
    except BaseException:  # also Ctrl-C: nobody else knows these connections
        engine.dispose()
        raise
    return engine


def _make_private(file: str) -> None:
    """Make a SQLite file that nobody else may read; SQLite gives the files beside it the same mode."""
    with suppress(OSError):  # it exists, is no file, or cannot be made, which the connection says
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


@contextmanager
def appending(engine: Engine) -> Iterator[Connection]:
    """Give the one connection that may append now, and commit at its end.

    :raises LabError: when the database cannot be written.
    """
    with _explained(engine), engine.execution_options(labkit_append=True).begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})")
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Give a connection to ask with.

    :raises LabError: when the database cannot be read.
    """
    with _explained(engine), engine.connect() as connection:
        yield connection


@contextmanager
def _explained(engine: Engine) -> Iterator[None]:
    try:
        yield
    except DBAPIError as fault:
        next_step = (
            "check that this is the right file or URL, that its disk has room, and which process holds it"
        )
        what = engine.get_execution_options()["labkit_what"]
        raise LabError(f"{what} at {engine.url!r}", str(fault.orig), next_step) from fault


def _begin_ourselves(engine: Engine) -> None:
    """Begin each transaction when SQLAlchemy does.

    Python's sqlite3 would begin it later, after the read that an append builds on. Source: SQLAlchemy's
    documentation of pysqlite, "Serializable isolation / Savepoints / Transactional DDL".
    """

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:  # noqa: ANN401 - a DBAPI connection
        connection.isolation_level = None
        # In WAL mode those who read and the one who appends do not wait for each other.
        connection.execute("PRAGMA journal_mode = WAL")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        append = connection.get_execution_options().get("labkit_append", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if append else "BEGIN")
