"""Searches what could hold anything, free text, JSON and the schema's own text, for every original value."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass

import polars as pl

from labkit.testdata._compare import most_by_chance
from labkit.testdata._copy import Connection
from labkit.testdata._forms import NUMBER, Forms
from labkit.testdata._names import LAST
from labkit.testdata._people import Identifying, gather
from labkit.testdata._read import KEY, frames
from labkit.testdata._reading import binary, decoded, lexemes, unfolded, with_addresses
from labkit.testdata._schema import Schema
from labkit.testdata._schema_text import looks_personal, may_name, schema_texts

READ = {"bytea": binary, "tsvector": lexemes}
"""How values of some types are read as texts."""

WHOLE_ADDRESS = r"[\p{L}\p{N}._%+'-]+@(?:[\p{L}\p{N}-]+\.)+\p{L}{2,}"
"""An e-mail address that a text says to be one: "leave at the door" is none."""

IN_TEXT = "the text of "
EXAMPLES = 3

FREQUENT = 10
"""A family name that stands alone in so many texts for each of its people is an ordinary word there."""


@dataclass(frozen=True)
class FreeText:
    """A column of text, and the original values in it.

    rows: rows that have a text.
    leaking: those of them with an original value.
    of: leaking rows by the column whose value was found. "the text of" a column is the origin of a number or
        an e-mail address that stands in no column of its own; "first + last" are two columns of one name.
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


def originals(
    source: Connection, schema: Schema, direct: Identifying, free: Mapping[str, list[str]]
) -> Forms:
    """Gather everybody in the columns that name people, and the numbers and addresses in free text."""
    forms = Forms()
    gather(source, schema, direct, forms)
    for table, columns in free.items():
        if not columns:
            continue
        with closing(frames(source, schema.tables[table], columns)) as blocks:
            for block in blocks:
                for column in columns:
                    texts = with_addresses(unfolded(block[column].drop_nulls().unique()))
                    for pattern in (NUMBER, WHOLE_ADDRESS):
                        found = texts.str.extract_all(pattern).explode(empty_as_null=False)
                        forms.add_values(found, f"{IN_TEXT}{table}.{column}")
    return forms


def search(
    target: Connection,
    schema: Schema,
    texts: Mapping[str, list[str]],
    forms: Forms,
    made_up: Mapping[str, list[str]],
) -> Iterator[tuple[str, FreeText]]:
    """Yield for each column of text its name, "table.column", and the original values in it.

    made_up are the columns with made-up values inside: there a name may be somebody's by chance, and only
    numbers and addresses are searched for.
    """
    for table, columns in texts.items():
        found = {column: _Found(forms, names=column not in made_up[table]) for column in columns}
        if not columns:
            continue
        types = {column: schema.tables[table].columns[column].type for column in columns}
        with closing(frames(target, schema.tables[table], columns)) as blocks:
            for block in blocks:
                for column in columns:
                    own = block[column]
                    read = READ.get(types[column])
                    found[column].add(block[KEY], read(own) if read else own)
        yield from ((f"{table}.{column}", found[column].result()) for column in columns)


class _Found:
    """What was found in one column so far."""

    def __init__(self, forms: Forms, *, names: bool = True) -> None:
        self._forms, self._names, self._rows, self._chance = forms, names, 0, 0.0
        self._hits: list[pl.DataFrame] = []

    def add(self, keys: pl.Series, texts: pl.Series) -> None:
        block = pl.DataFrame([keys.alias(KEY), texts.alias("text")]).filter(
            pl.col("text").str.contains(r"\w")
        )
        self._rows += len(block)
        # Each different text is searched once, however many rows have it.
        groups = block.group_by("text").agg(pl.col(KEY).first(), pl.len().alias("rows"))
        hits, candidates = found_in(groups["text"], self._forms, names=self._names)
        self._chance += by_chance(candidates, self._forms.numbers)
        of_rows = groups.drop("text").with_row_index("row")
        number = pl.lit(len(self._hits)).alias("block")
        self._hits.append(hits.join(of_rows, on="row").with_columns(number))

    def result(self) -> FreeText:
        if not self._hits:
            return FreeText(0, 0, {}, (), 0.0, 0)
        hits = pl.concat(self._hits)
        alone = pl.col("level").min().over("block", "row") == LAST
        texts = pl.col("rows").filter(alone).sum().over("hash")
        hits = hits.filter(~((pl.col("level") == LAST) & (texts > FREQUENT * pl.col("people"))))
        each = hits.select("block", "row", "of", KEY, "rows").unique()
        of = {
            self._forms.origins[place]: count
            for place, count in each.group_by("of").agg(pl.col("rows").sum()).iter_rows()
        }
        leaking = each.unique(["block", "row"]).sort("block", "row")
        where = tuple(dict.fromkeys(leaking[KEY].head(EXAMPLES)))
        chance = round(self._chance, 4)
        total = int(leaking["rows"].sum())
        return FreeText(
            self._rows, total, dict(sorted(of.items())), where, chance, most_by_chance(self._chance)
        )


def found_in(texts: pl.Series, forms: Forms, *, names: bool = True) -> tuple[pl.DataFrame, Counter[int]]:
    """Return the forms in texts, read as a curious person does, and how many numbers have each length.

    names is whether names count too, beside numbers and addresses.
    """
    read = decoded(unfolded(texts))
    values, candidates = forms.values_in(read)
    return (pl.concat([forms.names_in(read), values]) if names else values), candidates


def by_chance(candidates: Mapping[int, int], numbers: Mapping[int, int]) -> float:
    """Return how many of these numbers equal an original of as many digits by chance."""
    return sum(count * numbers.get(length, 0) / 10.0**length for length, count in candidates.items())


def search_schema(target: Connection, forms: Forms) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """Search the schema's own text.

    Returns the places that have an original value or what looks like an address or a number of somebody, each
    with what was found, and the places that may name somebody who stands in no column.
    """
    texts = schema_texts(target)
    own, named = (pl.Series([text[place] for text in texts], dtype=pl.String) for place in (2, 1))
    hidden = set(found_in(named, forms)[0]["row"].to_list()) | looks_personal(named).keys()
    places = [
        f"{what} of {'an object that is called after somebody' if row in hidden else name}"
        for row, (what, name, _) in enumerate(texts)
    ]
    found: dict[str, set[str]] = {}
    for row, of in found_in(own, forms)[0].select("row", "of").unique().iter_rows():
        found.setdefault(places[row], set()).add(f"a real value of {forms.origins[of]}")
    for row, looks in looks_personal(own).items():
        found.setdefault(places[row], {looks})
    suspects = {places[row] for row in may_name(texts)} - found.keys()
    return {place: tuple(sorted(of)) for place, of in sorted(found.items())}, sorted(suspects)
