"""The rows of a pharmacy that never was: people, orders, reviews and prescriptions, skewed as real ones are.

Everything of a block follows from the seed and the block's number. Mail addresses end in .test, which RFC
2606 keeps for nobody.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import blake2b

import numpy as np
import polars as pl
from faker import Faker
from numpy.typing import NDArray

from labkit.testdata._ff1 import ff1
from labkit.testdata._persona import weighted

SIZE = 50_000
"""Customers of a block."""

MANY, EAGER = 1.6, 0.1
"""The exponent of Zipf's law, and the share of orders that follow it: a few customers have hundreds."""

DOMAINS = ("mail.test", "post.test", "inbox.test", "letters.test")
LOCALES = ("de_DE", "fr_FR", "es_ES", "pl_PL", "tr_TR", "ja_JP")
"""Where the names of one customer in twenty-five come from, so that letters beyond ASCII are there."""

# Diagnosis, drug, share. Codes and names of the International Classification of Diseases, 10th revision.
HEALTH = (
    ("I10 essential hypertension", "ramipril 5 mg", 0.24),
    ("E78 high cholesterol", "simvastatin 20 mg", 0.17),
    ("J30 hay fever", "cetirizine 10 mg", 0.15),
    ("E11 type 2 diabetes", "metformin 500 mg", 0.12),
    ("J45 asthma", "salbutamol inhaler", 0.1),
    ("F32 depressive episode", "sertraline 50 mg", 0.08),
    ("K21 reflux disease", "pantoprazole 20 mg", 0.07),
    ("G43 migraine", "sumatriptan 50 mg", 0.04),
    ("B20 HIV disease", "dolutegravir 50 mg", 0.02),
    ("G40 epilepsy", "lamotrigine 100 mg", 0.01),
)
PRODUCTS = (
    "plasters",
    "hay fever tablets",
    "bandage",
    "cough syrup",
    "eye drops",
    "sun lotion",
    "thermometer",
)
NOTES = (
    "Called {name} on {phone}; leave at the door",
    "{name} asks whether {product} help",
    "Deliver to {address}, not before six",
    'Says "do not ring"; C:\\orders\\late',
    "Reminder sent to {email}\nno answer yet",
    "Gift wrap, please",
)
COMMENTS = ("Came on time.", "Thanks, {name} from {city}", "Half of it was missing, write to {email}!", "")
CANARIES = (7, 77, 777, 7_777, 77_777, 777_777)
"""Customers by number who are marked: whatever of them turns up where it should not has leaked."""

AREAS, UNUSED = 898, 666
"""Social security numbers begin with 001 to 899, but for 666."""

EPOCH = np.datetime64("1970-01-01")
Frame = pl.DataFrame
Numbers = NDArray[np.int64]


class Pharmacy:
    """The tables of one seed, block by block."""

    def __init__(self, seed: int, customers: int) -> None:
        self._seed, self._customers = seed, customers
        self._permuted = ff1(blake2b(str(seed).encode(), digest_size=16, person=b"labkit pharmacy").digest())

    def block(self, number: int) -> Mapping[str, Frame]:
        """Return the rows of a block by table, in an order in which references are met."""
        random = np.random.default_rng([self._seed, number])
        start = number * SIZE
        ids = np.arange(start + 1, min(start + SIZE, self._customers) + 1)
        people = self._people(random, ids)
        orders, whose = _orders(random, ids, people)
        lines = _lines(random, orders)
        reviews = _reviews(random, lines, orders, whose, people)
        prescriptions = _prescriptions(random, ids, people)
        return {
            "customers": people,
            "orders": orders,
            "order_lines": lines,
            "reviews": reviews,
            "clinic.prescriptions": prescriptions,
        }

    def canaries(self) -> list[str]:
        """Return the marks of the marked customers, each once."""
        return [mark for number in CANARIES if number <= self._customers for mark in _canary(number)]

    def _people(self, random: np.random.Generator, ids: Numbers) -> Frame:
        n = len(ids)
        names = _names(random, n)
        plain = names.str.to_lowercase().str.replace_all(r"[^\p{L}]+", ".")
        digits = pl.Series(random.integers(2_000_000_000, 9_999_999_999, n)).cast(pl.String)
        phone = "(" + digits.str.slice(0, 3) + ") " + digits.str.slice(3, 3) + "-" + digits.str.slice(6)
        zips = pl.Series(random.integers(501, 99_950, n)).cast(pl.String).str.zfill(5)
        cities = _cities().gather(_skewed(random, n, len(_cities())))
        born = _days(-random.gamma(6, 2600, n), "2026-06-01")
        frame = pl.DataFrame(
            {
                "id": ids,
                "name": names,
                "email": plain + pl.Series(ids).cast(pl.String) + "@" + _some(random, DOMAINS, n),
                "phone": _sometimes(random, phone, 0.05, None),
                "ssn": self._ssns(ids),
                "address": _addresses(random, cities, zips),
                "city": cities,
                "zip": zips,
                "born": born,
                "since": _days(-random.gamma(2, 500, n), "2026-09-01"),
                "balance": np.round(random.lognormal(4, 1.2, n) - 20, 2),
                "referred_by": _sometimes(random, _earlier(random, ids), 0.8, None),
                "preferences": _sometimes(random, _preferences(random, phone), 0.3, None),
            }
        )
        return _marked(frame)

    def _ssns(self, ids: Numbers) -> pl.Series:
        """Return different numbers that could have been issued: no area 000, 666 or 900 to 999."""
        area, rest = ids % AREAS + 1, ids // AREAS
        area += area >= UNUSED  # numbers that could be issued walk to numbers that could be, each to its own
        found = self._permuted((area * 10**6 + rest).astype(np.uint64), 9)
        while (wrong := _unissued(found)).any():
            found[wrong] = self._permuted(found[wrong], 9)
        text = pl.Series(found).cast(pl.String).str.zfill(9)
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
    first, last = weighted("first"), weighted("last")
    last_names = last.gather(random.integers(0, len(last), n))
    irish = _sometimes(random, "O'" + last_names, 0.99, None)
    names = first.gather(random.integers(0, len(first), n)) + " " + irish.fill_null(last_names)
    foreign = _foreign().gather(random.integers(0, len(_foreign()), n))
    return _sometimes(random, foreign, 0.96, None).fill_null(names)


def _addresses(random: np.random.Generator, cities: pl.Series, zips: pl.Series) -> pl.Series:
    n, last = len(cities), weighted("last")
    number = pl.Series(random.integers(1, 9999, n)).cast(pl.String)
    street = number + " " + last.gather(random.integers(0, len(last), n)) + " Street"
    care = _sometimes(random, street + "\nc/o the caretaker", 0.98, None)
    return care.fill_null(street) + ", " + cities + " " + zips


def _preferences(random: np.random.Generator, phone: pl.Series) -> pl.Series:
    by = _some(random, ("mail", "post"), len(phone))
    return '{"contact": "' + by + '", "second_phone": "' + phone + '"}'


def _earlier(random: np.random.Generator, ids: Numbers) -> pl.Series:
    """Return for each customer one with a lower number of the same block, None for the first."""
    lowest = ids[0]
    chosen = lowest + (random.random(len(ids)) * (ids - lowest)).astype(np.int64)
    return pl.Series(chosen).set(pl.Series(ids == lowest), None)


def _orders(random: np.random.Generator, ids: Numbers, people: Frame) -> tuple[Frame, Numbers]:
    """Return the orders of a block, two a customer, and each one's place among the people."""
    n = 2 * len(ids)
    whose = random.integers(0, len(ids), n)
    eager = random.random(n) < EAGER
    whose[eager] = (random.zipf(MANY, int(eager.sum())) - 1) % len(ids)
    marks = _places(ids)
    whose[: len(marks)] = marks
    spoken = people[whose.tolist()] if n else people
    note = _told(random, NOTES, spoken, n)
    note = _sometimes(random, note, 0.85, None, keep=len(marks))
    for place, row in enumerate(spoken[: len(marks)].to_dicts()):
        note[place] = f"Called {row['name']} ({row['email']})"
    seconds = random.integers(0, 3 * 365 * 86_400, n)
    placed = (np.datetime64("2023-09-01T00:00:00") + seconds.astype("timedelta64[s]")).astype(
        "datetime64[ms]"
    )
    start = 2 * (int(ids[0]) - 1)
    frame = pl.DataFrame(
        {
            "id": np.arange(start + 1, start + n + 1),
            "customer": spoken["id"],
            "contact_email": spoken["email"],
            "placed": pl.Series(placed).dt.strftime("%Y-%m-%d %H:%M:%S+00"),
            "total": np.round(random.gamma(2, 20, n), 2),
            "note": note,
        }
    )
    return frame, whose


def _lines(random: np.random.Generator, orders: Frame) -> Frame:
    many = random.integers(1, 4, len(orders))
    order = np.repeat(orders["id"].to_numpy(), many)
    line = np.concatenate([np.arange(1, count + 1) for count in (1, 2, 3)])
    starts = np.array([0, 1, 3])[many - 1]
    place = np.arange(len(order)) - np.repeat(np.cumsum(many) - many, many)
    return pl.DataFrame(
        {
            "order_id": order,
            "line": line[np.repeat(starts, many) + place],
            "product": pl.Series(PRODUCTS).gather(_skewed(random, len(order), len(PRODUCTS))),
            "quantity": random.integers(1, 5, len(order)),
            "price": np.round(random.gamma(3, 4, len(order)) + 1, 2),
        }
    )


def _reviews(
    random: np.random.Generator, lines: Frame, orders: Frame, whose: Numbers, people: Frame
) -> Frame:
    chosen = np.flatnonzero(random.random(len(lines)) < 0.05)  # noqa: PLR2004 - one line in twenty
    of = lines[chosen.tolist()]
    first = int(orders["id"][0])
    spoken = people[whose[of["order_id"].to_numpy() - first].tolist()]
    return pl.DataFrame(
        {
            "id": of["order_id"] * 4 + of["line"],
            "order_id": of["order_id"],
            "line": of["line"],
            "stars": random.choice(5, len(of), p=[0.08, 0.06, 0.12, 0.28, 0.46]) + 1,
            "comment": _told(random, COMMENTS, spoken, len(of)),
        }
    )


def _prescriptions(random: np.random.Generator, ids: Numbers, people: Frame) -> Frame:
    n = (len(ids) + 1) // 2
    spoken = people[random.integers(0, len(ids), n).tolist()]
    kind = random.choice(len(HEALTH), n, p=[share for *_, share in HEALTH])
    diagnosis = pl.Series([it[0] for it in HEALTH]).gather(kind)
    doctor, last = "Dr. ", weighted("last")
    note = "Patient " + spoken["name"] + ", born " + spoken["born"].cast(pl.String) + ": " + diagnosis
    start = int(ids[0]) - 1
    return pl.DataFrame(
        {
            "id": np.arange(start + 1, start + n + 1),
            "customer": spoken["id"],
            "diagnosis": diagnosis,
            "drug": pl.Series([it[1] for it in HEALTH]).gather(kind),
            "doctor": doctor + last.gather(random.integers(0, 400, n) * 97 % len(last)),
            "issued": _days(-random.gamma(2, 200, n), "2026-09-01"),
            "note": _sometimes(random, note, 0.7, None),
        }
    )


def _told(random: np.random.Generator, templates: Sequence[str], spoken: Frame, n: int) -> pl.Series:
    """Return n sentences in which people are named."""
    product = pl.Series(PRODUCTS).gather(random.integers(0, len(PRODUCTS), n))
    chosen = pl.Series(random.integers(0, len(templates), n))
    told = pl.Series([None] * n, dtype=pl.String)
    for number, template in enumerate(templates):
        text = pl.Series([template] * n)
        words = {
            "product": product,
            **{name: spoken[name] for name in ("name", "phone", "address", "email", "city")},
        }
        parts = _filled(text, words, template)
        told = told.zip_with(chosen != number, parts)
    return told


def _filled(text: pl.Series, words: Mapping[str, pl.Series], template: str) -> pl.Series:
    """Return a template with its {names} replaced, row by row."""
    for name, values in words.items():
        before, found, after = template.partition(f"{{{name}}}")
        if found:
            rest = _filled(pl.Series([after] * len(text)), words, after)
            return _filled(pl.Series([before] * len(text)), words, before) + values.fill_null("nobody") + rest
    return text


def _some(random: np.random.Generator, words: Sequence[str], n: int) -> pl.Series:
    return pl.Series(list(words)).gather(_skewed(random, n, len(words)))


def _skewed(random: np.random.Generator, n: int, size: int) -> Numbers:
    """Return numbers below size of which the low ones are frequent."""
    return (size * random.random(n) ** 2).astype(np.int64)


def _sometimes(
    random: np.random.Generator, values: pl.Series, share: float, other: str | None, keep: int = 0
) -> pl.Series:
    """Return the values with a share of them replaced; the first `keep` stay."""
    gone = random.random(len(values)) < share
    gone[:keep] = False
    return values.set(pl.Series(gone), other)


def _days(before: NDArray[np.float64], last: str) -> pl.Series:
    days = (np.datetime64(last) - EPOCH).astype(np.int64) + before.astype(np.int64)
    return pl.Series(days.astype(np.int32)).cast(pl.Date)


def _places(ids: Numbers) -> list[int]:
    """Return where the marked customers stand in a block."""
    return [number - int(ids[0]) for number in CANARIES if ids[0] <= number <= ids[-1]]


def _canary(number: int) -> tuple[str, str]:
    """Return the name and the address of a marked customer."""
    return f"Quilla Canary-{number}", f"quilla{number}@canary.test"


def _marked(people: Frame) -> Frame:
    for place in _places(people["id"].to_numpy()):
        name, email = _canary(int(people["id"][place]))
        people[place, "name"], people[place, "email"] = name, email
    return people
