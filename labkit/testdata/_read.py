"""Reads columns of a table as polars frames of texts, and normalizes texts to compare them."""

from collections.abc import Generator, Sequence
from typing import Any

import polars as pl
import psycopg
from psycopg import sql

from labkit.testdata._rows import blocks
from labkit.testdata._schema import Table

KEY = "\0key"
"""The column that identifies a row: the table's primary key, as one text. No column's name has a NUL."""

IGNORED = r"[^\w@]|_"
"""What does not count in a comparison: all but letters, digits and the sign of e-mail."""

# Telephone numbers are written with and without their country, and with an extension.
EXTENSION = r"^(\d{7,})x\d+$"
ABROAD = r"^\d{11,15}$"
NATIONAL = 10


def frames(
    connection: psycopg.Connection[Any], table: Table, columns: Sequence[str]
) -> Generator[pl.DataFrame]:
    """Yield a table's rows block by block: KEY, then these columns, all as texts. NULL is None.

    KEY is "" for a table without a primary key. Until the rows are read or the generator is closed, the
    connection takes no other work, not even a rollback: read it under `contextlib.closing`.
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


def normalized(texts: pl.Series) -> pl.Series:
    """Return texts in lower case, without spaces and punctuation, so that equal ones mean the same.

    Of a telephone number the last ten digits are left, without an extension. None stands for what is empty.
    """
    plain = national(texts.str.to_lowercase().str.replace_all(IGNORED, ""))
    return plain.set(plain == "", None)


def national(plain: pl.Series) -> pl.Series:
    """Return texts as they are, but of telephone numbers the last ten digits alone.

    The texts have no spaces and no punctuation.
    """
    within = plain.str.replace(EXTENSION, "$1")
    abroad = within.str.contains(ABROAD).fill_null(value=False)
    return within.zip_with(~abroad, within.str.tail(NATIONAL)) if abroad.any() else within


def hashed(texts: pl.Series) -> pl.Series:
    """Return a number of 64 bits for each text, comparable within this process only. None stays None."""
    return texts.hash().set(texts.is_null(), None)
