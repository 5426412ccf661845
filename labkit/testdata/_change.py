"""Changes a block of rows by the rules of their table."""

import re
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Literal

import numpy as np
import polars as pl

from labkit.errors import LabError
from labkit.testdata._ff1 import ff1
from labkit.testdata._mac import Bits
from labkit.testdata._pattern import Pattern
from labkit.testdata._persona import BITS, Personas
from labkit.testdata._rule import INTEGER, UUID, Rule, family, width
from labkit.testdata._schema import Column, Table
from labkit.testdata._scrub import Scrubber

IN_SQL = {"keep", "null", "round"}
"""Rules that PostgreSQL itself carries out while it reads."""

Quotes = Literal["necessary", "non_numeric"]
CODE_DIGITS = {"smallint": 4, "integer": 9, "bigint": 18}
ENDLESS = ("infinity", "-infinity")


class Changer:
    """Changes the blocks of one table; it keeps no value between blocks."""

    def __init__(self, table: Table, rules: Mapping[str, Rule], key: bytes, scrubber: Scrubber) -> None:
        """Take the rules of a table's copied columns, in the columns' order, and a key of 32 bytes."""
        self._table, self._rules, self._scrubber = table, rules, scrubber
        self._personas = Personas(key)
        # A persona can be read off a fake; how far dates move must not follow from it.
        self._moves = Personas(key, b"labkit moves")
        self._permuted = ff1(blake2b(key=key, person=b"labkit digits", digest_size=32).digest())
        self._codes = blake2b(key=key, person=b"labkit codes", digest_size=16)
        self._work: Mapping[str, Callable[[pl.Series, Rule, Column, _People], pl.Series]] = {
            "fake": self._fake,
            "digits": self._digits,
            "never": self._never,
            "shift": self._shift,
            "code": self._code,
            "scrub": self._scrub,
        }
        read = {name for name, rule in rules.items() if rule.kind == "keep" or rule.kind not in IN_SQL}
        self._apart = sorted({rule.by for rule in rules.values() if rule.by} - read)
        self.columns = [*rules, *map(_apart, self._apart)]

    @property
    def is_needed(self) -> bool:
        """Tell whether any column has to be changed here."""
        return any(rule.kind not in IN_SQL for rule in self._rules.values())

    def __call__(self, block: bytes) -> bytes:
        """Return a block of CSV rows with its columns changed; the columns for `by` are taken off."""
        frame = pl.read_csv(block, has_header=False, schema=dict.fromkeys(self.columns, pl.String))
        people = _People(frame, self._apart)
        changed = [self._column(frame[name], rule, people) for name, rule in self._rules.items()]
        # PostgreSQL takes a line of \. without quotes for the end of all rows.
        quoted: Quotes = "non_numeric" if len(changed) == 1 else "necessary"
        told: str = pl.DataFrame(changed).write_csv(include_header=False, quote_style=quoted)
        return told.encode()

    def _column(self, own: pl.Series, rule: Rule, people: "_People") -> pl.Series:
        if rule.kind in IN_SQL:
            return own
        changed = self._work[rule.kind](own, rule, self._table.columns[own.name], people)
        empty = own.is_null() | (own == "")
        if not empty.any():
            return changed.alias(own.name)
        return pl.select(pl.when(empty).then(own).otherwise(changed).alias(own.name)).to_series()

    def _fake(self, own: pl.Series, rule: Rule, column: Column, people: "_People") -> pl.Series:
        bits, most = people.bits(self._personas, own, rule.by), width(column.type)
        if rule.is_unique:
            bits = self._personas.spelled(own, bits)
        made = self._personas.make(str(rule.argument), bits, most)
        same = (made == own).fill_null(value=False)
        if not same.any():
            return made
        other = self._personas.make(str(rule.argument), bits ^ np.uint64((1 << BITS) - 1), most)
        return pl.select(pl.when(same).then(other).otherwise(made)).to_series()

    def _digits(self, own: pl.Series, rule: Rule, column: Column, _: "_People") -> pl.Series:
        pattern = Pattern(str(rule.argument))
        numbers = pattern.read(own)
        if numbers is None:
            wrong, place = pattern.misfits(own), f"{self._table.name}.{column.name}"
            expected = f"values of {place} in the form {rule.argument}"
            seen = f"{len(wrong)} in a block that are not, such as one in the form {_shape(wrong[0])}"
            raise LabError(expected, seen, f"mend the data, or give {place} another rule, such as code")
        return pattern.write(self._permuted(numbers, pattern.digits))

    def _never(self, own: pl.Series, rule: Rule, _: Column, people: "_People") -> pl.Series:
        pattern = Pattern(str(rule.argument))
        return pattern.write(people.bits(self._personas, own, rule.by) % np.uint64(10**pattern.digits))

    def _shift(self, own: pl.Series, rule: Rule, column: Column, people: "_People") -> pl.Series:
        days = int(rule.argument or 0)
        numbers = people.bits(self._moves, own, rule.by) % np.uint64(2 * days)
        moves = pl.Series(numbers.astype(np.int64) - days)
        moves = moves + (moves >= 0).cast(pl.Int64)  # never by none
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

    def _code(self, own: pl.Series, rule: Rule, column: Column, _: "_People") -> pl.Series:
        del rule
        if family(column.type) == INTEGER:
            return self._number_code(own, column)
        start = self._codes.copy

        def one(text: str) -> str:
            whole = start()
            whole.update(text.encode())
            return whole.hexdigest()

        texts = pl.Series([one(text or "") for text in own.to_list()])
        if family(column.type) == UUID:  # version 8 of RFC 9562: bits of one's own making
            return (
                texts.str.slice(0, 12) + pl.Series(["8"]) + texts.str.slice(13, 3) + "8" + texts.str.slice(17)
            )
        return texts.str.slice(0, width(column.type) or 16)

    def _number_code(self, own: pl.Series, column: Column) -> pl.Series:
        digits = CODE_DIGITS[column.type]
        numbers = own.cast(pl.Int64)
        if bool(((numbers < 0) | (numbers >= 10**digits)).any()):
            place = f"{self._table.name}.{column.name}"
            seen = "one that is negative or longer"
            raise LabError(
                f"numbers of up to {digits} digits in {place}", seen, f"give {place} the rule keep"
            )
        plain = numbers.fill_null(0).cast(pl.UInt64).to_numpy()
        return pl.Series(self._permuted(plain, digits)).cast(pl.String)

    def _scrub(self, own: pl.Series, rule: Rule, column: Column, _: "_People") -> pl.Series:
        del rule, column
        return self._scrubber.scrub(own)


class _People:
    """Who the rows of a block are about, found once for each column that tells it."""

    def __init__(self, frame: pl.DataFrame, apart: list[str]) -> None:
        self._frame, self._apart = frame, apart
        self._found: dict[tuple[Personas, str], Bits] = {}

    def bits(self, personas: Personas, own: pl.Series, by: str | None) -> Bits:
        """Return who each row is about by a column, or by the own value where that is None or ""."""
        name = by or own.name
        who = own if by is None else self._frame[_apart(by) if by in self._apart else by]
        nobody = who.is_null() | (who == "")
        if by and nobody.any():
            return personas.bits(pl.select(pl.when(nobody).then(own).otherwise(who)).to_series())
        if (personas, name) not in self._found:
            self._found[personas, name] = personas.bits(who)
        return self._found[personas, name]


def _apart(name: str) -> str:
    return f"by {name}"


def _shape(value: str) -> str:
    """Return what a value looks like without telling it: 9 for a digit, a for a letter."""
    return re.sub(r"[^\W\d_]", "a", re.sub(r"\d", "9", value))[:40]
