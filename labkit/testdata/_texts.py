"""Searches what could hold anything, free text and JSON, for every original value."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl
import psycopg

from labkit.testdata._compare import most_by_chance
from labkit.testdata._read import APART, KEY, frames, hashed, national, same
from labkit.testdata._schema import Schema

LONGEST = 3
"""Words that are looked for together: a name, or a telephone number in groups."""

LEAST, ENOUGH = 6, r"@|\d{7}"
"""Letters that two words have at least to be looked for, and what is enough in one."""

# What parts words in texts and in JSON; what belongs to a telephone number does not.
BETWEEN = r'[\s"\'{}\[\]<>,;:=]+'
HEAD = r"^\s*(\S+(?:\s+\S+){0,2})"
NUMBERS = r"[+(]*\d(?:[ ().\-]*\d){6,}"
ADDRESSES = r"[^\s@<>\"',;:()]+@[^\s@<>\"',;:()]+"
IN_TEXT = "the text of "
EXAMPLES = 3


@dataclass(frozen=True)
class FreeText:
    """A column of text: its rows, those of them with an original value in, of which columns, and where.

    of counts rows by the column whose value was found; "the text of" a column was the place of a number or an
    e-mail address. where gives the keys of the first rows. by_chance is how many
    numbers of the texts would be somebody's by chance, and most what chance hardly exceeds.
    """

    rows: int
    leaking: int
    of: Mapping[str, int]
    where: tuple[str, ...]
    by_chance: float
    most: int

    @property
    def named(self) -> list[str]:
        """The columns whose values were found; what stood in no column, by the text that it stood in."""
        return [it for it in self.of if not it.startswith(IN_TEXT)] or list(self.of)

    @property
    def clean(self) -> bool:
        """Tell whether nothing was found that chance does not explain."""
        return self.leaking <= self.most


class Originals:
    """Every value that names somebody, as a hash and the column it is from."""

    def __init__(self) -> None:
        self._found: list[pl.DataFrame] = []
        self._whole: pl.DataFrame | None = None
        self.numbers: Counter[int] = Counter()

    def take(self, texts: pl.Series, place: str) -> None:
        """Take the values of a column; one word alone is too little to be looked for."""
        head = texts.drop_nulls().unique().str.extract(HEAD).drop_nulls()
        two = head.str.contains(r"\S\s+\S")
        said = same(head)
        enough = said.str.contains(ENOUGH) | (two & (said.str.len_chars() >= LEAST))
        said = said.filter(enough.fill_null(value=False)).unique()
        self.numbers.update(_lengths(said))
        found = hashed(said).alias("hash").to_frame()
        self._found.append(found.with_columns(pl.lit(place).alias("of")))

    @property
    def whole(self) -> pl.DataFrame:
        """All hashes, each once for each column."""
        if self._whole is None or self._found:
            parts = [self._whole] if self._whole is not None else []
            self._whole = pl.concat([*parts, *self._found]).unique()
            self._found = []
        return self._whole


def _lengths(said: pl.Series) -> Counter[int]:
    """Count what is made of digits alone by its length."""
    digits = said.filter(said.str.contains(r"^\d{7,}$")).str.len_chars()
    return Counter(dict(digits.value_counts().iter_rows()))


def originals(
    source: psycopg.Connection[Any],
    schema: Schema,
    direct: Mapping[str, list[str]],
    free: Mapping[str, list[str]],
) -> Originals:
    """Gather the values of the columns that name somebody, and numbers and addresses in free text."""
    found = Originals()
    for table, columns in direct.items():
        for block in frames(source, schema.tables[table], columns) if columns else ():
            for column in columns:
                found.take(block[column], f"{table}.{column}")
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
                    found.take(texts, f"{IN_TEXT}{table}.{column}")
    return found


def search(
    target: psycopg.Connection[Any], schema: Schema, texts: Mapping[str, list[str]], known: Originals
) -> Iterator[tuple[str, FreeText]]:
    """Yield for each column of text, by its name with its table's, what was found in it."""
    for table, columns in texts.items():
        for column in columns:
            yield f"{table}.{column}", _search(frames(target, schema.tables[table], [column]), column, known)


def _search(blocks: Iterable[pl.DataFrame], column: str, known: Originals) -> FreeText:
    rows, chance = 0, 0.0
    of: Counter[str] = Counter()
    leaking: Counter[str] = Counter()
    for block in blocks:
        told = block.select(KEY, pl.col(column).alias("text")).filter(pl.col("text").str.contains(r"\w"))
        rows += len(told)
        groups = told.group_by("text").agg(pl.col(KEY).first(), pl.len().alias("rows"))
        said = _said(groups["text"])
        chance += _by_chance(said, known.numbers)
        hits = pl.DataFrame([said["row"], hashed(said["said"]).alias("hash")]).join(known.whole, on="hash")
        hits = hits.select("row", "of").unique().join(groups.with_row_index("row"), on="row")
        of.update(dict(hits.group_by("of").agg(pl.col("rows").sum()).iter_rows()))
        leaking.update(dict(hits.unique("row").sort("row").select(KEY, "rows").iter_rows()))
    where = tuple(list(leaking)[:EXAMPLES])
    return FreeText(
        rows, leaking.total(), dict(sorted(of.items())), where, round(chance, 4), most_by_chance(chance)
    )


def _said(texts: pl.Series) -> pl.DataFrame:
    """Return every one to three words that stand together, as `same` says them, with their row's number."""
    split = texts.str.to_lowercase().str.replace_all(BETWEEN, " ").str.split(" ").alias("word")
    words = pl.DataFrame([split]).with_row_index("row").explode("word", empty_as_null=True)
    words = words.with_columns(words["word"].str.replace_all(APART, "")).filter(pl.col("word") != "")
    parts = []
    for length in range(1, LONGEST + 1):
        run = pl.concat_str([pl.col("word").shift(-it) for it in range(length)]).alias("said")
        parts.append(words.select("row", run).filter(words["row"] == words["row"].shift(1 - length)))
    said = pl.concat(parts)
    return said.with_columns(national(said["said"]))


def _by_chance(said: pl.DataFrame, numbers: Mapping[int, int]) -> float:
    return sum(
        count * numbers.get(length, 0) / 10.0**length for length, count in _lengths(said["said"]).items()
    )
