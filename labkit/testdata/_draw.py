"""How values of generated data are drawn: skewed, now and then, on days."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

CANARIES = (7, 77, 777, 7_777, 77_777, 777_777)
"""Customers by number who are marked: whatever of them turns up where it should not has leaked."""

EPOCH = np.datetime64("1970-01-01")
Frame = pl.DataFrame
Numbers = NDArray[np.int64]


def some(random: np.random.Generator, words: Sequence[str], n: int) -> pl.Series:
    """Return n of some words, the first ones more often."""
    return pl.Series(list(words)).gather(skewed(random, n, len(words)))


def skewed(random: np.random.Generator, n: int, size: int) -> Numbers:
    """Return numbers below size of which the low ones are frequent."""
    return (size * random.random(n) ** 2).astype(np.int64)


def sometimes(
    random: np.random.Generator, values: pl.Series, share: float, other: str | None, keep: int = 0
) -> pl.Series:
    """Return the values with a share of them replaced; the first `keep` stay."""
    gone = random.random(len(values)) < share
    gone[:keep] = False
    return values.set(pl.Series(gone), other)


def days(before: NDArray[np.float64], last: str) -> pl.Series:
    """Return dates so many days from the last one, which is given as 2026-01-31."""
    numbers = (np.datetime64(last) - EPOCH).astype(np.int64) + before.astype(np.int64)
    return pl.Series(numbers.astype(np.int32)).cast(pl.Date)


def places(ids: Numbers) -> list[int]:
    """Return where the marked customers stand in a block."""
    return [number - int(ids[0]) for number in CANARIES if ids[0] <= number <= ids[-1]]
