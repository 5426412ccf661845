"""Copies, drops and swaps databases within their server."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql

EMPTY = "template1"
"""The database of which an empty one is a copy."""

END_S = 5.0
"""How long connections may take to end, in seconds."""

PAUSE_S = 0.001
_TRUE, _FALSE = sql.SQL("true"), sql.SQL("false")


def copy(server: psycopg.Connection[Any], source: str, target: str) -> None:
    """Copy a database, which must have no connections, within its server."""
    # file_copy writes no log of each page; with fsync off this halves the time of PostgreSQL 15's
    # default, wal_log.
    command = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
    server.execute(command.format(sql.Identifier(target), sql.Identifier(source)))


def copy_in_use(server: psycopg.Connection[Any], source: str, target: str) -> None:
    """Copy a database that is in use; nobody may connect to the copy, so that it does not change."""
    with closed(server, source):
        copy(server, source, target)
    _allow_connections(server, target, _FALSE)


def drop(server: psycopg.Connection[Any], name: str) -> None:
    """Drop a database, even one in use; one that does not exist is no error."""
    server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def swap(server: psycopg.Connection[Any], name: str, new: str, old: str) -> None:
    """Rename the database `name` to `old` and `new` to `name`: both, or neither.

    Its connections are ended. No client finds the name missing meanwhile.
    """
    rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
    with closed(server, name), server.transaction():
        server.execute(rename.format(sql.Identifier(name), sql.Identifier(old)))
        server.execute(rename.format(sql.Identifier(new), sql.Identifier(name)))


def replace(server: psycopg.Connection[Any], name: str, make: Callable[[str], object]) -> None:
    """Make a database under another name, swap it with `name`, and drop the former one."""
    new, old = f"new_{name}", f"old_{name}"
    drop(server, new)  # left by a restore whose process was killed
    drop(server, old)
    try:
        make(new)
        swap(server, name, new, old)
    finally:
        drop(server, new)
        drop(server, old)


@contextmanager
def closed(server: psycopg.Connection[Any], name: str) -> Iterator[None]:
    """Keep connections out during the block: PostgreSQL copies and renames only a database without any."""
    _allow_connections(server, name, _FALSE)
    try:
        _end_connections(server, name)
        yield
    finally:
        _allow_connections(server, name, _TRUE)


def _allow_connections(server: psycopg.Connection[Any], name: str, allowed: sql.SQL) -> None:
    command = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    server.execute(command.format(sql.Identifier(name), allowed))


def _end_connections(server: psycopg.Connection[Any], name: str) -> None:
    """End the connections to a database and wait until they are gone, for at most END_S seconds.

    PostgreSQL's own wait looks only ten times a second, which would take most of a restore's time.
    """
    end = time.monotonic() + END_S
    ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
    while server.execute(ended, [name]).fetchall() and time.monotonic() < end:
        time.sleep(PAUSE_S)
