"""Draws values of generated data: some more often than others, some left out, dates before a day."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

MARKED = (7, 77, 777, 7_777, 77_777, 777_777)
"""Numbers of the marked customers: a value of theirs outside of the generated database has leaked."""

EPOCH = np.datetime64("1970-01-01")
Frame = pl.DataFrame
Numbers = NDArray[np.int64]


def some(random: np.random.Generator, words: Sequence[str], n: int) -> pl.Series:
    """Return n words, drawn so that the first ones of the list come more often."""
    return pl.Series(list(words)).gather(skewed(random, n, len(words)))


def skewed(random: np.random.Generator, n: int, size: int) -> Numbers:
    """Return n numbers below size, of which the low ones are frequent."""
    return (size * random.random(n) ** 2).astype(np.int64)


def sometimes(
    random: np.random.Generator, values: pl.Series, share: float, other: str | None, keep: int = 0
) -> pl.Series:
    """Return the values with a share of them, from 0 to 1, replaced by other; the first `keep` stay."""
    replaced = random.random(len(values)) < share
    replaced[:keep] = False
    return values.set(pl.Series(replaced), other)


def days(before: NDArray[np.float64], last: str) -> pl.Series:
    """Return the dates that are so many days from last, which is written as 2026-01-31.

    before has negative numbers for days before last.
    """
    numbers = (np.datetime64(last) - EPOCH).astype(np.int64) + before.astype(np.int64)
    return pl.Series(numbers.astype(np.int32)).cast(pl.Date)


def places(ids: Numbers) -> list[int]:
    """Return the positions of the marked customers in a block of customers' numbers."""
    return [number - int(ids[0]) for number in MARKED if ids[0] <= number <= ids[-1]]
