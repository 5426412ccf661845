"""The locks of a migration: who waits for them, and who holds those that it waits for.

A lock of a table is held to the end of the transaction, and whoever asks for the table after a transaction
that waits for its lock waits too. So a migration must neither wait long for a lock nor keep one for long.

Source: PostgreSQL 15, 13.3 "Explicit Locking", 54.12 "pg_locks", pg_blocking_pids, pg_cancel_backend.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread
from typing import Any

import psycopg

BLOCKED_S = 1.0
"""How long a statement of somebody else may wait for a migration, in seconds."""

LOOK_S = 0.1

# Whoever waits for a row waits for its writer's transaction; the table is that of the lock on the row.
BLOCKED = """
SELECT coalesce(waits.relation, queue.relation)::regclass::text, count(DISTINCT waits.pid)
FROM pg_locks waits
JOIN pg_stat_activity client ON client.pid = waits.pid AND client.backend_type = 'client backend'
LEFT JOIN pg_locks queue ON queue.pid = waits.pid AND queue.locktype = 'tuple'
WHERE NOT waits.granted AND %(pid)s = ANY(pg_blocking_pids(waits.pid))
    AND waits.waitstart < clock_timestamp() - make_interval(secs => %(seconds)s)
GROUP BY 1 ORDER BY 1
"""

HOLDERS = """
SELECT holder.pid, holder.state, extract(epoch FROM clock_timestamp() - holder.xact_start)::int,
    string_agg(DISTINCT class.relname, ', ' ORDER BY class.relname)
FROM pg_stat_activity holder
JOIN pg_locks held ON held.pid = holder.pid AND held.granted
JOIN pg_class class ON class.oid = held.relation AND class.relnamespace <> 'pg_catalog'::regnamespace
WHERE holder.datname = current_database() AND holder.pid <> pg_backend_pid()
GROUP BY holder.pid, holder.state, holder.xact_start ORDER BY holder.xact_start LIMIT 3
"""


@contextmanager
def giving_way(connection: psycopg.Connection[Any]) -> Iterator[list[str]]:
    """Cancel what a connection does in the block when others have waited for it for BLOCKED_S seconds.

    The list that it gives says then who waits for what, in words. It is empty while nothing is cancelled.
    """
    blocked: list[str] = []
    done = Event()
    watch = Thread(target=_watch, args=(connection, done, blocked), name="labkit-locks")
    watch.start()
    try:
        yield blocked
    finally:
        done.set()
        watch.join()


def _watch(connection: psycopg.Connection[Any], done: Event, blocked: list[str]) -> None:
    if done.wait(BLOCKED_S):  # most migrations have ended by then, and nobody has waited for longer
        return
    info = connection.info
    with (
        suppress(psycopg.OperationalError),  # a server that ends is told by the migration itself
        psycopg.connect(info.dsn, password=info.password, autocommit=True) as beside,
    ):
        while not done.wait(LOOK_S):
            rows = beside.execute(BLOCKED, {"pid": info.backend_pid, "seconds": BLOCKED_S}).fetchall()
            if rows:
                blocked += [f"{count} waited for {table or 'something else'}" for table, count in rows]
                beside.execute("SELECT pg_cancel_backend(%s)", [info.backend_pid])
                return


def holders(connection: psycopg.Connection[Any]) -> dict[int, str]:
    """Return who holds tables of the database in open transactions, the oldest first; at most 3.

    Each process has words for what it holds. They leave out its statement, which may have personal data.
    """
    with connection.transaction():
        rows = connection.execute(HOLDERS).fetchall()
    return {
        pid: f"process {pid} ({state}, for {seconds} s) holds {tables}"
        for pid, state, seconds, tables in rows
    }
