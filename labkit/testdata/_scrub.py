"""Takes out of free text what identifies someone: every word of a known name or address, and all numbers.

What is known is what stands in the columns that the policy fakes. The name of a person who stands in none of
them stays, so that a text that nobody needs is better made null.
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


class Scrubber:
    """Scrubs texts of a set of words."""

    def __init__(self, words: Iterable[str]) -> None:
        """Take the words, in any case."""
        self._words = frozenset(map(plain, words))

    def scrub(self, texts: pl.Series) -> pl.Series:
        """Return the texts with what identifies someone replaced by "[removed]"; None stays None."""
        marked = texts.str.replace_all(ADDRESSES, REMOVED).str.replace_all(NUMBERS, REMOVED)
        scrubbed = [None if text is None else WORDS.sub(self._word, text) for text in marked.to_list()]
        return pl.Series(scrubbed, dtype=pl.String)

    def _word(self, found: re.Match[str]) -> str:
        word = found[0]
        return REMOVED if plain(word) in self._words and word != "removed" else word


@lru_cache(1 << 16)
def plain(word: str) -> str:
    """Return a word in lower case and without accents: "Ångström" and "ANGSTROM" are the same name."""
    letters = unicodedata.normalize("NFKD", word.casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def words_of(values: pl.Series) -> set[str]:
    """Return the words of names or addresses, in lower case; single letters and numbers are none."""
    found = values.drop_nulls().str.to_lowercase().str.extract_all(LETTERS)
    return set(found.explode().drop_nulls().unique().to_list())
