"""Reads columns of a table as polars frames of texts, and says when two texts are the same."""

from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl
import psycopg
from psycopg import sql

from labkit.testdata._copy import blocks
from labkit.testdata._schema import Table

KEY = "key"
"""What the rows of a table are told apart by: its primary key, as one text."""

# Telephone numbers are written with and without their country, and with an extension.
EXTENSION = r"^(\d{7,})x\d+$"
NATIONAL = 10


def frames(
    connection: psycopg.Connection[Any], table: Table, columns: Sequence[str]
) -> Iterator[pl.DataFrame]:
    """Yield a table's rows block by block: KEY, then these columns, all as texts. NULL is None.

    KEY is "" for a table without a primary key.
    """
    parts = sql.SQL(", '·', ").join(map(sql.Identifier, table.primary_key))
    key = sql.SQL("concat({})").format(parts) if table.primary_key else sql.SQL("''")
    query = sql.SQL("COPY (SELECT {}, {} FROM {}) TO STDOUT (FORMAT csv)").format(
        key, sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier(table.schema, table.relation)
    )
    schema = dict.fromkeys([KEY, *columns], pl.String)
    with connection.cursor() as cursor, cursor.copy(query) as rows:
        for block in blocks(rows):
            yield pl.read_csv(block, has_header=False, schema=schema)


def same(text: pl.Expr) -> pl.Expr:
    """Return what is the same for texts that say the same: no case, no spaces, no punctuation.

    Of a telephone number the last ten digits are left, without an extension. None for what is then empty.
    """
    plain = text.str.to_lowercase().str.replace_all(r"[^\p{L}\p{M}\d@]", "")
    plain = plain.str.replace(EXTENSION, "$1")
    number = plain.str.contains(r"^\d{11,15}$")
    plain = pl.when(number).then(plain.str.tail(NATIONAL)).otherwise(plain)
    return pl.when(plain != "").then(plain)


def hashed(text: pl.Expr) -> pl.Expr:
    """Return a number of 64 bits for each text, the same within this process only. None stays None."""
    return pl.when(text.is_not_null()).then(text.hash())
