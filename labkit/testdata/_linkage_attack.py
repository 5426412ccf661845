"""The linkage attack: somebody with a list of people looks each of them up in the test database.

The list is the worst case: it has everybody who is in production, with the true values of all columns that
describe a person or name one. The attacker knows the policy, but not the key.
"""

import hashlib
from dataclasses import dataclass

import polars as pl

from labkit.testdata._compare import TARGET, Compared
from labkit.testdata._quasi_identifier import WHOLE, QuasiIdentifier, number, prefixes
from labkit.testdata._read import KEY
from labkit.testdata._rule import DATE, NUMBER

DIGESTS = {32: "md5", 40: "sha1", 64: "sha256"}
"""Length of a digest in hexadecimal digits → the hash function that makes it."""

MOST_PAIRS = 20_000_000
"""Windows are compared pair by pair. Above this number of pairs they are left out, and texts alone decide."""

WINDOW = "within "


@dataclass(frozen=True)
class LinkageAttack:
    """What the attack achieved.

    people counts the people in the target, claimed those whom exactly one person on the list fits, right the
    claims that are true.
    """

    people: int
    claimed: int
    right: int


def digests(pairs: pl.DataFrame, columns: list[str]) -> list[QuasiIdentifier]:
    """Return the columns of the target that hold a bare hash of the true value."""
    hashed = []
    for column in columns:
        both = (
            pairs.select(pl.col(column).alias("was"), pl.col(column + TARGET).alias("is"))
            .drop_nulls()
            .head(20)
        )
        name = DIGESTS.get(len(both["is"][0])) if len(both) else None
        if name and all(_digest(was, name) == now.lower() for was, now in both.iter_rows()):
            hashed.append(QuasiIdentifier(column, WHOLE, hashed_by=name))
    return hashed


def _digest(text: str, name: str) -> str:
    return hashlib.new(name, text.encode(), usedforsecurity=False).hexdigest()


def attack(compared: Compared, identifiers: list[QuasiIdentifier]) -> LinkageAttack:
    """Look everybody up. A claim is made where one row fits one person, and each fits no other.

    identifiers tell what can be compared in which column. Rows of compared have those columns as they are.
    """
    people = len(compared.target)
    ours = _comparable(compared.target, identifiers, target=True)
    listed = _comparable(compared.source, identifiers, target=False)
    keys = [name for name in ours.columns if name != KEY and not name.startswith(WINDOW)]
    windows = [identifier for identifier in identifiers if identifier.within is not None]
    if not keys and not windows:
        return LinkageAttack(people, 0, 0)
    ours, listed = (frame.with_columns(pl.lit(0).alias("all")) for frame in (ours, listed))
    keys.append("all")
    if not windows or _pairs(ours, listed, keys) > MOST_PAIRS:
        # Without windows, who shares all values with somebody cannot be claimed, and need not be joined.
        ours, listed = (frame.filter(pl.len().over(keys) == 1) for frame in (ours, listed))
        windows = []
    fits = ours.join(listed, on=keys, how="inner", suffix=TARGET)
    for identifier in windows:
        column = WINDOW + identifier.column
        away = (pl.col(column) - pl.col(column + TARGET)).abs()
        fits = fits.filter(away.is_null() | (away <= identifier.within))
    one = fits.filter((pl.len().over(KEY) == 1) & (pl.len().over(KEY + TARGET) == 1))
    return LinkageAttack(people, len(one), int((one[KEY] == one[KEY + TARGET]).sum()))


def _comparable(frame: pl.DataFrame, identifiers: list[QuasiIdentifier], *, target: bool) -> pl.DataFrame:
    """Return what can be compared: texts under the columns' names, numbers under WINDOW and the name."""
    hashed = [
        _by_digest(frame, identifier, target=target) for identifier in identifiers if identifier.hashed_by
    ]
    moved = [
        number(frame[identifier.column], _kind(frame[identifier.column])).alias(WINDOW + identifier.column)
        for identifier in identifiers
        if identifier.within is not None
    ]
    return frame.select(KEY, *prefixes(identifiers)).with_columns(*hashed, *moved)


def _kind(values: pl.Series) -> str:
    """Return whether texts are dates or numbers; the first character may be a number's minus sign."""
    first = values.drop_nulls().head(1).to_list()
    return DATE if first and "-" in first[0][1:] else NUMBER


def _by_digest(frame: pl.DataFrame, identifier: QuasiIdentifier, *, target: bool) -> pl.Series:
    """Return a column's digests: the target has them already, the list's values are hashed here."""
    own = frame[identifier.column]
    values = (
        own
        if target
        else pl.Series(
            [text and _digest(text, identifier.hashed_by) for text in own.to_list()], dtype=pl.String
        )
    )
    return values.fill_null("").alias(identifier.column)


def _pairs(ours: pl.DataFrame, listed: pl.DataFrame, keys: list[str]) -> int:
    sizes = ours.group_by(keys).len().join(listed.group_by(keys).len(), on=keys, suffix=TARGET)
    return int((sizes["len"].cast(pl.Int64) * sizes[f"len{TARGET}"].cast(pl.Int64)).sum())
