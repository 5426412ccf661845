"""What customers of the generated pharmacy do: they order, review and bring prescriptions, with notes."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from labkit.testdata._draw import Frame, Numbers, days, places, skewed, sometimes
from labkit.testdata.kinds import AMERICAN, words_of_locale

MANY, EAGER = 1.6, 0.1
"""The exponent of Zipf's law, and the share of orders that follow it: a few customers have hundreds."""

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


def make_orders(random: np.random.Generator, ids: Numbers, people: Frame) -> tuple[Frame, Numbers]:
    """Return the orders of a block, two for each customer, and the place among the people of each order's."""
    n = 2 * len(ids)
    whose = random.integers(0, len(ids), n)
    eager = random.random(n) < EAGER
    whose[eager] = (random.zipf(MANY, int(eager.sum())) - 1) % len(ids)
    # The first orders belong to the marked customers, so that free text names them too.
    marked = places(ids)
    whose[: len(marked)] = marked
    buyers = people[whose.tolist()] if n else people
    note = _sentences(random, NOTES, buyers, n)
    note = sometimes(random, note, 0.85, None, keep=len(marked))
    for place, row in enumerate(buyers[: len(marked)].to_dicts()):
        note[place] = f"Called {row['name']} ({row['email']})"
    seconds = random.integers(0, 3 * 365 * 86_400, n)
    placed = (np.datetime64("2023-09-01T00:00:00") + seconds.astype("timedelta64[s]")).astype(
        "datetime64[ms]"
    )
    start = 2 * (int(ids[0]) - 1)
    frame = pl.DataFrame(
        {
            "id": np.arange(start + 1, start + n + 1),
            "customer": buyers["id"],
            "contact_email": buyers["email"],
            "placed": pl.Series(placed).dt.strftime("%Y-%m-%d %H:%M:%S+00"),
            "total": np.round(random.gamma(2, 20, n), 2),
            "note": note,
        }
    )
    return frame, whose


def make_lines(random: np.random.Generator, orders: Frame) -> Frame:
    """Return one to three lines for each order."""
    many = random.integers(1, 4, len(orders))
    order = np.repeat(orders["id"].to_numpy(), many)
    line = np.concatenate([np.arange(1, count + 1) for count in (1, 2, 3)])
    starts = np.array([0, 1, 3])[many - 1]
    place = np.arange(len(order)) - np.repeat(np.cumsum(many) - many, many)
    return pl.DataFrame(
        {
            "order_id": order,
            "line": line[np.repeat(starts, many) + place],
            "product": pl.Series(PRODUCTS).gather(skewed(random, len(order), len(PRODUCTS))),
            "quantity": random.integers(1, 5, len(order)),
            "price": np.round(random.gamma(3, 4, len(order)) + 1, 2),
        }
    )


def make_reviews(
    random: np.random.Generator, lines: Frame, orders: Frame, whose: Numbers, people: Frame
) -> Frame:
    """Return a review for one line in twenty; whose gives each order's place among the people."""
    chosen = np.flatnonzero(random.random(len(lines)) < 0.05)  # noqa: PLR2004 - one line in twenty
    reviewed = lines[chosen.tolist()]
    first = int(orders["id"][0])
    buyers = people[whose[reviewed["order_id"].to_numpy() - first].tolist()]
    return pl.DataFrame(
        {
            "id": reviewed["order_id"] * 4 + reviewed["line"],  # an order has at most three lines
            "order_id": reviewed["order_id"],
            "line": reviewed["line"],
            "stars": random.choice(5, len(reviewed), p=[0.08, 0.06, 0.12, 0.28, 0.46]) + 1,
            "comment": _sentences(random, COMMENTS, buyers, len(reviewed)),
        }
    )


def make_prescriptions(random: np.random.Generator, ids: Numbers, people: Frame) -> Frame:
    """Return half a prescription for each customer."""
    n = (len(ids) + 1) // 2
    patients = people[random.integers(0, len(ids), n).tolist()]
    kind = random.choice(len(HEALTH), n, p=[share for *_, share in HEALTH])
    diagnosis = pl.Series([name for name, *_ in HEALTH]).gather(kind)
    doctor, last = "Dr. ", words_of_locale(AMERICAN).last
    note = "Patient " + patients["name"] + ", born " + patients["born"].cast(pl.String) + ": " + diagnosis
    start = int(ids[0]) - 1
    return pl.DataFrame(
        {
            "id": np.arange(start + 1, start + n + 1),
            "customer": patients["id"],
            "diagnosis": diagnosis,
            "drug": pl.Series([drug for _, drug, _ in HEALTH]).gather(kind),
            "doctor": doctor + last.gather(random.integers(0, 400, n) * 97 % len(last)),
            "issued": days(-random.gamma(2, 200, n), "2026-09-01"),
            "note": sometimes(random, note, 0.7, None),
        }
    )


def _sentences(random: np.random.Generator, templates: Sequence[str], people: Frame, n: int) -> pl.Series:
    """Return n sentences, each of which may name the person in its row of people."""
    product = pl.Series(PRODUCTS).gather(random.integers(0, len(PRODUCTS), n))
    chosen = pl.Series(random.integers(0, len(templates), n))
    sentences = pl.Series([None] * n, dtype=pl.String)
    for number, template in enumerate(templates):
        text = pl.Series([template] * n)
        words = {
            "product": product,
            **{name: people[name] for name in ("name", "phone", "address", "email", "city")},
        }
        filled = _filled(text, words, template)
        sentences = sentences.zip_with(chosen != number, filled)
    return sentences


def _filled(text: pl.Series, words: Mapping[str, pl.Series], template: str) -> pl.Series:
    """Return a template with its {names} replaced, row by row."""
    for name, values in words.items():
        before, placeholder, after = template.partition(f"{{{name}}}")
        if placeholder:
            rest = _filled(pl.Series([after] * len(text)), words, after)
            return _filled(pl.Series([before] * len(text)), words, before) + values.fill_null("nobody") + rest
    return text
