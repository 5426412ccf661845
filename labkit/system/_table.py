"""Reads one table of a TOML file so that every mistake names its file, its key and the next step."""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, NoReturn, Self

from labkit.errors import LabError

NAME = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*")
"""A name that images, hosts and shells all accept."""

LONGEST_NAME = 40
A_NAME = (
    f"a name of lower-case letters, digits, and - or _ between them, {LONGEST_NAME} at most, a letter first"
)
LARGEST_PORT = 65535
A_FOLDER = 'a folder inside the system\'s own, such as "cart"'
A_TEXT = 'a text that is not empty, such as "cart"'
NUL = "\0"
"""The one character that no path, command or variable can have."""

REQUIRED = object()
"""Stands for "no default": the key has to be written."""


class TomlTable:
    """A TOML table. It knows its place in the file and which of its keys were read.

    Each method that reads a key raises a LabError when the value does not fit; see refuse.
    """

    def __init__(self, values: Mapping[str, Any], file: str, place: str = "") -> None:
        self._values = values
        self._asked: list[str] = []
        self.file = file
        self.place = place

    def refuse(self, key: str, expected: str, seen: object, next_step: str) -> NoReturn:
        """Refuse the value of a key: what it should be, what it is (None: nothing), and the next step.

        :raises LabError: always.
        """
        name = ".".join(part for part in (self.place, key) if part)
        raise LabError(
            f"{self.file}, {name}: {expected}", "nothing" if seen is None else repr(seen), next_step
        )

    def get(self, key: str, kind: type | tuple[type, ...], expected: str, default: object = REQUIRED) -> Any:  # noqa: ANN401 - TOML holds anything until it is checked
        """Return a value of exactly this type, or the default when the key is not written."""
        self._asked.append(key)
        value = self._values.get(key, default)
        if value is REQUIRED:
            self.refuse(key, expected, None, f"add {key} to [{self.place}]" if self.place else f"add {key}")
        kinds = (
            kind if isinstance(kind, tuple) else (kind,)
        )  # exactly these: in Python true is an int and a time is a date
        if key in self._values and type(value) not in kinds:
            self.refuse(key, expected, value, f"write {expected}")
        return value

    def text(self, key: str, expected: str = A_TEXT, default: object = REQUIRED) -> Any:  # noqa: ANN401 - the default may be anything
        """Return a text that is not empty, or the default."""
        value = self.get(key, str, expected, default)
        if value == "" or (isinstance(value, str) and NUL in value):
            self.refuse(key, expected, value, f"write {expected}")
        return value

    def choice(self, key: str, choices: tuple[str, ...]) -> str:
        """Return one of several texts."""
        expected = f"one of {', '.join(choices)}"
        value = str(self.text(key, expected))
        if value not in choices:
            self.refuse(key, expected, value, nearest(value, choices) or f"write {expected}")
        return value

    def texts(self, key: str, default: object = REQUIRED) -> tuple[str, ...]:
        """Return a list of texts, possibly empty."""
        expected = 'a list of texts, such as ["catalog"]'
        value = self.get(key, list, expected, default)
        if not all(isinstance(item, str) for item in value):
            self.refuse(key, expected, value, f"write {expected}")
        return tuple(value)

    def has(self, key: str) -> bool:
        """Return whether the key is written in the file."""
        return key in self.written

    def boolean(self, key: str, *, default: bool) -> bool:
        """Return true or false."""
        return bool(self.get(key, bool, "true or false, without quotes", default))

    def number(self, key: str, default: float, *, zero: bool = False) -> float:
        """Return a number over 0; zero allows 0 too."""
        expected = "a number, 0 or more" if zero else "a number over 0"
        value = float(self.get(key, (int, float), expected, default))
        if value < 0 or (value == 0 and not zero):
            self.refuse(key, expected, value, f"correct {key}")
        return value

    def reasons(self, key: str) -> dict[str, str]:
        """Return a table with a reason as text for each key; an empty one when it is not written."""
        expected = "a table with a reason as text for each key"
        value = self.get(key, dict, expected, {})
        if not all(isinstance(item, str) and item for item in value.values()):
            self.refuse(key, expected, value, f"correct {key}")
        return dict(value)

    def whole(self, key: str, default: int) -> int:
        """Return a whole number, 0 or more."""
        expected = "a whole number, 0 or more"
        value = int(self.get(key, int, expected, default))
        if value < 0:
            self.refuse(key, expected, value, f"correct {key}")
        return value

    def value(self, key: str) -> Any:  # noqa: ANN401 - TOML holds anything
        """Return whatever is written; None when the key is not."""
        self._asked.append(key)
        return self._values.get(key)

    def array(self, key: str) -> list[Self]:
        """Return the tables of an array of tables, at least one."""
        expected = f"at least one [[{key}]]"
        value = self.get(key, list, expected)
        if not value or not all(isinstance(item, dict) for item in value):
            self.refuse(key, expected, value, f"add [[{key}]]")
        place = f"{self.place}.{key}" if self.place else key
        return [type(self)(item, self.file, f"{place}[{number}]") for number, item in enumerate(value, 1)]

    def port(self, key: str) -> int:
        """Return a port number, 1 to 65535."""
        expected = f"a port number, 1 to {LARGEST_PORT}"
        value = int(self.get(key, int, expected))
        if not 0 < value <= LARGEST_PORT:
            self.refuse(key, expected, value, f"write {expected}")
        return value

    def folder(self, key: str, default: object = REQUIRED, expected: str = A_FOLDER) -> PurePosixPath | None:
        """Return a path inside the system's folder; None when that is the default and nothing is written."""
        value = self.text(key, expected, default)
        if value is None:
            return None
        path = PurePosixPath(value)
        if path.is_absolute() or ".." in path.parts:
            self.refuse(key, expected, value, f"move it beside {self.file} and write its relative path")
        return path

    def table(self, key: str) -> Self:
        """Return a table inside this one; an empty one when it is not written."""
        expected = f"a table, [{'.'.join(part for part in (self.place, key) if part)}]"
        values = self.get(key, dict, expected, {})
        return type(self)(values, self.file, f"{self.place}.{key}" if self.place else key)

    def tables(self, key: str) -> Iterator[tuple[str, Self]]:
        """Yield name and table of each table under a key; networks and shells have to accept the names."""
        outer = self.table(key)
        for name in outer.written:
            if not _is_name(name):
                outer.refuse(name, A_NAME, name, f"rename it, for example to {_near_name(name) or 'cart'}")
            yield name, outer.table(name)

    def name(self, key: str) -> str:
        """Return a text that images, hosts and shells accept as a name."""
        value = str(self.text(key, A_NAME))
        if not _is_name(value):
            self.refuse(key, A_NAME, value, f'write, for example, {key} = "{_near_name(value) or "shop"}"')
        return value

    @property
    def written(self) -> list[str]:
        """The keys that are written."""
        return list(self._values)

    def values(self) -> dict[str, Any]:
        """Return everything as it is written, for a table that may have any keys."""
        self._asked.extend(self._values)
        return dict(self._values)

    def refuse_unknown(self, instead: Mapping[str, str] | None = None) -> None:
        """Refuse a key that nobody read, and name the key that may have been meant.

        instead has the next step for keys that authors write for what the file cannot say; None has none.

        :raises LabError: when there is such a key.
        """
        for key in self._values:
            if key not in self._asked:
                known = f"one of the keys {', '.join(sorted(self._asked))}"
                step = (instead or {}).get(key) or nearest(key, self._asked)
                self.refuse(key, known, key, step or f"take {key} out")


def _is_name(text: str) -> bool:
    return bool(NAME.fullmatch(text)) and len(text) <= LONGEST_NAME


def _near_name(text: str) -> str:
    """Return a name much like a text; "" when nothing of it can stand in one."""
    words = re.findall("[a-z0-9]+", text.lower())
    return "-".join(words).lstrip("-0123456789")[:LONGEST_NAME].rstrip("-")


def nearest(word: str, words: Sequence[str]) -> str:
    """Return the next step for a misspelt word, "" when no word is like it."""
    near = difflib.get_close_matches(word, words, n=1)
    return f"write {near[0]} instead of {word}" if near else ""
