"""Changes a block of rows by the rules of their table."""

import re
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Literal

import numpy as np
import polars as pl

from labkit.errors import LabError
from labkit.testdata._fakes import Fakes
from labkit.testdata._ff1 import ff1
from labkit.testdata._mac import Bits
from labkit.testdata._pattern import Pattern
from labkit.testdata._persona import BITS, Personas
from labkit.testdata._redact import Redactor
from labkit.testdata._rule import INTEGER, UUID, Rule, family, width
from labkit.testdata._schema import Column, Table

IN_SQL = {"keep", "null", "generalize"}
"""Rules that PostgreSQL itself carries out while it reads."""

Quotes = Literal["necessary", "non_numeric"]
PSEUDONYM_DIGITS = {"smallint": 4, "integer": 9, "bigint": 18}
"""Type → how many decimal digits always fit into it, so that an encrypted number does too."""

ENDLESS = ("infinity", "-infinity")


class Changer:
    """Changes the blocks of one table; it keeps no value between blocks.

    columns names the columns of a block: those of the rules, then those that are read for `by` alone.
    """

    def __init__(
        self, table: Table, rules: Mapping[str, Rule], key: bytes, redactor: Redactor, fakes: Fakes
    ) -> None:
        """Take the rules of a table's copied columns, in the columns' order, and a key of 32 bytes."""
        self._table, self._rules, self._redactor, self._fakes = table, rules, redactor, fakes
        self._few = {name for name, rule in rules.items() if fakes.has_few(rule)}
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
        }
        read = {name for name, rule in rules.items() if rule.kind == "keep" or rule.kind not in IN_SQL}
        # A column that is null or generalized in the copy is read once more as it is, to identify the person.
        self._extra = sorted({rule.by for rule in rules.values() if rule.by} - read)
        self.columns = [*rules, *map(_extra, self._extra)]

    @property
    def is_needed(self) -> bool:
        """Return whether any column has to be changed here."""
        return any(rule.kind not in IN_SQL for rule in self._rules.values())

    def __call__(self, block: bytes) -> bytes:
        """Return a block of CSV rows with its columns changed; the columns for `by` are left out."""
        frame = pl.read_csv(block, has_header=False, schema=dict.fromkeys(self.columns, pl.String))
        people = _People(frame, self._extra)
        changed = [self._column(frame[name], rule, people) for name, rule in self._rules.items()]
        # PostgreSQL takes a line of \. without quotes for the end of all rows.
        quoted: Quotes = "non_numeric" if len(changed) == 1 else "necessary"
        rows: str = pl.DataFrame(changed).write_csv(include_header=False, quote_style=quoted)
        return rows.encode()

    def _column(self, own: pl.Series, rule: Rule, people: "_People") -> pl.Series:
        if rule.kind in IN_SQL:
            return own
        changed = self._work[rule.kind](own, rule, self._table.columns[own.name], people)
        empty = own.is_null() | (own == "")
        if not empty.any():
            return changed.alias(own.name)
        return pl.select(pl.when(empty).then(own).otherwise(changed).alias(own.name)).to_series()

    def _fake(self, own: pl.Series, rule: Rule, column: Column, people: "_People") -> pl.Series:
        whose, most = people.bits(self._personas, own, rule.by), width(column.type)
        bits = self._personas.spelled(own, whose) if self._fakes.keeps_apart(rule) else whose
        made = self._fakes.make(rule, bits, most, whose)
        # Of a few values, such as yes and no, one that is never the own one would give the own one away.
        same = np.flatnonzero((made == own).fill_null(value=False)) if own.name not in self._few else ()
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
        return texts.str.slice(0, width(column.type) or 16)

    def _pseudonymize_numbers(self, own: pl.Series, column: Column) -> pl.Series:
        digits = PSEUDONYM_DIGITS[column.type]
        numbers = own.cast(pl.Int64)
        if bool(((numbers < 0) | (numbers >= 10**digits)).any()):
            place = f"{self._table.name}.{column.name}"
            seen = "a number that is negative or longer"
            raise LabError(
                f"numbers of up to {digits} digits in {place}", seen, f"give {place} the rule keep"
            )
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


def _extra(name: str) -> str:
    return f"by {name}"


def _shape(value: str) -> str:
    """Return the form of a value without the value: 9 for a digit, a for a letter."""
    return re.sub(r"[^\W\d_]", "a", re.sub(r"\d", "9", value))[:40]
