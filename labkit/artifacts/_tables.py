"""The two tables, and the only ways to them: `appending` and `reading`.

SQLite is the default; PostgreSQL takes over by URL.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from labkit.artifacts._fact import Fact
from labkit.errors import LabError

WAIT_S = 30
"""How long an append waits for the appends of others."""

ADVISORY_LOCK = int.from_bytes(b"labkit")
"""The number that appends to one PostgreSQL database agree on."""

metadata = MetaData()

fact_table = Table(
    "fact",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    # What is signed, and what holds it in its place. All that is known of a fact is in its payload.
    Column("payload", Text, nullable=False),
    Column("signature", String, nullable=False),
    Column("hash", String, nullable=False),
    # Copies out of the payload, to search by. `verify` holds them against the payload.
    Column("at", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("name", String, nullable=False),
    Column("digest", String, nullable=False),
    Column("stage", String),
    Column("service", String),
    Column("environment", String),
    Column("run", String),
    Column("by", String, nullable=False),
    Index("fact_digest", "digest", "id"),
    Index("fact_run", "run", "id"),
    Index("fact_environment", "environment", "kind", "id"),
    Index("fact_deployment", "kind", "stage", "service", "id"),
)

reference_table = Table(
    "reference",
    metadata,
    Column("fact", ForeignKey("fact.id"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("role", String, nullable=False),
    Column("uri", String, nullable=False),
    Column("digest", String, nullable=False),
    Index("reference_uri", "uri", "fact"),
)


def columns(fact: Fact) -> dict[str, Any]:
    """Return the searchable copies of a fact, by column."""
    return {
        "id": fact.id,
        "at": fact.at.isoformat(),
        "kind": fact.kind.value,
        "name": fact.subject.name,
        "digest": fact.subject.digest,
        "stage": fact.stage,
        "service": fact.service,
        "environment": fact.environment,
        "run": fact.run,
        "by": fact.by,
    }


def reference_rows(fact: Fact) -> list[dict[str, Any]]:
    """Return a fact's references as rows."""
    return [
        {"fact": fact.id, "position": n, **reference.to_json()} for n, reference in enumerate(fact.references)
    ]


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


def connect(url: URL) -> Engine:
    """Return an engine on a database; make the two tables when they are not there.

    :raises LabError: when there is no such database.
    """
    sqlite = url.get_backend_name() == "sqlite"
    engine = create_engine(url, connect_args={"timeout": WAIT_S} if sqlite else {})
    if sqlite:
        _begin_ourselves(engine)
        _make_private(url.database or "")
    try:
        with appending(engine) as connection:
            metadata.create_all(connection)
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
        raise LabError(f"an artifact database at {engine.url!r}", str(fault.orig), next_step) from fault


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
