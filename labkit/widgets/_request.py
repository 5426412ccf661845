"""The trace of one request through the services: which worked on it, and when, by the logs."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from labkit.environment import Environment
from labkit.widgets._drawing import FILLS, box, cut, picture, text
from labkit.widgets._picture import Picture
from labkit.widgets._table import Table

LOOKS, LOOK_S = 8, 0.15
NAMES, SCALE, ROW, TOP = 370, 380, 30, 40
BROKEN = 500
"""HTTP's first status that is the server's fault."""


@dataclass(frozen=True)
class TraceSpan:
    """One instance's work on a request, as in distributed tracing: start_ms after the first span, for ms.

    backend is the service in whose place the balancer answered; "" for an instance that answered itself.
    """

    instance: str
    what: str
    status: int
    start_ms: float
    ms: float
    backend: str = ""


def request(environment: Environment, request_id: str) -> Picture:
    """Return the picture of one request; request_id is the X-Request-Id of its answer, or from a log line."""
    trace = spans_of(_settled_log(environment, request_id))
    code = f"environment.logs(request_id={request_id!r})"
    return Picture(draw(request_id, trace), [span_table(request_id, trace)], code)


def _settled_log(environment: Environment, request_id: str) -> list[dict[str, Any]]:
    """Return the lines of a request once no more come: a service writes its line after its answer."""
    lines = environment.logs(request_id=request_id)
    for _ in range(LOOKS):
        before = lines
        time.sleep(LOOK_S)
        lines = environment.logs(request_id=request_id)
        if before and len(lines) == len(before):
            break
    return lines


def spans_of(lines: Sequence[Mapping[str, Any]]) -> list[TraceSpan]:
    """Return the spans in the lines of one request, by begin; lines without a duration are left out."""
    timed = [(_ended_ms(line) - line["ms"], line) for line in lines if "ms" in line]
    first = min((start for start, _ in timed), default=0.0)
    spans = [
        TraceSpan(
            instance=line["instance"],
            what=f"{line['method']} {line['path']}",
            status=line["status"],
            start_ms=start - first,
            ms=line["ms"],
            backend=line.get("backend", ""),
        )
        for start, line in timed
    ]
    # Of two that begin in the same millisecond, the longer one is the caller.
    return sorted(spans, key=lambda span: (span.start_ms, -span.ms))


def _ended_ms(line: Mapping[str, Any]) -> float:
    return datetime.fromisoformat(line["time"]).timestamp() * 1000


def span_table(request_id: str, spans: Sequence[TraceSpan]) -> Table:
    """Return the spans as a table, times in milliseconds."""
    rows = [
        (span.instance, span.what + _for(span), span.status, f"{span.start_ms:.0f}", f"{span.ms:.1f}")
        for span in spans
    ]
    return Table(("who", "what", "status", "begun after ms", "took ms"), rows, f"request {request_id}")


def _for(span: TraceSpan) -> str:
    return f" for {span.backend}" if span.backend else ""


def draw(request_id: str, spans: Sequence[TraceSpan]) -> str:
    """Return the spans as SVG: a bar for each, from its begin to its end."""
    whole = max((span.start_ms + span.ms for span in spans), default=0) or 1
    title = f"request {request_id}: {whole:.0f} ms" if spans else f"request {request_id}: no log knows it"
    shapes = [text(10, 22, title, bold=True)]
    for row, span in enumerate(spans):
        sign, fill, _ = FILLS["failed" if span.status >= BROKEN else "passed"]
        y = TOP + row * ROW
        x, width = NAMES + span.start_ms / whole * SCALE, max(3, span.ms / whole * SCALE)
        shapes += [
            text(10, y + 16, span.instance, bold=True),
            text(120, y + 16, cut(f"{sign} {span.what} {span.status}{_for(span)}", 36)),
            box(x, y, width, ROW - 8, fill, radius=3),
            text(NAMES + SCALE + 10, y + 16, f"{span.ms:.1f} ms"),
        ]
    label = title + ", ".join(
        f" {span.instance} {span.what} {span.status} {span.ms:.0f} ms" for span in spans
    )
    return picture(NAMES + SCALE + 90, TOP + max(len(spans), 1) * ROW, label, *shapes)
