"""Copies a database: its schema, each table's rows through what changes them, then keys and indexes."""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import Copy, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from labkit.errors import LabError
from labkit.testdata._schema import Schema, read_schema
from labkit.testdata._tools import dump_schema

Connection = psycopg.Connection[Any]
Change = Callable[[bytes], bytes]
Progress = Callable[[str], None]

BLOCK = 4 << 20
"""Bytes that are changed at once: many enough for vectorised work, few enough for the memory."""

AHEAD = 2
"""Blocks that are read while one is changed."""

FORMS = {
    "client_encoding": "UTF8",
    "datestyle": "ISO,YMD",
    "intervalstyle": "iso_8601",
    "extra_float_digits": "1",
    "row_security": "off",
}
"""The forms in which values are read and written, whatever the server's settings are. With row_security off,
PostgreSQL refuses a query that a policy on rows would cut short, instead of copying a part of the table."""

LOCK_MS = 10_000
"""How long the copy waits for others who change the source's schema."""

# A foreign table leads to where the real data is; the rows of a child would be read with its parent's too.
ODD = """
SELECT c.oid::regclass::text FROM pg_class c
 WHERE c.relkind = 'f' OR c.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid)
"""

OWN_FILES = {"service", "passfile"}
"""Parameters that name a file of this process's machine, which pg_dump does not have."""

PORTS = re.compile(r"(\d+(,\d*)*)?")

STEP = 20 * 10**6
"""Bytes of a table between two notifications of progress."""


@dataclass(frozen=True)
class Reading:
    """How one table is copied: the query that reads it, and the columns of the target that its rows fill.

    change takes a block of rows as CSV and returns it changed; None copies the rows as they are.
    """

    query: sql.Composable
    columns: tuple[str, ...]
    change: Change | None


Plan = Callable[[Connection, Schema], Mapping[str, Reading]]


@contextmanager
def reading(url: str) -> Iterator[tuple[Connection, Schema]]:
    """Yield a read-only connection that sees one unchanging state of a database, and the schema of it.

    :raises LabError: when the database cannot be reached.
    """
    with connected(url) as source:
        source.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        source.read_only = True
        yield source, read_schema(source)


def connected(url: str) -> Connection:
    """Return a connection with labkit's settings.

    :raises LabError: when the text is no database URL, or the database cannot be reached.
    """
    place = shown(url)
    forms = " ".join(f"-c {name}={value}" for name, value in FORMS.items())
    try:
        connection = psycopg.connect(url, connect_timeout=10, application_name="labkit", options=forms)
    except psycopg.Error as problem:
        next_step = "start the server, or correct the URL: postgresql://user@host:port/database"
        raise LabError(f"a database at {place}", str(problem).strip(), next_step) from problem
    return connection


def shown(url: str) -> str:
    """Return the part of a URL that may be printed: host, port and database, no password.

    :raises LabError: when the text is no database URL; it has no piece of the text, which may be a password.
    """
    expected, scheme = (
        "a database URL: postgresql://user:password@host:port/database",
        url.partition("://")[0],
    )
    if scheme.startswith(("postgresql+", "postgres+")):
        raise LabError(expected, "one that begins with a driver", "write postgresql:// without +DRIVER")
    next_step = "in a password, write %25 for %, %40 for @, %23 for #, %2F for /, %3F for ? and %3A for :"
    try:
        parts = {name: str(value) for name, value in conninfo_to_dict(url).items()}
    except psycopg.Error:
        raise LabError(expected, "a text that PostgreSQL cannot read as one", next_step) from None
    host, port, name = (parts.get(key, "") for key in ("host", "port", "dbname"))
    if "://" in url and ("@" in host + name or not PORTS.fullmatch(port)):
        # libpq takes what follows a / or @ of a password for another part, and would print it.
        raise LabError(expected, "one of which the password seems to hold @ or /", next_step)
    return f"{host or 'localhost'}:{port or 5432}/{name}"


def _found(url: str, source: Connection) -> str:
    """Return how to connect with what libpq found by itself: variables, service and password files."""
    parts = {name: str(value) for name, value in conninfo_to_dict(url).items() if name not in OWN_FILES}
    found = source.info
    parts |= {"host": found.host, "port": str(found.port), "dbname": found.dbname, "user": found.user}
    if found.password:
        parts["password"] = found.password
    return make_conninfo("", **parts)


def copy(source_url: str, target_url: str, plan: Plan, notify: Progress) -> dict[str, int]:
    """Copy a database into an empty one and return the number of rows by table.

    plan returns how each table is read. When it raises, nothing has been written yet. All tables are read in
    one state, whatever others write meanwhile. When the copy fails, the target is dropped: nobody shall take
    half a database for a whole one.
    """
    with reading(source_url) as (source, schema):
        snapshot = _locked(source, schema)
        readings = plan(source, schema)
        refuse_filled(target_url)
        notify("reading the schema")
        before, after = dump_schema(_found(source_url, source), snapshot)
        with _dropped_on_failure(target_url), connected(target_url) as target:
            target.execute(before.encode())
            rows = {
                table: _table(source, target, table, schema, readings[table], notify)
                for table in schema.order
            }
            notify("making keys and indexes, which tests every reference")
            target.execute(after.encode())
            target.execute("RESET search_path")  # pg_dump's script has emptied it
            _finish(source, target, schema)
        with connected(target_url) as target:
            target.autocommit = True
            target.execute("ANALYZE")
    return rows


def _locked(source: Connection, schema: Schema) -> str:
    """Lock the tables against changes of their schema, and return the name of the exported snapshot."""
    if odd := [name for (name,) in source.execute(ODD)]:
        seen = f"foreign tables, or parents of others: {', '.join(odd)}"
        raise LabError("tables that hold their own rows", seen, "drop them in a copy of the source first")
    source.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(LOCK_MS)))
    tables = sql.SQL(", ").join(
        sql.Identifier(table.schema, table.relation) for table in schema.tables.values()
    )
    if schema.tables:
        try:
            source.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(tables))
        except psycopg.errors.LockNotAvailable as problem:
            expected, seen = "a source whose schema stays as it is", "another session changes the schema"
            raise LabError(expected, seen, "try again when the migration is done") from problem
    row = source.execute("SELECT pg_export_snapshot()").fetchone()
    return str(row[0]) if row else ""


def refuse_filled(url: str) -> None:
    """Raise LabError unless a database is empty."""
    with connected(url) as target:
        tables = list(read_schema(target).tables)
    if tables:
        next_step = "give a new one: createdb NAME, or CREATE DATABASE name"
        raise LabError(f"an empty database at {shown(url)}", f"tables {', '.join(tables[:5])}", next_step)


def _table(
    source: Connection, target: Connection, table: str, schema: Schema, reading: Reading, notify: Progress
) -> int:
    """Copy the rows of one table and return their number."""
    own = schema.tables[table]
    names = sql.SQL(", ").join(map(sql.Identifier, reading.columns))
    into = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(
        sql.Identifier(own.schema, own.relation), names
    )
    out_of = sql.SQL("COPY ({}) TO STDOUT (FORMAT csv)").format(reading.query)
    done, step = 0, 0
    with source.cursor() as reader, target.cursor() as writer:
        with reader.copy(out_of) as rows, writer.copy(into) as sink:
            for block in _changed(blocks(rows), reading.change):
                sink.write(block)
                done += len(block)
                if done // STEP > step:
                    step = done // STEP
                    notify(f"{table}: {done // 10**6} MB")
        count = writer.rowcount
    notify(f"{table}: {count} rows")
    return count


def blocks(rows: Copy) -> Iterator[bytes]:
    """Join rows into blocks; a row is never split."""
    buffer = bytearray()
    for row in rows:
        buffer += row
        if len(buffer) >= BLOCK:
            yield bytes(buffer)
            buffer.clear()
    if buffer:
        yield bytes(buffer)


def _changed(blocks: Iterable[bytes], change: Change | None) -> Iterator[bytes]:
    """Change blocks in a second thread while this one reads and writes, and yield them in their order."""
    if change is None:
        yield from blocks
        return
    pending: deque[Future[bytes]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="labkit-change") as pool:
        for block in blocks:
            pending.append(pool.submit(change, block))
            if len(pending) > AHEAD:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _finish(source: Connection, target: Connection, schema: Schema) -> None:
    """Set the sequences to the source's last values, and fill the views that keep rows."""
    for place, name, last in source.execute("SELECT schemaname, sequencename, last_value FROM pg_sequences"):
        if last is not None:
            target.execute("SELECT setval(%s::regclass, %s)", [sql.Identifier(place, name).as_string(), last])
    for view in schema.views:
        if view.materialized:
            target.execute(
                sql.SQL("REFRESH MATERIALIZED VIEW {}").format(sql.Identifier(*view.name.split(".")))
            )


@contextmanager
def _dropped_on_failure(url: str) -> Iterator[None]:
    """Drop the target when the block fails, and add to the error that it was dropped."""
    try:
        yield
    except BaseException as problem:
        dropped = _drop(url)
        words = (
            f"{shown(url)} was dropped" if dropped else f"{shown(url)} could not be dropped: drop it by hand"
        )
        if isinstance(problem, LabError):
            raise LabError(problem.expected, problem.seen, f"{problem.next_step}; {words}") from problem
        if isinstance(problem, psycopg.Error):
            next_step = f"{words}; the source is as it was. Remove the cause and start again"
            raise LabError("a copy that runs to its end", str(problem).strip(), next_step) from problem
        raise


def _drop(url: str) -> bool:
    name = conninfo_to_dict(url).get("dbname", "")
    with suppress(psycopg.Error):
        with psycopg.connect(make_conninfo(url, dbname="postgres"), autocommit=True) as server:
            server.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(str(name)))
            )
        return True
    return False
