"""The made-up person for each real one: the same persona wherever the real person appears.

A persona is 60 bits of AES-CMAC over the value that identifies the real person. In a million people two get
the same persona with a probability of about 4e-7. Names are drawn with Faker's weights, so that frequent
names stay frequent. Addresses are made of independent parts, so that they do not run out.
"""

from collections.abc import Callable, Mapping
from functools import cache
from hashlib import blake2b
from typing import Any

import numpy as np
import polars as pl
from faker import Faker
from faker.providers.address.en_US import Provider as Places
from faker.providers.person.en_US import Provider as People

from labkit.testdata._mac import Bits, cmac

BITS = 60
DRAWN = 1 << 16
"""Entries of a weighted table: the rarest name of Faker's has a weight of about one in 40,000."""

MIX = np.uint64(0x9E3779B97F4A7C15)
"""The odd number next to 2**64 / golden ratio: multiplying by it brings low bits into the high bits."""

NAMED = np.uint64((1 << 32) - 1)
"""The bits from which first and last names are drawn."""

SHORT = 60
"""A column of fewer characters than this gets the short form of an e-mail address, which has 25."""


class Personas:
    """Made-up people under a key: `bits` gives the persona of each value, `make` its name or address."""

    def __init__(self, key: bytes, purpose: bytes = b"labkit persona") -> None:
        self._tags = cmac(blake2b(key=key, person=purpose, digest_size=32).digest())

    def bits(self, who: pl.Series) -> Bits:
        """Return the 60 bits of each text, without regard to case and outer spaces; None counts as ""."""
        return self._tags(_plain(who.fill_null(""))) >> np.uint64(64 - BITS)

    def spelled(self, own: pl.Series, bits: Bits) -> Bits:
        """Return bits that also differ where values differ in case or spaces alone.

        bits are those of own. The part that names are drawn from stays the same: one person, two addresses.
        """
        own = own.fill_null("")
        spelled = (own != _plain(own)).to_numpy()
        if not spelled.any():
            return bits
        exact = self._tags(own) >> np.uint64(64 - BITS)
        return np.where(spelled, (bits & NAMED) | (exact & ~NAMED), bits)

    @staticmethod
    def make(kind: str, bits: Bits, width: int | None) -> pl.Series:
        """Return a made-up value of a kind for each persona, cut to width characters; None does not cut."""
        if kind == "email" and width is not None and width < SHORT:
            return _text("p", _hexadecimal(bits), "@example.com")
        made = MAKERS[kind](bits)
        return made if width is None or kind in {"email", "user name"} else made.str.slice(0, width)


def _plain(texts: pl.Series) -> pl.Series:
    return texts.str.strip_chars().str.to_lowercase()


@cache
def weighted(which: str) -> pl.Series:
    """Return a table of "first" or "last" names, in which each stands as often as its weight says."""
    weights: Mapping[str, float] = {"first": People.first_names, "last": People.last_names}[which]
    shares = np.cumsum(list(weights.values()))
    places = np.searchsorted(shares / shares[-1], np.arange(DRAWN) / DRAWN, side="right")
    return pl.Series(list(weights)).gather(places)


@cache
def _drawn(what: str) -> pl.Series:
    """Return a table of 4,096 made-up values, the same in each process and under each key."""
    faker = Faker("en_US", use_weighting=False)
    faker.seed_instance(1)
    return pl.Series([str(getattr(faker, what)()) for _ in range(1 << 12)])


def _part(bits: Bits, place: int, size: int) -> Bits:
    """Return a number below size (at most 2**16), independent for each place from 0."""
    mixed = bits if place == 0 else bits * (MIX + np.uint64(2 * place))
    shift = np.uint64(0 if place == 0 else 64 - 32)
    part: Bits = (mixed >> shift) % np.uint64(size)
    return part


def _of(table: pl.Series, bits: Bits, place: int) -> pl.Series:
    return table.gather(_part(bits, place, len(table)))


@cache
def _words(which: str) -> pl.Series:
    """Return Faker's street suffixes, city suffixes or states."""
    return pl.Series(list(getattr(Places, which)))


@cache
def _numbers(low: int, high: int, digits: int = 1) -> pl.Series:
    """Return a table of the numbers from low to high as text, of at least so many digits."""
    return pl.Series([f"{number:0{digits}}" for number in range(low, high + 1)])


@cache
def _lower(which: str) -> pl.Series:
    return weighted(which).str.to_lowercase()


def _hexadecimal(bits: Bits) -> pl.Series:
    """Return the upper 48 bits as twelve digits: of a million people two share them in one run of 600."""
    digits = np.frombuffer((bits >> np.uint64(12)).astype(">u8").tobytes().hex().encode(), dtype="S16")
    return pl.Series(digits).cast(pl.String).str.slice(4)


def _text(*parts: pl.Series | str) -> pl.Series:
    columns: list[Any] = [pl.lit(part) if isinstance(part, str) else part for part in parts]
    return pl.select(pl.concat_str(columns)).to_series()


def _first(bits: Bits, table: pl.Series) -> pl.Series:
    return _of(table, bits, 0)


def _last(bits: Bits, table: pl.Series) -> pl.Series:
    return _of(table, bits >> np.uint64(16), 0)


def _name(bits: Bits) -> pl.Series:
    return _text(_first(bits, weighted("first")), " ", _last(bits, weighted("last")))


def _email(bits: Bits) -> pl.Series:
    # RFC 2606 reserves example.com.
    first, last = _first(bits, _lower("first")), _last(bits, _lower("last"))
    return _text(first, ".", last, ".", _hexadecimal(bits), "@example.com")


def _user_name(bits: Bits) -> pl.Series:
    return _text(_last(bits, _lower("last")), "-", _hexadecimal(bits))


def _street(bits: Bits) -> list[pl.Series | str]:
    name = _of(weighted("last"), bits >> np.uint64(7), 1)
    return [_of(_numbers(1, 9999), bits, 2), " ", name, " ", _of(_words("street_suffixes"), bits, 3)]


def _city(bits: Bits) -> list[pl.Series | str]:
    return [_of(weighted("last"), bits >> np.uint64(5), 4), _of(_words("city_suffixes"), bits, 5)]


def _postcode(bits: Bits) -> pl.Series:
    return _of(_numbers(0, 65535, 5), bits, 6)


def _address(bits: Bits) -> pl.Series:
    state = _of(_words("states_abbr"), bits, 7)
    return _text(*_street(bits), ", ", *_city(bits), ", ", state, " ", _postcode(bits))


def _phone(bits: Bits) -> pl.Series:
    # 555-0100 to 555-0199 are reserved for fiction in every area of the North American Numbering Plan.
    return _text("(", _of(_numbers(201, 989), bits, 8), ") 555-01", _of(_numbers(0, 99, 2), bits, 9))


def _ip(bits: Bits) -> pl.Series:
    nets = pl.Series(["192.0.2.", "198.51.100.", "203.0.113."])  # RFC 5737, for documentation
    return _text(_of(nets, bits, 10), _of(_numbers(1, 254), bits, 11))


MAKERS: Mapping[str, Callable[[Bits], pl.Series]] = {
    "name": _name,
    "first name": lambda bits: _first(bits, weighted("first")),
    "last name": lambda bits: _last(bits, weighted("last")),
    "email": _email,
    "user name": _user_name,
    "phone": _phone,
    "address": _address,
    "street": lambda bits: _text(*_street(bits)),
    "city": lambda bits: _text(*_city(bits)),
    "postcode": _postcode,
    "company": lambda bits: _of(_drawn("company"), bits, 12),
    "url": lambda bits: _text("https://", _hexadecimal(bits), ".example.com/"),
    "ip": _ip,
}
