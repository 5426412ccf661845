"""Restore of a 100 MB database in each way, in the same server: how much faster than pg_restore."""

import json
import statistics
import tempfile
from contextlib import ExitStack
from pathlib import Path

from labkit.environment import Environment
from labkit.postgres import Database, SnapshotStrategy
from labkit.workspace import Workspace

ROUNDS = 5
MEGA = 1e6

FILL = """
CREATE TABLE purchases (
    id bigint PRIMARY KEY, customer integer NOT NULL, at timestamptz NOT NULL, note text NOT NULL
);
INSERT INTO purchases
SELECT i, i % 1000, timestamptz '2026-01-01' + i * interval '1 second', md5(i::text) || md5((i + 1)::text)
  FROM generate_series(1, 680000) AS i;
CREATE INDEX ON purchases (customer);
ANALYZE;
"""

ROWS = "UPDATE purchases SET note = 'spoilt' WHERE id % 10 = 0"

AIMS = {"template": 0.2, "pre-built clone": 0.05}
"""Way → the largest share of pg_restore's time that it may take."""


def spoil(kept: SnapshotStrategy) -> None:
    """Change much of the database: rows, and where the way restores it, the schema too."""
    with kept.connect() as connection:
        connection.execute(ROWS)
        if kept.name != "truncate and load":
            connection.execute("DROP INDEX purchases_customer_idx")


def fill(database: Database) -> int:
    """Fill the database and return its size in bytes."""
    with database.connect() as connection:
        connection.execute(FILL)
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    return int((row or (0,))[0])


def measure(database: Database) -> tuple[dict[str, list[float]], bool]:
    """Return each way's seconds a round, and whether the database was the same after each restore.

    Rounds are outside and ways inside, so that a busy moment of the machine meets all of them alike. Rollback
    and container end what the other ways have kept, so they have rounds of their own.
    """
    before, same = database.fingerprint(), True
    seconds: dict[str, list[float]] = {}
    for group in (
        ("dump", "truncate and load", "template", "pre-built clone"),
        ("rollback",),
        ("container",),
    ):
        with ExitStack() as stack:
            kept = [stack.enter_context(database.snapshot_by(name)) for name in group]
            for one in kept * ROUNDS:
                spoil(one)
                one.await_ready()
                one.restore()
                same &= database.fingerprint() == before
            seconds |= {one.name: one.restores_s for one in kept}
    return seconds, same


def report(seconds: dict[str, list[float]], size: int) -> None:
    """Print a line for each way."""
    theirs = statistics.median(seconds["dump"])
    for name, took in seconds.items():
        if name == "dump":  # pg_restore itself
            continue
        ratio = round(statistics.median(took) / theirs, 4)
        aim = {"aim": f"<= {AIMS[name]:g}"} if name in AIMS else {}
        line = {"figure": f"restore by {name} / by pg_restore", "value": ratio, "unit": "ratio", **aim}
        medians = {"restore_s": round(statistics.median(took), 4), "pg_restore_s": round(theirs, 3)}
        rounds = [round(restore_s, 4) for restore_s in took]
        print(
            json.dumps({**line, **medians, "database_mb": round(size / MEGA), "seconds": rounds}), flush=True
        )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.create(Path(folder) / "workspace")
        with Environment.create(workspace.system, "integration", workspace=workspace) as made:
            assert made.database is not None
            filled = fill(made.database)
            times, alike = measure(made.database)
            report(times, filled)
            print(json.dumps({"figure": "fingerprint is the same", "value": alike, "unit": "", "aim": True}))
        workspace.artifacts.close()
