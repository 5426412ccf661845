"""Quasi-identifiers: what columns that describe people still reveal, and how many people share it."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import polars as pl
import psycopg

from labkit.testdata._compare import TARGET
from labkit.testdata._read import KEY, frames, hashed
from labkit.testdata._rule import DATE, INTEGER, NUMBER, family
from labkit.testdata._schema import Schema, Table

AGREE = 0.95
"""Share of people for whom a column's values have to agree in both databases."""

SAMPLE = 20_000
NARROW = 0.1
"""A window that is wider than this share of all values reveals too little to be used."""

LONGEST = 10
WHOLE = 99
"""The number of characters that stands for all of them."""

SPANS = {WHOLE: 0, 7: 30, 4: 365}
"""Characters of a date → how many days start with these."""


@dataclass(frozen=True)
class QuasiIdentifier:
    """What an outsider who knows the true value can compare with a column.

    letters is how many of the first characters are true: of a date 4 are the year, 7 the month, 10 the day.
    None means a number or a date that was moved by at most within (a number, or days). hashed_by names the
    hash function whose digest stands in the column instead of the value; "" means that there is none.
    """

    column: str
    letters: int | None
    within: float | None = None
    hashed_by: str = ""

    def words(self, *, is_date: bool) -> str:
        """Return what can be compared, in words for people."""
        if self.hashed_by:
            return f"by its {self.hashed_by} digest"
        if self.within is not None:
            return f"within {self.within:g}{' days' if is_date else ''}"
        if self.letters == WHOLE:
            return "as it is"
        of_date = {4: "the year", 7: "the month"} if is_date else {}
        return of_date.get(self.letters or 0, f"first {self.letters} characters")


def quasi_identifiers(pairs: pl.DataFrame, table: Table, columns: list[str]) -> list[QuasiIdentifier]:
    """Return what is still true of these columns; pairs are rows of both databases that belong together."""
    some = pairs.head(SAMPLE)
    remaining = [
        _remaining(some.select(pl.col(name).alias("was"), pl.col(name + TARGET).alias("is")), table, name)
        for name in columns
    ]
    return [identifier for identifier in remaining if identifier]


def _remaining(pair: pl.DataFrame, table: Table, column: str) -> QuasiIdentifier | None:
    """Return the most exact of what is true of a column; None when nothing is."""
    both = pair.drop_nulls()
    if both.is_empty():
        return None
    kind = family(table.columns[column].type)
    window = _window(both, column, kind)
    if kind in {INTEGER, NUMBER}:
        return QuasiIdentifier(column, WHOLE) if _share(both, WHOLE) >= AGREE else window
    spans = SPANS if kind == DATE else dict.fromkeys((WHOLE, *range(LONGEST, 1, -1)), 0)
    exact = (QuasiIdentifier(column, length) for length in spans if _share(both, length) >= AGREE)
    letters = next(exact, None)
    # Dates that moved by three days keep their year too: the narrower of the two is what an outsider uses.
    if letters and window and window.within is not None and 2 * window.within < spans[letters.letters or 0]:
        return window
    return letters or window


def _share(both: pl.DataFrame, letters: int) -> float:
    was, now = pl.col("was").str.head(letters), pl.col("is").str.head(letters)
    return float(both.select((was == now).mean()).item())


def _window(both: pl.DataFrame, column: str, kind: str) -> QuasiIdentifier | None:
    if kind not in {DATE, INTEGER, NUMBER}:
        return None
    was, now = (number(both[side], kind) for side in ("was", "is"))
    moved = (was - now).abs().max()
    least, most = was.min(), was.max()
    if not isinstance(moved, float) or not isinstance(least, float) or not isinstance(most, float):
        return None
    return QuasiIdentifier(column, None, within=moved) if moved <= NARROW * (most - least) else None


def number(values: pl.Series, kind: str) -> pl.Series:
    """Return texts as numbers; of dates the days since 1970."""
    if kind == DATE:
        return values.str.head(10).str.to_date("%Y-%m-%d", strict=False).cast(pl.Int32).cast(pl.Float64)
    return values.cast(pl.Float64, strict=False)


def prefixes(identifiers: list[QuasiIdentifier]) -> list[pl.Expr]:
    """Return for each column that can be compared as text the characters that are true; "" for NULL."""
    return [
        pl.col(identifier.column).str.head(identifier.letters).fill_null("").alias(identifier.column)
        for identifier in identifiers
        if identifier.letters is not None and not identifier.hashed_by
    ]


def k_anonymity(target: pl.DataFrame, identifiers: list[QuasiIdentifier]) -> int | None:
    """Return the size of the smallest group of people who agree in all quasi-identifiers.

    None means that there are no people. Source: L. Sweeney, "k-anonymity: a model for protecting privacy",
    2002.
    """
    groups = _groups(target, identifiers)
    least = groups.group_by(groups.columns[1:]).len()["len"].min()
    return least if isinstance(least, int) else None


def _groups(target: pl.DataFrame, identifiers: list[QuasiIdentifier]) -> pl.DataFrame:
    """Return KEY of all people and the values that group them; without any value all are one group."""
    return target.select(KEY, *prefixes(identifiers)).with_columns(pl.lit(0).alias("all"))


def l_diversity(
    connection: psycopg.Connection[Any],
    schema: Schema,
    sensitive: Mapping[str, list[str]],
    people: tuple[str, pl.DataFrame],
    identifiers: list[QuasiIdentifier],
) -> int | None:
    """Return the least number of different sensitive values in a group of people who look alike.

    people is the name of their table, and its rows. A group without any sensitive value does not count; None
    means that no group has one. Source: A. Machanavajjhala et al., "l-diversity: privacy beyond k-anonymity",
    2007, in its plain form.
    """
    name, target = people
    groups = _groups(target, identifiers)
    counts: list[int] = []
    for table, columns in sensitive.items():
        own = schema.tables[table]
        owner = [KEY] if table == name else _references(schema, table, name)
        for column in columns:
            values = _values(connection, own, owner, column)
            if values is not None:
                joined = values.join(groups, on=KEY).drop(KEY)
                diversity = joined.group_by(groups.columns[1:]).agg(pl.col("value").n_unique())
                least = diversity["value"].min()
                counts += [least] if isinstance(least, int) else []
    return min(counts, default=None)


def _references(schema: Schema, table: str, people: str) -> list[str]:
    """Return the columns by which a table refers to the primary key of people, in that key's order."""
    primary = schema.tables[people].primary_key
    for key in schema.parents(table):
        own = dict(zip(key.to_columns, key.columns, strict=True))
        if key.to == people and set(primary) == set(own):
            return [own[column] for column in primary]
    return []


def _values(
    connection: psycopg.Connection[Any], table: Table, owner: list[str], column: str
) -> pl.DataFrame | None:
    """Return a column's values as hashes, with KEY of each one's person; None when there is no owner."""
    if not owner:
        return None
    own = [name for name in owner if name != KEY]
    blocks = []
    with closing(frames(connection, table, list(dict.fromkeys([*own, column])))) as rows:
        for block in rows:
            who = block.select(pl.concat_str(own, separator="·")).to_series() if own else block[KEY]
            pair = [hashed(who).alias(KEY), hashed(block[column]).alias("value")]
            blocks.append(pl.DataFrame(pair).drop_nulls())
    return pl.concat(blocks).unique() if blocks else None
