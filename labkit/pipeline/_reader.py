"""Reads one table of pipeline.toml; the error for a mistake names the file, the key and the fix."""

from typing import Any, NoReturn, Self

from labkit import system


class PipelineTable(system.TomlTable):
    """A table of pipeline.toml. Each next step ends with a commit, because a run reads the commit's file."""

    def refuse(self, key: str, expected: str, seen: object, next_step: str) -> NoReturn:
        """Raise the error for a key: what it should be, what it is, how to correct it."""
        super().refuse(key, expected, seen, f"{next_step}, save and commit {self.file}")

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
