"""Addresses and their parts: the address of a persona has the street, city and postcode of the same persona.

American ones, on which Faker falls back, are made of independent parts, so that they do not run out. Those of
other locales are made of values of Faker's own methods, in the order of the locale's addresses. In some
locales parts belong together, as postcode and city in Italy: these stand in the address alone.
"""

import re
from collections import Counter

import numpy as np
import polars as pl

from labkit.testdata._mac import Bits
from labkit.testdata.kinds._draw import joined, numbers, part, pick
from labkit.testdata.kinds._registry import kind
from labkit.testdata.kinds._words import AMERICAN, Words, words_of_locale

TOKEN = re.compile(r"\{\{\s*(\w+)\s*\}\}")
"""The name of a method in one of Faker's formats."""

LAST_FOUR = r"^(.*)[0-9](\D*)[0-9](\D*)[0-9](\D*)[0-9](\D*)$"
"""What stands before, between and after the last four digits of a telephone number."""

PLACES = {"city": 4, "postcode": 6, "building_number": 2, "street_name": 3}
"""Parts of addresses that stand in several formats, and the place of the persona's bits that decides each."""


@kind("street_address", is_direct=True, has_words=True)
def street_address(bits: Bits, words: Words) -> pl.Series:
    """Return a street with a number."""
    if not words.is_american("address"):
        return _formatted("street_address", bits, words)
    street = pick(words_of_locale(AMERICAN).last, bits >> np.uint64(7), 1)
    suffix = pick(words.of("address", "street_suffixes"), bits, 3)
    return joined(pick(numbers(1, 9999), bits, 2), " ", street, " ", suffix)


@kind("city", has_words=True)
def city(bits: Bits, words: Words) -> pl.Series:
    """Return towns."""
    if not words.is_american("address"):
        return pick(words.drawn("city"), bits, PLACES["city"])
    suffix = pick(words.of("address", "city_suffixes"), bits, 5)
    return joined(pick(words_of_locale(AMERICAN).last, bits >> np.uint64(5), PLACES["city"]), suffix)


@kind("postcode")
def postcode(bits: Bits, words: Words) -> pl.Series:
    """Return postcodes."""
    american = words.is_american("address")
    return pick(numbers(0, 65535, 5) if american else words.drawn("postcode"), bits, PLACES["postcode"])


@kind("address", is_direct=True, has_words=True)
def address(bits: Bits, words: Words) -> pl.Series:
    """Return whole addresses in one line."""
    if not words.is_american("address"):
        return _formatted("address", bits, words)
    state = pick(words.of("address", "states_abbr"), bits, 7)
    whole = (street_address(bits, words), ", ", city(bits, words), ", ", state, " ", postcode(bits, words))
    return joined(*whole)


@kind("phone_number", is_direct=True)
def phone_number(bits: Bits, words: Words) -> pl.Series:
    """Return telephone numbers.

    American ones are nobody's: 555-0100 to 555-0199 are reserved for fiction in every area of the North
    American Numbering Plan. Others have the form of the locale, and may be somebody's.
    """
    if words.is_american("phone_number"):
        area = pick(numbers(201, 989), bits, 8)
        return joined("(", area, ") 555-01", pick(numbers(0, 99, 2), bits, 9))
    # The last four digits are drawn anew: Faker's method fills a table of a few thousand numbers only.
    table = words.drawn("phone_number")
    drawn = part(bits, 8, len(table))
    start, *between = table.str.extract_groups(LAST_FOUR).struct.unnest()[drawn]
    digits = pick(numbers(0, 9999, 4), bits, 9)
    texts = (text for at, rest in enumerate(between) for text in (digits.str.slice(at, 1), rest))
    return joined(start, *texts).fill_null(table.gather(drawn))


@kind("company", has_words=True)
def company(bits: Bits, words: Words) -> pl.Series:
    """Return names of companies."""
    return pick(words.drawn("company"), bits, 12)


def _formatted(what: str, bits: Bits, words: Words) -> pl.Series:
    """Return values in the locale's usual format, each part by itself, and in one line."""
    formats = Counter(
        getattr(words.provider("address"), f"{what}_formats")
    )  # some have weights, others repeat
    ((usual, _),) = formats.most_common(1)
    texts = TOKEN.split(usual.replace("\n", ", "))
    return joined(*(_token(text, bits, words) if odd % 2 else text for odd, text in enumerate(texts)))


def _token(name: str, bits: Bits, words: Words) -> pl.Series:
    if name == "street_address":
        return street_address(bits, words)
    place = PLACES.get(name, 16 + sum(name.encode()) % 64)
    return pick(words.drawn(name), bits, place)
