"""The survey of a database: its tables, how they refer to each other, and what in them is personal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from labkit.widgets._drawing import FILLS, arrow, box, cut, picture, text
from labkit.widgets._picture import Picture
from labkit.widgets._table import Table

if TYPE_CHECKING:  # testdata loads polars, which a notebook without test data need not wait for
    from labkit.testdata import Survey, Surveyed

WIDTH, HEAD, ROW, GAP, TOP = 284, 30, 22, 64, 62
MOST = 20
"""Characters of a proposal that fit beside a column's name."""

INK, PAPER, HEADER = "#1f2328", "#ffffff", "#d9e8ff"
MARKS = {
    "personal": ("●", *FILLS["failed"][1:]),
    "decide": ("?", *FILLS["waiting"][1:]),
    "reference": ("→", PAPER, INK),
}
"""What a column is → (sign, fill, text colour); a column that is none of these is only counted."""

LEGEND = "● personal,  ? can hold anything: decide,  → has the rule of the column that it refers to"
CODE = """\
survey = testdata.survey(source)
print(survey.policy())"""

Place = tuple[float, float]


def survey(surveyed: Survey) -> Picture:
    """Return the picture of a survey, its tables, and the call that writes a first policy."""
    return Picture(draw(surveyed), tables(surveyed), CODE)


def mark(column: Surveyed) -> str:
    """Return what a column is: "personal", "decide", "reference", or "" when it may stay as it is."""
    if column.inherits:
        return "reference"
    if column.is_unclear:
        return "decide"
    return "personal" if column.is_personal else ""


def draw(surveyed: Survey) -> str:
    """Return a survey as SVG: tables as boxes, each to the right of those that it refers to."""
    columns: dict[str, list[Surveyed]] = {table: [] for table in surveyed.order}
    for column in surveyed.columns:
        columns[column.table].append(column)
    shown = {table: [column for column in rows if mark(column)] for table, rows in columns.items()}
    heights = {table: HEAD + ROW * (len(rows) + 1) for table, rows in shown.items()}
    places, width, height = _places(surveyed, heights)
    shapes = [text(10, 22, heading(surveyed), bold=True), text(10, 44, LEGEND)]
    shapes += [line for key in surveyed.foreign_keys for line in _reference(key.table, key.to, shown, places)]
    for table, rows in shown.items():
        kept = len(columns[table]) - len(rows)
        shapes += _table(table, places[table], rows, f"and {kept} other{'s' * (kept != 1)}")
    return picture(max(width, 700), height, label(surveyed), *shapes)


def heading(surveyed: Survey) -> str:
    """Return a survey in one line."""
    marks = [mark(column) for column in surveyed.columns]
    counts = f"{len(surveyed.order)} tables, {len(marks)} columns"
    words = f"{counts}: {marks.count('personal')} personal, {marks.count('decide')} to decide on"
    loops = "; ".join(f"cycle {' → '.join([*cycle, cycle[0]])}" for cycle in surveyed.cycles)
    return f"{words}; {loops}" if loops else words


def label(surveyed: Survey) -> str:
    """Return a survey in words for a screen reader."""
    names = [f"{column.table}.{column.column}" for column in surveyed.columns if mark(column) == "personal"]
    personal = ", ".join(names)
    return f"{heading(surveyed)}. Personal: {personal or 'none'}"


def _places(surveyed: Survey, heights: Mapping[str, int]) -> tuple[dict[str, Place], int, int]:
    """Return each table's upper left corner, and the width and height of the picture, in pixels."""
    depth: dict[str, int] = {}
    for table in surveyed.order:
        before = [depth[key.to] for key in surveyed.foreign_keys if key.table == table and key.to in depth]
        depth[table] = max(before, default=-1) + 1
    places: dict[str, Place] = {}
    below: dict[int, int] = defaultdict(lambda: TOP)
    for table, at in depth.items():
        places[table] = (10 + at * (WIDTH + GAP), below[at])
        below[at] += heights[table] + ROW
    return places, 10 + (max(depth.values(), default=0) + 1) * (WIDTH + GAP), max(below.values(), default=TOP)


def _table(name: str, place: Place, rows: Sequence[Surveyed], rest: str) -> list[str]:
    x, y = place
    shapes = [box(x, y, WIDTH, HEAD, HEADER), text(x + 10, y + 20, cut(name, 32), INK, bold=True)]
    for at, column in enumerate(rows):
        sign, fill, ink = MARKS[mark(column)]
        line = y + HEAD + ROW * at
        shapes += [box(x, line, WIDTH, ROW, fill, radius=0), text(x + 10, line + 16, sign, ink)]
        shapes.append(text(x + 28, line + 16, cut(column.column, 16), ink, bold=True))
        shapes.append(text(x + WIDTH - 10, line + 16, cut(_brief(column), MOST), ink, anchor="end"))
    line = y + HEAD + ROW * len(rows)
    return [*shapes, box(x, line, WIDTH, ROW, PAPER, radius=0), text(x + 28, line + 16, rest, INK)]


def _words(column: Surveyed) -> str:
    """Return the proposal for a column in a few words."""
    rule = column.rule
    if column.inherits or rule is None:
        return column.inherits or "none fits"
    return rule.kind if rule.argument is None else f"{rule.kind} {rule.argument}"


def _brief(column: Surveyed) -> str:
    """Return the proposal for a column in the picture: without the argument where both do not fit."""
    words = _words(column)
    return words if len(words) <= MOST or not column.rule else column.inherits or column.rule.kind


def _reference(
    table: str, to: str, shown: Mapping[str, Sequence[Surveyed]], places: Mapping[str, Place]
) -> list[str]:
    """Return an arrow to a table's head from the first column that refers to it, or else from a head.

    [] for tables that stand one above the other: an arrow would lie on the boxes.
    """
    (x, y), (to_x, to_y) = places[table], places[to]
    if x == to_x:
        return []
    rows = (at for at, column in enumerate(shown[table]) if (column.inherits or "").startswith(f"{to}."))
    row = next(rows, -1)
    start, end = (x, to_x + WIDTH + 2) if to_x < x else (x + WIDTH, to_x - 2)
    return [arrow(start, y + HEAD + ROW * row + ROW / 2, end, to_y + HEAD / 2)]


def tables(surveyed: Survey) -> list[Table]:
    """Return a survey as tables: columns, references, views."""
    meanings = {"": "may stay", "reference": "inherits", "decide": "to decide on", "personal": "personal"}
    columns = [
        (
            f"{column.table}.{column.column}",
            column.type,
            meanings[mark(column)],
            _words(column),
            column.reason,
            column.confidence,
        )
        for column in surveyed.columns
    ]
    references = [
        (f"{key.table} ({', '.join(key.columns)})", f"{key.to} ({', '.join(key.to_columns)})")
        for key in surveyed.foreign_keys
    ]
    return [
        Table(("column", "type", "is", "proposal", "because", "confidence"), columns, heading(surveyed)),
        Table(("table", "refers to"), references, "references"),
        Table(
            ("view",), [(view,) for view in surveyed.views], "views: the copy has them too, over its own rows"
        ),
    ]
