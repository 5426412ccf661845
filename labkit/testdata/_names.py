"""The forms of a name: turned round, shortened to an initial, joined, and the family name alone."""

import polars as pl

from labkit.testdata._ordinary import DOCTORS, TITLES, ordinary
from labkit.testdata._reading import plain, where

FULL, PAIR, INITIAL, DOTTED, LAST, TITLED, PART = range(7)
"""How much a form needs around it to count. FULL: nothing, it is two parts of one person, a number or an
e-mail address. PAIR: capitals, because both parts are ordinary words. INITIAL: two words, or a long one.
DOTTED: "Z. Young", because "a young" are ordinary words. LAST: a capital. TITLED: a title, as in "Mr Young".
PART: one part of a name, which names nobody but is redacted."""

LEAST, SHORT = 5, 4
"""Letters of a full name, and of a family name alone."""

# A name in camel case is two words; a dot after a single letter belongs to it.
CAMEL = r"(\p{Ll})(\p{Lu})"
WORD, PLAIN_WORD = r"\b\p{Lu}\.|[\p{L}\p{M}\p{N}]+", r"[\p{L}\p{N}]+"
IDEOGRAPH = r"(\p{Han}|\p{Hiragana}|\p{Katakana}|\p{Hangul})"

# How Germans and Danes write their letters without them.
GERMAN = {"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"}

BEFORE = "|".join(sorted(TITLES | DOCTORS))
NAMELESS = rf"(?i)^(?:(?:{BEFORE})\b\.?\s*)+|(?:[\s,]+(?:jr|sr|md|dds|phd|dvm|i{{2,3}}|iv)\.?)+$"
FAMILY_FIRST = r"^([^,]+),\s*(.+)$"
PARTICLES = "van|von|de|del|della|di|da|dos|das|du|la|le|al|el|bin|ibn|ben|ter|ten|der|den|zu|zur|vom"
FAMILY_LAST = rf"(?i)^(?:(.*?)\s+)??((?:(?:{PARTICLES})\s+)*\S+)$"


def words(texts: pl.Series) -> pl.Series:
    """Return the words of each text as a list, as they are written; a name in camel case is two."""
    return _apart(texts).str.extract_all(WORD)


def plain_words(texts: pl.Series) -> pl.Series:
    """Return the words of each text as a list, in lower case and without accents."""
    return plain(_apart(texts)).str.extract_all(PLAIN_WORD)


def _apart(texts: pl.Series) -> pl.Series:
    apart = texts.str.replace_all(CAMEL, "$1 $2")
    return where(apart, IDEOGRAPH, lambda own: own.str.replace_all(IDEOGRAPH, " $1 "))


def first_and_last(names: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return first and family names of whole names: "Ann van Dyk", "van Dyk, Ann", "Dr. Ann van Dyk"."""
    bare = usual_letters(names).str.replace_all(NAMELESS, "").str.strip_chars()
    turned, usual = bare.str.extract_groups(FAMILY_FIRST), bare.str.extract_groups(FAMILY_LAST)
    first = turned.struct.field("2").fill_null(usual.struct.field("1")).fill_null("")
    return first, turned.struct.field("1").fill_null(usual.struct.field("2")).fill_null("")


def usual_letters(texts: pl.Series) -> pl.Series:
    """Return texts in the letters in which `unfolded` reads them."""
    return where(texts, r"[^\x00-\x7F]", lambda own: own.str.normalize("NFKC"))


def in_german(named: pl.DataFrame) -> pl.DataFrame:
    """Return those people whose names can be written without their umlauts, written so."""
    german = named.filter(pl.any_horizontal(pl.all().str.contains("(?i)[äöüåø]")))
    return german.with_columns(pl.all().str.replace_many(GERMAN))


def taken_apart(named: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series]:
    """Return people by the parts of their names, and the words that these are made of.

    named has the columns first and last. People have the columns given (all first names), one (the first of
    them), family, who (a number of the person), and whether one and family are ordinary words. Of a family
    name of several words, each may stand for the whole.
    """
    first, last = _parsed(named["first"], "first"), _parsed(named["last"], "last")
    given = first.select("first", given="joined", one=pl.col("words").list.first().fill_null(""))
    given = given.with_columns(ordinary(given["one"]).alias("one is ordinary"))
    people = named.join(given, on="first").join(_families(last), on="last")
    who = pl.col("given").hash() ^ pl.col("whole").hash(1)
    people = people.with_columns(who=who).drop("first", "last", "whole")
    single = [each["words"].explode(empty_as_null=False) for each in (first, last)]
    return people, pl.concat([*single, *_joints(named, first, last)]).drop_nulls().unique()


def _families(last: pl.DataFrame) -> pl.DataFrame:
    """Return what may stand for each family name: itself, or one of its words."""
    parts = last.filter(pl.col("words").list.len() > 1).explode("words", empty_as_null=False)
    parts = parts.filter(pl.col("words").str.len_chars() >= SHORT)
    wholes = (last.with_columns(words="joined"), parts)
    family = pl.concat(each.select("last", family="words", whole="joined") for each in wholes)
    family = family.filter(pl.col("family") != "").unique()
    short = (family["family"].str.len_chars() < SHORT) & ~family["family"].str.contains(IDEOGRAPH)
    return family.with_columns((ordinary(family["family"]) | short).alias("family is ordinary"))


def _joints(named: pl.DataFrame, first: pl.DataFrame, last: pl.DataFrame) -> list[pl.Series]:
    """Return the words in "jean-lucquackenbush", which is joined, but not at the inner hyphen."""
    both = named.join(first, on="first").join(last, on="last", suffix=" of last")
    one, other = pl.col("words"), pl.col("words of last")
    several = both.filter((one.list.len() > 1) | (other.list.len() > 1))
    joints = (one.list.last() + other.list.first(), other.list.last() + one.list.first())
    return [several.select(joint).to_series() for joint in joints]


def _parsed(texts: pl.Series, name: str) -> pl.DataFrame:
    """Take different texts apart once, however many people have them."""
    own = texts.unique()
    listed = plain_words(usual_letters(own))
    return pl.DataFrame([own.alias(name), listed.alias("words"), listed.list.join("").alias("joined")])


def full_forms(people: pl.DataFrame) -> pl.DataFrame:
    """Return first and family name in both orders: hash and level."""
    level = pl.when(pl.col("one is ordinary") & pl.col("family is ordinary")).then(PAIR).otherwise(FULL)
    both = people.filter(pl.col("given") != "").with_columns(level.cast(pl.UInt8).alias("level"))
    several = both.filter(pl.col("given") != pl.col("one"))
    return pl.concat(
        _enough(some, given).select(text.hash().alias("hash"), "level")
        for given, some in (("given", both), ("one", several))
        for text in (pl.col(given) + pl.col("family"), pl.col("family") + pl.col(given))
    )


def _enough(people: pl.DataFrame, given: str) -> pl.DataFrame:
    letters = pl.col(given).str.len_chars() + pl.col("family").str.len_chars()
    return people.filter((letters >= LEAST) | pl.col("family").str.contains(IDEOGRAPH))


def short_forms(people: pl.DataFrame) -> pl.DataFrame:
    """Return initials with family names, and family names alone: hash, level, of, and how many have it.

    people have an initial ("" for none), family, who, whether the family name is ordinary, and of.
    """
    initial, family = pl.col("initial"), pl.col("family")
    count = pl.col("who").n_unique().alias("people")
    named = people.group_by("family", "ordinary", "of").agg(count)
    lettered = people.filter(initial != "").group_by("initial", "family", "ordinary", "of").agg(count)
    alone = pl.when("ordinary").then(TITLED).otherwise(LAST)
    short = pl.when("ordinary").then(DOTTED).otherwise(INITIAL)
    return pl.concat(
        frame.select(text.hash().alias("hash"), level.cast(pl.UInt8).alias("level"), "of", "people")
        for frame, text, level in (
            (named, family, alone),
            (named, family + "s", alone),
            (lettered, initial + family, short),
            (lettered, family + initial, short),
        )
    )
