"""Changes a block of rows by the rules of their table."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Literal

import numpy as np
import polars as pl

from labkit.errors import LabError
from labkit.testdata._array import as_element, elements
from labkit.testdata._document import rule_at
from labkit.testdata._fakes import Fakes
from labkit.testdata._ff1 import ff1
from labkit.testdata._json import Paths, read, replaced, values, written
from labkit.testdata._mac import Bits
from labkit.testdata._pattern import Pattern
from labkit.testdata._persona import BITS, Personas
from labkit.testdata._redact import Redactor
from labkit.testdata._rows import read_rows
from labkit.testdata._rule import INTEGER, UUID, Rule, element, family, width
from labkit.testdata._schema import Column, Table

IN_SQL = {"keep", "null", "generalize"}
"""Rules that PostgreSQL itself carries out while it reads."""

Quotes = Literal["necessary", "non_numeric"]
PSEUDONYM_DIGITS = {"smallint": 4, "integer": 9, "bigint": 18}
"""Type → how many decimal digits always fit into it, so that an encrypted number does too."""

ENDLESS = ("infinity", "-infinity")

EXTRA = "\0by "
"""What stands before the name of a column that is read for `by` alone; no column's name has a NUL."""


class Changer:
    """Changes the blocks of one table; it keeps no value between blocks.

    columns names the columns of a block: those of the rules, then those that are read for `by` alone.
    """

    def __init__(
        self, table: Table, rules: Mapping[str, Rule], key: bytes, redactor: Redactor, fakes: Fakes
    ) -> None:
        """Take the rules of a table's copied columns, in the columns' order, and a key of 32 bytes."""
        self._table, self._rules, self._redactor, self._fakes = table, rules, redactor, fakes
        self._paths = {name: Paths(rule.paths) for name, rule in rules.items() if rule.paths}
        parts = [part for rule in rules.values() for part in rule.parts]
        self._few = {part.toml() for part in parts if fakes.has_few(part)}
        # Each purpose has a key of its own, derived by its name (at most 16 bytes): another name would give
        # other test data under the same key.
        self._personas = Personas(key)
        # A persona can be read off a fake; how far dates move must not follow from it.
        self._moves = Personas(key, b"labkit moves")
        self._permuted = ff1(blake2b(key=key, person=b"labkit digits", digest_size=32).digest())
        self._pseudonyms = blake2b(key=key, person=b"labkit codes", digest_size=16)
        self._work: Mapping[str, Callable[[pl.Series, Rule, Column, _People], pl.Series]] = {
            "fake": self._fake,
            "format_preserving": self._format_preserving,
            "unissued": self._unissued,
            "date_shift": self._date_shift,
            "pseudonymize": self._pseudonymize,
            "redact": self._redact,
            "json": self._json,
        }
        read = {name for name, rule in rules.items() if rule.kind == "keep" or rule.kind not in IN_SQL}
        # A column that is null or generalized in the copy is read once more as it is, to identify the person.
        self._extra = sorted({part.by for part in parts if part.by} - read)
        self.columns = [*rules, *map(_extra, self._extra)]

    @property
    def is_needed(self) -> bool:
        """Return whether any column has to be changed here."""
        return any(rule.kind not in IN_SQL for rule in self._rules.values())

    def __call__(self, block: bytes) -> bytes:
        """Return a block of CSV rows with its columns changed; the columns for `by` are left out."""
        frame = read_rows(block, self.columns, self._table.name)
        people = _People(frame, self._extra)
        changed = [self._column(frame[name], rule, people) for name, rule in self._rules.items()]
        # PostgreSQL takes a line of \. without quotes for the end of all rows.
        quoted: Quotes = "non_numeric" if len(changed) == 1 else "necessary"
        rows: str = pl.DataFrame(changed).write_csv(include_header=False, quote_style=quoted)
        return rows.encode()

    def _column(self, own: pl.Series, rule: Rule, people: "_People") -> pl.Series:
        if rule.kind in IN_SQL:
            return own
        column = self._table.columns[own.name]
        if element(column.type) != column.type:
            return self._array(own, rule, column, people)
        return self._values(own, rule, column, people)

    def _values(self, own: pl.Series, rule: Rule, column: Column, people: "_People") -> pl.Series:
        """Change values; what is NULL or "" stays so."""
        changed = self._work[rule.kind](own, rule, column, people)
        empty = own.is_null() | (own == "")
        if not empty.any():
            return changed.alias(own.name)
        return pl.select(pl.when(empty).then(own).otherwise(changed).alias(own.name)).to_series()

    def _array(self, own: pl.Series, rule: Rule, column: Column, people: "_People") -> pl.Series:
        """Change each element of arrays, in the place where it stands."""
        arrays = own.fill_null("").to_list()
        places = [_Place(row, *found) for row, array in enumerate(arrays) for found in elements(array)]
        inner = replace(column, type=element(column.type), shared=None)
        edits = [(place, as_element(text)) for place, text in self._at(places, rule, inner, people)]
        return _edited(own, arrays, edits)

    def _json(self, own: pl.Series, rule: Rule, column: Column, people: "_People") -> pl.Series:
        """Change the values inside of documents. One without a rule is made null: nobody decided on it."""
        documents, paths = own.fill_null("").to_list(), self._paths[own.name]
        edits: list[tuple[_Place, str]] = []
        found: dict[int, list[_Place]] = {id(part): [] for part in rule.paths.values()}
        for row, document in enumerate(documents):
            for value in values(document):
                part = rule_at(paths, value)
                place = _Place(row, value.start, value.end, document[value.start : value.end])
                if part.kind == "null" if part else not value.is_whole:
                    edits.append((place, "null"))
                elif part and part.kind != "keep" and not value.is_whole and place.text != "null":
                    found[id(part)].append(place)
        for path, part in rule.paths.items():
            inner = Column(f"{column.name} {path}", "text", nullable=True, generated=False)
            read_ = [replace(place, text=read(place.text)) for place in found[id(part)]]
            changed = self._at(read_, part, inner, people)
            edits += [
                (place, written(text, place.text))
                for place, (_, text) in zip(found[id(part)], changed, strict=True)
            ]
        return _edited(own, documents, edits)

    def _at(
        self, places: list["_Place"], rule: Rule, column: Column, people: "_People"
    ) -> list[tuple["_Place", str]]:
        """Return what becomes of the texts at some places; column is what they count as."""
        if not places:
            return []
        texts = pl.Series(column.name, [place.text for place in places], dtype=pl.String)
        rows = people.of([place.row for place in places])
        return list(zip(places, self._values(texts, rule, column, rows).to_list(), strict=True))

    def _fake(self, own: pl.Series, rule: Rule, column: Column, people: "_People") -> pl.Series:
        own = _told_apart(own, column)
        whose, most = people.bits(self._personas, own, rule.by), width(column.narrowest)
        bits = self._personas.spelled(own, whose) if self._fakes.keeps_apart(rule) else whose
        made = self._fakes.make(rule, bits, most, whose)
        # Of a few values, such as yes and no, one that is never the own one would give the own one away.
        same = np.flatnonzero((made == own).fill_null(value=False)) if rule.toml() not in self._few else ()
        if not len(same):
            return made
        # A common name may be drawn for somebody who has it: the inverted bits give another person.
        other = self._fakes.make(rule, bits[same] ^ np.uint64((1 << BITS) - 1), most, whose[same])
        return made.scatter(same, other)

    def _format_preserving(self, own: pl.Series, rule: Rule, column: Column, _: "_People") -> pl.Series:
        pattern = Pattern(str(rule.argument))
        numbers = pattern.read(own)
        if numbers is None:
            wrong, place = pattern.misfits(own), f"{self._table.name}.{column.name}"
            expected = f"values of {place} in the form {rule.argument}"
            seen = f"{len(wrong)} in a block in another form, such as {_shape(wrong[0])}"
            next_step = f"correct the data, or give {place} another rule, such as pseudonymize"
            raise LabError(expected, seen, next_step)
        return pattern.write(self._permuted(numbers, pattern.digits))

    def _unissued(self, own: pl.Series, rule: Rule, _: Column, people: "_People") -> pl.Series:
        pattern = Pattern(str(rule.argument))
        return pattern.write(people.bits(self._personas, own, rule.by) % np.uint64(10**pattern.digits))

    def _date_shift(self, own: pl.Series, rule: Rule, column: Column, people: "_People") -> pl.Series:
        days = int(rule.argument or 0)
        numbers = people.bits(self._moves, own, rule.by) % np.uint64(2 * days)
        moves = pl.Series(numbers.astype(np.int64) - days)
        moves = moves + (moves >= 0).cast(pl.Int64)  # by -days to -1 or 1 to days: no date stays as it is
        dates = own.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False)
        odd = dates.is_null() & own.is_not_null() & ~own.is_in(ENDLESS)
        if odd.any():
            place = f"{self._table.name}.{column.name}"
            seen = f"one in the form {_shape(own.filter(odd)[0])}"
            raise LabError(f"dates of the years 1 to 9999 in {place}", seen, f"give {place} another rule")
        moved = (dates.cast(pl.Int32) + moves).cast(pl.Int32).cast(pl.Date).cast(pl.String) + own.str.slice(
            10
        )
        return moved.fill_null(own)  # the ends of time stay where they are

    def _pseudonymize(self, own: pl.Series, rule: Rule, column: Column, _: "_People") -> pl.Series:
        del rule
        own = _told_apart(own, column)
        if family(column.type) == INTEGER:
            return self._pseudonymize_numbers(own, column)
        # A copy of a keyed hash costs a fraction of a new one, for which the key is hashed again.
        start = self._pseudonyms.copy

        def one(text: str) -> str:
            keyed = start()
            keyed.update(text.encode())
            return keyed.hexdigest()

        texts = pl.Series([one(text or "") for text in own.to_list()])
        if family(column.type) == UUID:  # version 8 of RFC 9562: bits of one's own making
            return (
                texts.str.slice(0, 12) + pl.Series(["8"]) + texts.str.slice(13, 3) + "8" + texts.str.slice(17)
            )
        return texts.str.slice(0, width(column.narrowest) or 16)

    def _pseudonymize_numbers(self, own: pl.Series, column: Column) -> pl.Series:
        digits = PSEUDONYM_DIGITS[column.narrowest]
        numbers = own.cast(pl.Int64)
        if bool(((numbers < 0) | (numbers >= 10**digits)).any()):
            place = f"{self._table.name}.{column.name}"
            shared = f", which {column.shared} refers to" if column.shared != column.type else ""
            expected = f"numbers of up to {digits} digits in {place}{shared if column.shared else ''}"
            raise LabError(expected, "a number that is negative or longer", f"give {place} the rule keep")
        plain = numbers.fill_null(0).cast(pl.UInt64).to_numpy()
        return pl.Series(self._permuted(plain, digits)).cast(pl.String)

    def _redact(self, own: pl.Series, rule: Rule, column: Column, _: "_People") -> pl.Series:
        del rule, column
        return self._redactor.redact(own)


class _People:
    """The personas of a block's rows, computed once for each column that identifies the person."""

    def __init__(self, frame: pl.DataFrame, extra: list[str]) -> None:
        self._frame, self._extra = frame, extra
        self._cache: dict[tuple[Personas, str], Bits] = {}

    def of(self, rows: list[int]) -> "_People":
        """Return the people of some of the rows, in their order."""
        return _People(self._frame[rows], self._extra)

    def bits(self, personas: Personas, own: pl.Series, by: str | None) -> Bits:
        """Return the persona of each row by a column; where that is None or "", by the own value."""
        name = by or own.name
        who = own if by is None else self._frame[_extra(by) if by in self._extra else by]
        nobody = who.is_null() | (who == "")
        if by and nobody.any():
            return personas.bits(pl.select(pl.when(nobody).then(own).otherwise(who)).to_series())
        if (personas, name) not in self._cache:
            self._cache[personas, name] = personas.bits(who)
        return self._cache[personas, name]


@dataclass(frozen=True)
class _Place:
    """A text inside of a value: the row of the block, and where in the value it begins and ends."""

    row: int
    start: int
    end: int
    text: str


def _edited(own: pl.Series, texts: list[str], edits: Iterable[tuple[_Place, str]]) -> pl.Series:
    """Return texts with what stands at some places replaced; what is NULL in own stays so."""
    by_row: defaultdict[int, list[tuple[int, int, str]]] = defaultdict(list)
    for place, new in edits:
        by_row[place.row].append((place.start, place.end, new))
    for row, pieces in by_row.items():
        texts[row] = replaced(texts[row], pieces)
    changed = pl.Series(texts, dtype=pl.String)
    return changed.set(own.is_null(), None).alias(own.name)


def _told_apart(own: pl.Series, column: Column) -> pl.Series:
    """Return values as PostgreSQL compares them: without citext's case, and the spaces of character(n)."""
    if column.type == "citext":
        return own.str.to_lowercase()
    return own.str.strip_chars_end(" ") if column.type.startswith(("character(", "bpchar")) else own


def _extra(name: str) -> str:
    return EXTRA + name


def _shape(value: str) -> str:
    """Return the form of a value without the value: 9 for a digit, a for a letter."""
    return re.sub(r"[^\W\d_]", "a", re.sub(r"\d", "9", value))[:40]
