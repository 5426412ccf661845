"""What the commands share: the two options and the two ways to print."""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
in_workspace = click.option(
    "--workspace",
    "root",
    type=click.Path(path_type=Path, file_okay=False),
    help="The learner's folder; default: the one you stand in, or $LABKIT_WORKSPACE.",
)

console = Console(highlight=False)
"""Where results for people go."""

progress = Console(stderr=True, highlight=False)
"""Where progress goes, so that a result can be piped."""


def print_json(value: Any) -> None:  # noqa: ANN401 - whatever JSON can hold
    """Print one JSON document; dates and paths become text."""
    click.echo(json.dumps(value, indent=2, default=str))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """Print a table, or the sentence `empty` when there is no row."""
    listed = [[str(cell) for cell in row] for row in rows]
    if not listed:
        console.print(empty)
        return
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in listed:
        table.add_row(*row)
    console.print(table)


def step_printer() -> Callable[..., None]:
    """Return a callback that prints each progress line once, for work that takes over a second."""
    seen: set[str] = set()

    def step(*words: object) -> None:
        line = " ".join(str(word) for word in words if word)
        if line not in seen:
            seen.add(line)
            progress.print(line, style="dim", markup=False)

    return step
