"""Changes a block of rows by the rules of their table."""

import re
from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b
from itertools import groupby

import numpy as np
import polars as pl

from labkit.errors import LabError
from labkit.testdata._ff1 import ff1
from labkit.testdata._persona import BITS, Bits, Personas
from labkit.testdata._rule import INTEGER, UUID, Rule, family, width
from labkit.testdata._schema import Column, Table
from labkit.testdata._scrub import Scrubber

IN_SQL = {"keep", "null", "round"}
"""Rules that PostgreSQL itself carries out while it reads."""

CODE_DIGITS = {"smallint": 4, "integer": 9, "bigint": 18}
ENDLESS = ("infinity", "-infinity")


class Changer:
    """Changes the blocks of one table; it keeps no value between blocks."""

    def __init__(self, table: Table, rules: Mapping[str, Rule], key: bytes, scrubber: Scrubber) -> None:
        """Take the rules of a table's copied columns, in the columns' order, and a key of 32 bytes."""
        self._table, self._rules, self._scrubber = table, rules, scrubber
        self._personas = Personas(key)
        self._permuted = ff1(blake2b(key=key, person=b"labkit digits", digest_size=32).digest())
        self._codes = blake2b(key=key, person=b"labkit codes", digest_size=16)
        self._work: Mapping[str, Callable[[pl.Series, Rule, Column, pl.Series], pl.Series]] = {
            "fake": self._fake,
            "digits": self._digits,
            "never": self._never,
            "shift": self._shift,
            "code": self._code,
            "scrub": self._scrub,
        }
        hidden = {rule.by for rule in rules.values() if rule.by}
        self.columns = [*rules, *(f"by {name}" for name in sorted(hidden))]

    @property
    def is_needed(self) -> bool:
        """Tell whether any column has to be changed here."""
        return any(rule.kind not in IN_SQL for rule in self._rules.values())

    def __call__(self, block: bytes) -> bytes:
        """Return a block of CSV rows with its columns changed; the columns for `by` are taken off."""
        names = dict.fromkeys(self.columns, pl.String)
        frame = pl.read_csv(block, has_header=False, schema=names)
        changed = [self._column(frame, name, rule) for name, rule in self._rules.items()]
        told: str = pl.DataFrame(changed).write_csv(include_header=False, quote_style="non_numeric")
        return told.encode()

    def _column(self, frame: pl.DataFrame, name: str, rule: Rule) -> pl.Series:
        own = frame[name]
        if rule.kind in IN_SQL:
            return own
        who = frame[f"by {rule.by}"].fill_null(own) if rule.by else own
        changed = self._work[rule.kind](own, rule, self._table.columns[name], who)
        empty = own.is_null() | (own == "")
        return pl.select(pl.when(empty).then(own).otherwise(changed).alias(name)).to_series()

    def _fake(self, own: pl.Series, rule: Rule, column: Column, who: pl.Series) -> pl.Series:
        bits, most = self._personas.bits(who), width(column.type)
        made = self._personas.make(str(rule.argument), bits, most)
        same = (made == own).fill_null(value=False)
        if not same.any():
            return made
        other = self._personas.make(str(rule.argument), bits ^ np.uint64((1 << BITS) - 1), most)
        return pl.select(pl.when(same).then(other).otherwise(made)).to_series()

    def _digits(self, own: pl.Series, rule: Rule, column: Column, _: pl.Series) -> pl.Series:
        pattern = str(rule.argument)
        numbers = self._read(own, pattern, column)
        return _written(self._permuted(numbers, pattern.count("#")), pattern)

    def _never(self, own: pl.Series, rule: Rule, column: Column, who: pl.Series) -> pl.Series:
        pattern = str(rule.argument)
        del column, own
        return _written(self._personas.bits(who) % np.uint64(10 ** pattern.count("#")), pattern)

    def _read(self, own: pl.Series, pattern: str, column: Column) -> Bits:
        """Return the number that the marked digits of each value make; 0 for None and ""."""
        fits = re.escape(pattern).replace(r"\#", "[0-9]")
        right = own.str.contains(f"^(?:{fits})?$").fill_null(value=True)
        if not right.all():
            place, wrong = f"{self._table.name}.{column.name}", own.filter(~right)
            expected = f"values of {place} in the form {pattern}"
            seen = f"{len(wrong)} in a block that are not, such as one in the form {_shape(wrong[0])}"
            raise LabError(expected, seen, f"mend the data, or give {place} another rule, such as code")
        parts = [own.str.slice(start, length) for is_digit, start, length in _runs(pattern) if is_digit]
        joined = pl.select(pl.concat_str(parts)).to_series()
        return joined.cast(pl.UInt64, strict=False).fill_null(0).to_numpy()

    def _shift(self, own: pl.Series, rule: Rule, column: Column, who: pl.Series) -> pl.Series:
        days = int(rule.argument or 0)
        numbers = self._personas.bits(who) % np.uint64(2 * days)
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

    def _code(self, own: pl.Series, rule: Rule, column: Column, _: pl.Series) -> pl.Series:
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

    def _scrub(self, own: pl.Series, rule: Rule, column: Column, _: pl.Series) -> pl.Series:
        del rule, column
        return self._scrubber.scrub(own)


def _runs(pattern: str) -> Iterator[tuple[bool, int, int]]:
    """Yield for each run of marked digits, or of what stays: which of the two, its start and length."""
    start = 0
    for is_digit, run in groupby(pattern, lambda it: it == "#"):
        length = len(list(run))
        yield is_digit, start, length
        start += length


def _written(numbers: Bits, pattern: str) -> pl.Series:
    """Return numbers in the form of a pattern."""
    digits = pl.Series(numbers).cast(pl.String).str.zfill(pattern.count("#"))
    parts: list[pl.Series | pl.Expr] = []
    taken = 0
    for is_digit, start, length in _runs(pattern):
        parts.append(digits.str.slice(taken, length) if is_digit else pl.lit(pattern[start : start + length]))
        taken += length if is_digit else 0
    return pl.select(pl.concat_str(parts)).to_series()


def _shape(value: str) -> str:
    """Return what a value looks like without telling it: 9 for a digit, a for a letter."""
    return re.sub(r"[^\W\d_]", "a", re.sub(r"\d", "9", value))[:40]
