"""Migrations: a folder's .sql files, each applied once to a database, in the order of their names.

The database itself records which were applied, so that a copy or a dump of it carries that too. The record is
the comment of its schema `public`, not a table, so that a survey sees only the system's own tables.
"""

import codecs
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from labkit.errors import LabError
from labkit.postgres._locks import BLOCKED_S, giving_way, holders

MARK = "applied by labkit: "
LOCK_MS = 100
"""How long a statement may wait for a lock, in milliseconds: whoever queues behind it waits as long."""

LOCK_S = 30.0
"""For how many seconds a migration that gets no lock is tried again."""

PAUSE_S = 0.1
"""How long the others have the table between two tries, in seconds."""

GUARD = "labkit_begun"
# A COMMIT in a file would apply a part of it. It fails, because these two rows are equal until the file ends.
BEGIN = """
CREATE TEMPORARY TABLE labkit_begun (row int UNIQUE DEFERRABLE INITIALLY DEFERRED) ON COMMIT DROP;
INSERT INTO labkit_begun VALUES (1), (1);
SET LOCAL lock_timeout = {}
"""
# What a file SETs must not change the next one: applied together, they do what they do one by one.
END = "RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL; DELETE FROM pg_temp.labkit_begun"

INVALID = """
SELECT string_agg(indexrelid::regclass::text, ', ') FROM pg_index
WHERE NOT indisvalid AND indrelid IN (SELECT oid FROM pg_class WHERE relkind = 'r')
"""  # that of a partitioned table becomes valid with its partitions'


def migrate(connection: psycopg.Connection[Any], folder: Path) -> list[str]:
    """Apply the migrations that were not applied yet, and return their names; each is all or nothing.

    The database may be in use: a migration that gets no lock lets the others go first, and is tried again.
    One for which others wait too long is stopped. A statement that PostgreSQL refuses in a transaction, such
    as CREATE INDEX CONCURRENTLY, is run without one when it is alone in its file.

    :raises LabError: when a file that was applied has changed or is gone (nothing is applied then). Also when
        PostgreSQL refuses a file, a file ends its own transaction or leaves an invalid index, gets no lock
        within LOCK_S seconds, or others have waited for it for BLOCKED_S seconds; the files before it stay
        applied.
    """
    files, applied = _files(folder), check(connection, folder)
    fresh = [name for name in files if name not in applied]
    for name in fresh:
        applied = applied | {name: sha256(files[name]).hexdigest()}
        _apply(connection, name, files[name], applied)
    return fresh


def check(connection: psycopg.Connection[Any], folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each migration that was applied, by name, and change nothing.

    :raises LabError: when a file that was applied has changed or is gone.
    """
    files, applied = _files(folder), _applied(connection)
    for name, digest in applied.items():
        if name not in files or sha256(files[name]).hexdigest() != digest:
            seen = f"it is {'gone' if name not in files else 'another one'} since"
            next_step = f"put {name} back as it was, and write the change as a new file behind it"
            raise LabError(f"{name} as it was applied to this database", seen, next_step)
    return applied


def _files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.glob("*.sql"))}


def _applied(connection: psycopg.Connection[Any]) -> dict[str, str]:
    """Return the SHA-256 of each migration that was applied, by name."""
    query = "SELECT obj_description(to_regnamespace('public'), 'pg_namespace')"
    with connection.transaction():
        row = connection.execute(query).fetchone()
    comment = (row and row[0]) or ""
    digests: dict[str, str] = json.loads(comment.removeprefix(MARK)) if comment.startswith(MARK) else {}
    return digests


def _apply(connection: psycopg.Connection[Any], name: str, text: bytes, applied: Mapping[str, str]) -> None:
    deadline = time.monotonic() + LOCK_S
    note = sql.SQL("COMMENT ON SCHEMA public IS {}").format(sql.Literal(MARK + json.dumps(applied)))
    statements = text.removeprefix(codecs.BOM_UTF8)
    if b"\0" in statements:  # PostgreSQL's protocol would end there
        raise _refused(name, "it has a NUL character")
    while True:
        try:
            return _try(connection, name, statements, note)
        except psycopg.errors.LockNotAvailable as problem:
            if time.monotonic() > deadline:
                raise _without_lock(connection, name) from problem
        except psycopg.errors.ActiveSqlTransaction:
            return _alone(connection, name, statements, note)
        except psycopg.Error as problem:
            raise _refused(name, str(problem).strip()) from problem
        time.sleep(PAUSE_S)


def _refused(name: str, seen: str, next_step: str = "") -> LabError:
    return LabError("PostgreSQL applies every migration", f"{name}: {seen}", next_step or f"correct {name}")


def _without_lock(connection: psycopg.Connection[Any], name: str) -> LabError:
    held, next_step = holders(connection), f"try again; nothing of {name} is applied"
    if held:
        end = f"'SELECT pg_terminate_backend({next(iter(held))})'"
        connect = "environment.database.connect(autocommit=True)"
        next_step = f"end the transaction, in Python: {connect}.execute({end}); then {next_step}"
    seen = "; ".join(held.values()) or "it got none, though nobody holds a table at this moment"
    return LabError(f"{name} gets its locks within {LOCK_S:g} s", seen, next_step)


def _try(connection: psycopg.Connection[Any], name: str, text: bytes, note: sql.Composed) -> None:
    """Apply a migration in one transaction, and note it there.

    :raises LockNotAvailable: when it does not get a lock.
    :raises ActiveSqlTransaction: when a statement of it cannot be run in a transaction.
    :raises LabError: when others wait too long for the locks that it has, or when it ends the transaction.
    """
    with _giving_way(connection, name), connection.transaction():
        connection.execute(sql.SQL(BEGIN).format(LOCK_MS))
        try:
            connection.execute(text)
            connection.execute(END)
        except (psycopg.errors.UniqueViolation, psycopg.errors.UndefinedTable) as problem:
            if GUARD not in str(problem):
                raise
            next_step = f"take BEGIN, COMMIT and ROLLBACK out of {name}"
            raise _refused(name, "it ends the transaction in which it is applied", next_step) from problem
        connection.execute(note)


def _alone(connection: psycopg.Connection[Any], name: str, text: bytes, note: sql.Composed) -> None:
    """Apply a migration of one statement without a transaction, and note it when it is whole.

    :raises LabError: when PostgreSQL refuses it, when others wait too long, or when an index is left invalid.
    """
    connection.autocommit = True
    try:
        connection.execute(f"SET lock_timeout = '{LOCK_S:g}s'")
        with _giving_way(connection, name):
            connection.execute(text)
    except psycopg.errors.ActiveSqlTransaction as problem:
        next_step = f"split {name}, so that this statement is the only one of its file"
        raise _refused(name, str(problem).strip(), next_step) from problem
    except psycopg.Error as problem:
        _refuse_invalid(connection, name, str(problem).strip())
        raise _refused(name, str(problem).strip()) from problem
    else:
        _refuse_invalid(connection, name, "it was broken off before")
        connection.execute(note)
    finally:
        connection.execute("RESET lock_timeout")
        connection.autocommit = False


def _refuse_invalid(connection: psycopg.Connection[Any], name: str, why: str) -> None:
    """Refuse to go on with an index that was broken off: IF NOT EXISTS would take it for a whole one."""
    row = connection.execute(INVALID).fetchone()
    if row and row[0]:
        drop = f"environment.database.connect(autocommit=True).execute('DROP INDEX {row[0]}')"
        seen = f"{why}; an invalid index is left: {row[0]}"
        raise _refused(name, seen, f"correct {name}; drop the index, in Python: {drop}; then try again")


@contextmanager
def _giving_way(connection: psycopg.Connection[Any], name: str) -> Iterator[None]:
    """Stop the migration in the block when others wait too long.

    :raises LabError: when it was stopped.
    """
    with giving_way(connection) as blocked:
        try:
            yield
        except psycopg.errors.QueryCanceled as problem:
            if not blocked:
                raise
            raise LabError(
                f"nobody waits longer than {BLOCKED_S:g} s for a migration",
                f"{name} kept its locks, and of the others' statements {', '.join(blocked)}; it was stopped",
                f"write {name} so that it keeps no lock while it works: change columns first, then convert "
                "the rows in small batches (labkit.skew.Migration); nothing of it is applied",
            ) from problem
