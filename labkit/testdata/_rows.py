"""Copies the rows of one table, block by block, through what changes them."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import polars as pl
import psycopg
from psycopg import Copy, sql

from labkit.errors import LabError
from labkit.testdata._schema import Table

Connection = psycopg.Connection[Any]
Change = Callable[[bytes], bytes]
Progress = Callable[[str], None]

BLOCK = 4 << 20
"""Bytes that are changed at once: many enough for vectorised work, few enough for the memory."""

BOM = "\ufeff".encode()
AHEAD = 2
"""Blocks that are read while one is changed."""

STEP = 20 * 10**6
"""Bytes of a table between two notifications of progress."""


@dataclass(frozen=True)
class Reading:
    """How one table is copied: the query that reads it, and the columns of the target that its rows fill.

    change takes a block of rows as CSV and returns it changed; None copies the rows as they are.
    """

    query: sql.Composable
    columns: tuple[str, ...]
    change: Change | None


def copy_rows(
    source: Connection, target: Connection, table: Table, reading: Reading, notify: Progress
) -> int:
    """Copy the rows of one table and return their number; a table of computed columns alone has none."""
    if not reading.columns:
        return 0
    names = sql.SQL(", ").join(map(sql.Identifier, reading.columns))
    into = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(
        sql.Identifier(table.schema, table.relation), names
    )
    out_of = sql.SQL("COPY ({}) TO STDOUT (FORMAT csv)").format(reading.query)
    done, step = 0, 0
    with source.cursor() as reader, target.cursor() as writer:
        with reader.copy(out_of) as rows, writer.copy(into) as sink:
            for block in _changed(blocks(rows), reading.change):
                sink.write(block)
                done += len(block)
                if done // STEP > step:
                    step = done // STEP
                    notify(f"{table.name}: {done // 10**6} MB")
        count = writer.rowcount
    notify(f"{table.name}: {count} rows")
    return count


def read_rows(block: bytes, columns: Sequence[str], table: str) -> pl.DataFrame:
    """Return a block of CSV as texts; columns are their names, table is named when the texts are none.

    :raises LabError: when the block is not UTF-8.
    """
    block = BOM * block.startswith(BOM) + block  # one at the beginning is taken for a mark of the encoding
    try:
        return pl.read_csv(block, has_header=False, schema=dict.fromkeys(columns, pl.String))
    except pl.exceptions.ComputeError as problem:
        seen = "bytes that are not UTF-8, as a database in SQL_ASCII can hold"
        next_step = f"correct {table}, or give its database an encoding, in a copy of the source first"
        raise LabError(f"texts in {table}", seen, next_step) from problem


def blocks(rows: Copy) -> Iterator[bytes]:
    """Join rows into blocks; a row is never split."""
    buffer = bytearray()
    for row in rows:
        buffer += row
        if len(buffer) >= BLOCK:
            yield bytes(buffer)
            buffer.clear()
    if buffer:
        yield bytes(buffer)


def _changed(blocks: Iterable[bytes], change: Change | None) -> Iterator[bytes]:
    """Change blocks in a second thread while this one reads and writes, and yield them in their order."""
    if change is None:
        yield from blocks
        return
    pending: deque[Future[bytes]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="labkit-change") as pool:
        for block in blocks:
            pending.append(pool.submit(change, block))
            if len(pending) > AHEAD:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
