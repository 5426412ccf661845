"""What the commands share: two options, and how results, durations and progress are printed."""

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
in_workspace = click.option(
    "--workspace",
    "root",
    type=click.Path(path_type=Path, file_okay=False),
    help="The learner's folder; default: the current folder, or $LABKIT_WORKSPACE.",
)

UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
"""The units of a duration with their seconds."""

console = Console(highlight=False)
"""Where results for people go."""

progress = Console(stderr=True, highlight=False)
"""Where progress goes, so that a result can be piped."""


def print_json(value: Any) -> None:  # noqa: ANN401 - whatever JSON can hold
    """Print one JSON document; dates and paths become text."""
    click.echo(json.dumps(value, indent=2, default=str))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """Print a table, or the sentence `empty` when there is no row."""
    # As it stands, because data is no markup; and whole, because the end of a version is not to be cut.
    cells = [[Text(str(cell), overflow="fold") for cell in row] for row in rows]
    if not cells:
        console.print(empty, markup=False)
        return
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in cells:
        table.add_row(*row)
    console.print(table)


def duration(time: timedelta) -> str:
    """Return a duration in its largest unit and the one below: "45 s", "12 min 5 s", "1 d 1 h".

    A negative one, from clocks that differ, is "0 s".
    """
    seconds = max(int(time.total_seconds()), 0)
    for (unit, size), (unit_below, size_below) in pairwise(UNITS):
        amount, rest = divmod(seconds, size)
        if amount:
            below = rest // size_below
            return f"{amount} {unit} {below} {unit_below}" if below else f"{amount} {unit}"
    return f"{seconds} s"


def step_printer() -> Callable[..., None]:
    """Return a callback that prints each line of progress at once, and only the first time that it comes.

    A line that comes again is left out, because work that polls reports the same thing many times.
    """
    printed: set[str] = set()

    def step(*words: object) -> None:
        line = " ".join(str(word) for word in words if word)
        if line not in printed:
            printed.add(line)
            progress.print(line, style="dim", markup=False, soft_wrap=True)

    return step
