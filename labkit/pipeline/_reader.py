"""Reads one table of pipeline.toml so that every mistake names its file, its key and its mend."""

import difflib
from collections.abc import Mapping
from typing import Any, NoReturn, Self

from labkit.errors import LabError


class Table:
    """A TOML table that knows its place in the file and which of its keys were asked for."""

    def __init__(self, values: Mapping[str, Any], file: str, place: str = "") -> None:
        self._values = values
        self._file = file
        self._place = place
        self._asked: list[str] = []

    def has(self, key: str) -> bool:
        """Return whether the key is written in the file."""
        return key in self._values

    def error(self, key: str, expected: str, seen: object, mend: str) -> LabError:
        """Return the error for a key: what it should be, what it is, how to mend it."""
        name = f"{self._place}.{key}" if self._place else key
        shown = "nothing" if seen is None else repr(seen)
        return LabError(f"{self._file}, {name}: {expected}", shown, f"{mend}, save and commit {self._file}")

    def text(self, key: str, default: str | None = None) -> str:
        """Return a text that is not empty."""
        value = self._get(key, default, "a text")
        if not isinstance(value, str) or not value.strip():
            self._wrong(key, "a text that is not empty", value)
        return value

    def boolean(self, key: str, *, default: bool) -> bool:
        """Return true or false."""
        value = self._get(key, default, "true or false")
        if not isinstance(value, bool):
            self._wrong(key, "true or false, without quotes", value)
        return value

    def number(self, key: str, default: float, *, zero: bool = False) -> float:
        """Return a number over 0 (0 too when `zero`)."""
        value = self._get(key, default, "a number")
        if not _is_number(value) or value < 0 or (value == 0 and not zero):
            self._wrong(key, "a number, 0 or more" if zero else "a number over 0", value)
        return float(value)

    def words(self, key: str) -> list[str]:
        """Return a list of texts, possibly empty."""
        value = self._get(key, None, "a list of texts")
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self._wrong(key, 'a list of texts, such as ["unit"]', value)
        return value

    def texts(self, key: str) -> dict[str, str]:
        """Return a table of texts; none when the key is absent."""
        value = self._get(key, {}, "a table of texts")
        if not isinstance(value, dict) or not all(isinstance(item, str) and item for item in value.values()):
            self._wrong(key, "a table with a reason as text for each key", value)
        return value

    def value(self, key: str) -> Any:  # noqa: ANN401 - TOML holds anything
        """Return whatever is written, None when nothing is."""
        self._asked.append(key)
        return self._values.get(key)

    def table(self, key: str) -> Self:
        """Return a table inside this one; an empty one when the key is absent."""
        value = self._get(key, {}, "a table")
        if not isinstance(value, dict):
            self._wrong(key, f"a table, [{key}]", value)
        return type(self)(value, self._file, f"{self._place}.{key}" if self._place else key)

    def tables(self, key: str) -> list[Self]:
        """Return the tables of an array of tables, at least one."""
        value = self._get(key, None, f"at least one [[{key}]]")
        if not isinstance(value, list) or not value or not all(isinstance(item, dict) for item in value):
            self._wrong(key, f"at least one [[{key}]]", value)
        place = f"{self._place}.{key}" if self._place else key
        return [type(self)(item, self._file, f"{place}[{number}]") for number, item in enumerate(value, 1)]

    def refuse_unknown(self) -> None:
        """Raise when a key is written that nobody asked for, naming the key it may have been meant for."""
        for key in self._values:
            if key not in self._asked:
                near = difflib.get_close_matches(key, self._asked, n=1)
                mend = f"write {near[0]!r} instead" if near else "take it out"
                raise self.error(key, f"one of the keys {', '.join(sorted(self._asked))}", key, mend)

    def _get(self, key: str, default: object, kind: str) -> Any:  # noqa: ANN401 - TOML holds anything
        self._asked.append(key)
        if key in self._values:
            return self._values[key]
        if default is None:
            raise self.error(key, kind, None, f"add {key}")
        return default

    def _wrong(self, key: str, expected: str, value: object) -> NoReturn:
        raise self.error(key, expected, value, f"correct {key}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
