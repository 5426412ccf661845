"""The kinds of made-up values that are made for a whole column at once, by topic.

A function with `@kind` makes the values of one kind. Every module of this package is imported for that, so a
new kind is one new file here. A kind has the name of Faker's method for the same, and Faker's methods without
a function here are kinds too, value by value (`labkit.testdata._fakes`).
"""

from importlib import import_module
from pkgutil import iter_modules

from labkit.testdata._mac import Bits
from labkit.testdata.kinds._draw import NAMED, hexadecimal, joined, numbers, part, pick
from labkit.testdata.kinds._registry import KINDS, Kind, kind
from labkit.testdata.kinds._words import AMERICAN, Words, words_of_locale

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = [
    "AMERICAN",
    "KINDS",
    "NAMED",
    "Bits",
    "Kind",
    "Words",
    "hexadecimal",
    "joined",
    "kind",
    "numbers",
    "part",
    "pick",
    "words_of_locale",
]
