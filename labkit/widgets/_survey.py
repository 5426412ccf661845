"""The survey of a database: its tables, how they refer to each other, and what in them is personal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from labkit.widgets._drawing import FILLS, arrow, box, cut, picture, text
from labkit.widgets._table import Table
from labkit.widgets._views import Views

if TYPE_CHECKING:  # testdata loads polars, which a notebook without test data need not wait for
    from labkit.testdata import Survey, Surveyed

WIDTH, HEAD, ROW, GAP, TOP = 284, 30, 22, 64, 62
INK, PAPER, HEADER = "#1f2328", "#ffffff", "#d9e8ff"
MARKS = {
    "personal": ("●", *FILLS["failed"][1:]),
    "decide": ("?", *FILLS["waiting"][1:]),
    "reference": ("→", PAPER, INK),
}
"""What a column is → (sign, fill, text colour); one that is nothing of this is only counted."""

LEGEND = "● personal,  ? can hold anything: decide,  → has the rule of what it refers to"
CODE = """\
found = testdata.survey(source)
print(found.policy())"""

Place = tuple[float, float]


def survey(found: Survey) -> Views:
    """Return the picture of a survey, its tables, and the call that makes a first policy of it."""
    view = Views("survey of a database", CODE)
    view.update(draw(found), *tables(found))
    return view


def mark(it: Surveyed) -> str:
    """Return what a column is: "personal", "decide", "reference", or "" for what may stay as it is."""
    if it.inherits:
        return "reference"
    if it.is_unclear:
        return "decide"
    return "personal" if it.is_personal else ""


def draw(found: Survey) -> str:
    """Return a survey as SVG: tables as boxes, each to the right of those that it refers to."""
    columns: dict[str, list[Surveyed]] = {table: [] for table in found.order}
    for it in found.columns:
        columns[it.table].append(it)
    shown = {table: [it for it in its if mark(it)] for table, its in columns.items()}
    heights = {table: HEAD + ROW * (len(its) + 1) for table, its in shown.items()}
    places, width, height = _places(found, heights)
    shapes = [text(10, 22, heading(found), bold=True), text(10, 44, LEGEND)]
    shapes += [line for key in found.foreign_keys for line in _reference(key.table, key.to, shown, places)]
    for table, its in shown.items():
        kept = len(columns[table]) - len(its)
        shapes += _table(table, places[table], its, f"and {kept} other{'s' * (kept != 1)}")
    return picture(max(width, 700), height, label(found), *shapes)


def heading(found: Survey) -> str:
    """Return a survey in one line."""
    marks = [mark(it) for it in found.columns]
    counts = f"{len(found.order)} tables, {len(marks)} columns"
    words = f"{counts}: {marks.count('personal')} personal, {marks.count('decide')} to decide on"
    loops = "; ".join(f"cycle {' → '.join([*cycle, cycle[0]])}" for cycle in found.cycles)
    return f"{words}; {loops}" if loops else words


def label(found: Survey) -> str:
    """Return a survey in words for a screen reader."""
    personal = ", ".join(f"{it.table}.{it.column}" for it in found.columns if mark(it) == "personal")
    return f"{heading(found)}. Personal: {personal or 'none'}"


def _places(found: Survey, heights: Mapping[str, int]) -> tuple[dict[str, Place], int, int]:
    """Return each table's upper left corner, and how wide and high all is."""
    depth: dict[str, int] = {}
    for table in found.order:
        before = [depth[key.to] for key in found.foreign_keys if key.table == table and key.to in depth]
        depth[table] = max(before, default=-1) + 1
    places: dict[str, Place] = {}
    below: dict[int, int] = defaultdict(lambda: TOP)
    for table, at in depth.items():
        places[table] = (10 + at * (WIDTH + GAP), below[at])
        below[at] += heights[table] + ROW
    return places, 10 + (max(depth.values(), default=0) + 1) * (WIDTH + GAP), max(below.values(), default=TOP)


def _table(name: str, place: Place, its: Sequence[Surveyed], rest: str) -> list[str]:
    x, y = place
    shapes = [box(x, y, WIDTH, HEAD, HEADER), text(x + 10, y + 20, cut(name, 32), INK, bold=True)]
    for at, it in enumerate(its):
        sign, fill, ink = MARKS[mark(it)]
        line = y + HEAD + ROW * at
        shapes += [box(x, line, WIDTH, ROW, fill, radius=0), text(x + 10, line + 16, sign, ink)]
        shapes.append(text(x + 28, line + 16, cut(it.column, 16), ink, bold=True))
        shapes.append(text(x + WIDTH - 10, line + 16, cut(_words(it), 20), ink, anchor="end"))
    line = y + HEAD + ROW * len(its)
    return [*shapes, box(x, line, WIDTH, ROW, PAPER, radius=0), text(x + 28, line + 16, rest, INK)]


def _words(it: Surveyed) -> str:
    """Return the proposal for a column in a few words."""
    return it.inherits or (it.rule.kind if it.rule.argument is None else f"{it.rule.kind} {it.rule.argument}")


def _reference(
    table: str, to: str, shown: Mapping[str, Sequence[Surveyed]], places: Mapping[str, Place]
) -> list[str]:
    """Return an arrow to a table's head from the first column that refers to it, or else from a head."""
    (x, y), (to_x, to_y) = places[table], places[to]
    if x == to_x:
        return []
    rows = (at for at, it in enumerate(shown[table]) if (it.inherits or "").startswith(f"{to}."))
    row = next(rows, -1)
    start, end = (x, to_x + WIDTH + 2) if to_x < x else (x + WIDTH, to_x - 2)
    return [arrow(start, y + HEAD + ROW * row + ROW / 2, end, to_y + HEAD / 2)]


def tables(found: Survey) -> list[Table]:
    """Return a survey as tables: columns, references, views."""
    said = {"": "may stay", "reference": "inherits", "decide": "to decide on", "personal": "personal"}
    columns = [
        (f"{it.table}.{it.column}", it.type, said[mark(it)], _words(it), it.reason) for it in found.columns
    ]
    references = [
        (f"{key.table} ({', '.join(key.columns)})", f"{key.to} ({', '.join(key.to_columns)})")
        for key in found.foreign_keys
    ]
    return [
        Table(("column", "type", "is", "proposal", "because"), columns, heading(found)),
        Table(("table", "refers to"), references, "references"),
        Table(("view",), [(view,) for view in found.views], "views: made anew in the copy, of its rows"),
    ]
