"""Compares obscured columns with the originals: leaked originals, and real values of another person."""

import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import polars as pl
import psycopg

from labkit.testdata._change import PSEUDONYM_DIGITS
from labkit.testdata._read import KEY, frames, hashed, normalized
from labkit.testdata._rule import Rule
from labkit.testdata._schema import Table
from labkit.testdata.kinds import KINDS

UNLIKELY = 2.9e-7
"""One in 3.5 million: five standard deviations of a normal distribution, on one side."""

SIGMAS, MANY = 5, 500
"""With a mean above MANY the normal distribution is as good as that of Poisson."""


@dataclass(frozen=True)
class ChanceMatches:
    """How often a made-up value is the real value of another person.

    seen counts these values among the rows that have a value. expected is the count that chance alone gives;
    most is the count that chance exceeds once in 3.5 million times. Both are None for values that many
    people share, such as names: there a match says nothing.
    """

    seen: int
    rows: int
    expected: float | None
    most: int | None

    @property
    def within(self) -> bool:
        """Return whether chance explains the matches."""
        return self.most is None or self.seen <= self.most


@dataclass(frozen=True)
class Compared:
    """A table of both databases: KEY, hashes of the columns to compare (as "#name"), and the plain columns.

    pairs joins the rows of both by KEY. The source's columns have their names; the target's have TARGET after
    the name. None means that the keys changed, so that nobody knows which row is which.
    """

    source: pl.DataFrame
    target: pl.DataFrame
    pairs: pl.DataFrame | None


TARGET = " in the target"


def load(
    source: psycopg.Connection[Any],
    target: psycopg.Connection[Any],
    table: Table,
    columns: tuple[list[str], list[str]],
    *,
    matched: bool | None,
) -> Compared:
    """Read a table of both databases. columns are those to hash, and those to read as they are.

    matched is whether the table's primary key stayed. None looks at the keys: the key stayed if the source
    has every key of the target.
    """
    with ThreadPoolExecutor(2) as pool:
        before, after = pool.map(lambda connection: _load(connection, table, *columns), (source, target))
    if matched is None:
        matched = bool(after[KEY].is_in(before[KEY].implode()).all())
    if not matched or not table.primary_key:
        return Compared(before, after, None)
    pairs = before.join(after, on=KEY, how="inner", suffix=TARGET)
    return Compared(before, after, pairs)


def _load(
    connection: psycopg.Connection[Any], table: Table, hashes: list[str], plain: list[str]
) -> pl.DataFrame:
    # Hashes take 64 bits a value however long its text is, so that a large table fits into memory.
    columns = [*hashes, *(name for name in plain if name not in hashes)]
    with closing(frames(connection, table, columns)) as rows:
        blocks = [_hashes(block, hashes, plain) for block in rows]
    none = pl.DataFrame(schema=dict.fromkeys([KEY, *columns], pl.String))
    return pl.concat(blocks or [_hashes(none, hashes, plain)])


def _hashes(block: pl.DataFrame, hashes: list[str], plain: list[str]) -> pl.DataFrame:
    columns = [hashed(normalized(block[name])).alias(f"#{name}") for name in hashes]
    return pl.DataFrame([hashed(block[KEY]).alias(KEY), *columns, *block.select(plain)])


def leaked_originals(compared: Compared, columns: Mapping[str, Rule]) -> dict[str, int | None]:
    """Return by column how many rows still have their own value; None where rows cannot be matched."""
    pairs = compared.pairs
    if pairs is None:
        return dict.fromkeys(columns)
    leaked = [(pl.col(f"#{name}") == pl.col(f"#{name}{TARGET}")).sum().alias(name) for name in columns]
    return {name: int(count or 0) for name, count in zip(columns, pairs.select(leaked).row(0), strict=True)}


def chance_matches(
    compared: Compared, table: Table, columns: Mapping[str, Rule], leaked: Mapping[str, int | None]
) -> dict[str, ChanceMatches]:
    """Return by column how many values of the target are another person's in the source.

    leaked is what `leaked_originals` returned: these rows have their own value, and are not counted here.
    """
    matches = {}
    for name, rule in columns.items():
        if rule.kind in {"date_shift", "null"}:
            continue  # many people share a date, and NULL is no person's value
        real = compared.source[f"#{name}"].drop_nulls().unique()
        ours = compared.target[f"#{name}"].drop_nulls()
        seen = int(ours.is_in(real.implode()).sum()) - (leaked[name] or 0)
        expected = _expected(rule, table.columns[name].narrowest, len(ours), len(real))
        most = None if expected is None else most_by_chance(expected)
        matches[name] = ChanceMatches(seen, len(ours), expected, most)
    return matches


def _expected(rule: Rule, column_type: str, drawn: int, real: int) -> float | None:
    if rule.kind == "format_preserving":
        return drawn * real / 10.0 ** str(rule.argument).count("#")
    if rule.kind == "pseudonymize":
        digits = PSEUDONYM_DIGITS.get(column_type)
        return drawn * real / 10.0**digits if digits else 0.0
    fake = KINDS.get(str(rule.argument)) if rule.kind == "fake" else None
    return 0.0 if rule.kind == "unissued" or (fake and fake.is_nobodys) else None


def most_by_chance(expected: float) -> int:
    """Return the least count that a Poisson variable of this mean exceeds less often than UNLIKELY."""
    if expected > MANY:
        return math.ceil(expected + SIGMAS * math.sqrt(expected))
    count, term = 0, math.exp(-expected)
    below = term
    while 1 - below > UNLIKELY:
        count += 1
        term *= expected / count
        below += term
    return count
