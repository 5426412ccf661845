"""One request on its way through the services: who worked on it, and when, as the logs tell."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from labkit.environment import Environment
from labkit.widgets._drawing import FILLS, box, cut, picture, text
from labkit.widgets._faces import Faces
from labkit.widgets._table import Table

LOOKS, LOOK_S = 8, 0.15
NAMES, SCALE, ROW, TOP = 370, 380, 30, 40
BROKEN = 500
"""HTTP's first status that is the server's fault."""


@dataclass(frozen=True)
class Step:
    """One service's work on a request: start_ms since the first one's, for ms.

    backend is the service for which the balancer answered, "" for all others: they answered themselves.
    """

    instance: str
    what: str
    status: int
    start_ms: float
    ms: float
    backend: str = ""


def request(environment: Environment, request_id: str) -> Faces:
    """Return the picture of one request; request_id is the X-Request-Id of its answer, or what a log says."""
    steps = steps_of(_settled(environment, request_id))
    view = Faces(f"request {request_id}", f"environment.logs(request_id={request_id!r})")
    view.update(draw(request_id, steps), step_table(request_id, steps))
    return view


def _settled(environment: Environment, request_id: str) -> list[dict[str, Any]]:
    """Return what was logged once no more comes: the outermost service writes its line after its answer."""
    lines = environment.logs(request_id=request_id)
    for _ in range(LOOKS):
        before = lines
        time.sleep(LOOK_S)
        lines = environment.logs(request_id=request_id)
        if before and len(lines) == len(before):
            break
    return lines


def steps_of(lines: Sequence[Mapping[str, Any]]) -> list[Step]:
    """Return what the lines of one request tell, in the order in which it was begun; others are left out."""
    timed = [(_ended_ms(line) - line["ms"], line) for line in lines if "ms" in line]
    first = min((start for start, _ in timed), default=0.0)
    found = [
        Step(
            instance=line["instance"],
            what=f"{line['method']} {line['path']}",
            status=line["status"],
            start_ms=start - first,
            ms=line["ms"],
            backend=line.get("backend", ""),
        )
        for start, line in timed
    ]
    return sorted(found, key=lambda step: (step.start_ms, -step.ms))


def _ended_ms(line: Mapping[str, Any]) -> float:
    return datetime.fromisoformat(line["time"]).timestamp() * 1000


def step_table(request_id: str, steps: Sequence[Step]) -> Table:
    """Return the steps as a table, times in milliseconds."""
    rows = [
        (it.instance, it.what + _for(it), it.status, f"{it.start_ms:.0f}", f"{it.ms:.1f}") for it in steps
    ]
    return Table(("who", "what", "status", "begun after ms", "took ms"), rows, f"request {request_id}")


def _for(step: Step) -> str:
    return f" for {step.backend}" if step.backend else ""


def draw(request_id: str, steps: Sequence[Step]) -> str:
    """Return the steps as SVG: a bar for each, from its begin to its end."""
    whole = max((it.start_ms + it.ms for it in steps), default=0) or 1
    title = f"request {request_id}: {whole:.0f} ms" if steps else f"request {request_id}: no log knows it"
    shapes = [text(10, 22, title, bold=True)]
    for row, it in enumerate(steps):
        sign, fill, _ = FILLS["failed" if it.status >= BROKEN else "passed"]
        y = TOP + row * ROW
        x, width = NAMES + it.start_ms / whole * SCALE, max(3, it.ms / whole * SCALE)
        shapes += [
            text(10, y + 16, it.instance, bold=True),
            text(120, y + 16, cut(f"{sign} {it.what} {it.status}{_for(it)}", 36)),
            box(x, y, width, ROW - 8, fill, radius=3),
            text(NAMES + SCALE + 10, y + 16, f"{it.ms:.1f} ms"),
        ]
    label = title + ", ".join(f" {it.instance} {it.what} {it.status} {it.ms:.0f} ms" for it in steps)
    return picture(NAMES + SCALE + 90, TOP + max(len(steps), 1) * ROW, label, *shapes)
