"""Makes the made-up values of one policy: labkit's kinds by the column, Faker's other methods value by value.

A value of Faker's method follows from the persona and the method's name, because Faker is seeded anew for
each persona. The methods of own providers come before labkit's kinds, as if the provider were added to Faker.
"""

import difflib
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, time
from decimal import Decimal
from functools import partial
from hashlib import blake2b
from typing import Any
from uuid import UUID

import numpy as np
import polars as pl
from faker import Factory, Generator
from faker.providers import BaseProvider

from labkit.errors import LabError
from labkit.testdata import _rule
from labkit.testdata._locale import Locale, chosen
from labkit.testdata._mac import Bits
from labkit.testdata._rule import Rule, element, family, width
from labkit.testdata._schema import Column
from labkit.testdata.kinds import AMERICAN, KINDS, Kind, Words, words_of_locale

SCALARS = (str, int, float, Decimal, date, time, UUID, type(None))
"""What a column can take; bool is an int, and a datetime is a date."""

FORMS: Mapping[str, Callable[[str], object]] = {
    _rule.INTEGER: int,
    _rule.NUMBER: Decimal,
    _rule.DATE: lambda text: date.fromisoformat(text[:10]),
    _rule.UUID: UUID,
    _rule.JSON: json.loads,
    "boolean": ("False", "True").index,
}
"""Family of a column's type, or the type → what reads a text of it; other types are left to PostgreSQL."""

TOPICS = ("faker.providers.person", "faker.providers.address", "faker.providers.company")
"""Faker's providers of words by which people are known."""

SAMPLE = np.arange(1, 257, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(4)
"""The bits of people who are tried before any row is read."""

TRIED, FEW = 16, 32
"""How many of the sample are tried in a column. A kind with fewer different values than FEW in the whole of
the sample has few."""


class Fakes:
    """The kinds of one policy, with its locale and its own providers."""

    def __init__(self, locale: Locale | None = None, providers: Sequence[type[BaseProvider]] = ()) -> None:
        """Take the locale of all rules that have none, and providers of Faker; None is American English."""
        self._locale, self._providers = locale or {AMERICAN: 1.0}, tuple(providers)
        self._generators: dict[str, Generator] = {}
        # A generator is seeded before each value, and no other thread may come between.
        self._seeded = threading.Lock()

    def kind(self, rule: Rule) -> Kind:
        """Return the kind of a rule that fakes."""
        name = str(rule.argument)
        if self._is_whole(name):
            return KINDS[name]
        generator = self._generator(next(iter(rule.locale or self._locale)))
        of_people = [*self._providers, *map(generator.provider, TOPICS)]
        has_words = _has(of_people, name) and not hasattr(BaseProvider, name)
        return Kind(partial(self._by_method, name, rule.arguments), has_words=has_words)

    def keeps_apart(self, rule: Rule) -> bool:
        """Return whether different values stay different under a rule."""
        fakes = rule.kind == "fake" and rule.by is None
        return rule.kind in _rule.UNIQUE or (fakes and self.kind(rule).is_unique)

    def has_few(self, rule: Rule) -> bool:
        """Return whether a rule fakes by so few values that many people get their own one by chance."""
        if rule.kind != "fake" or self._is_whole(str(rule.argument)):
            return False
        return self.make(rule, SAMPLE, None).n_unique() < FEW

    def make(self, rule: Rule, bits: Bits, most: int | None, people: Bits | None = None) -> pl.Series:
        """Return a made-up value for each persona, cut to most characters; None does not cut.

        people are the personas that decide the locale; None means those of bits.
        """
        locale, kind = rule.locale or self._locale, self.kind(rule)
        if len(locale) == 1:
            return _of_kind(kind, bits, words_of_locale(*locale), most)
        whose = chosen(bits if people is None else people, locale)
        parts = [
            _of_kind(kind, bits[whose == number], words_of_locale(name), most)
            for number, name in enumerate(locale)
        ]
        # The parts stand one after the other; each value goes back to its row.
        return pl.concat(parts).gather(np.argsort(np.argsort(whose, kind="stable")))

    def misfit(self, rule: Rule, column: Column) -> str | None:
        """Return why a rule's made-up values do not fit a column, as half a sentence; None when they do."""
        if rule.kind != "fake":
            return None
        least, of = self.kind(rule).least_width, element(column.type)
        if least > (width(column.narrowest) or least):
            return f"the rule needs {least} characters, and the column is {column.narrowest}"
        kind = family(of)
        read = FORMS.get(of if kind == _rule.OTHER else kind, str)
        for text in self.make(rule, SAMPLE[:TRIED], None).drop_nulls().to_list():
            try:
                read(text)
            except (ValueError, ArithmeticError):
                shape = f"the values of {rule.argument} look like {text[:40]!r}"
                return f"{shape}, and the column is {column.type}"
        return None

    def check(self, place: str, rule: Rule) -> None:
        """Try the kind of a rule that fakes in each of its locales; place is the column: "customers.name".

        :raises LabError: when there is no such kind, it does not take the arguments, or it does not give one
            value.
        """
        name = str(rule.argument)
        if self._is_whole(name):
            if rule.arguments:
                seen = f"arguments {', '.join(rule.arguments)}"
                raise LabError(f"{place}: {name} without arguments", seen, f"take them out of {place}")
            self.make(rule, SAMPLE, None)
            return
        for locale in rule.locale or self._locale:
            providers = self._generator(locale).get_providers()
            if not _has(providers, name):
                raise _unknown(place, name, locale, providers)
            value = self._value(place, name, rule.arguments, locale)
            if not isinstance(value, SCALARS):
                seen = f"{name} gives a {type(value).__name__}"
                next_step = f"choose a kind of one value for {place}, such as name or job"
                raise LabError(f"{place}: a kind that gives one value, as a column takes", seen, next_step)

    def _value(self, place: str, name: str, arguments: Mapping[str, Any], locale: str) -> object:
        expected = f"{place}: {name} makes a value with these arguments"
        with self._seeded, _explained(expected, f"correct the arguments of {place}"):
            return self._generator(locale).seed_instance(1).format(name, **arguments)

    def _by_method(self, name: str, arguments: Mapping[str, Any], bits: Bits, words: Words) -> pl.Series:
        """Return what a method of Faker's gives for each persona, once for all rows of the same one."""
        generator = self._generator(words.locale)
        method = partial(generator.get_formatter(name), **arguments)
        salt = int.from_bytes(blake2b(name.encode(), digest_size=8).digest())
        different, places = np.unique(bits, return_inverse=True)
        values: list[str | None] = []
        with self._seeded, _explained(f"a value of {name} for each person", "correct the provider"):
            for persona in different.tolist():
                generator.seed_instance(persona ^ salt)
                value = method()
                values.append(None if value is None else str(value))
        return pl.Series(values, dtype=pl.String).gather(places)

    def _generator(self, locale: str) -> Generator:
        """Return Faker's generator of a locale, with the own providers."""
        if locale not in self._generators:
            generator = Factory.create(locale)
            for provider in self._providers:
                generator.add_provider(provider)
            self._generators[locale] = generator
        return self._generators[locale]

    def _is_whole(self, name: str) -> bool:
        """Return whether a kind is labkit's, made for whole columns, and no own provider replaces it."""
        return name in KINDS and not _has(self._providers, name)


def _of_kind(kind: Kind, bits: Bits, words: Words, most: int | None) -> pl.Series:
    if most is not None and kind.short and most < kind.SHORT:
        return kind.short(bits, words)
    made = kind.make(bits, words)
    return made if most is None or kind.is_unique else made.str.slice(0, most)


@contextmanager
def _explained(expected: str, next_step: str) -> Iterator[None]:
    """Raise a LabError for whatever a method of Faker's or of an own provider raises."""
    try:
        yield
    except Exception as problem:
        seen = f"{type(problem).__name__}: {problem}"
        raise LabError(expected, seen, f"{next_step}, or choose another kind") from problem


def _has(providers: Iterable[object], name: str) -> bool:
    """Return whether any of the providers has a method that is a kind."""
    return not name.startswith("_") and any(callable(getattr(provider, name, None)) for provider in providers)


def _unknown(place: str, name: str, locale: str, providers: Iterable[object]) -> LabError:
    methods = {method for provider in providers for method in dir(provider) if _has([provider], method)}
    near = difflib.get_close_matches(name, sorted({*KINDS, *methods}), n=3, cutoff=0.5)
    next_step = f"write {' or '.join(near)} instead of {name}" if near else "choose one of them"
    expected = f"{place}: fake = one of {', '.join(KINDS)}, or another method of Faker's in {locale}"
    return LabError(expected, repr(name), next_step)
