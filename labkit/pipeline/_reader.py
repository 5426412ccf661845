"""Reads one table of pipeline.toml; the error for a mistake names the file, the key and the fix."""

from typing import NoReturn

from labkit import system


class PipelineTable(system.TomlTable):
    """A table of pipeline.toml. Each next step ends with a commit, because a run reads the commit's file."""

    def refuse(self, key: str, expected: str, seen: object, next_step: str) -> NoReturn:
        """Raise the error for a key: what it should be, what it is, how to correct it."""
        super().refuse(key, expected, seen, f"{next_step}, save and commit {self.file}")
