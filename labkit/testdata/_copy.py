"""Copies a database: its schema, each table's rows through what changes them, then keys and indexes."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from graphlib import TopologicalSorter

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from labkit.errors import LabError
from labkit.testdata._catalog import read_schema
from labkit.testdata._refusal import (
    refuse_bare,
    refuse_filled,
    refuse_odd,
    refuse_other_target,
    refuse_unreadable,
    refuse_version,
)
from labkit.testdata._rows import Connection, Progress, Reading, copy_rows
from labkit.testdata._schema import Schema
from labkit.testdata._tools import dump_schema

__all__ = ["Connection", "Progress", "connected", "copy", "reading", "shown", "whole"]

FORMS = {
    "client_encoding": "UTF8",
    "datestyle": "ISO,YMD",
    "intervalstyle": "iso_8601",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "row_security": "off",
    "lock_timeout": "10s",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "default_transaction_read_only": "off",
}
"""The forms in which values are read and written, whatever the server's settings are, and no other deadline
than that for locks. With row_security off, PostgreSQL refuses a query that a policy on rows would cut short,
instead of copying a part of the table."""

CARRIED = {
    "sslmode", "sslcert", "sslkey", "sslrootcert", "sslcrl", "channel_binding", "gssencmode", "krbsrvname",
}  # fmt: skip
"""Parameters that pg_dump in its container has to know too, beside those of the place."""

PORTS = re.compile(r"(\d+(,\d*)*)?")

SEQUENCES = "SELECT schemaname, sequencename, last_value FROM pg_sequences WHERE last_value IS NOT NULL"

# Each view, whether it keeps rows, and the views that it is made of. Functions hide what they read, also from
# pg_dump.
VIEWS = """
WITH views AS (
    SELECT c.oid, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name,
           c.relkind = 'm' AND c.relispopulated AS is_filled
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('v', 'm') AND c.oid >= 16384
)
SELECT v.name, v.is_filled, array_remove(array_agg(DISTINCT u.name), NULL)
  FROM views v JOIN pg_rewrite r ON r.ev_class = v.oid
  JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
  LEFT JOIN views u ON d.refclassid = 'pg_class'::regclass AND u.oid = d.refobjid AND u.oid <> v.oid
 GROUP BY v.name, v.is_filled
"""

Plan = Callable[[Connection, Schema], Mapping[str, Reading]]


@contextmanager
def reading(url: str) -> Iterator[tuple[Connection, Schema]]:
    """Yield a read-only connection that sees one unchanging state of a database, and the schema of it.

    :raises LabError: when the database cannot be reached, the role may not read a table, or a query fails.
    """
    with _explained(shown(url)), connected(url) as source:
        source.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        source.read_only = True
        refuse_unreadable(source)
        yield source, read_schema(source)


def connected(url: str) -> Connection:
    """Return a connection with labkit's settings.

    :raises LabError: when the text is no database URL, or the database cannot be reached.
    """
    place = shown(url)
    try:
        connection = psycopg.connect(url, connect_timeout=10, application_name="labkit", autocommit=True)
        connection.execute("; ".join(f"SET {name} = '{value}'" for name, value in FORMS.items()).encode())
    except psycopg.Error as problem:
        next_step = (
            "start the server, or correct the URL: postgresql://user@host:port/database, "
            "with the password in PGPASSWORD or in ~/.pgpass"
        )
        raise LabError(f"a database at {place}", str(problem).strip(), next_step) from problem
    connection.autocommit = False
    return connection


@contextmanager
def _explained(place: str) -> Iterator[None]:
    """Raise a LabError for what PostgreSQL refuses; its details, which hold values, are left out."""
    try:
        yield
    except psycopg.errors.LockNotAvailable as problem:
        expected, seen = f"a schema at {place} that stays as it is", "another session changes it"
        raise LabError(expected, seen, "try again when the migration is done") from problem
    except (psycopg.Error, UnicodeDecodeError) as problem:
        next_step = "remove the cause and start again: nothing was written"
        raise LabError(f"a database at {place} that can be read", _said(problem), next_step) from problem


def _said(problem: Exception) -> str:
    """Return what an error of the database says, without the row that it happened at."""
    if isinstance(problem, UnicodeDecodeError):
        return (
            "texts that are not UTF-8: the database's encoding, such as SQL_ASCII, does not say what they are"
        )
    diagnosis = problem.diag if isinstance(problem, psycopg.Error) else None
    if not diagnosis or not diagnosis.message_primary:
        return str(problem).strip()
    places = [diagnosis.table_name, diagnosis.column_name, diagnosis.constraint_name]
    where = ", ".join(place for place in places if place)
    return diagnosis.message_primary + (f" ({where})" if where else "")


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
    if "service" in parts:
        return f"service {parts['service']}"
    return f"{host or 'localhost'}:{port or 5432}/{name}"


def _found(source: Connection) -> str:
    """Return how to connect with what libpq found by itself: variables, service and password files."""
    info = source.info
    parts = {name: value for name, value in info.get_parameters().items() if name in CARRIED}
    if info.host.startswith("/"):
        next_step = f"name the host: postgresql://{info.user}@localhost:{info.port}/{info.dbname}"
        expected = "a source with a host: pg_dump runs in a container, where no socket of this machine is"
        raise LabError(expected, f"the socket in {info.host}", next_step)
    parts |= {"host": info.host, "port": str(info.port), "dbname": info.dbname, "user": info.user}
    if info.password:
        parts["password"] = info.password
    return make_conninfo("", **parts)


def copy(source_url: str, target_url: str, plan: Plan, notify: Progress) -> dict[str, int]:
    """Copy a database into an empty one and return the number of rows by table.

    plan returns how each table is read. When it raises, nothing has been written yet. All tables are read in
    one state, whatever others write meanwhile. The target is written as a whole or not at all: when the copy
    fails, however it fails, the target is as empty as before.
    """
    with reading(source_url) as (source, schema):
        refuse_version(source.info.server_version)
        refuse_odd(source)
        refuse_bare(source, schema)
        refuse_unreadable(source, sequences=True)
        with connected(target_url) as target:
            refuse_filled(target, shown(target_url))
            refuse_other_target(source, target, shown(target_url))
        where, snapshot = _found(source), _locked(source, schema)
        readings = plan(source, schema)
        notify("reading the schema")
        before, after = dump_schema(where, snapshot)
        left = f"{shown(target_url)} is empty, and the source as it was"
        with whole(target_url, "a copy that runs to its end", left) as target:
            target.execute(before.encode())
            rows = {
                table: copy_rows(source, target, schema.tables[table], readings[table], notify)
                for table in schema.order
            }
            notify("making keys and indexes, which tests every reference")
            target.execute(after.encode())
            target.execute("RESET search_path")  # pg_dump's script has emptied it
            _finish(source, target)
        with connected(target_url) as target:
            target.autocommit = True
            target.execute("ANALYZE")
    return rows


@contextmanager
def whole(url: str, expected: str, left: str) -> Iterator[Connection]:
    """Yield a connection whose work is written as a whole or not at all.

    :raises LabError: when the database fails; it says what was expected, and what is left then.
    """
    try:
        with connected(url) as target:
            yield target
    except psycopg.Error as problem:
        raise LabError(expected, _said(problem), f"remove the cause and start again: {left}") from problem


def _locked(source: Connection, schema: Schema) -> str:
    """Lock the tables against changes of their schema, and return the name of the exported snapshot."""
    if schema.tables:
        tables = sql.SQL(", ").join(
            sql.Identifier(table.schema, table.relation) for table in schema.tables.values()
        )
        source.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(tables))
    row = source.execute("SELECT pg_export_snapshot()").fetchone()
    return str(row[0]) if row else ""


def _finish(source: Connection, target: Connection) -> None:
    """Set the sequences to the source's last values, and fill the views that keep rows."""
    for place, name, last in source.execute(SEQUENCES):
        target.execute("SELECT setval(%s::regclass, %s)", [sql.Identifier(place, name).as_string(), last])
    views = source.execute(VIEWS).fetchall()
    filled = {name for name, is_filled, _ in views if is_filled}
    for name in TopologicalSorter({name: under for name, _, under in views}).static_order():
        if name in filled:
            target.execute(f"REFRESH MATERIALIZED VIEW {name}".encode())
