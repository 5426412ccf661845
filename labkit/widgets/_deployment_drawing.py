"""What the deployment board shows, as a picture and as tables, from what was looked at once."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from labkit.load import Measurement, Tally
from labkit.widgets._drawing import FILLS, box, cut, picture, text
from labkit.widgets._table import Table

WIDTH, CELL, HEIGHT, ACROSS = 800, 122, 62, 6
SQUARE, IN_ROW = 15, 50
INK, BAD = "#1f2328", "#b3261e"
COLOURS = ("#d9e8ff", "#d3f1dc", "#ffefc2", "#f3e3f7")
WINDOW_S, IN_TABLE, IN_PICTURE = 5, 20, 8
MIXED = "≠"
SIGNS = {"UP": "✓", "DRAIN": "…", "waiting": "‖", "DOWN": "✗", "paused": "✗"}


@dataclass(frozen=True)
class Cell:
    """One instance: what it runs, what the balancer says, requests under way, and what is done to it."""

    name: str
    version: str
    state: str
    sessions: int = 0
    trouble: str = ""


@dataclass(frozen=True)
class Shown:
    """All that the board shows at one moment.

    toggles maps each to its state, with "8/10 ready" while it is being switched. evidence is (now, line),
    None where nobody judges. events are the newest last.
    """

    title: str
    cells: Sequence[Cell]
    measurement: Measurement
    objective: float
    toggles: Mapping[str, str] = field(default_factory=dict)
    evidence: tuple[float, float] | None = None
    events: Sequence[str] = ()

    @property
    def versions(self) -> list[str]:
        """The versions that run or have ever answered, each with a colour and a letter by its place."""
        answered = {key.version for key in self.measurement.tallies if key.version}
        return sorted({it.version for it in self.cells} | answered)

    def letter(self, version: str) -> str:
        """Return the letter that stands for a version where its name has no room; "?" for none of them."""
        return chr(ord("a") + self.versions.index(version)) if version in self.versions else "?"

    @property
    def window(self) -> dict[str, Tally]:
        """What each version has answered in the last seconds."""
        cells = self.measurement.tallies
        newest = max((key.second for key in cells), default=0)
        found: dict[str, Tally] = {}
        for key, tally in cells.items():
            if key.second > newest - WINDOW_S:
                found[key.version] = found.get(key.version, Tally()) + tally
        return found


def tables(shown: Shown) -> list[Table]:
    """Return the same as tables."""
    instances = [(it.name, it.version, it.state, it.sessions, it.trouble) for it in shown.cells]
    whole = sum(it.requests for it in shown.window.values()) or 1
    answers = [
        (version or "nobody", f"{it.requests / whole:.0%}", it.requests, it.failed, _ms(it.p99_ms))
        for version, it in shown.window.items()
    ]
    rows = [*(("toggle " + name, told) for name, told in shown.toggles.items())]
    if shown.evidence:
        rows.append(
            ("evidence against the new version", f"{shown.evidence[0]:.1f} of {shown.evidence[1]:.0f}")
        )
    rows += [("event", it) for it in shown.events]
    runs = [
        (version or "nobody", "failed" if failed else "mixed" if mixed else "", len([*run]))
        for (version, failed, mixed), run in groupby(shown.measurement.recent)
    ]
    return [
        Table(("instance", "version", "state", "requests now", "done to it"), instances, shown.title),
        Table(("version", "of the traffic", "answers", "failed", "p99"), answers, f"last {WINDOW_S} s"),
        Table(("version", "mark", "in a row"), runs[-IN_TABLE:], "the last answers, the newest at the end"),
        Table(("what", "is"), rows, "toggles, evidence, events"),
    ]


def draw(shown: Shown) -> str:
    """Return the board as SVG, from the instances at the top to the events at the bottom."""
    y, shapes = 40.0, [text(10, 22, shown.title, bold=True)]
    for part in (_instances, _answers, _split, _figures, _events):
        more, y = part(shown, y)
        shapes += more
    label = f"{shown.title}; " + ", ".join(f"{it.name} {it.version} {it.state}" for it in shown.cells)
    return picture(WIDTH, int(y) + 6, label, *shapes)


def _instances(shown: Shown, top: float) -> tuple[list[str], float]:
    shapes = []
    for place, it in enumerate(shown.cells):
        x, y = 10 + place % ACROSS * (CELL + 8), top + place // ACROSS * (HEIGHT + 8)
        down = it.state in {"DOWN", "paused", "exited"}
        fill = FILLS["failed"][1] if down else _colour(shown, it.version)
        faded = ' opacity="0.6"' if it.state in {"DRAIN", "waiting"} else ""
        told = it.trouble or f"{it.sessions} requests now"
        shapes += [
            f"<g{faded}>" + box(x, y, CELL, HEIGHT, fill),
            text(x + 8, y + 19, cut(it.name, 12), INK, bold=True),
            text(x + CELL - 8, y + 19, SIGNS.get(it.state, "?"), INK, bold=True, anchor="end"),
            text(x + 8, y + 37, cut(f"{shown.letter(it.version)}: {it.version}, {it.state}", 17), INK),
            text(x + 8, y + 54, cut(told, 17), INK) + "</g>",
        ]
    rows = math.ceil(len(shown.cells) / ACROSS)
    return shapes, top + rows * (HEIGHT + 8) + 14


def _answers(shown: Shown, top: float) -> tuple[list[str], float]:
    """Draw the last answers in the order in which they came; a failed one is dark and crossed."""
    words = f"the last answers in order: ✗ failed, {MIXED} another version had answered this customer before"
    shapes = [text(10, top, words)]
    for place, (version, failed, mixed) in enumerate(shown.measurement.recent):
        x, y = 10 + place % IN_ROW * SQUARE, top + 8 + place // IN_ROW * SQUARE
        fill, ink = (BAD, "#ffffff") if failed else (_colour(shown, version), INK)
        sign = "✗" if failed else MIXED if mixed else shown.letter(version)
        edge = INK if mixed else "#5f6b7a"
        shapes.append(box(x, y, SQUARE - 2, SQUARE - 2, fill, edge=edge, radius=2))
        shapes.append(text(x + 6.5, y + 11, sign, ink, anchor="middle"))
    rows = max(1, math.ceil(len(shown.measurement.recent) / IN_ROW))
    return shapes, top + 8 + rows * SQUARE + 22


def _split(shown: Shown, top: float) -> tuple[list[str], float]:
    """Draw who gets the traffic."""
    shapes, x = [text(10, top, f"traffic of the last {WINDOW_S} s")], 10.0
    whole = sum(it.requests for it in shown.window.values())
    for version, tally in shown.window.items():
        width = tally.requests / whole * (WIDTH - 40)
        shapes.append(box(x, top + 8, max(width, 1), 24, _colour(shown, version), radius=2))
        if width > 70:  # noqa: PLR2004 - the words have to fit
            words = f"{shown.letter(version)}: {version or 'nobody'} {tally.requests / whole:.0%}"
            shapes.append(text(x + 6, top + 25, words, INK))
        x += width
    return shapes, top + 54


def _figures(shown: Shown, top: float) -> tuple[list[str], float]:
    """Write errors and p99 by version, the toggles, and the evidence beside its line."""
    shapes, y = [], top
    for version, tally in shown.window.items():
        share = tally.error_share
        sign = "✗ over" if share > shown.objective else "✓ within"
        words = f"{version or 'nobody'}: {share:.1%} failed, {sign} the objective of {shown.objective:.1%}"
        shapes.append(text(10, y, f"{words}; p99 {_ms(tally.p99_ms)}"))
        y += 19
    if shown.evidence:
        now, line = shown.evidence
        part = min(1.0, max(0.0, math.log(max(now, 1)) / math.log(line)))
        shapes += [
            text(10, y, f"evidence against the new version: {now:.1f}; it is rolled back at {line:.0f}"),
            box(430, y - 12, 300, 14, "#ececec", radius=2),
            box(430, y - 12, max(1.0, 300 * part), 14, BAD if part >= 1 else "#ffefc2", radius=2),
            box(729, y - 16, 2, 22, INK, edge=INK, radius=0),
        ]
        y += 19
    for name, told in shown.toggles.items():
        shapes.append(text(10, y, f"toggle {name}: {told}"))
        y += 19
    return shapes, y + 6


def _events(shown: Shown, top: float) -> tuple[list[str], float]:
    newest = shown.events[-IN_PICTURE:]
    shapes = [text(10, top + place * 18, cut(it, 110)) for place, it in enumerate(newest)]
    return shapes, top + len(newest) * 18


def _colour(shown: Shown, version: str) -> str:
    versions = shown.versions
    return COLOURS[versions.index(version) % len(COLOURS)] if version in versions else "#ececec"


def _ms(milliseconds: float) -> str:
    return "–" if math.isnan(milliseconds) else f"{milliseconds:.0f} ms"
