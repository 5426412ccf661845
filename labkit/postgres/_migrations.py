"""Migrations: a folder's .sql files, each applied once to a database, in the order of their names.

The database itself records which were applied, so that a copy or a dump of it carries that too. The record is
the comment of its schema `public`, not a table, so that a survey sees only the system's own tables.
"""

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from labkit.errors import LabError

MARK = "applied by labkit: "
LOCK_MS = 1000
"""How long a statement may wait for a lock, in milliseconds: whoever queues behind it waits as long."""


def migrate(connection: psycopg.Connection[Any], folder: Path) -> list[str]:
    """Apply the migrations that were not applied yet, and return their names; each is all or nothing.

    :raises LabError: when a file that was applied has changed or is gone (nothing is applied then). Also when
        PostgreSQL refuses a file, or the file gets no lock within LOCK_MS; the files before it stay applied.
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
    note = sql.SQL("COMMENT ON SCHEMA public IS {}").format(sql.Literal(MARK + json.dumps(applied)))
    try:
        with connection.transaction():
            connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(LOCK_MS))
            connection.execute(text)
            connection.execute(note)
    except psycopg.errors.LockNotAvailable as problem:
        seen = f"{name}: {str(problem).strip()}"
        next_step = (
            "try again when no other transaction holds the table; nothing of this file is applied until then"
        )
        raise LabError(f"a lock within {LOCK_MS / 1000:g} s", seen, next_step) from problem
    except psycopg.Error as problem:
        seen = f"{name}: {str(problem).strip()}"
        raise LabError("PostgreSQL applies every migration", seen, f"correct {name}") from problem
