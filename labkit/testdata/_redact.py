"""Removes from free text what identifies a person: every word of a known name or address, and all numbers.

The known words are those in the columns that the policy fakes. A name that does not stand in these columns
stays in the text. A text that no test needs is therefore better made null.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

import polars as pl

REMOVED = "[removed]"

# E-mail and web addresses; then dates, telephone and other numbers of three digits or more, however they are
# grouped.
ADDRESSES = r"[^\s@<>]+@[^\s@<>]+|\b(?:https?://|www\.)\S+"
NUMBERS = r"[+(]*\d(?:[\s().\-/+]*\d){2,}"
WORDS = re.compile(r"\w+")
LETTERS = r"[\p{L}][\p{L}\p{M}]+"


class Redactor:
    """Removes a set of words from texts, and all addresses and numbers."""

    def __init__(self, words: Iterable[str]) -> None:
        """Take the words, in any case."""
        self._words = frozenset(map(plain, words))

    def redact(self, texts: pl.Series) -> pl.Series:
        """Return the texts with what identifies a person replaced by "[removed]"; None stays None."""
        marked = texts.str.replace_all(ADDRESSES, REMOVED).str.replace_all(NUMBERS, REMOVED)
        redacted = [None if text is None else WORDS.sub(self._word, text) for text in marked.to_list()]
        return pl.Series(redacted, dtype=pl.String)

    def _word(self, match: re.Match[str]) -> str:
        # Somebody may be called "Removed"; without the exception "[removed]" would become "[[removed]]".
        word = match[0]
        return REMOVED if plain(word) in self._words and word != "removed" else word


@lru_cache(1 << 16)
def plain(word: str) -> str:
    """Return a word in lower case and without accents: "Ångström" and "ANGSTROM" are the same name."""
    letters = unicodedata.normalize("NFKD", word.casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def words_of(values: pl.Series) -> set[str]:
    """Return the words of names or addresses, in lower case; single letters and numbers are left out."""
    words = values.drop_nulls().str.to_lowercase().str.extract_all(LETTERS)
    return set(words.explode().drop_nulls().unique().to_list())
