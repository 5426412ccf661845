"""What a look at some values says about a column."""

import re
from collections.abc import Callable
from functools import cache

import polars as pl

from labkit.testdata._column_name import plain_name
from labkit.testdata._rule import Rule
from labkit.testdata.kinds import words_of_locale

MOST, NEARLY_ALL = 0.5, 0.9
"""More than this share of a column's values has to fit; with the second, the column is that for certain."""

WORDS = 3.0
"""A text of more words than this on average is free text."""

ENOUGH, REPEATED = 50, 0.2
"""A column is of categories if so many values were seen and the different ones are at most this share."""

LOCALES = ("en_US", "en_GB", "de_DE", "fr_FR", "es_ES")
TITLES = re.compile(r"\b(dr|prof|mr|mrs|ms|herr|frau|mme|sr|sra|don|dona)\b\.?", re.IGNORECASE)

EMAIL = Rule("fake", "email")
CODE = Rule("pseudonymize")

WORD = re.compile(r"[^\W\d_]+\.?([-'’][^\W\d_]+)*")
MOST_WORDS = 4


def _iban(text: str) -> bool:
    """Return whether a text is an IBAN, whose check digits make the remainder 1 (ISO 13616)."""
    bare = text.replace(" ", "")
    if not re.fullmatch(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}", bare):
        return False
    return int("".join(str(int(sign, 36)) for sign in bare[4:] + bare[:4])) % 97 == 1


def _card(text: str) -> bool:
    """Return whether a text is a payment card's number, whose check digit is Luhn's (ISO/IEC 7812-1)."""
    bare = re.sub(r"[ -]", "", text)
    if not re.fullmatch(r"[2-6]\d{12,18}", bare):
        return False
    doubled = (str(int(sign) * (1 + place % 2)) for place, sign in enumerate(reversed(bare)))
    return sum(map(int, "".join(doubled))) % 10 == 0


def _phone(text: str) -> bool:
    """Return whether a text can be a telephone number: at most fifteen digits (ITU-T E.164)."""
    form = re.fullmatch(r"\+?[\d ().\-/]{7,24}( ?x\d+)?", text)
    return bool(form) and bool(re.fullmatch(r"\d{7,15}", re.sub(r"x.*|\D", "", text)))


def _matches(pattern: str) -> Callable[[str], bool]:
    form = re.compile(pattern, re.IGNORECASE)
    return lambda text: bool(form.fullmatch(text))


DATE = r"\d{4}-\d\d-\d\d([T ].*)?|\d{1,2}[./]\d{1,2}[./]\d{2,4}"
LOOKS: tuple[tuple[Callable[[str], bool], Rule, str], ...] = (
    (_matches(r"[^\s@]+@[^\s@]+\.[^\s@]+"), EMAIL, "e-mail addresses"),
    (_matches(r"\d{3}-\d{2}-\d{4}"), Rule("format_preserving", "###-##-####"), "social security numbers"),
    (_matches(r"\d{1,3}(\.\d{1,3}){3}(/\d+)?"), Rule("fake", "ipv4"), "internet addresses"),
    (_matches(r"([0-9a-f]{2}[:-]){5}[0-9a-f]{2}"), Rule("fake", "mac_address"), "addresses of network cards"),
    (_matches(r"([0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(/\d+)?"), Rule("fake", "ipv6"), "internet addresses"),
    (_matches(r"(https?://|www\.).*"), Rule("fake", "url"), "web addresses"),
    (_iban, Rule("fake", "iban"), "bank accounts"),
    (_card, Rule("fake", "credit_card_number"), "payment cards"),
    (_matches(DATE), CODE, "dates that are written as texts"),
    (_phone, Rule("fake", "phone_number"), "telephone numbers"),
    (_matches(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32,}"), CODE, "identifiers or hashes"),
    (lambda text: _is_name(text, 2), Rule("fake", "name"), "people's names"),
    (lambda text: _is_name(text, 1), Rule("fake", "first_name"), "first names"),
)


@cache
def _names() -> tuple[frozenset[str], frozenset[str]]:
    """Return the first names and all names of LOCALES, without accents."""
    people = [words_of_locale(locale).provider("person") for locale in LOCALES]
    first = {plain_name(str(name)) for person in people for name in person.first_names}
    last = {plain_name(str(name)) for person in people for name in person.last_names}
    return frozenset(first), frozenset(first | last)


def _is_name(text: str, least: int) -> bool:
    """Return whether a text is of so many to four words, titles among them, and has a known name.

    A single word has to be a first name: many family names are words too.
    """
    words, titles = re.findall(r"[^\s,]+", TITLES.sub(" ", text)), TITLES.findall(text)
    if (
        not least <= len(words) + len(titles) <= MOST_WORDS
        or not words
        or not all(map(WORD.fullmatch, words))
    ):
        return False
    first, known = _names()
    if len(words) + len(titles) == 1:
        return plain_name(words[0]) in first
    return words[0][0].isupper() and any(plain_name(word) in known for word in words)


def by_values(texts: pl.Series) -> tuple[Rule, str, bool] | None:
    """Return the rule that values suggest, what they look like, and whether for certain; None for no idea.

    texts are neither None nor "".
    """
    different = texts.unique().to_list()
    if not different:
        return None
    for fits, rule, what in LOOKS:
        share = sum(map(fits, different)) / len(different)
        if share > MOST:
            return rule, what, share >= NEARLY_ALL
    return None


def is_free(texts: pl.Series) -> bool:
    """Return whether values are texts of several words."""
    return bool(len(texts)) and float(texts.str.count_matches(r"\S+").sum()) > WORDS * len(texts)


def is_category(texts: pl.Series) -> bool:
    """Return whether a few values are repeated all the time, so that they say of what sort a row is."""
    return len(texts) >= ENOUGH and texts.n_unique() <= REPEATED * len(texts)


def form_of(texts: pl.Series) -> str | None:
    """Return the one form that all values have, with # for a digit; None when there are several, or none."""
    forms = texts.str.replace_all(r"[0-9]", "#").unique().to_list()
    form = forms[0] if len(forms) == 1 else ""
    return form if re.fullmatch(r"[#\W_]+", form) else None
