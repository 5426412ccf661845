"""The words of one of Faker's locales, as tables from which whole columns are drawn."""

import re
from collections import Counter
from collections.abc import Collection, Mapping
from functools import cache, cached_property
from typing import Any

import numpy as np
import polars as pl
from faker import Factory
from faker.decode import unidecode
from faker.providers.person import Provider as AnyPerson

from labkit.errors import LabError

AMERICAN = "en_US"
ENTRIES = 1 << 16
"""Entries of a weighted table: the rarest name of Faker's has a weight of about one in 40,000."""

DRAWN = 1 << 12
"""Entries of a table that Faker's own method fills."""

SLUG = 15
"""The most characters of a name in an e-mail address or user name."""

NAME = re.compile(r"\{\{(first|last)_name\w*\}\}(\W*)\{\{(first|last)_name\w*\}\}")


class Words:
    """The tables of one locale; where a locale lacks its own words, they are those that Faker falls back on.

    A table has the same entries in each process and under each key.
    """

    def __init__(self, locale: str) -> None:
        """Take one of Faker's locales by its full name, such as de_DE."""
        self.locale = locale
        self._faker = Factory.create(locale, use_weighting=False)
        self._tables: dict[str, pl.Series] = {}

    def provider(self, topic: str) -> Any:  # noqa: ANN401 - each of Faker's providers has its own word lists
        """Return Faker's provider of a topic in this locale, such as "address"."""
        return self._faker.provider(f"faker.providers.{topic}")

    def is_american(self, topic: str) -> bool:
        """Return whether a topic's words are those of the United States, on which Faker falls back."""
        return bool(self.provider(topic).__lang__ == AMERICAN)

    def drawn(self, method: str) -> pl.Series:
        """Return a table of DRAWN values of one of Faker's methods.

        :raises LabError: when Faker has no such method in this locale.
        """
        if method not in self._tables:
            if not hasattr(self._faker, method):
                next_step = f"choose another locale for {method}, or another kind"
                raise LabError(f"a locale in which Faker has {method}", self.locale, next_step)
            self._faker.seed_instance(1)
            values = [str(self._faker.format(method)) for _ in range(DRAWN)]
            self._tables[method] = pl.Series(values)
        return self._tables[method]

    def of(self, topic: str, attribute: str) -> pl.Series:
        """Return a word list of a provider as a table, each word once."""
        if attribute not in self._tables:
            self._tables[attribute] = pl.Series(list(getattr(self.provider(topic), attribute)))
        return self._tables[attribute]

    @cached_property
    def genders(self) -> tuple[str, ...]:
        """The endings of Faker's methods for names: ("",) where family names are the same for everybody."""
        person = self.provider("person")
        apart = hasattr(person, "last_names_male") or person.first_names is AnyPerson.first_names
        return ("_male", "_female") if apart else ("",)

    @cached_property
    def first(self) -> pl.Series:
        """First names, each as often as its weight says: ENTRIES for each gender, one after the other."""
        return pl.concat([self._names(f"first_name{gender}") for gender in self.genders])

    @cached_property
    def last(self) -> pl.Series:
        """Family names, as `first`."""
        return pl.concat([self._names(f"last_name{gender}") for gender in self.genders])

    @cached_property
    def first_slug(self) -> pl.Series:
        """The first names as they stand in an e-mail address."""
        return self._slugs(self.first)

    @cached_property
    def last_slug(self) -> pl.Series:
        """The family names as they stand in an e-mail address."""
        return self._slugs(self.last)

    @cached_property
    def name_order(self) -> tuple[bool, str]:
        """Whether the family name stands first, and what stands between the names.

        It is the most frequent of the locale's formats of two names; without one, first name and family name.
        """
        formats = (NAME.fullmatch(form) for form in self.provider("person").formats)
        orders = Counter(
            (form[1] == "last", form[2])
            for form in formats
            if form and {form[1], form[3]} == {"first", "last"}
        )
        return orders.most_common(1)[0][0] if orders else (False, " ")

    def _names(self, method: str) -> pl.Series:
        """Return a table of ENTRIES names: the provider's list, or what its own method gives."""
        person, listed = self.provider("person"), method.replace("name", "names")
        names = getattr(person, listed, None)
        if names is None and method.endswith("male"):  # as Faker does: the same names for everybody
            return self._names(method.rpartition("_")[0])
        own = getattr(type(person), method) is not getattr(AnyPerson, method)
        if own or names is None or names is getattr(AnyPerson, listed, None):
            names = self.drawn(method).to_list()
        return weighted(names)

    def _slugs(self, names: pl.Series) -> pl.Series:
        """Return names in the letters of e-mail addresses, as Faker writes them; "x" for one without any."""
        replacements = tuple(self.provider("internet").replacements)
        slugs = {name: _slug(name, replacements) for name in names.unique().to_list()}
        return names.replace_strict(slugs, return_dtype=pl.String)


@cache
def words_of_locale(locale: str) -> Words:
    """Return the words of a locale, which are the same for every policy."""
    return Words(locale)


def weighted(names: Mapping[str, float] | Collection[str]) -> pl.Series:
    """Return a table of ENTRIES names, each as often as its weight says; without weights, equally often."""
    weights = names.values() if isinstance(names, Mapping) else [1.0] * len(names)
    shares = np.cumsum(list(weights))
    places = np.searchsorted(shares / shares[-1], np.arange(ENTRIES) / ENTRIES, side="right")
    return pl.Series(list(names)).gather(places)


def _slug(name: str, replacements: tuple[tuple[str, str], ...]) -> str:
    for letter, plain in replacements:
        name = name.replace(letter, plain)
    return re.sub(r"[^a-z0-9]", "", unidecode(name).lower())[:SLUG] or "x"
