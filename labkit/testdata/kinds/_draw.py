"""Draws from tables by a persona's bits: whole columns at once, and each place independent of the others."""

from functools import cache
from typing import Any

import numpy as np
import polars as pl

from labkit.testdata._mac import Bits

MIX = np.uint64(0x9E3779B97F4A7C15)
"""The odd number next to 2**64 / golden ratio: multiplying by it brings low bits into the high bits."""

NAMED = np.uint64((1 << 32) - 1)
"""The bits from which names and gender are drawn: the same for all spellings of an e-mail address."""


def part(bits: Bits, place: int, size: int) -> Bits:
    """Return a number below size (at most 2**16) for each persona, independent for each place from 0."""
    mixed = bits if place == 0 else bits * (MIX + np.uint64(2 * place))
    shift = np.uint64(0 if place == 0 else 64 - 32)
    drawn: Bits = (mixed >> shift) % np.uint64(size)
    return drawn


def pick(table: pl.Series, bits: Bits, place: int) -> pl.Series:
    """Return an entry of a table (at most 2**16 entries) for each persona."""
    return table.gather(part(bits, place, len(table)))


@cache
def numbers(low: int, high: int, digits: int = 1) -> pl.Series:
    """Return a table of the numbers from low to high as text, of at least so many digits."""
    return pl.Series([f"{number:0{digits}}" for number in range(low, high + 1)])


def hexadecimal(bits: Bits) -> pl.Series:
    """Return the upper 48 bits as twelve digits: of a million people two share them in one run of 600."""
    digits = np.frombuffer((bits >> np.uint64(12)).astype(">u8").tobytes().hex().encode(), dtype="S16")
    return pl.Series(digits).cast(pl.String).str.slice(4)


def joined(*parts: pl.Series | str) -> pl.Series:
    """Return columns of text and fixed texts as one column, row by row."""
    columns: list[Any] = [pl.lit(part) if isinstance(part, str) else part for part in parts]
    return pl.select(pl.concat_str(columns)).to_series()
