"""Migrations: a folder's .sql files, each applied once to a database, in the order of their names.

The database itself records which were applied, so that a copy or a dump of it carries that too. The record is
the comment of its schema `public`, not a table, so that a survey sees only the system's own tables.
"""

import json
import time
from collections.abc import Mapping
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


def migrate(connection: psycopg.Connection[Any], folder: Path) -> list[str]:
    """Apply the migrations that were not applied yet, and return their names; each is all or nothing.

    The database may be in use: a migration that gets no lock lets the others go first, and is tried again.
    One for which others wait too long is stopped.

    :raises LabError: when a file that was applied has changed or is gone (nothing is applied then). Also when
        PostgreSQL refuses a file, the file gets no lock within LOCK_S seconds, or others have waited for it
        for BLOCKED_S seconds; the files before it stay applied.
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
    while True:
        try:
            return _try(connection, name, text, applied)
        except psycopg.errors.LockNotAvailable as problem:
            if time.monotonic() > deadline:
                raise _without_lock(connection, name) from problem
        except psycopg.Error as problem:
            seen = f"{name}: {str(problem).strip()}"
            raise LabError("PostgreSQL applies every migration", seen, f"correct {name}") from problem
        time.sleep(PAUSE_S)


def _without_lock(connection: psycopg.Connection[Any], name: str) -> LabError:
    held, next_step = holders(connection), f"try again; nothing of {name} is applied"
    if held:
        end = f"'SELECT pg_terminate_backend({next(iter(held))})'"
        connect = "environment.database.connect(autocommit=True)"
        next_step = f"end the transaction, in Python: {connect}.execute({end}); then {next_step}"
    seen = "; ".join(held.values()) or "it got none, though nobody holds a table at this moment"
    return LabError(f"{name} gets its locks within {LOCK_S:g} s", seen, next_step)


def _try(connection: psycopg.Connection[Any], name: str, text: bytes, applied: Mapping[str, str]) -> None:
    """Apply a migration in one transaction.

    :raises LockNotAvailable: when it does not get a lock.
    :raises LabError: when others wait too long for the locks that it has.
    """
    note = sql.SQL("COMMENT ON SCHEMA public IS {}").format(sql.Literal(MARK + json.dumps(applied)))
    with giving_way(connection) as blocked:
        try:
            with connection.transaction():
                connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(LOCK_MS))
                connection.execute(text)
                connection.execute(note)
        except psycopg.errors.QueryCanceled as problem:
            if not blocked:
                raise
            raise LabError(
                f"nobody waits longer than {BLOCKED_S:g} s for a migration",
                f"{name} kept its locks, and of the others' statements {', '.join(blocked)}; it was stopped",
                f"write {name} so that it keeps no lock while it works: change columns first, then convert "
                "the rows in small batches (labkit.skew.Migration); nothing of it is applied",
            ) from problem
