"""Removes from free text what the audit would find in it, every part of a known name, and all numbers.

The known names are those in the columns that name people. A name that does not stand in these columns stays
in the text, and so does an ordinary word that is a name too ("may", "Young") when nothing beside it says that
it is one. A text that no test needs is therefore better made null.
"""

import re
from collections.abc import Iterator

import polars as pl

from labkit.testdata._forms import Forms
from labkit.testdata._names import words
from labkit.testdata._reading import ENCODED, PIECE, SAYS_AT, SPACED, plain_of, unfolded, where

REMOVED = "[removed]"

# E-mail and web addresses, spelled-out ones too; then dates, telephone and other numbers of three digits or
# more, however they are grouped.
ADDRESSES = r"[^\s@<>]+@[^\s@<>]+|\b(?:https?://|www\.)\S+"
DOT = r"(?:\.|\s*[\[({<]\s*(?:dot|punkt|\.)\s*[\])}>]\s*|[\s_-]+(?:dot|punkt)[\s_-]+)"
AT = r"(?:\s*[\[({<]\s*(?:at|@|ät)\s*[\])}>]\s*|[\s_-]+at[\s_-]+|\s*@\s*)"
SPELLED = rf"(?i)[\w+-]+(?:{DOT}[\w+-]+)*{AT}[\w-]+(?:{DOT}[\w-]+)*{DOT}[a-z]{{2,}}\b"
NUMBERS = r"[+(]*\d(?:[\s().\-/]*\d){2,}"


class Redactor:
    """Removes the forms of people from texts, and all addresses and numbers."""

    def __init__(self, forms: Forms) -> None:
        """Take the people; forms with their parts, so that one part of a name is removed too."""
        self._forms = forms

    def redact(self, texts: pl.Series) -> pl.Series:
        """Return the texts with what identifies a person replaced by "[removed]"; None stays None.

        A text in unusual letters, such as full-width ones, gets usual ones when something was removed.
        """
        usual = unfolded(texts)
        redacted = self._names(self._pieces(usual))
        same = (redacted == usual).fill_null(value=True)
        return texts.zip_with(same, redacted)

    def _pieces(self, texts: pl.Series) -> pl.Series:
        """Remove encoded pieces that hold something to remove, then addresses and numbers."""
        texts = where(texts, ENCODED, self._encoded)
        texts = where(texts, SAYS_AT, lambda own: own.str.replace_all(SPELLED, REMOVED))
        return texts.str.replace_all(ADDRESSES, REMOVED).str.replace_all(NUMBERS, REMOVED)

    def _encoded(self, texts: pl.Series) -> pl.Series:
        listed = texts.to_list()
        within = {match[0]: plain_of(match[0]) for text in listed for match in PIECE.finditer(text)}
        within |= {match[0]: match[0].replace(" ", "") for text in listed for match in SPACED.finditer(text)}
        within = {piece: inner for piece, inner in within.items() if inner}
        if not within:
            return texts
        clean = self.redact(pl.Series(list(within.values())))
        gone = {piece for (piece, inner), left in zip(within.items(), clean, strict=True) if left != inner}

        def unless_clean(match: re.Match[str]) -> str:
            return REMOVED if match[0] in gone else match[0]

        redacted = [SPACED.sub(unless_clean, PIECE.sub(unless_clean, text)) for text in listed]
        return pl.Series(redacted, dtype=pl.String)

    def _names(self, texts: pl.Series) -> pl.Series:
        """Remove the words of names. Only the texts that have some are taken apart."""
        hits = self._forms.names_in(texts).select("row", "at", "words").unique()
        if hits.is_empty():
            return texts
        ranges = hits.select("row", pl.int_ranges("at", pl.col("at") + pl.col("words")).alias("at"))
        places = ranges.explode("at").group_by("row").agg(pl.col("at").unique())
        listed = words(texts.gather(places["row"])).to_list()
        whole = texts.gather(places["row"]).to_list()
        redacted = [_without(*each) for each in zip(whole, listed, places["at"].to_list(), strict=True)]
        return texts.clone().scatter(places["row"], pl.Series(redacted, dtype=pl.String))


def _without(text: str, listed: list[str], places: list[int]) -> str:
    """Return a text without the words at these places of its list of words."""
    return "".join(_parts(text, listed, set(places)))


def _parts(text: str, listed: list[str], places: set[int]) -> Iterator[str]:
    end, joined = 0, False
    for place, word in enumerate(listed):
        start = text.index(word, end)
        # "FirstLast" is one piece, and "[removed]" stays as it is when somebody is called Removed.
        gone = place in places and text[start - 1 : start + len(word) + 1] != REMOVED
        if not gone or start > end or not joined:
            yield text[end:start] + (REMOVED if gone else word)
        end, joined = start + len(word), gone
    yield text[end:]
