"""What the commands share: two options, and how results, durations and progress are printed."""

import json
import re
import textwrap
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


INDENT = " " * len("expected: ")
COMMANDS = ("labkit ", "git ", "docker ", "df ", "head ")
"""How a next step begins that is a command: it stays one line, to be copied."""
QUOTED_PATH = re.compile(r"""(?<=\s)'[^']*(?:'"'"'[^']*)*'""")
"""What shlex.quote makes of a path with a space: it stays one word, to be copied."""


def plain(text: object) -> str:
    """Return a text in which nothing commands the terminal: control characters are escaped.

    So are the halves of a character that a file's or a commit's name can hold, which no terminal can print.
    """
    whole = str(text).expandtabs(4)
    return "".join(one if one.isprintable() or one == "\n" else repr(one)[1:-1] for one in whole)


def say(text: object, *, to: Console = console) -> None:
    """Print a text as it stands: what a commit or a user brought is no markup."""
    to.print(plain(text), markup=False, soft_wrap=True)


def print_problem(problem: object, *, to: Console = progress) -> None:
    """Print an error's three parts, wrapped to the width of the terminal, each part beside its word."""
    for line in plain(problem).splitlines():
        labelled = line.startswith(("expected: ", "seen:     ", "next:     ", INDENT))
        first = line if labelled else INDENT + line
        if first[len(INDENT) :].startswith(COMMANDS) or not first.strip():
            say(first, to=to)
            continue
        wrapped = textwrap.wrap(
            QUOTED_PATH.sub(lambda path: path[0].replace(" ", "\xa0"), first),
            max(to.width, 2 * len(INDENT)),
            subsequent_indent=INDENT,
            break_long_words=False,
            break_on_hyphens=False,
        )
        say("\n".join(wrapped).replace("\xa0", " "), to=to)


def print_json(value: Any) -> None:  # noqa: ANN401 - whatever JSON can hold
    """Print one JSON document; dates and paths become text."""
    click.echo(json.dumps(value, indent=2, default=str))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """Print a table, or the sentence `empty` when there is no row."""
    # As it stands, because data is no markup; and whole, because the end of a version is not to be cut.
    cells = [[Text(plain(cell), overflow="fold") for cell in row] for row in rows]
    if not cells:
        say(empty)
        return
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    # The names in it are typed again in other commands.
    table.columns[0].no_wrap = True
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
            progress.print(plain(line), style="dim", markup=False, soft_wrap=True)

    return step
