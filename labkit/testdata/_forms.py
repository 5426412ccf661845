"""The forms in which a person shows in texts: one notion for the audit, which finds them, and for `redact`.

A name is found in its usual order and turned round, with its first name shortened to an initial, joined to
one word, and in any case, accent and punctuation between its parts. A family name alone counts when so few
people bear it that it names one, and when it is no ordinary word.
"""

from collections import Counter
from collections.abc import Iterator

import polars as pl

from labkit.testdata._ordinary import TITLES, ordinary
from labkit.testdata._read import hashed, national, normalized
from labkit.testdata._reading import plain, with_addresses

FULL, PAIR, INITIAL, DOTTED, LAST, TITLED, PART = range(7)
"""How much a form needs around it to count. FULL: nothing, it is two parts of one person, a number or an
e-mail address. PAIR: capitals, because both parts are ordinary words. INITIAL: two words, or a long one.
DOTTED: "Z. Young", because "a young" are ordinary words. LAST: a capital. TITLED: a title, as in "Mr Young".
PART: one part of a name, which names nobody but is redacted."""

CROWD = 12
"""A name of so many people names none of them: each is meant with a probability of at most 0.09."""

LONGEST, HEAD, NEAR = 5, 3, 4
"""Words of a name that are searched for together, those of another value, and how near two parts stand."""

LEAST, SHORT, LONG, ENOUGH = 5, 4, 6, 6
"""Letters of a full name; of a family name alone; of an initial and a family name in one word; of a value."""

# A name in camel case is two words; a dot after a single letter belongs to it.
CAMEL = r"(\p{Ll})(\p{Lu})"
WORD, PLAIN_WORD = r"\b\p{Lu}\.|[\p{L}\p{M}\p{N}]+", r"[\p{L}\p{N}]+"
CAPITAL = r"^[\p{Lu}\p{Lt}\p{Lo}]"
IDEOGRAPH = r"(\p{Han}|\p{Hiragana}|\p{Katakana}|\p{Hangul})"
NUMBER = r"\d(?:[^\p{L}\p{N}]{0,3}\d){6,}"
ADDRESS = r"[\p{L}\p{N}._%+'-]+@[\p{L}\p{N}.-]+"

# How Germans and Danes write their letters without them.
GERMAN = {"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"}

NAMELESS = (
    rf"(?i)^(?:(?:{'|'.join(sorted(TITLES))})\b\.?\s*)+|(?:[\s,]+(?:jr|sr|md|dds|phd|dvm|i{{2,3}}|iv)\.?)+$"
)
FAMILY_FIRST = r"^([^,]+),\s*(.+)$"
PARTICLES = "van|von|de|del|della|di|da|dos|das|du|la|le|al|el|bin|ibn|ben|ter|ten|der|den|zu|zur|vom"
FAMILY_LAST = rf"(?i)^(?:(.*?)\s+)??((?:(?:{PARTICLES})\s+)*\S+)$"

HITS = ("row", "at", "words", "hash", "of", "level", "people")
"""The columns of what is found: the number of the text, the place and number of the words, the form and its
origin, and how many people have the form."""


NONE = pl.DataFrame(schema={"hash": pl.UInt64, "level": pl.UInt8, "who": pl.UInt64, "of": pl.UInt16})


def words(texts: pl.Series) -> pl.Series:
    """Return the words of each text as a list, as they are written; a name in camel case is two."""
    return _apart(texts).str.extract_all(WORD)


def _apart(texts: pl.Series) -> pl.Series:
    return texts.str.replace_all(CAMEL, "$1 $2").str.replace_all(IDEOGRAPH, " $1 ")


def first_and_last(names: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return first and family names of whole names: "Ann van Dyk", "van Dyk, Ann", "Dr. Ann van Dyk"."""
    bare = names.str.normalize("NFKC").str.replace_all(NAMELESS, "").str.strip_chars()
    turned, usual = bare.str.extract_groups(FAMILY_FIRST), bare.str.extract_groups(FAMILY_LAST)
    first = turned.struct.field("2").fill_null(usual.struct.field("1")).fill_null("")
    return first, turned.struct.field("1").fill_null(usual.struct.field("2")).fill_null("")


class Forms:
    """Every form of every person, as a hash of its words without what stands between them.

    origins are the columns that the forms come from: "table.column". numbers counts the originals that are
    digits alone, by their length.
    """

    def __init__(self, *, parts: bool = False) -> None:
        """Take no form yet. parts is whether one part of a name counts too, however many people have it."""
        self._parts = parts
        self._blocks: list[pl.DataFrame] = []
        self._words: list[pl.Series] = [hashed(pl.Series(sorted(TITLES)))]
        self._known: tuple[pl.DataFrame, pl.Series] | None = None
        self.origins: list[str] = []
        self.numbers: Counter[int] = Counter()

    def add_names(self, first: pl.Series, last: pl.Series, origin: str) -> None:
        """Add people by their first and family names, row by row; None and "" stand for no name."""
        named = pl.DataFrame([first.alias("first"), last.alias("last")]).fill_null("").unique()
        named = named.with_columns(pl.all().str.normalize("NFKC"))
        self._add_people(named, origin)
        german = named.filter(pl.any_horizontal(pl.all().str.contains("(?i)[äöüåø]")))
        if len(german):
            self._add_people(german.with_columns(pl.all().str.replace_many(GERMAN)), origin)

    def _add_people(self, named: pl.DataFrame, origin: str) -> None:
        people = named.select(_plain_words(named["first"]).alias("f"), _plain_words(named["last"]).alias("l"))
        people = people.filter(pl.col("l").list.len() + pl.col("f").list.len() > 0)
        own = people.select(
            pl.col("f").list.join("").alias("first"),
            pl.col("f").list.first().fill_null("").alias("one"),
            pl.col("l").list.join("").alias("last"),
            pl.col("l").alias("part"),
        )
        own = own.with_columns(pl.concat_str("first", pl.lit("|"), "last").hash().alias("who"))
        # Of a family name of several words, each may stand for the whole.
        parts = own.explode("part", empty_as_null=False).with_columns(pl.col("part").alias("last"))
        parts = parts.filter(pl.col("last").str.len_chars() >= SHORT)
        both = pl.concat([own.drop("part"), parts.drop("part")]).filter(pl.col("last") != "").unique()
        known = ordinary(both["last"])
        both = both.with_columns(
            (known | (_letters("last") < SHORT)).alias("ordinary"),
            ordinary(both["one"]).alias("ordinary first"),
        )
        self._add(_of_people(both), origin)
        self._add_words(
            pl.concat([people[name].explode(empty_as_null=False) for name in "fl"]).unique(), origin
        )
        # "jean-lucquackenbush": joined, but not at the inner hyphen.
        inner = people.filter(pl.col("f").list.len() + pl.col("l").list.len() > 2)  # noqa: PLR2004 - words
        for one, other in ("fl", "lf"):
            joint = pl.col(one).list.last() + pl.col(other).list.first()
            self._words.append(hashed(inner.select(joint).to_series().drop_nulls()))

    def _add_words(self, single: pl.Series, origin: str) -> None:
        """Add the words of names: what a form is made of, and in a redacted text each by itself."""
        self._words += [hashed(single), hashed(single + "s"), hashed(single.str.head(1).unique())]
        if self._parts:
            lone = single.filter(~ordinary(single) & (single.str.len_chars() > 2))  # noqa: PLR2004 - letters
            self._add(_forms(lone, PART), origin)

    def add_values(self, values: pl.Series, origin: str, *, words_count: bool = False) -> None:
        """Add e-mail addresses, numbers and other values that name somebody as they are.

        words_count is whether each word of a value is a part of somebody's name or address.
        """
        values = values.drop_nulls().unique().str.normalize("NFKC")
        addresses = values.str.contains("@")
        whole = normalized(values.filter(addresses)).drop_nulls()
        digits = normalized(values.filter(~addresses))
        are_digits = digits.str.contains(r"^\d+$").fill_null(value=False)
        numbers = digits.filter(are_digits & (digits.str.len_chars() > ENOUGH)).unique()
        self.numbers.update(lengths(numbers))
        listed = _plain_words(values.filter(~addresses).filter(~are_digits))
        heads = listed.list.head(HEAD)
        text = heads.list.join("")
        enough = (heads.list.len() > 1) & (text.str.len_chars() >= ENOUGH)
        mixed = text.str.contains(r"\d") & text.str.contains(r"\p{L}") & (text.str.len_chars() >= ENOUGH)
        heads = heads.filter(enough | mixed)
        for forms in (whole, whole.str.reverse(), numbers, heads.list.join("")):
            self._add(_forms(forms.unique(), FULL), origin)
        self._words.append(hashed(heads.explode(empty_as_null=False).unique()))
        if words_count:
            self._add_words(listed.explode(empty_as_null=False).unique(), origin)

    def _add(self, forms: pl.DataFrame, origin: str) -> None:
        if origin not in self.origins:
            self.origins.append(origin)
        of = pl.lit(self.origins.index(origin), pl.UInt16).alias("of")
        self._blocks.append(forms.with_columns(of))
        self._known = None

    @property
    def known(self) -> tuple[pl.DataFrame, pl.Series]:
        """All forms, each once for each origin, and the hashes of all words that one can begin with."""
        if self._known is None:
            every = pl.concat([NONE, *self._blocks]).unique()
            known = every.group_by("hash", "of", "level").agg(pl.col("who").n_unique().alias("people"))
            if not self._parts:
                known = known.filter((pl.col("people") < CROWD) | pl.col("level").is_in([FULL, PAIR]))
            self._known = known, pl.concat([*self._words, known["hash"]]).unique()
            self._blocks = [every]
        return self._known

    def names_in(self, texts: pl.Series) -> pl.DataFrame:
        """Return the forms of names and other values of words in texts, with the columns of HITS.

        row is the number of the text, at the place of the form's first word among the text's `words`.
        """
        forms, vocabulary = self.known
        listed = words(texts)
        every = pl.DataFrame([listed.alias("word")]).with_row_index("row")
        every = every.explode("word", empty_as_null=False).drop_nulls("word").with_row_index("at")
        own = every["word"].unique()
        seen = pl.DataFrame([own, plain(own).str.strip_chars_end(".").alias("plain")])
        seen = seen.filter(hashed(seen["plain"]).is_in(vocabulary.implode())).with_columns(
            pl.col("word").str.contains(CAPITAL).alias("capital"),
            pl.col("word").str.ends_with(".").alias("dot"),
        )
        known = every.join(seen, on="word").sort("at")
        starts = listed.list.len().fill_null(0).cum_sum() - listed.list.len().fill_null(0)
        runs = [run.join(forms, on="hash").filter(_counts()) for run in _runs(known)]
        near = [pair.join(forms, on="hash").filter(pl.col("level") <= PAIR) for pair in _near(known)]
        hits = pl.concat([hits.select(*HITS) for hits in (*runs, *near)])
        return hits.with_columns(pl.col("at") - starts.gather(hits["row"]))

    def values_in(self, texts: pl.Series) -> tuple[pl.DataFrame, Counter[int]]:
        """Return numbers and addresses in texts, with the columns of HITS, and all numbers by length."""
        forms, _ = self.known
        addresses, numbers = _addresses(texts), _numbers(texts)
        both = pl.concat([addresses, numbers]).with_columns(hashed=pl.col("text").hash())
        hits = both.rename({"hashed": "hash"}).join(forms.filter(pl.col("level") == FULL), on="hash")
        place = {"at": pl.lit(None, pl.UInt32), "words": pl.lit(0, pl.UInt8)}
        return hits.with_columns(**place).select(*HITS), lengths(numbers["text"])


def _of_people(both: pl.DataFrame) -> pl.DataFrame:
    """Return the forms of people: first, one (of several first names), last, who, and which are ordinary."""
    first, one, last = (pl.col(name) for name in ("first", "one", "last"))
    initial = one.str.head(1)
    plural = last + "s"
    lone = pl.when("ordinary").then(TITLED).otherwise(LAST)
    short = pl.when("ordinary").then(DOTTED).otherwise(INITIAL)
    full = pl.when(pl.col("ordinary") & pl.col("ordinary first")).then(PAIR).otherwise(FULL)
    forms = [
        both.filter(given != "").select(text=text, level=level.cast(pl.UInt8), who="who")
        for text, level, given in (
            (first + last, full, first), (last + first, full, first), (one + last, full, first),
            (last + one, full, first), (initial + last, short, first), (last + initial, short, first),
            (last, lone, last), (plural, lone, last),
        )
    ]  # fmt: skip
    whole = pl.concat(forms)
    least = pl.when(pl.col("level") <= PAIR).then(LEAST).otherwise(2)
    ideographs = pl.col("text").str.contains(IDEOGRAPH)
    whole = whole.filter((pl.col("text").str.len_chars() >= least) | ideographs).unique()
    return whole.select(pl.col("text").hash().alias("hash"), "level", "who")


def _forms(texts: pl.Series, level: int) -> pl.DataFrame:
    """Return forms that need no person."""
    return pl.DataFrame([hashed(texts).alias("hash")]).select(
        "hash", pl.lit(level, pl.UInt8).alias("level"), pl.lit(0, pl.UInt64).alias("who")
    )


def _plain_words(texts: pl.Series) -> pl.Series:
    return plain(_apart(texts)).str.extract_all(PLAIN_WORD)


def _letters(column: str) -> pl.Expr:
    return pl.col(column).str.len_chars()


def lengths(numbers: pl.Series) -> Counter[int]:
    """Count numbers by how many digits they have."""
    return Counter(dict(numbers.drop_nulls().str.len_chars().value_counts().iter_rows()))


def _runs(known: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield the runs of one to LONGEST words that follow each other in a text."""
    before = known.select(
        follows=(pl.col("row") == pl.col("row").shift(1)) & (pl.col("at") == pl.col("at").shift(1) + 1),
        title=pl.col("plain").is_in(sorted(TITLES)).shift(1),
    )
    titled = (before["follows"] & before["title"]).fill_null(value=False).alias("titled")
    known = known.with_columns(titled)
    for length in range(1, LONGEST + 1):
        last = {"row": pl.col("row").shift(1 - length), "at": pl.col("at").shift(1 - length)}
        together = (last["row"] == pl.col("row")) & (last["at"] == pl.col("at") + (length - 1))
        parts = [pl.col("plain").shift(-place) for place in range(length)]
        yield known.select(
            "row", "at", "titled",
            text=pl.concat_str(parts),
            capital=pl.all_horizontal(pl.col("capital").shift(-place) for place in range(length)),
            dot=pl.any_horizontal(pl.col("dot").shift(-place) for place in range(length)),
            words=pl.lit(length, pl.UInt8),
            together=together,
        ).filter("together").with_columns(pl.col("text").hash().alias("hash"))  # fmt: skip


def _near(known: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield pairs of capitalized words with a few others between them, as in "first: Ann, last: Lee"."""
    parts = known.filter(pl.col("capital") & (pl.col("plain").str.len_chars() > 1))
    apart = pl.col("at").shift(-1) - pl.col("at")
    pairs = parts.select(
        "row",
        "at",
        following=pl.col("at").shift(-1),
        text=pl.concat_str("plain", pl.col("plain").shift(-1)),
        near=(pl.col("row") == pl.col("row").shift(-1)) & apart.is_between(2, NEAR),
    ).filter("near")
    pairs = pairs.with_columns(pl.col("text").hash().alias("hash"), pl.lit(1, pl.UInt8).alias("words"))
    yield pairs
    yield pairs.with_columns(pl.col("following").alias("at"))


def _counts() -> pl.Expr:
    """Return whether a run is more than a chance meeting of words with the form of its level."""
    capital, alone = pl.col("capital"), pl.col("words") == 1
    needs = {
        FULL: pl.lit(value=True),
        PAIR: capital | alone,
        INITIAL: ~alone | (pl.col("text").str.len_chars() > LONG),
        DOTTED: pl.col("dot") & capital,
        LAST: capital,
        TITLED: capital & pl.col("titled"),
        PART: pl.lit(value=True),
    }
    return pl.any_horizontal((pl.col("level") == level) & need for level, need in needs.items())


def _addresses(texts: pl.Series) -> pl.DataFrame:
    """Return the e-mail addresses in texts, normalized, with the number of each one's text."""
    spelled = with_addresses(texts)
    listed = (
        pl.DataFrame([spelled.alias("text")]).with_row_index("row").filter(pl.col("text").str.contains("@"))
    )
    # "mail at zeb at mail.org": what stands before the first sign may be a word of the sentence.
    later = listed.with_columns(pl.col("text").str.replace(r"[^\s@]*@", " "))
    found = pl.concat([listed, later]).with_columns(pl.col("text").str.extract_all(ADDRESS))
    found = found.explode("text", empty_as_null=False)
    return found.with_columns(normalized(found["text"]).alias("text"))


def _numbers(texts: pl.Series) -> pl.DataFrame:
    """Return the numbers in texts, however they are grouped, with the number of each one's text."""
    listed = pl.DataFrame([texts.alias("text")]).with_row_index("row")
    listed = listed.filter(pl.col("text").str.contains(NUMBER))
    found = listed.with_columns(pl.col("text").str.extract_all(NUMBER)).explode("text", empty_as_null=False)
    found = found.with_row_index("region").with_columns(pl.col("text").str.extract_all(r"\d+").alias("group"))
    groups = found.explode("group", empty_as_null=False)
    parts = [found.select("row", text=pl.col("group").list.join(""))]
    for length in range(1, LONGEST):
        text = pl.concat_str(pl.col("group").shift(-place) for place in range(length))
        together = pl.col("region") == pl.col("region").shift(1 - length)
        parts.append(groups.select("row", text=text, together=together).filter("together").drop("together"))
    every = pl.concat(parts).filter(pl.col("text").str.len_chars() > ENOUGH)
    return every.with_columns(national(every["text"])).unique()
