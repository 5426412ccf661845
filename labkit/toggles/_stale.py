"""Toggles that have outlived their purpose: past the day on which they were to be removed."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labkit.system import System  # not in the containers, into which this room goes

CODE = {".py", ".html", ".js", ".ts", ".sql"}


@dataclass(frozen=True)
class StaleToggle:
    """A toggle past its day. places are where the code still asks for it, as "path:line"."""

    name: str
    owner: str
    remove_by: date
    places: tuple[str, ...]


def stale(system: "System", today: date | None = None) -> list[StaleToggle]:
    """Return the toggles of a system that were to be removed before today, with the places in its code.

    today None is the machine's date.
    """
    today = today or date.today()  # noqa: DTZ011 - a day of people's calendars, as in system.toml
    return [
        StaleToggle(toggle.name, toggle.owner, toggle.remove_by, tuple(_places(system.root, toggle.name)))
        for toggle in system.toggles.values()
        if toggle.remove_by < today
    ]


def _places(root: Path, name: str) -> Iterator[str]:
    word = re.compile(rf"\b{re.escape(name)}\b")
    for path in sorted(root.rglob("*")):
        if path.suffix in CODE and path.is_file():
            for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
                if word.search(line):
                    yield f"{path.relative_to(root).as_posix()}:{number}"
