"""The state of the deployment board as a picture and as tables."""

import math
from itertools import groupby

from labkit.widgets._deployment_state import HANGING_S, WINDOW_S, BoardState
from labkit.widgets._drawing import FILLS, box, cut, picture, text
from labkit.widgets._table import Table

WIDTH, CELL, HEIGHT, ACROSS = 560, 128, 62, 4
SQUARE, IN_ROW, SCALE = 15, 36, 500
LONGEST = 80
"""At most so many characters of an event fit into the picture; the table has all."""
INK, BAD, IDLE = "#1f2328", "#b3261e", "#ececec"
COLOURS = ("#d9e8ff", "#d3f1dc", "#ffefc2", "#f3e3f7")
IN_TABLE, IN_PICTURE = 20, 8
MIXED = "≠"
SIGNS = {"UP": "✓", "DRAIN": "…", "MAINT": "…", "waiting": "‖", "DOWN": "✗", "paused": "✗"}


def tables(state: BoardState) -> list[Table]:
    """Return the same facts as tables."""
    instances = [
        (instance.name, instance.version, _word(instance.state), instance.sessions or 0, instance.faults)
        for instance in state.instances
        if state.selected in {None, instance.name}
    ]
    whole = sum(tally.requests for tally in state.window.values()) or 1
    answers = [
        (
            version or "nobody",
            f"{tally.requests / whole:.0%}",
            tally.requests,
            tally.failed,
            _ms(tally.p99_ms),
        )
        for version, tally in state.window.items()
    ]
    rows = [*(("toggle " + name, words) for name, words in state.toggles.items())]
    if state.evidence:
        rows.append(
            ("evidence against the new version", f"{state.evidence[0]:.1f} of {state.evidence[1]:.0f}")
        )
    if state.hanging:
        rows.append(("hanging", _hanging(state)))
    rows += [("event", event) for event in state.events]
    runs = [
        (version or "nobody", "failed" if failed else "mixed" if mixed else "", len([*run]))
        for (version, failed, mixed), run in groupby(state.measurement.recent)
    ]
    return [
        Table(("instance", "version", "state", "requests now", "done to it"), instances, state.title),
        Table(("version", "of the traffic", "answers", "failed", "p99"), answers, f"last {WINDOW_S} s"),
        Table(("version", "mark", "in a row"), runs[-IN_TABLE:], "the last answers, the newest at the end"),
        Table(("what", "is"), rows, "toggles, evidence, events"),
    ]


def draw(state: BoardState) -> str:
    """Return the board as SVG, from the instances at the top to the events at the bottom."""
    y, shapes = 40.0, [text(10, 22, state.title, bold=True)]
    for part in (_instances, _answers, _split, _figures, _events):
        more, y = part(state, y)
        shapes += more
    label = f"{state.title}; " + ", ".join(
        f"{instance.name} {instance.version} {_word(instance.state)}" for instance in state.instances
    )
    label += f"; {state.selected} is selected" if state.selected else ""
    return picture(WIDTH, int(y) + 6, label, *shapes)


def _word(state: str) -> str:
    """Return an instance's state as the board's buttons call it: paused is what a deployment can be."""
    return "stalled" if state == "paused" else state


def _instances(state: BoardState, top: float) -> tuple[list[str], float]:
    shapes = []
    for place, instance in enumerate(state.instances):
        x, y = 10 + place % ACROSS * (CELL + 8), top + place // ACROSS * (HEIGHT + 8)
        down = instance.state in {"DOWN", "paused", "exited"}
        idle = instance.state in {"DRAIN", "MAINT", "waiting"}
        fill = FILLS["failed"][1] if down else IDLE if idle else _colour(state, instance.version)
        below = instance.faults or f"{instance.sessions or 0} requests now"
        shapes += [
            box(x, y, CELL, HEIGHT, fill, selected=instance.name == state.selected),
            text(x + 8, y + 19, cut(instance.name, 12), INK, bold=True),
            text(x + CELL - 8, y + 19, SIGNS.get(instance.state, "?"), INK, bold=True, anchor="end"),
            text(
                x + 8,
                y + 37,
                cut(f"{state.letter(instance.version)}: {instance.version}, {_word(instance.state)}", 17),
                INK,
            ),
            text(x + 8, y + 54, cut(below, 17), INK),
        ]
    rows = math.ceil(len(state.instances) / ACROSS)
    return shapes, top + rows * (HEIGHT + 8) + 14


def _answers(state: BoardState, top: float) -> tuple[list[str], float]:
    """Draw the last answers in their order; a failed one is dark and crossed."""
    words = f"the last answers, newest last: ✗ failed, {MIXED} this customer's version changed"
    shapes = [text(10, top, words)]
    for place, (version, failed, mixed) in enumerate(state.measurement.recent):
        x, y = 10 + place % IN_ROW * SQUARE, top + 8 + place // IN_ROW * SQUARE
        fill, ink = (BAD, "#ffffff") if failed else (_colour(state, version), INK)
        sign = "✗" if failed else MIXED if mixed else state.letter(version)
        edge = INK if mixed else "#5f6b7a"
        shapes.append(box(x, y, SQUARE - 2, SQUARE - 2, fill, edge=edge, radius=2))
        shapes.append(text(x + 6.5, y + 11, sign, ink, anchor="middle"))
    rows = max(1, math.ceil(len(state.measurement.recent) / IN_ROW))
    return shapes, top + 8 + rows * SQUARE + 22


def _split(state: BoardState, top: float) -> tuple[list[str], float]:
    """Draw the share of the traffic that each version answers."""
    shapes, x = [text(10, top, f"traffic of the last {WINDOW_S} s")], 10.0
    whole = sum(tally.requests for tally in state.window.values())
    for version, tally in state.window.items():
        width = tally.requests / whole * (WIDTH - 40)
        shapes.append(box(x, top + 8, max(width, 1), 24, _colour(state, version), radius=2))
        if width > 70:  # noqa: PLR2004 - the words have to fit
            words = f"{state.letter(version)}: {version or 'nobody'} {tally.requests / whole:.0%}"
            shapes.append(text(x + 6, top + 25, words, INK))
        x += width
    return shapes, top + 54


def _figures(state: BoardState, top: float) -> tuple[list[str], float]:
    """Write errors and p99 of each version, the evidence beside its threshold, and the toggles."""
    shapes, y = [], top
    for version, tally in state.window.items():
        share = tally.error_share
        sign = "✗ over" if share > state.objective else "✓ within"
        words = f"{version or 'nobody'}: {share:.1%} failed, {sign} the objective of {state.objective:.1%}"
        shapes.append(text(10, y, f"{words}; p99 {_ms(tally.p99_ms)}"))
        y += 19
    if state.hanging:
        shapes.append(text(10, y, f"✗ {_hanging(state)}"))
        y += 19
    if state.evidence:
        shapes += _evidence(*state.evidence, y)
        y += 54
    for name, words in state.toggles.items():
        shapes.append(text(10, y, f"toggle {name}: {words}"))
        y += 19
    return shapes, y + 6


def _evidence(now: float, threshold: float, y: float) -> list[str]:
    """Draw the evidence and its threshold on a scale of powers of ten: it multiplies with each request."""

    def place(value: float) -> float:
        return 10 + SCALE * min(1.0, max(0.0, math.log(max(value, 1)) / math.log(threshold)))

    fill = BAD if now >= threshold else "#ffefc2"
    shapes = [
        text(10, y, f"evidence against the new version: {now:.1f}; it is rolled back at {threshold:.0f}"),
        box(10, y + 8, SCALE, 14, IDLE, radius=2),
        box(10, y + 8, max(1.0, place(now) - 10), 14, fill, radius=2),
        box(9 + SCALE, y + 4, 2, 22, INK, edge=INK, radius=0),
    ]
    marks = [10**power for power in range(math.ceil(math.log10(threshold)))] + [threshold]
    return shapes + [text(place(mark), y + 38, f"{mark:.0f}", anchor="middle") for mark in marks]


def _hanging(state: BoardState) -> str:
    return f"{state.hanging} requests wait for an answer for more than {HANGING_S} s"


def _events(state: BoardState, top: float) -> tuple[list[str], float]:
    newest = state.events[-IN_PICTURE:]
    shapes = [text(10, top + place * 18, cut(event, LONGEST)) for place, event in enumerate(newest)]
    return shapes, top + len(newest) * 18


def _colour(state: BoardState, version: str) -> str:
    versions = state.versions
    return COLOURS[versions.index(version) % len(COLOURS)] if version in versions else IDLE


def _ms(milliseconds: float) -> str:
    return "–" if math.isnan(milliseconds) else f"{milliseconds:.0f} ms"
