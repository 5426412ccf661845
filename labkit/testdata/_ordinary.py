"""Ordinary words that are also names: alone in a text they name nobody."""

from functools import cache
from importlib import import_module
from importlib.resources import files

import polars as pl

from labkit.testdata._reading import plain

LOCALES = ("da_DK", "de_DE", "en_US", "es_ES", "fr_FR", "it_IT", "nl_NL", "pl_PL")
"""Languages of whose ordinary words Faker has lists, for its made-up texts."""

LIST = "ordinary.txt"
"""Further words of these languages, which are names too: colours, months, trades, animals, landscapes."""

TITLES = frozenset(
    [
        "mr",
        "mrs",
        "ms",
        "miss",
        "mx",
        "sir",
        "madam",
        "family",
        "fam",
        "patient",
        "client",
        "customer",
        "herr",
        "herrn",
        "frau",
        "familie",
        "patientin",
        "kunde",
        "kundin",
        "monsieur",
        "madame",
        "mme",
        "mlle",
        "senor",
        "senora",
        "sr",
        "sra",
        "signor",
        "signora",
        "sig",
        "dhr",
        "mevr",
        "mevrouw",
    ]
)
"""Words before a name, in lower case and without accents."""

DOCTORS = frozenset({"dr", "prof", "doctor", "doktor"})
"""Words before the family name of whoever treats people, seldom before that of whom a text is about."""


@cache
def _words() -> pl.Series:
    lines = files(__package__).joinpath(LIST).read_text(encoding="utf-8").splitlines()
    listed = [word for line in lines if not line.startswith("#") for word in line.split()]
    for locale in LOCALES:
        listed += import_module(f"faker.providers.lorem.{locale}").Provider.word_list
    return plain(pl.Series(listed)).unique()


def ordinary(words: pl.Series) -> pl.Series:
    """Return for each word, in lower case and without accents, whether it is an ordinary one."""
    return words.is_in(_words().implode())
