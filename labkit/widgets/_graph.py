"""The service graph: which service calls which in an environment, by the traffic of the last seconds."""

from collections.abc import Iterable, Sequence

from labkit.environment import Call, Environment
from labkit.widgets._drawing import FILLS, THEME_TEXT, box, cut, picture, text
from labkit.widgets._picture import Picture
from labkit.widgets._table import Table

WIDTH, HEIGHT, PITCH, GAP, TOP = 150, 46, 84, 130, 44
INK = "#1f2328"
VERSIONS = ("#d3f1dc", "#d9e8ff", "#ffefc2")
"""Fills of the first, second and third version of a service; the box names the version too."""
OUTSIDE, EXTERNAL = "#ffffff", "#f3e3f7"
LINE, TROUBLE = "var(--jp-ui-font-color2,#555)", "var(--jp-error-color1,#b3261e)"

Point = tuple[float, float]
Place = str | tuple[int, Call]
"""What has a place in a column: a caller or called service, or a call that passes the column."""


def service_graph(environment: Environment, last_s: float = 5.0) -> Picture:
    """Return the picture of the calls between services, by the logs of the last last_s seconds."""
    calls = environment.calls(last_s)
    title = f"calls of {last_s:g} s" if calls else f"nobody has called anybody for {last_s:g} s"
    code = f"environment.calls(last_s={last_s:g})"
    return Picture(draw(title, calls), [call_table(title, calls)], code)


def call_table(title: str, calls: Iterable[Call]) -> Table:
    """Return the calls as a table, times in milliseconds."""
    rows = [(call.caller, call.called, call.requests, call.failed, f"{call.p50_ms:.1f}") for call in calls]
    return Table(("who calls", "whom", "requests", "failed", "median ms"), rows, title)


def draw(title: str, calls: Sequence[Call]) -> str:
    """Return the calls as SVG: from the clients on the left to the services that call nobody on the right."""
    columns = _columns(calls)
    most = max(map(len, columns))
    places = {
        name: (10.0 + at * (WIDTH + GAP), TOP + (most - len(column)) * PITCH / 2 + row * PITCH)
        for at, column in enumerate(columns)
        for row, name in enumerate(column)
    }
    lines = [_line(call, [places[name] for name in _path(call, columns)]) for call in calls]
    shapes = [text(10, 22, title, bold=True), *(line for line, _ in lines), *(words for _, words in lines)]
    boxes = [_node(name, place, calls) for name, place in places.items() if isinstance(name, str)]
    label = f"{title}: " + ", ".join(
        f"{call.caller} calls {call.called} {call.requests} times, {call.failed} failed" for call in calls
    )
    size = len(columns) * (WIDTH + GAP) - GAP + 20, TOP + most * PITCH - (PITCH - HEIGHT) + 10
    return picture(*size, label, *shapes, *(shape for node in boxes for shape in node))


def _columns(calls: Sequence[Call]) -> list[list[Place]]:
    """Return the columns: each service stands to the right of all its callers."""
    names = sorted({name for call in calls for name in (call.caller, call.called)})
    depth = {_service(name): 0 for name in names}
    for _ in names:  # no path is longer than the number of services, and a cycle ends here too
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


def _path(call: Call, columns: Sequence[Sequence[Place]]) -> list[Place]:
    """Return the places that the line of a call passes."""
    passed = [
        place for column in columns for place in column if isinstance(place, tuple) and place[1] == call
    ]
    return [call.caller, *passed, call.called]


def _line(call: Call, places: Sequence[Point]) -> tuple[str, str]:
    """Return a call as a line with a head, and the words beside it: how often it was made."""
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
    """Return the words of a line, over its middle or where it passes a column.

    A margin in the colour of the page keeps other lines from crossing the words.
    """
    (x1, y1), (x2, y2) = points[1:3] if len(points) > 1 else (points[0], end)
    shape = text((x1 + x2) / 2, (y1 + y2) / 2 - 5, words, THEME_TEXT, anchor="middle")
    return f'<g stroke="var(--jp-layout-color0,#fff)" stroke-width="4" paint-order="stroke">{shape}</g>'


def _node(name: str, place: Point, calls: Sequence[Call]) -> list[str]:
    service, _, version = name.partition("/")
    versions = sorted({call.called for call in calls if call.called.startswith(f"{service}/")})
    if version:
        # A version that only calls, and is never called, has no place among the versions.
        place_of = versions.index(name) if name in versions else 0
        fill, what = VERSIONS[place_of % len(VERSIONS)], version
    else:
        outside = not any(call.called == name for call in calls)
        fill, what = (OUTSIDE, "from outside") if outside else (EXTERNAL, "")
    lost = any(call.called == name and call.failed == call.requests for call in calls)
    sign, fill, ink = ("✗ ", *FILLS["failed"][1:]) if lost else ("", fill, INK)
    (x, y), mid = place, 20 if what else 28
    return [
        box(x, y, WIDTH, HEIGHT, fill),
        text(x + 10, y + mid, sign + cut(service, 18), ink, bold=True),
        text(x + 10, y + 38, f"version {cut(what, 12)}" if version else what, ink),
    ]
