"""What the columns that describe people still say of them, and how many people say the same."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl
import psycopg

from labkit.testdata._compare import TARGET
from labkit.testdata._read import KEY, frames, hashed
from labkit.testdata._rule import DATE, INTEGER, NUMBER, family
from labkit.testdata._schema import Schema, Table

AGREE = 0.95
"""Share of people for which what is said of a column has to hold."""

SAMPLE = 20_000
NARROW = 0.1
"""A window that is wider than this share of all values says too little to be used."""

LONGEST = 10
WHOLE = 99
"""So many characters are all of them."""

SPANS = {WHOLE: 0, 7: 30, 4: 365}
"""Characters of a date → how many days start with these."""


@dataclass(frozen=True)
class Known:
    """What an outsider who knows the true value can compare with a column.

    letters is how many of the first characters are true: of a date 4 are the year, 7 the month, 10 the day;
    None for a number or a date that was moved, by at most within (a number, or days). hashed_by is the name
    of the hash function whose digest stands there instead of the value, "" for none.
    """

    column: str
    letters: int | None
    within: float | None = None
    hashed_by: str = ""

    def words(self, *, is_date: bool) -> str:
        """Return it in words for people."""
        if self.hashed_by:
            return f"by its {self.hashed_by} digest"
        if self.within is not None:
            return f"within {self.within:g}{' days' if is_date else ''}"
        of_date = {4: "the year", 7: "the month"} if is_date else {}
        whole = "as it is"
        return (
            whole
            if self.letters == WHOLE
            else of_date.get(self.letters or 0, f"first {self.letters} characters")
        )


def what_is_known(pairs: pl.DataFrame, table: Table, columns: list[str]) -> list[Known]:
    """Find out what is still true of these columns, from rows of both databases that belong together."""
    some = pairs.head(SAMPLE)
    found = [
        _known(some.select(pl.col(it).alias("was"), pl.col(it + TARGET).alias("is")), table, it)
        for it in columns
    ]
    return [it for it in found if it]


def _known(pair: pl.DataFrame, table: Table, column: str) -> Known | None:
    """Return the most exact of what is true of a column; None when nothing is."""
    both = pair.drop_nulls()
    if both.is_empty():
        return None
    kind = family(table.columns[column].type)
    window = _window(both, column, kind)
    if kind in {INTEGER, NUMBER}:
        return Known(column, WHOLE) if _share(both, WHOLE) >= AGREE else window
    spans = SPANS if kind == DATE else dict.fromkeys((WHOLE, *range(LONGEST, 1, -1)), 0)
    exact = (Known(column, it) for it in spans if _share(both, it) >= AGREE)
    letters = next(exact, None)
    if letters and window and window.within is not None and 2 * window.within < spans[letters.letters or 0]:
        return window
    return letters or window


def _share(both: pl.DataFrame, letters: int) -> float:
    was, now = pl.col("was").str.head(letters), pl.col("is").str.head(letters)
    return float(both.select((was == now).mean()).item())


def _window(both: pl.DataFrame, column: str, kind: str) -> Known | None:
    if kind not in {DATE, INTEGER, NUMBER}:
        return None
    was, now = (number(both[it], kind) for it in ("was", "is"))
    moved = (was - now).abs().max()
    least, most = was.min(), was.max()
    if not isinstance(moved, float) or not isinstance(least, float) or not isinstance(most, float):
        return None
    return Known(column, None, within=moved) if moved <= NARROW * (most - least) else None


def number(values: pl.Series, kind: str) -> pl.Series:
    """Return texts as numbers; of dates the days since 1970."""
    if kind == DATE:
        return values.str.head(10).str.to_date("%Y-%m-%d", strict=False).cast(pl.Int32).cast(pl.Float64)
    return values.cast(pl.Float64, strict=False)


def said(known: list[Known], suffix: str = "") -> list[pl.Expr]:
    """Return for each column that can be compared as it stands what it says; NULL says "" too."""
    return [
        pl.col(it.column + suffix).str.head(it.letters).fill_null("").alias(it.column)
        for it in known
        if it.letters is not None and not it.hashed_by
    ]


def k_anonymity(target: pl.DataFrame, known: list[Known]) -> int | None:
    """Return how many people at least say the same in all columns that are true; None of nobody.

    Source: L. Sweeney, "k-anonymity: a model for protecting privacy", 2002.
    """
    groups = _groups(target, known)
    least = groups.group_by(groups.columns[1:]).len()["len"].min()
    return least if isinstance(least, int) else None


def _groups(target: pl.DataFrame, known: list[Known]) -> pl.DataFrame:
    """Return KEY of all people, and then what they say; where nothing is known, all say the same."""
    return target.select(KEY, *said(known)).with_columns(pl.lit(0).alias("all"))


def l_diversity(
    connection: psycopg.Connection[Any],
    schema: Schema,
    sensitive: Mapping[str, list[str]],
    people: tuple[str, pl.DataFrame],
    known: list[Known],
) -> int | None:
    """Return how many different sensitive values a group who say the same has at least; None if none.

    people is the name of their table, and its rows. A group in which nobody has such a value does not count.
    Source: A. Machanavajjhala et al., "l-diversity: privacy beyond k-anonymity", 2007, in its plain form.
    """
    name, target = people
    groups = _groups(target, known)
    least: list[int] = []
    for table, columns in sensitive.items():
        own = schema.tables[table]
        whose = [KEY] if table == name else _refers(schema, table, name)
        for column in columns:
            values = _values(connection, own, whose, column)
            if values is not None:
                joined = values.join(groups, on=KEY).drop(KEY)
                several = joined.group_by(groups.columns[1:]).agg(pl.col("value").n_unique())
                found = several["value"].min()
                least += [found] if isinstance(found, int) else []
    return min(least, default=None)


def _refers(schema: Schema, table: str, people: str) -> list[str]:
    """Return the columns by which a table refers to the primary key of people, in that key's order."""
    wanted = schema.tables[people].primary_key
    for key in schema.parents(table):
        own = dict(zip(key.to_columns, key.columns, strict=True))
        if key.to == people and set(wanted) == set(own):
            return [own[it] for it in wanted]
    return []


def _values(
    connection: psycopg.Connection[Any], table: Table, whose: list[str], column: str
) -> pl.DataFrame | None:
    if not whose:
        return None
    own = [it for it in whose if it != KEY]
    told = []
    for block in frames(connection, table, list(dict.fromkeys([*own, column]))):
        who = block.select(pl.concat_str(own, separator="·")).to_series() if own else block[KEY]
        pair = [hashed(who).alias(KEY), hashed(block[column]).alias("value")]
        told.append(pl.DataFrame(pair).drop_nulls())
    return pl.concat(told).unique() if told else None
