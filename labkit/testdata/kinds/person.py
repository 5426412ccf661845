"""People's names, and the addresses on the internet that are made of them."""

import numpy as np
import polars as pl

from labkit.testdata._mac import Bits
from labkit.testdata.kinds._draw import NAMED, hexadecimal, joined, part
from labkit.testdata.kinds._registry import kind
from labkit.testdata.kinds._words import ENTRIES, Words

GENDER = 13
"""The place that decides which of a locale's genders a persona has; first and family name follow it."""


def _of_gender(table: pl.Series, bits: Bits, words: Words, drawn: Bits) -> pl.Series:
    if len(words.genders) > 1:
        drawn = drawn + part(bits & NAMED, GENDER, len(words.genders)) * np.uint64(ENTRIES)
    return table.gather(drawn)


def _first(table: pl.Series, bits: Bits, words: Words) -> pl.Series:
    return _of_gender(table, bits, words, part(bits, 0, ENTRIES))


def _last(table: pl.Series, bits: Bits, words: Words) -> pl.Series:
    return _of_gender(table, bits, words, part(bits >> np.uint64(16), 0, ENTRIES))


@kind("first_name", is_direct=True, has_words=True)
def first_name(bits: Bits, words: Words) -> pl.Series:
    """Return first names."""
    return _first(words.first, bits, words)


@kind("last_name", is_direct=True, has_words=True)
def last_name(bits: Bits, words: Words) -> pl.Series:
    """Return family names."""
    return _last(words.last, bits, words)


@kind("name", is_direct=True, has_words=True)
def name(bits: Bits, words: Words) -> pl.Series:
    """Return first and family names in the locale's order."""
    first, last = first_name(bits, words), last_name(bits, words)
    last_is_first, between = words.name_order
    return joined(last, between, first) if last_is_first else joined(first, between, last)


def _short_email(bits: Bits, _: Words) -> pl.Series:
    return joined("p", hexadecimal(bits), "@example.com")


@kind("email", is_unique=True, least_width=25, short=_short_email, is_direct=True, is_nobodys=True)
def email(bits: Bits, words: Words) -> pl.Series:
    """Return e-mail addresses with the persona's names. RFC 2606 reserves example.com."""
    first, last = _first(words.first_slug, bits, words), _last(words.last_slug, bits, words)
    return joined(first, ".", last, ".", hexadecimal(bits), "@example.com")


@kind("user_name", is_unique=True, least_width=28, is_direct=True, is_nobodys=True, has_words=True)
def user_name(bits: Bits, words: Words) -> pl.Series:
    """Return the persona's family name with twelve digits."""
    return joined(_last(words.last_slug, bits, words), "-", hexadecimal(bits))
