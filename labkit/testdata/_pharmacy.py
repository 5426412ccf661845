"""The rows of an invented pharmacy: people, orders, reviews and prescriptions, skewed as real ones are.

All rows of a block follow from the seed and the block's number. E-mail addresses end in .test, which RFC 2606
reserves.
"""

from collections.abc import Mapping
from functools import cache
from hashlib import blake2b

import numpy as np
import polars as pl
from faker import Faker
from numpy.typing import NDArray

from labkit.testdata._draw import MARKED, Frame, Numbers, days, places, skewed, some, sometimes
from labkit.testdata._ff1 import ff1
from labkit.testdata._trade import make_lines, make_orders, make_prescriptions, make_reviews
from labkit.testdata.kinds import AMERICAN, words_of_locale

SIZE = 50_000
"""Customers of a block."""

DOMAINS = ("mail.test", "post.test", "inbox.test", "letters.test")
LOCALES = ("de_DE", "fr_FR", "es_ES", "pl_PL", "tr_TR", "ja_JP")
"""The locales of the names of one customer in twenty-five, so that the data has letters beyond ASCII."""

AREAS, UNUSED = 898, 666
"""Social security numbers begin with 001 to 899, but not with 666: 898 different areas."""


class Pharmacy:
    """The tables of one seed, block by block."""

    def __init__(self, seed: int, customers: int) -> None:
        self._seed, self._customers = seed, customers
        self._permuted = ff1(blake2b(str(seed).encode(), digest_size=16, person=b"labkit pharmacy").digest())

    def block(self, number: int) -> Mapping[str, Frame]:
        """Return the rows of a block by table; each table comes after those that it refers to."""
        random = np.random.default_rng([self._seed, number])
        start = number * SIZE
        ids = np.arange(start + 1, min(start + SIZE, self._customers) + 1)
        people = self._people(random, ids)
        orders, whose = make_orders(random, ids, people)
        lines = make_lines(random, orders)
        reviews = make_reviews(random, lines, orders, whose, people)
        prescriptions = make_prescriptions(random, ids, people)
        return {
            "customers": people,
            "orders": orders,
            "order_lines": lines,
            "reviews": reviews,
            "clinic.prescriptions": prescriptions,
        }

    def marked_values(self) -> list[str]:
        """Return the names and e-mail addresses of the marked customers."""
        return [value for number in MARKED if number <= self._customers for value in _marked(number)]

    def _people(self, random: np.random.Generator, ids: Numbers) -> Frame:
        n = len(ids)
        names = _names(random, n)
        plain = names.str.to_lowercase().str.replace_all(r"[^\p{L}]+", ".")
        digits = pl.Series(random.integers(2_000_000_000, 9_999_999_999, n)).cast(pl.String)
        phone = "(" + digits.str.slice(0, 3) + ") " + digits.str.slice(3, 3) + "-" + digits.str.slice(6)
        zips = pl.Series(random.integers(501, 99_950, n)).cast(pl.String).str.zfill(5)
        cities = _cities().gather(skewed(random, n, len(_cities())))
        born = days(-random.gamma(6, 2600, n), "2026-06-01")
        frame = pl.DataFrame(
            {
                "id": ids,
                "name": names,
                "email": plain + pl.Series(ids).cast(pl.String) + "@" + some(random, DOMAINS, n),
                "phone": sometimes(random, phone, 0.05, None),
                "ssn": self._ssns(ids),
                "address": _addresses(random, cities, zips),
                "city": cities,
                "zip": zips,
                "born": born,
                "since": days(-random.gamma(2, 500, n), "2026-09-01"),
                "balance": np.round(random.lognormal(4, 1.2, n) - 20, 2),
                "referred_by": sometimes(random, _earlier(random, ids), 0.8, None),
                "preferences": sometimes(random, _preferences(random, phone), 0.3, None),
            }
        )
        return _with_marked(frame)

    def _ssns(self, ids: Numbers) -> pl.Series:
        """Return different numbers that could have been issued: no area 000, 666 or 900 to 999."""
        area, rest = ids % AREAS + 1, ids // AREAS
        area += area >= UNUSED
        # Cycle walking: a number that could not have been issued is permuted again. All start as numbers that
        # could have been, so that each walk ends, and at a number of its own.
        numbers = self._permuted((area * 10**6 + rest).astype(np.uint64), 9)
        while (wrong := _unissued(numbers)).any():
            numbers[wrong] = self._permuted(numbers[wrong], 9)
        text = pl.Series(numbers).cast(pl.String).str.zfill(9)
        return text.str.slice(0, 3) + "-" + text.str.slice(3, 2) + "-" + text.str.slice(5)


def _unissued(numbers: NDArray[np.uint64]) -> NDArray[np.bool_]:
    area = numbers // np.uint64(10**6)
    wrong: NDArray[np.bool_] = (area == 0) | (area == UNUSED) | (area > AREAS + 1)
    return wrong


@cache
def _cities() -> pl.Series:
    faker = Faker("en_US", use_weighting=False)
    faker.seed_instance(2)
    return pl.Series(sorted({faker.city() for _ in range(3000)}))


@cache
def _foreign() -> pl.Series:
    names: list[str] = []
    for locale in LOCALES:
        faker = Faker(locale, use_weighting=False)
        faker.seed_instance(3)
        names += [f"{faker.first_name()} {faker.last_name()}" for _ in range(200)]
    return pl.Series(names)


def _names(random: np.random.Generator, n: int) -> pl.Series:
    american = words_of_locale(AMERICAN)
    first, last = american.first, american.last
    last_names = last.gather(random.integers(0, len(last), n))
    irish = sometimes(random, "O'" + last_names, 0.99, None)
    names = first.gather(random.integers(0, len(first), n)) + " " + irish.fill_null(last_names)
    foreign = _foreign().gather(random.integers(0, len(_foreign()), n))
    return sometimes(random, foreign, 0.96, None).fill_null(names)


def _addresses(random: np.random.Generator, cities: pl.Series, zips: pl.Series) -> pl.Series:
    n, last = len(cities), words_of_locale(AMERICAN).last
    number = pl.Series(random.integers(1, 9999, n)).cast(pl.String)
    street = number + " " + last.gather(random.integers(0, len(last), n)) + " Street"
    care = sometimes(random, street + "\nc/o the caretaker", 0.98, None)
    return care.fill_null(street) + ", " + cities + " " + zips


def _preferences(random: np.random.Generator, phone: pl.Series) -> pl.Series:
    by = some(random, ("mail", "post"), len(phone))
    return '{"contact": "' + by + '", "second_phone": "' + phone + '"}'


def _earlier(random: np.random.Generator, ids: Numbers) -> pl.Series:
    """Return for each customer one with a lower number of the same block, None for the first."""
    lowest = ids[0]
    chosen = lowest + (random.random(len(ids)) * (ids - lowest)).astype(np.int64)
    return pl.Series(chosen).set(pl.Series(ids == lowest), None)


def _marked(number: int) -> tuple[str, str]:
    """Return the name and the e-mail address of a marked customer."""
    return f"Quilla Marked-{number}", f"quilla{number}@marked.test"


def _with_marked(people: Frame) -> Frame:
    for place in places(people["id"].to_numpy()):
        name, email = _marked(int(people["id"][place]))
        people[place, "name"], people[place, "email"] = name, email
    return people
