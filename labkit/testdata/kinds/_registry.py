"""The kinds that are made for a whole column at once, by name."""

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from labkit.testdata._mac import Bits
from labkit.testdata.kinds._words import Words

Make = Callable[[Bits, Words], pl.Series]


@dataclass(frozen=True)
class Kind:
    """A kind of made-up values: how they are made, and what policy and audit have to know of them.

    make returns a text for each persona, in the words of one locale.
    is_unique: different people have different values; such a value is never cut.
    least_width: characters that a value needs, because a cut one could be equal to another's. 0 means that it
        may be cut.
    short makes a value of least_width characters for columns that have fewer than SHORT; None when there is
        no other form.
    is_direct: the real value identifies a person by itself.
    is_nobodys: the value is never a real person's.
    has_words: the real value has words by which a person is known; they are redacted in free text.
    """

    SHORT = 60

    make: Make
    is_unique: bool = False
    least_width: int = 0
    short: Make | None = None
    is_direct: bool = False
    is_nobodys: bool = False
    has_words: bool = False


KINDS: dict[str, Kind] = {}
"""Name of a kind → the kind."""


def kind(
    name: str,
    *,
    is_unique: bool = False,
    least_width: int = 0,
    short: Make | None = None,
    is_direct: bool = False,
    is_nobodys: bool = False,
    has_words: bool = False,
) -> Callable[[Make], Make]:
    """Register a function as the kind of this name; the others are the fields of `Kind`."""

    def register(make: Make) -> Make:
        KINDS[name] = Kind(make, is_unique, least_width, short, is_direct, is_nobodys, has_words)
        return make

    return register
