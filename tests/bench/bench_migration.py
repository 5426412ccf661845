"""A table of 300,000 rows changed under old and new clients: by Migration, and by a naive ALTER."""

import random
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench_obscure import Server, tell
from postgres import server

from labkit.skew import Backfill, Contract, Expand, Migration

ROWS, CLIENTS, PAUSE_S, MIXED_S, SLICE = 300_000, 2, 0.002, 4, 500
TABLE = "CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL)"
FILL = "INSERT INTO customers SELECT i, 'Ada' || i || ' Lovelace' FROM generate_series(1, {rows}) AS i"
UP = {"first_name": "split_part(name, ' ', 1)", "last_name": "split_part(name, ' ', 2)"}
SPLIT = Migration(
    name="split_name",
    table="customers",
    expand=Expand(
        columns={"first_name": "text", "last_name": "text"},
        old=("v1", ["id", "name"]),
        new=("v2", ["id", "first_name", "last_name"]),
        needed=["first_name", "last_name"],
    ),
    backfill=Backfill(up=UP, down={"name": "first_name || ' ' || last_name"}),
    contract=Contract(columns=["name"]),
)
OLD = (
    "UPDATE customers SET name = 'Ada King' || id WHERE id = %s",
    "SELECT name FROM customers WHERE id = %s",
)
NEW = (
    "UPDATE customers SET last_name = 'Byron' || id WHERE id = %s",
    "SELECT first_name, last_name FROM customers WHERE id = %s",
)
DIFFER = """
SELECT count(*), count(*) FILTER (WHERE a.name <> b.first_name || ' ' || b.last_name)
  FROM v1.customers AS a JOIN v2.customers AS b USING (id) WHERE id BETWEEN %s AND %s
"""
NAIVE = """
ALTER TABLE customers ADD COLUMN first_name text, ADD COLUMN last_name text;
UPDATE customers SET first_name = split_part(name, ' ', 1), last_name = split_part(name, ' ', 2);
ALTER TABLE customers DROP COLUMN name
"""


class Client(threading.Thread):
    """Writes and reads rows as the code of one version does, until it is told to stop."""

    def __init__(self, url: str, version: str, statements: Sequence[str]) -> None:
        super().__init__()
        self._url, self._version, self._statements = url, version, statements
        self._stopped = threading.Event()
        self.asked = self.failed = 0
        self.longest_s = 0.0
        self.start()

    def run(self) -> None:
        """Ask again and again; note how many failed, and the longest that one took."""
        options = f"-c search_path={self._version},public"
        with psycopg.connect(self._url, autocommit=True, options=options) as connection:
            while not self._stopped.wait(PAUSE_S):
                row = random.randint(1, ROWS)  # noqa: S311 - no secret
                for statement in self._statements:
                    self._ask(connection, statement, row)

    def stop(self) -> None:
        """End after the question that is being asked."""
        self._stopped.set()
        self.join()

    def _ask(self, connection: psycopg.Connection, statement: str, row: int) -> None:
        started = time.monotonic()
        self.asked += 1
        try:
            connection.execute(statement, [row])
        except psycopg.Error:
            self.failed += 1
        self.longest_s = max(self.longest_s, time.monotonic() - started)


class Comparison(threading.Thread):
    """Looks at the same rows through both versions, in one statement, until it is told to stop."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url, self._stopped = url, threading.Event()
        self.compared = self.differed = 0
        self.start()

    def run(self) -> None:
        """Compare slices of the table, anywhere in it."""
        with psycopg.connect(self._url, autocommit=True) as connection:
            while not self._stopped.wait(PAUSE_S):
                self._compare(connection, random.randint(1, ROWS - SLICE), SLICE)  # noqa: S311 - no secret

    def stop(self) -> None:
        """Compare the whole table once more, and end."""
        self._stopped.set()
        self.join()
        with psycopg.connect(self._url) as connection:
            self._compare(connection, 1, ROWS)

    def _compare(self, connection: psycopg.Connection, first: int, count: int) -> None:
        compared, differed = connection.execute(DIFFER, [first, first + count - 1]).fetchone() or (0, 0)
        self.compared += compared
        self.differed += differed


@contextmanager
def clients(url: str, version: str, statements: Sequence[str]) -> Iterator[list[Client]]:
    """Let some clients of a version ask while the block runs."""
    asking = [Client(url, version, statements) for _ in range(CLIENTS)]
    try:
        yield asking
    finally:
        for client in asking:
            client.stop()


def migrate(url: str) -> tuple[list[Client], Comparison, dict[str, float]]:
    """Change the table in three steps, old clients until the contraction, new ones from the expansion on."""
    seconds = {}
    with clients(url, "v1", OLD) as old:
        time.sleep(1)
        seconds["expand"] = timed(lambda: SPLIT.run_expand(url))
        comparison = Comparison(url)
        with clients(url, "v2", NEW) as new:
            seconds["backfill"] = timed(lambda: SPLIT.run_backfill(url))
            time.sleep(MIXED_S)
            for client in old:
                client.stop()
            comparison.stop()
            seconds["contract"] = timed(lambda: SPLIT.run_contract(url))
            time.sleep(1)
    return [*old, *new], comparison, seconds


def timed(step: Callable[[], object]) -> float:
    """Return the seconds that a step takes."""
    started = time.monotonic()
    step()
    return round(time.monotonic() - started, 2)


def naive(url: str) -> list[Client]:
    """Change the table in one transaction, under old clients."""
    with clients(url, "public", OLD) as old:
        time.sleep(1)
        with psycopg.connect(url) as connection:
            connection.execute(NAIVE)
        time.sleep(1)
    return old


def main() -> None:
    """Print one JSON line a figure."""
    with server() as address:
        databases = Server(address)
        with databases.database(TABLE, FILL.format(rows=ROWS)) as url:
            ours, comparison, seconds = migrate(url)
        with databases.database(TABLE, FILL.format(rows=ROWS)) as url:
            theirs = naive(url)
    asked, failed = sum(client.asked for client in ours), sum(client.failed for client in ours)
    more = {"requests": asked, "naive": sum(client.failed for client in theirs), "steps_s": seconds}
    tell(f"failed requests while {ROWS:,} rows change", failed, "requests", "0", **more)
    tell(
        "rows that two versions saw differently",
        comparison.differed,
        "rows",
        "0",
        compared=comparison.compared,
    )
    stall, naive_stall = (max(client.longest_s for client in group) for group in (ours, theirs))
    tell("longest request while the table changes", stall, "s", "<= 0.3", naive_s=round(naive_stall, 3))
    tell("longest request / that of the naive ALTER", stall / naive_stall, "ratio", None)


if __name__ == "__main__":
    main()
