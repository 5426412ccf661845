"""The forms in which a person shows in texts: one notion for the audit, which finds them, and for `redact`.

A name is found in its usual order and turned round, with its first name shortened to an initial, joined to
one word, and in any case, accent and punctuation between its parts. A family name alone counts when so few
people bear it that it names one, and when it is no ordinary word.
"""

from collections import Counter
from collections.abc import Iterator

import polars as pl

from labkit.testdata._names import (
    DOTTED,
    FULL,
    INITIAL,
    LAST,
    PAIR,
    PART,
    TITLED,
    full_forms,
    in_german,
    plain_words,
    short_forms,
    taken_apart,
    usual_letters,
    words,
)
from labkit.testdata._ordinary import DOCTORS, TITLES, ordinary
from labkit.testdata._read import IGNORED, hashed, national, normalized
from labkit.testdata._reading import plain, with_addresses

CROWD = 12
"""A name of so many people names none of them: each is meant with a probability of at most 0.09."""

LONGEST, HEAD, NEAR = 5, 3, 4
"""Words of a name that are searched for together, those of another value, and how near two parts stand."""

LONG, ENOUGH = 6, 6
"""Letters of an initial and a family name in one word, and of another value."""

CAPITAL = r"^[\p{Lu}\p{Lt}\p{Lo}]"
NUMBER = r"\d(?:[^\p{L}\p{N}]{0,3}\d){6,}"
ADDRESS = r"[\p{L}\p{N}._%+'-]+@[\p{L}\p{N}.-]+"
FIRST_WORDS = rf"^\s*(\S+(?:\s+\S+){{0,{HEAD - 1}}})"

HITS = ("row", "at", "words", "hash", "of", "level", "people")
"""The columns of what is found: the number of the text, the place and number of the words, the form and its
origin, and how many people have the form."""

RUN = ("row", "at", "words", "text", "capital", "before", "dot", "apart")
"""The columns of a run of words; before is the known word before it, apart whether others stand inside."""

KNOWN = {"hash": pl.UInt64, "level": pl.UInt8, "of": pl.UInt16, "people": pl.UInt32}
PEOPLE = {
    "initial": pl.String,
    "family": pl.String,
    "who": pl.UInt64,
    "ordinary": pl.Boolean,
    "of": pl.UInt16,
}


class Forms:
    """Every form of every person, as a hash of its words without what stands between them.

    origins are the columns that the forms come from: "table.column". numbers counts the originals that are
    digits alone, by their length.
    """

    def __init__(self, *, parts: bool = False) -> None:
        """Take no form yet. parts is whether one part of a name counts too, however many people have it."""
        self._parts = parts
        self._blocks = [pl.DataFrame(schema=KNOWN)]
        self._people = [pl.DataFrame(schema=PEOPLE)]
        self._words: list[pl.Series] = [hashed(pl.Series(sorted(TITLES | DOCTORS)))]
        self._known: tuple[pl.DataFrame, pl.Series] | None = None
        self.origins: list[str] = []
        self.numbers: Counter[int] = Counter()

    def add_names(self, first: pl.Series, last: pl.Series, origin: str) -> None:
        """Add people by their first and family names, row by row; None and "" stand for no name."""
        named = pl.DataFrame([first.alias("first"), last.alias("last")]).fill_null("").unique()
        for some in (named, in_german(named)):
            if len(some):
                people, single = taken_apart(some)
                self._add(full_forms(people), origin)
                self._add_words(single, origin)
                self._people.append(
                    people.select(
                        pl.col("one").str.head(1).alias("initial"),
                        "family",
                        "who",
                        pl.col("family is ordinary").alias("ordinary"),
                        self._of(origin),
                    ).unique()
                )

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
        values = usual_letters(values.drop_nulls().unique())
        addresses = values.str.contains("@", literal=True)
        whole = values.filter(addresses).str.to_lowercase().str.replace_all(IGNORED, "")
        others = values.filter(~addresses)
        digits = normalized(others)
        are_digits = digits.str.contains(r"^\d+$").fill_null(value=False)
        numbers = digits.filter(are_digits & (digits.str.len_chars() > ENOUGH)).unique()
        self.numbers.update(lengths(numbers))
        others = others.filter(~are_digits)
        heads = plain_words(others.str.extract(FIRST_WORDS).drop_nulls().unique()).list.head(HEAD)
        text = heads.list.join("")
        mixed = (heads.list.len() > 1) | (text.str.contains(r"\d") & text.str.contains(r"\p{L}"))
        heads = heads.filter(mixed & (text.str.len_chars() >= ENOUGH))
        for forms in (whole, whole.str.reverse(), numbers, heads.list.join("")):
            self._add(_forms(forms, FULL), origin)
        self._words.append(hashed(heads.explode(empty_as_null=False).unique()))
        if words_count and self._parts:
            self._add_words(plain_words(others).explode(empty_as_null=False).unique(), origin)

    def _add(self, forms: pl.DataFrame, origin: str) -> None:
        every = forms.with_columns(self._of(origin), pl.lit(1, pl.UInt32).alias("people")).select(*KNOWN)
        self._blocks.append(every)
        self._known = None

    def _of(self, origin: str) -> pl.Expr:
        if origin not in self.origins:
            self.origins.append(origin)
        return pl.lit(self.origins.index(origin), pl.UInt16).alias("of")

    @property
    def known(self) -> tuple[pl.DataFrame, pl.Series]:
        """All forms, each once for each origin, and the hashes of all words that one can begin with."""
        if self._known is None:
            short = short_forms(pl.concat(self._people).unique()).select(*KNOWN)
            if not self._parts:
                short = short.filter(pl.col("people") < CROWD)
            known = pl.concat([*self._blocks, short]).unique()
            self._known = known, pl.concat([*self._words, known["hash"]])
        return self._known

    def names_in(self, texts: pl.Series) -> pl.DataFrame:
        """Return the forms of names and other values of words in texts, with the columns of HITS.

        row is the number of the text, at the place of the form's first word among the text's `words`.
        """
        forms, vocabulary = self.known
        listed = words(texts)
        every = pl.DataFrame([listed.alias("word")]).with_row_index("row")
        every = every.explode("word", empty_as_null=False).drop_nulls("word").with_row_index("at")
        seen = _seen(every["word"].unique(), vocabulary)
        known = every.join(seen, on="word").sort("at")
        starts = listed.list.len().fill_null(0).cum_sum() - listed.list.len().fill_null(0)
        # All at once, because a join goes through all forms, and they are many.
        runs = pl.concat([*_runs(known), *_near(known)])
        hits = runs.join(forms, on="hash").filter(_counts()).select(*HITS)
        return hits.with_columns(pl.col("at") - starts.gather(hits["row"]))

    def values_in(self, texts: pl.Series) -> tuple[pl.DataFrame, Counter[int]]:
        """Return numbers and addresses in texts, with the columns of HITS, and all numbers by length."""
        forms, _ = self.known
        addresses, numbers = _addresses(texts), _numbers(texts)
        both = pl.concat([addresses, numbers]).with_columns(hashed=pl.col("text").hash())
        hits = both.rename({"hashed": "hash"}).join(forms.filter(pl.col("level") == FULL), on="hash")
        place = {"at": pl.lit(None, pl.UInt32), "words": pl.lit(0, pl.UInt8)}
        return hits.with_columns(**place).select(*HITS), lengths(numbers["text"])


def _forms(texts: pl.Series, level: int) -> pl.DataFrame:
    return pl.DataFrame([hashed(texts).alias("hash")]).with_columns(pl.lit(level, pl.UInt8).alias("level"))


def lengths(numbers: pl.Series) -> Counter[int]:
    """Count numbers by how many digits they have."""
    return Counter(dict(numbers.drop_nulls().str.len_chars().value_counts().iter_rows()))


def _runs(known: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield the runs of one to LONGEST words that follow each other in a text."""
    follows = (pl.col("row") == pl.col("row").shift(1)) & (pl.col("at") == pl.col("at").shift(1) + 1)
    before = pl.when(follows).then(pl.col("plain").shift(1)).otherwise(pl.lit(""))
    known = known.with_columns(before.alias("before"))
    for length in range(1, LONGEST + 1):
        last = {"row": pl.col("row").shift(1 - length), "at": pl.col("at").shift(1 - length)}
        together = (last["row"] == pl.col("row")) & (last["at"] == pl.col("at") + (length - 1))
        parts = [pl.col("plain").shift(-place) for place in range(length)]
        run = known.select(
            "row",
            "at",
            "before",
            text=pl.concat_str(parts),
            capital=pl.all_horizontal(pl.col("capital").shift(-place) for place in range(length)),
            dot=pl.any_horizontal(pl.col("dot").shift(-place) for place in range(length)),
            words=pl.lit(length, pl.UInt8),
            apart=pl.lit(value=False),
            together=together,
        )
        yield _hashed(run.filter("together"))


def _hashed(runs: pl.DataFrame) -> pl.DataFrame:
    return runs.select(*RUN, pl.col("text").hash().alias("hash"))


def _seen(own: pl.Series, vocabulary: pl.Series) -> pl.DataFrame:
    """Return those words that a form may have: word, plain, and whether there is a capital and a dot."""
    seen = pl.DataFrame([own, plain(own).str.strip_chars_end(".").alias("plain")])
    # "quackenbush01" is a word too: digits at its ends are left out when it is none with them.
    bare = seen["plain"].str.extract(r"^\d*([^\d]{4,}?)\d*$").fill_null(seen["plain"])
    whole = hashed(seen["plain"]).is_in(vocabulary.implode())
    seen = seen.with_columns(seen["plain"].zip_with(whole, bare))
    return seen.filter(hashed(seen["plain"]).is_in(vocabulary.implode())).with_columns(
        pl.col("word").str.contains(CAPITAL).alias("capital"),
        pl.col("word").str.ends_with(".").alias("dot"),
    )


def _near(known: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield pairs of words with a few others between them, as in "first: Ann, last: Lee"."""
    parts = known.filter(pl.col("plain").str.len_chars() > 1)
    apart = pl.col("at").shift(-1) - pl.col("at")
    pairs = parts.select(
        "row",
        "at",
        following=pl.col("at").shift(-1),
        text=pl.concat_str("plain", pl.col("plain").shift(-1)),
        capital=pl.col("capital") & pl.col("capital").shift(-1),
        before=pl.lit(""),
        dot=pl.lit(value=False),
        words=pl.lit(1, pl.UInt8),
        apart=pl.lit(value=True),
        near=(pl.col("row") == pl.col("row").shift(-1)) & apart.is_between(2, NEAR),
    ).filter("near")
    yield _hashed(pairs)
    yield _hashed(pairs.with_columns(pl.col("following").alias("at")))


def _counts() -> pl.Expr:
    """Return whether a run is more than a chance meeting of words with the form of its level."""
    capital, alone = pl.col("capital"), (pl.col("words") == 1) & ~pl.col("apart")
    needs = {
        FULL: pl.lit(value=True),
        PAIR: capital | alone,
        INITIAL: ~alone | (pl.col("text").str.len_chars() > LONG),
        DOTTED: pl.col("dot") & capital,
        LAST: capital & ~pl.col("before").is_in(sorted(DOCTORS)),
        TITLED: capital & pl.col("before").is_in(sorted(TITLES)),
        PART: pl.lit(value=True),
    }
    counts = pl.any_horizontal((pl.col("level") == level) & need for level, need in needs.items())
    return counts & (~pl.col("apart") | (pl.col("level") <= PAIR))


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
