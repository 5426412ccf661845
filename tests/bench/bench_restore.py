"""Restore of a 100 MB database: a snapshot against pg_restore, in the same server."""

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from labkit.engine import Engine, Label
from labkit.environment import Database, Environment
from labkit.environment._run import execute
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

SPOIL = "UPDATE purchases SET note = 'spoilt' WHERE id % 10 = 0; DROP INDEX purchases_customer_idx"

PUT_BACK = """
set -e
psql -qU postgres -d postgres -c 'DROP DATABASE catalog WITH (FORCE)' -c 'CREATE DATABASE catalog'
pg_restore -U postgres -d catalog /var/lib/postgresql/bench.dump
"""


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that work takes."""
    began = time.monotonic()
    work()
    return time.monotonic() - began


def inside(environment: Environment, script: str) -> None:
    """Run a script in the database's container."""
    engine = Engine.find()
    things = engine.owned({Label.ENVIRONMENT: environment.name, Label.ROLE: "database"})
    done = execute(engine, things[0].id, script, workdir="/")
    assert done.ok, done.output


def spoil(database: Database) -> None:
    """Change much of the database."""
    with database.connect() as connection:
        connection.execute(SPOIL)


def measure(environment: Environment, database: Database) -> None:
    """Print the figures."""
    with database.connect() as connection:
        connection.execute(FILL)
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
        size = (row or (0,))[0]
    fingerprint = database.fingerprint()
    database.snapshot()
    inside(environment, "pg_dump -U postgres -Fc -f /var/lib/postgresql/bench.dump catalog")
    ours, theirs, same = [], [], True
    for _ in range(ROUNDS):
        for seconds, put_back in ((ours, database.restore), (theirs, lambda: inside(environment, PUT_BACK))):
            spoil(database)
            seconds.append(timed(put_back))
            same &= database.fingerprint() == fingerprint
    here, there = statistics.median(ours), statistics.median(theirs)
    rounds = [round(a / b, 2) for a, b in zip(ours, theirs, strict=True)]
    told = {"restore_s": round(here, 3), "pg_restore_s": round(there, 3), "database_mb": round(size / MEGA)}
    line = {
        "figure": "restore / pg_restore",
        "value": round(here / there, 3),
        "unit": "ratio",
        "aim": "<= 0.2",
    }
    print(json.dumps({**line, **told, "rounds": rounds}))
    print(json.dumps({"figure": "fingerprint is the same", "value": same, "unit": "", "aim": True}))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.create(Path(folder) / "workspace")
        with Environment.create(workspace.system, "integration", workspace=workspace) as made:
            assert made.database is not None
            measure(made, made.database)
        workspace.artifacts.close()
