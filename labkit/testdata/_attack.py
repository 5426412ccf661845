"""The attack: somebody with a list of people, from elsewhere, looks each of them up in the test database.

The list is the worst that can be: everybody who is in production, with the true values of all columns that
describe a person or name one. The attacker knows the policy, not the key.
"""

import hashlib
from dataclasses import dataclass

import polars as pl

from labkit.testdata._compare import TARGET, Compared
from labkit.testdata._people import WHOLE, Known, number, said
from labkit.testdata._read import KEY

DIGESTS = {32: "md5", 40: "sha1", 64: "sha256"}
"""Length of a digest in hexadecimal digits → the hash function that makes it."""

MOST_PAIRS = 20_000_000
"""More pairs of people than this are not compared: then each has too many who look alike."""

WINDOW = "within "


@dataclass(frozen=True)
class Attack:
    """What came of it: people in the target, of how many exactly one on the list fits, how often rightly."""

    people: int
    claimed: int
    right: int


def digests(pairs: pl.DataFrame, columns: list[str]) -> list[Known]:
    """Return the columns of the target in which a bare hash of the true value stands."""
    found = []
    for column in columns:
        both = (
            pairs.select(pl.col(column).alias("was"), pl.col(column + TARGET).alias("is"))
            .drop_nulls()
            .head(20)
        )
        name = DIGESTS.get(len(both["is"][0])) if len(both) else None
        if name and all(_digest(was, name) == now.lower() for was, now in both.iter_rows()):
            found.append(Known(column, WHOLE, hashed_by=name))
    return found


def _digest(text: str, name: str) -> str:
    return hashlib.new(name, text.encode(), usedforsecurity=False).hexdigest()


def attack_list(compared: Compared, known: list[Known]) -> Attack:
    """Look everybody up: a claim is made where one row fits one person, and no other fits either.

    known says what can be compared in which column. Rows of compared carry those columns as they are.
    """
    people = len(compared.target)
    ours, listed = _told(compared.target, known, target=True), _told(compared.source, known, target=False)
    keys = [it for it in ours.columns if it != KEY and not it.startswith(WINDOW)]
    windows = [it for it in known if it.within is not None]
    if not keys and not windows:
        return Attack(people, 0, 0)
    ours, listed = (it.with_columns(pl.lit(0).alias("all")) for it in (ours, listed))
    keys.append("all")
    if not windows or _pairs(ours, listed, keys) > MOST_PAIRS:
        ours, listed = (it.filter(pl.len().over(keys) == 1) for it in (ours, listed))
        windows = []
    fits = ours.join(listed, on=keys, how="inner", suffix=TARGET)
    for it in windows:
        column = WINDOW + it.column
        away = (pl.col(column) - pl.col(column + TARGET)).abs()
        fits = fits.filter(away.is_null() | (away <= it.within))
    one = fits.filter((pl.len().over(KEY) == 1) & (pl.len().over(KEY + TARGET) == 1))
    return Attack(people, len(one), int((one[KEY] == one[KEY + TARGET]).sum()))


def _told(frame: pl.DataFrame, known: list[Known], *, target: bool) -> pl.DataFrame:
    """Return what can be compared: texts under the columns' names, numbers under WINDOW and the name."""
    digested = [_by_digest(frame, it, target=target) for it in known if it.hashed_by]
    moved = [
        number(frame[it.column], _kind(frame[it.column])).alias(WINDOW + it.column)
        for it in known
        if it.within is not None
    ]
    return frame.select(KEY, *said(known)).with_columns(*digested, *moved)


def _kind(values: pl.Series) -> str:
    """Return whether texts are dates or numbers."""
    first = values.drop_nulls().head(1).to_list()
    return "date" if first and "-" in first[0][1:] else "number"


def _by_digest(frame: pl.DataFrame, it: Known, *, target: bool) -> pl.Series:
    own = frame[it.column]
    made = (
        own
        if target
        else pl.Series([text and _digest(text, it.hashed_by) for text in own.to_list()], dtype=pl.String)
    )
    return made.fill_null("").alias(it.column)


def _pairs(ours: pl.DataFrame, listed: pl.DataFrame, keys: list[str]) -> int:
    sizes = ours.group_by(keys).len().join(listed.group_by(keys).len(), on=keys, suffix=TARGET)
    return int((sizes["len"].cast(pl.Int64) * sizes[f"len{TARGET}"].cast(pl.Int64)).sum())
