"""Generates a database that looks like production, with data about invented people."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

import polars as pl
from psycopg import sql

from labkit.errors import LabError
from labkit.testdata._copy import Connection, connected, shown, whole
from labkit.testdata._pharmacy import SIZE, Pharmacy
from labkit.testdata._refusal import refuse_filled

BEFORE, AFTER = "pharmacy.sql", "pharmacy-keys.sql"


@dataclass(frozen=True)
class Generated:
    """What was made.

    rows: number of rows by table.
    marked_values: names and e-mail addresses of a few marked customers, each of which no other customer has.
        Whoever finds one outside of the generated database has found a leak.
    seconds: how long it took.
    """

    rows: Mapping[str, int]
    marked_values: Sequence[str]
    seconds: float


def generate(
    url: str, customers: int = 1000, *, seed: int = 1, progress: Callable[[str], None] | None = None
) -> Generated:
    """Fill an empty database with a pharmacy's data: for each customer two orders and half a prescription.

    url is libpq's. The same seed and number of customers give the same bytes. Memory does not grow with the
    number of customers. When it fails, the database stays empty. progress gets a sentence for each step; None
    reports nothing.

    :raises LabError: when the database cannot be reached, is not empty or fails, or customers is below 1.
    """
    if customers < 1:
        raise LabError("1 customer or more", str(customers), "generate(url, customers=1000)")
    with connected(url) as target:
        refuse_filled(target, shown(url))
    notify, started, pharmacy = progress or (lambda _: None), time.monotonic(), Pharmacy(seed, customers)
    rows: dict[str, int] = {}
    with whole(url, f"a filled database at {shown(url)}", "nothing was written") as target:
        target.execute(_script(BEFORE))
        for number in range(-(-customers // SIZE)):
            for table, frame in pharmacy.block(number).items():
                _copy(target, table, frame)
                rows[table] = rows.get(table, 0) + len(frame)
            notify(f"{rows['customers']:,} of {customers:,} customers")
        notify("making keys and indexes")
        target.execute(_script(AFTER))
        target.execute("ANALYZE")
    return Generated(rows, pharmacy.marked_values(), round(time.monotonic() - started, 2))


def _script(name: str) -> bytes:
    return files("labkit.testdata").joinpath(name).read_bytes()


def _copy(target: Connection, table: str, frame: pl.DataFrame) -> None:
    names = sql.SQL(", ").join(map(sql.Identifier, frame.columns))
    into = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(sql.Identifier(*table.split(".")), names)
    with target.cursor() as cursor, cursor.copy(into) as rows:
        rows.write(frame.write_csv(include_header=False, quote_style="non_numeric"))
