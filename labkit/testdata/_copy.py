"""Copies a database: its schema, each table's rows through what changes them, then keys and indexes."""

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
"""Bytes that are changed at once: large enough for the work, small enough for the memory."""

AHEAD = 2
"""Blocks that are read while one is changed."""

FORMS = {
    "client_encoding": "UTF8",
    "datestyle": "ISO,YMD",
    "intervalstyle": "iso_8601",
    "extra_float_digits": "1",
    "row_security": "off",
}
"""In what forms values are read and written, whatever the server is set to, and never a part unasked."""

LOCK_MS = 10_000
"""How long a change of the source's schema by others is waited for."""

# A foreign table leads to where the real data is; the rows of a child would be read with its parent's too.
ODD = """
SELECT c.oid::regclass::text FROM pg_class c
 WHERE c.relkind = 'f' OR c.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid)
"""

STEP = 20 * 10**6
"""Bytes of a table after which progress is told."""


@dataclass(frozen=True)
class Reading:
    """How one table is read: a query, the columns that its rows are for, what changes them if anything."""

    query: sql.Composable
    columns: tuple[str, ...]
    change: Change | None


Plan = Callable[[Connection, Schema], Mapping[str, Reading]]


@contextmanager
def reading(url: str) -> Iterator[tuple[Connection, Schema]]:
    """Give a connection that reads one unchanging state of a database and can write nothing, and its schema.

    :raises LabError: when the database cannot be reached.
    """
    with connected(url) as source:
        source.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        source.read_only = True
        yield source, read_schema(source)


def connected(url: str) -> Connection:
    """Return a connection with labkit's settings; a LabError when there is none to be had."""
    forms = " ".join(f"-c {name}={value}" for name, value in FORMS.items())
    try:
        made = psycopg.connect(url, connect_timeout=10, application_name="labkit", options=forms)
    except psycopg.Error as problem:
        mend = "is the server running, and is the URL right? postgresql://user@host:port/database"
        raise LabError(f"a database at {shown(url)}", str(problem).strip(), mend) from problem
    return made


def shown(url: str) -> str:
    """Return a URL as it may be told: host, port and database, no password."""
    parts = conninfo_to_dict(url)
    return f"{parts.get('host', 'localhost')}:{parts.get('port', 5432)}/{parts.get('dbname', '')}"


def copy(source_url: str, target_url: str, plan: Plan, said: Progress) -> dict[str, int]:
    """Copy a database into an empty one and return the number of rows by table.

    plan says how each table is read, and raises when that cannot be; nothing was written by then. All tables
    are read in one state, whatever others write meanwhile. When the copy fails the target is dropped: half a
    database must not be taken for a whole one.
    """
    with reading(source_url) as (source, schema):
        snapshot = _held(source, schema)
        readings = plan(source, schema)
        refuse_filled(target_url)
        said("reading the schema")
        before, after = dump_schema(source_url, snapshot)
        with _dropped_on_failure(target_url), connected(target_url) as target:
            target.execute(before.encode())
            rows = {
                table: _table(source, target, table, schema, readings[table], said) for table in schema.order
            }
            said("making keys and indexes, which tests every reference")
            target.execute(after.encode())
            target.execute("RESET search_path")
            _finish(source, target, schema)
        with connected(target_url) as target:
            target.autocommit = True
            target.execute("ANALYZE")
    return rows


def _held(source: Connection, schema: Schema) -> str:
    """Keep the schema as it is while the tables are read, and return the name of the state that is seen."""
    if odd := [name for (name,) in source.execute(ODD)]:
        seen = f"foreign tables, or parents of others: {', '.join(odd)}"
        raise LabError("tables that hold their own rows", seen, "drop them in a copy of the source first")
    source.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(LOCK_MS)))
    tables = sql.SQL(", ").join(sql.Identifier(it.schema, it.relation) for it in schema.tables.values())
    if schema.tables:
        try:
            source.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(tables))
        except psycopg.errors.LockNotAvailable as problem:
            mend = "try again when the migration is done"
            raise LabError(
                "a source whose schema stays as it is", "others are changing it", mend
            ) from problem
    row = source.execute("SELECT pg_export_snapshot()").fetchone()
    return str(row[0]) if row else ""


def refuse_filled(url: str) -> None:
    """Raise LabError unless a database is empty."""
    with connected(url) as target:
        found = list(read_schema(target).tables)
    if found:
        mend = "give a new one: createdb NAME, or CREATE DATABASE name"
        raise LabError(f"an empty database at {shown(url)}", f"tables {', '.join(found[:5])}", mend)


def _table(
    source: Connection, target: Connection, table: str, schema: Schema, it: Reading, said: Progress
) -> int:
    own = schema.tables[table]
    names = sql.SQL(", ").join(map(sql.Identifier, it.columns))
    into = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(
        sql.Identifier(own.schema, own.relation), names
    )
    out_of = sql.SQL("COPY ({}) TO STDOUT (FORMAT csv)").format(it.query)
    done, step = 0, 0
    with source.cursor() as reader, target.cursor() as writer:
        with reader.copy(out_of) as rows, writer.copy(into) as taken:
            for block in _changed(blocks(rows), it.change):
                taken.write(block)
                done += len(block)
                if done // STEP > step:
                    step = done // STEP
                    said(f"{table}: {done // 10**6} MB")
        count = writer.rowcount
    said(f"{table}: {count} rows")
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
    """Change blocks in a thread beside the one that reads and writes, in their order."""
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
    """Set the sequences to where they stand, and fill the views that keep rows."""
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
    """Drop the target when the block fails, and say so."""
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
            mend = f"{words}; the source is as it was. Mend the cause and start again"
            raise LabError("the copy goes through to its end", str(problem).strip(), mend) from problem
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
