"""The service graph: who calls whom in an environment, drawn from the traffic of the last seconds."""

from collections.abc import Iterable, Sequence

from labkit.environment import Call, Environment
from labkit.errors import LabError
from labkit.widgets._drawing import FILLS, THEME_TEXT, box, cut, picture, text
from labkit.widgets._faces import Following
from labkit.widgets._table import Table

WIDTH, HEIGHT, PITCH, GAP, TOP = 150, 46, 84, 130, 44
INK = "#1f2328"
VERSIONS = ("#d3f1dc", "#d9e8ff", "#ffefc2")
"""Fills by version: the first, second and third of a service; the version is written in the box too."""
OUTSIDE, EXTERNAL = "#ffffff", "#f3e3f7"
LINE, TROUBLE = "var(--jp-ui-font-color2,#555)", "var(--jp-error-color1,#b3261e)"

Point = tuple[float, float]
Place = str | tuple[int, Call]
"""What has a place in a column: who calls or is called, or a call that passes by on its way to another."""


class ServiceGraph(Following):
    """The calls of the last seconds; it follows the traffic, and keeps showing the last that there was."""

    PAUSE_S = 1.0

    def __init__(self, environment: Environment, last_s: float) -> None:
        super().__init__(f"service graph of {environment.name}", f"environment.calls(last_s={last_s:g})")
        self._environment, self._last_s = environment, last_s
        self._show([])
        self.look()
        self.follow()

    def look(self) -> None:
        """Look again; an environment that is gone, or its engine, ends that."""
        try:
            found = self._environment.calls(self._last_s)
            if not found and not any(it.container for it in self._environment.elements()):
                self.end()
        except LabError:
            self.end()
            return
        if found:
            self._show(found)

    def _show(self, calls: Sequence[Call]) -> None:
        title = f"calls of {self._last_s:g} s" if calls else "nobody has called anybody yet"
        self.update(draw(title, calls), call_table(title, calls))


def service_graph(environment: Environment, last_s: float = 5.0) -> ServiceGraph:
    """Return the view of who calls whom, as the logs of the last seconds tell."""
    return ServiceGraph(environment, last_s)


def call_table(title: str, calls: Iterable[Call]) -> Table:
    """Return the calls as a table, times in milliseconds."""
    rows = [(it.caller, it.called, it.requests, it.failed, f"{it.p50_ms:.1f}") for it in calls]
    return Table(("who calls", "whom", "requests", "failed", "median ms"), rows, title)


def draw(title: str, calls: Sequence[Call]) -> str:
    """Return the calls as SVG: from the clients on the left to those that call nobody on the right."""
    columns = _columns(calls)
    most = max(map(len, columns))
    places = {
        name: (10.0 + at * (WIDTH + GAP), TOP + (most - len(column)) * PITCH / 2 + row * PITCH)
        for at, column in enumerate(columns)
        for row, name in enumerate(column)
    }
    lines = [_line(call, [places[name] for name in _way(call, columns)]) for call in calls]
    shapes = [text(10, 22, title, bold=True), *(line for line, _ in lines), *(words for _, words in lines)]
    boxes = [_node(name, place, calls) for name, place in places.items() if isinstance(name, str)]
    label = f"{title}: " + ", ".join(
        f"{it.caller} calls {it.called} {it.requests} times, {it.failed} failed" for it in calls
    )
    size = len(columns) * (WIDTH + GAP) - GAP + 20, TOP + most * PITCH - (PITCH - HEIGHT) + 10
    return picture(*size, label, *shapes, *(shape for node in boxes for shape in node))


def _columns(calls: Sequence[Call]) -> list[list[Place]]:
    """Return who stands in which column: each service to the right of all that call it."""
    names = sorted({name for call in calls for name in (call.caller, call.called)})
    depth = {_service(name): 0 for name in names}
    for _ in names:  # the longest way is no longer than this; a circle ends here too
        for call in calls:
            caller, called = _service(call.caller), _service(call.called)
            if caller != called and depth[caller] < len(names):
                depth[called] = max(depth[called], depth[caller] + 1)
    columns: list[list[Place]] = [[] for _ in range(max(depth.values(), default=0) + 1)]
    for name in names:
        columns[depth[_service(name)]].append(name)
    for call in calls:
        for at in range(depth[_service(call.caller)] + 1, depth[_service(call.called)]):
            columns[at].append((at, call))
    return columns


def _service(name: str) -> str:
    return name.partition("/")[0]


def _way(call: Call, columns: Sequence[Sequence[Place]]) -> list[Place]:
    """Return the places that the line of a call goes through."""
    passed = [
        place for column in columns for place in column if isinstance(place, tuple) and place[1] == call
    ]
    return [call.caller, *passed, call.called]


def _line(call: Call, places: Sequence[Point]) -> tuple[str, str]:
    """Return a call as a line with a head, and in words how often it was made."""
    middles = [(x, y + HEIGHT / 2) for x, y in places]
    points = [(middles[0][0] + WIDTH, middles[0][1])]
    points += [point for x, y in middles[1:-1] for point in ((x, y), (x + WIDTH, y))]
    x2, y2 = middles[-1][0] - 2, middles[-1][1]
    path = " L".join(f"{x},{y}" for x, y in [*points, (x2, y2)])
    colour = TROUBLE if call.failed else LINE
    words = f"{call.requests}×" + (f", ✗ {call.failed} failed" if call.failed else "")
    head = f"M{x2 - 7},{y2 - 4} L{x2},{y2} L{x2 - 7},{y2 + 4}"
    line = f'<path d="M{path} {head}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
    return line, _words(points, (x2, y2), words)


def _words(points: Sequence[Point], end: Point, words: str) -> str:
    """Return a line's words: over its middle, or over where it passes a column; no other line cuts them."""
    (x1, y1), (x2, y2) = points[1:3] if len(points) > 1 else (points[0], end)
    shape = text((x1 + x2) / 2, (y1 + y2) / 2 - 5, words, THEME_TEXT, anchor="middle")
    return f'<g stroke="var(--jp-layout-color0,#fff)" stroke-width="4" paint-order="stroke">{shape}</g>'


def _node(name: str, place: Point, calls: Sequence[Call]) -> list[str]:
    service, _, version = name.partition("/")
    known = sorted({it.called for it in calls if it.called.startswith(f"{service}/")})
    if version:
        fill, what = VERSIONS[known.index(name) % len(VERSIONS)] if name in known else VERSIONS[0], version
    else:
        outside = not any(it.called == name for it in calls)
        fill, what = (OUTSIDE, "from outside") if outside else (EXTERNAL, "")
    lost = any(it.called == name and it.failed == it.requests for it in calls)
    sign, fill, ink = ("✗ ", *FILLS["failed"][1:]) if lost else ("", fill, INK)
    (x, y), mid = place, 20 if what else 28
    return [
        box(x, y, WIDTH, HEIGHT, fill),
        text(x + 10, y + mid, sign + cut(service, 18), ink, bold=True),
        text(x + 10, y + 38, f"version {cut(what, 12)}" if version else what, ink),
    ]
