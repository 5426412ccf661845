"""Searches what could hold anything, free text and JSON, for every original value."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl
import psycopg

from labkit.testdata._compare import most_by_chance
from labkit.testdata._read import IGNORED, KEY, frames, hashed, national, normalized
from labkit.testdata._schema import Schema

LONGEST = 3
"""Words that are searched for together: a name, or a telephone number in groups."""

LEAST, ENOUGH = 6, r"@|\d{7}"
"""Two words need so many letters to be searched for; one word is enough if it has this."""

# What parts words in texts and in JSON; what belongs to a telephone number does not.
BETWEEN = r'[\s"\'{}\[\]<>,;:=]+'
HEAD = r"^\s*(\S+(?:\s+\S+){0,2})"
NUMBERS = r"[+(]*\d(?:[ ().\-]*\d){6,}"
ADDRESSES = r"[^\s@<>\"',;:()]+@[^\s@<>\"',;:()]+"
IN_TEXT = "the text of "
EXAMPLES = 3


@dataclass(frozen=True)
class FreeText:
    """A column of text, and the original values in it.

    rows: rows that have a text.
    leaking: those of them with an original value.
    of: leaking rows by the column whose value was found. "the text of" a column is the origin of a number or
        an e-mail address that stands in no column of its own.
    where: the keys of the first leaking rows.
    by_chance: how many numbers in the texts equal an original by chance.
    most: the number of leaking rows that chance still explains.
    """

    rows: int
    leaking: int
    of: Mapping[str, int]
    where: tuple[str, ...]
    by_chance: float
    most: int

    @property
    def named(self) -> list[str]:
        """The columns whose values were found; when there are none, the texts whose values were found."""
        return [origin for origin in self.of if not origin.startswith(IN_TEXT)] or list(self.of)

    @property
    def clean(self) -> bool:
        """Return whether chance explains all that was found."""
        return self.leaking <= self.most


class Originals:
    """Every value that names somebody: its hash, and the column that it is from.

    numbers counts the values that are digits alone, by their length.
    """

    def __init__(self) -> None:
        self._blocks: list[pl.DataFrame] = []
        self._whole: pl.DataFrame | None = None
        self.numbers: Counter[int] = Counter()

    def add(self, texts: pl.Series, place: str) -> None:
        """Add the values of a column; one word alone is too little to search for."""
        head = texts.drop_nulls().unique().str.extract(HEAD).drop_nulls()
        two = head.str.contains(r"\S\s+\S")
        values = normalized(head)
        enough = values.str.contains(ENOUGH) | (two & (values.str.len_chars() >= LEAST))
        values = values.filter(enough.fill_null(value=False)).unique()
        self.numbers.update(_lengths(values))
        hashes = hashed(values).alias("hash").to_frame()
        self._blocks.append(hashes.with_columns(pl.lit(place).alias("of")))

    @property
    def whole(self) -> pl.DataFrame:
        """All hashes, each once for each column."""
        if self._whole is None or self._blocks:
            parts = [self._whole] if self._whole is not None else []
            self._whole = pl.concat([*parts, *self._blocks]).unique()
            self._blocks = []
        return self._whole


def _lengths(words: pl.Series) -> Counter[int]:
    """Count the words that are digits alone by their length."""
    digits = words.filter(words.str.contains(r"^\d{7,}$")).str.len_chars()
    return Counter(dict(digits.value_counts().iter_rows()))


def originals(
    source: psycopg.Connection[Any],
    schema: Schema,
    direct: Mapping[str, list[str]],
    free: Mapping[str, list[str]],
) -> Originals:
    """Gather the values of direct identifiers, and the numbers and addresses in free text; both by table."""
    values = Originals()
    for table, columns in direct.items():
        for block in frames(source, schema.tables[table], columns) if columns else ():
            for column in columns:
                values.add(block[column], f"{table}.{column}")
    for table, columns in free.items():
        for block in frames(source, schema.tables[table], columns) if columns else ():
            for column in columns:
                for pattern in (NUMBERS, ADDRESSES):
                    texts = (
                        block[column]
                        .drop_nulls()
                        .unique()
                        .str.extract_all(pattern)
                        .explode(empty_as_null=True)
                    )
                    values.add(texts, f"{IN_TEXT}{table}.{column}")
    return values


def search(
    target: psycopg.Connection[Any], schema: Schema, texts: Mapping[str, list[str]], values: Originals
) -> Iterator[tuple[str, FreeText]]:
    """Yield for each column of text its name, "table.column", and the original values in it."""
    for table, columns in texts.items():
        for column in columns:
            yield f"{table}.{column}", _search(frames(target, schema.tables[table], [column]), column, values)


def _search(blocks: Iterable[pl.DataFrame], column: str, values: Originals) -> FreeText:
    rows, chance = 0, 0.0
    of: Counter[str] = Counter()
    leaking: Counter[str] = Counter()
    for block in blocks:
        texts = block.select(KEY, pl.col(column).alias("text")).filter(pl.col("text").str.contains(r"\w"))
        rows += len(texts)
        # Each different text is searched once, however many rows have it.
        groups = texts.group_by("text").agg(pl.col(KEY).first(), pl.len().alias("rows"))
        runs = _runs(groups["text"])
        chance += _by_chance(runs["run"], values.numbers)
        hits = pl.DataFrame([runs["row"], hashed(runs["run"]).alias("hash")]).join(values.whole, on="hash")
        hits = hits.select("row", "of").unique().join(groups.with_row_index("row"), on="row")
        of.update(dict(hits.group_by("of").agg(pl.col("rows").sum()).iter_rows()))
        leaking.update(dict(hits.unique("row").sort("row").select(KEY, "rows").iter_rows()))
    where = tuple(list(leaking)[:EXAMPLES])
    return FreeText(
        rows, leaking.total(), dict(sorted(of.items())), where, round(chance, 4), most_by_chance(chance)
    )


def _runs(texts: pl.Series) -> pl.DataFrame:
    """Return every run of one to three words, normalized as `normalized` does it, with its text's number."""
    split = texts.str.to_lowercase().str.replace_all(BETWEEN, " ").str.split(" ").alias("word")
    words = pl.DataFrame([split]).with_row_index("row").explode("word", empty_as_null=True)
    words = words.with_columns(words["word"].str.replace_all(IGNORED, "")).filter(pl.col("word") != "")
    parts = []
    for length in range(1, LONGEST + 1):
        run = pl.concat_str([pl.col("word").shift(-place) for place in range(length)]).alias("run")
        # The last words of a text do not run on into the next text.
        parts.append(words.select("row", run).filter(words["row"] == words["row"].shift(1 - length)))
    runs = pl.concat(parts)
    return runs.with_columns(national(runs["run"]))


def _by_chance(runs: pl.Series, numbers: Mapping[int, int]) -> float:
    """Return how many numbers among the runs equal an original of as many digits by chance."""
    return sum(count * numbers.get(length, 0) / 10.0**length for length, count in _lengths(runs).items())
