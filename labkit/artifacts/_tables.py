"""The two tables and the way to reach them. SQLite is the default; PostgreSQL takes over by URL."""

from pathlib import Path
from typing import Any

from sqlalchemy import Column, Connection, Engine, ForeignKey, Index, Integer, MetaData, String, Table, Text
from sqlalchemy import create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError

from labkit.artifacts._fact import Fact
from labkit.errors import LabError

WAIT_S = 30
"""How long an append waits for the appends of others."""

metadata = MetaData()

facts = Table(
    "fact",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    # What is signed, and what holds it in its place. All that can be known of a fact is in its payload.
    Column("payload", Text, nullable=False),
    Column("signature", String, nullable=False),
    Column("hash", String, nullable=False, unique=True),
    # Copies out of the payload, to search by. `verify` holds them against the payload.
    Column("at", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("name", String, nullable=False),
    Column("digest", String, nullable=False, index=True),
    Column("stage", String),
    Column("service", String),
    Column("environment", String),
    Column("run", String, index=True),
    Column("by", String, nullable=False),
    Index("fact_deployment", "kind", "stage", "service", "id"),
    Index("fact_environment", "environment", "kind", "id"),
)

references = Table(
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
        "kind": str(fact.kind),
        "name": fact.subject.name,
        "digest": fact.subject.digest,
        "stage": fact.stage,
        "service": fact.service,
        "environment": fact.environment,
        "run": fact.run,
        "by": fact.by,
    }


def reference_rows(fact: Fact) -> list[dict[str, Any]]:
    """Return the rows that a fact's references are."""
    return [
        {"fact": fact.id, "position": position, "role": r.role, "uri": r.uri, "digest": r.digest}
        for position, r in enumerate(fact.references)
    ]


def url_of(location: Path | str) -> URL:
    """Return the database URL of a path (a SQLite file) or of a URL's text."""
    if isinstance(location, Path) or "://" not in location:
        return URL.create("sqlite", database=str(Path(location).expanduser().absolute()))
    try:
        return make_url(location)
    except ArgumentError as fault:
        raise LabError(
            "a path, or a database URL", location, "postgresql+psycopg://user@host/name"
        ) from fault


def connect(url: URL) -> Engine:
    """Return an engine on a database that has the two tables; a LabError when there is no such database."""
    sqlite = url.get_backend_name() == "sqlite"
    try:
        engine = create_engine(url, connect_args={"timeout": WAIT_S} if sqlite else {})
        if sqlite:
            _speak_plain_sqlite(engine)
        with engine.execution_options(labkit_append=True).begin() as connection:
            metadata.create_all(connection)
    except DBAPIError as fault:
        next_step = "name another file, or move this one away" if sqlite else "look whether the server runs"
        raise LabError(f"a labkit artifact database at {url!r}", str(fault.orig), next_step) from fault
    return engine


def claim(connection: Connection) -> None:
    """Make this append wait for all others, on databases that `BEGIN IMMEDIATE` does not speak to."""
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql("LOCK TABLE fact IN EXCLUSIVE MODE")


def _speak_plain_sqlite(engine: Engine) -> None:
    """Say BEGIN ourselves: Python's sqlite3 would begin too late, after the read that an append builds on."""

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:  # noqa: ANN401 - a DBAPI connection
        connection.isolation_level = None
        # Readers and the one appender do not wait for each other in WAL mode.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        append = connection.get_execution_options().get("labkit_append", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if append else "BEGIN")
