"""Compares obscured columns with the originals: own values that stayed, and values of somebody else."""

import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import polars as pl
import psycopg

from labkit.testdata._change import CODE_DIGITS
from labkit.testdata._read import KEY, frames, hashed, same
from labkit.testdata._rule import Rule
from labkit.testdata._schema import Table

UNLIKELY = 2.9e-7
"""One in 3.5 million: five standard deviations of a normal distribution, on one side."""

SIGMAS, MANY = 5, 500
"""With a mean above MANY the normal distribution is as good as that of Poisson."""

NOBODYS = {"email", "user name", "url"}
"""Fakes that nobody has: example.com is kept for nobody (RFC 2606), a user's name has twelve drawn digits."""


@dataclass(frozen=True)
class Coincidence:
    """How often a made-up value is some other person's real one.

    expected is how often chance alone does that, and most what chance would exceed once in 3.5 million times;
    both are None where values are common anyhow, such as names. within tells that seen is at most that.
    """

    seen: int
    rows: int
    expected: float | None
    most: int | None

    @property
    def within(self) -> bool:
        """Tell whether chance explains them."""
        return self.most is None or self.seen <= self.most


@dataclass(frozen=True)
class Compared:
    """A table of both databases: hashes of the columns to compare, the plain columns, and whether rows match.

    pairs are the rows of both by KEY, the source's columns under their names, the target's with TARGET after
    them; None when rows cannot be told apart by a key that stayed.
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
    """Read a table of both databases. columns are those to hash, and those to have as they are.

    matched tells whether its key stayed; None finds out: it did if the source has every key of the target.
    """
    with ThreadPoolExecutor(2) as pool:
        before, after = pool.map(lambda it: _load(it, table, *columns), (source, target))
    if matched is None:
        matched = bool(after[KEY].is_in(before[KEY].implode()).all())
    if not matched or not table.primary_key:
        return Compared(before, after, None)
    pairs = before.join(after, on=KEY, how="inner", suffix=TARGET)
    return Compared(before, after, pairs)


def _load(
    connection: psycopg.Connection[Any], table: Table, hashes: list[str], plain: list[str]
) -> pl.DataFrame:
    columns = [*hashes, *(it for it in plain if it not in hashes)]
    found = [_hashes(block, hashes, plain) for block in frames(connection, table, columns)]
    none = pl.DataFrame(schema=dict.fromkeys([KEY, *columns], pl.String))
    return pl.concat(found or [_hashes(none, hashes, plain)])


def _hashes(block: pl.DataFrame, hashes: list[str], plain: list[str]) -> pl.DataFrame:
    told = [hashed(same(block[it])).alias(f"#{it}") for it in hashes]
    return pl.DataFrame([hashed(block[KEY]).alias(KEY), *told, *block.select(plain)])


def own_kept(compared: Compared, columns: Mapping[str, Rule]) -> dict[str, int | None]:
    """Return by column how many rows still have their own value; None where rows cannot be matched."""
    pairs = compared.pairs
    if pairs is None:
        return dict.fromkeys(columns)
    kept = [(pl.col(f"#{it}") == pl.col(f"#{it}{TARGET}")).sum().alias(it) for it in columns]
    return {it: int(count or 0) for it, count in zip(columns, pairs.select(kept).row(0), strict=True)}


def coincidences(
    compared: Compared, table: Table, columns: Mapping[str, Rule], kept: Mapping[str, int | None]
) -> dict[str, Coincidence]:
    """Return by column how many values of the target are somebody else's in the source; kept is own_kept."""
    found = {}
    for name, rule in columns.items():
        if rule.kind in {"shift", "null"}:
            continue
        real = compared.source[f"#{name}"].drop_nulls().unique()
        ours = compared.target[f"#{name}"].drop_nulls()
        seen = int(ours.is_in(real.implode()).sum()) - (kept[name] or 0)
        expected = _expected(rule, table.columns[name].type, len(ours), len(real))
        most = None if expected is None else most_by_chance(expected)
        found[name] = Coincidence(seen, len(ours), expected, most)
    return found


def _expected(rule: Rule, column_type: str, drawn: int, real: int) -> float | None:
    if rule.kind == "digits":
        return drawn * real / 10.0 ** str(rule.argument).count("#")
    if rule.kind == "code":
        digits = CODE_DIGITS.get(column_type)
        return drawn * real / 10.0**digits if digits else 0.0
    return 0.0 if rule.kind == "never" or rule.argument in NOBODYS else None


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
