"""The environment view: which elements an environment has at this moment, and how each one is."""

from collections import defaultdict
from collections.abc import Sequence

from labkit.environment import ElementStatus, Environment
from labkit.errors import LabError
from labkit.widgets._drawing import FILLS, arrow, box, cut, picture, text
from labkit.widgets._faces import Following
from labkit.widgets._table import Table

WIDTH, HEIGHT, PITCH, GAP, TOP = 212, 64, 76, 30, 40
INK = "#1f2328"
FILL = {
    "balancer": "#d9e8ff",
    "service": "#d3f1dc",
    "module": "#d3f1dc",
    "database": "#ffefc2",
    "coordinator": "#ffefc2",
    "stub": "#f3e3f7",
    "provider": "#e6e0ff",
    "harness": "#ececec",
    "capture": "#ececec",
}
IS = {
    "balancer": "load balancer",
    "module": "one service alone",
    "database": "PostgreSQL",
    "coordinator": "etcd",
    "stub": "stand-ins",
    "provider": "external",
    "harness": "where commands run",
    "capture": "writes input down",
}
TROUBLE = {
    "paused": ("‖", *FILLS["waiting"][1:]),
    "disconnected": ("✗", *FILLS["failed"][1:]),
    "exited": ("✗", *FILLS["failed"][1:]),
    "missing": ("?", "#ffffff", INK),
}
"""State that is none to work in → (sign, fill, text colour)."""

COLUMN_OF = {"balancer": 1, "module": 1, "service": 2}
LAST_COLUMN = 3
CODE = """\
environment.elements()
environment.element("database").remove()
cart = environment.instances("cart")[0]
cart.pause()             # cart.resume(), slow(300), disconnect(), reconnect(), kill()"""


class EnvironmentView(Following):
    """The elements of one environment; it follows what happens to them until that is cleaned up."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(f"environment {environment.name}", CODE)
        self._environment = environment
        self._seen: Sequence[ElementStatus] = ()
        self.refresh()
        self.follow()

    def look(self) -> None:
        """Look again, and show what has changed; an environment that is gone, or its engine, ends that."""
        try:
            found = self._environment.elements()
        except LabError:
            self.end()
            return
        if not any(it.container for it in found):
            self.end()
            found = []
        if found != self._seen:
            self._seen = found
            name = self._environment.name
            self.update(draw(name, found), element_table(name, found))

    refresh = look


def environment(environment: Environment) -> EnvironmentView:
    """Return the view of one environment."""
    return EnvironmentView(environment)


def element_table(name: str, elements: Sequence[ElementStatus]) -> Table:
    """Return the elements as a table: what each is, its state, and what the others know of it."""
    columns = ("element", "is", "version", "state", "balancer says", "requests", "coordinator says")
    known = {True: "registered", False: "not registered", None: ""}
    rows = [
        (
            it.name,
            IS.get(it.role, it.role),
            it.version,
            it.state,
            it.balanced + (f", +{it.held_ms} ms" if it.held_ms else ""),
            it.requests if it.balanced else "",
            known[it.registered],
        )
        for it in elements
    ]
    return Table(columns, rows, f"environment {name}")


def draw(name: str, elements: Sequence[ElementStatus]) -> str:
    """Return the elements as SVG: input, balancer, instances, and what the instances stand on."""
    columns: dict[int, list[ElementStatus]] = defaultdict(list)
    for it in elements:
        columns[COLUMN_OF.get(it.role, LAST_COLUMN)].append(it)
    most = max((len(column) for column in columns.values()), default=1)
    places = {column: 10 + column * (WIDTH + GAP) for column in range(LAST_COLUMN + 1)}
    middle = TOP + (most * PITCH - PITCH + HEIGHT) / 2
    shapes = [text(10, 22, _heading(name, elements), bold=True)]
    if columns[1]:
        shapes += _box(places[0], middle - HEIGHT / 2, "#ffffff", INK, "input", "clients, tests, load")
        shapes.append(arrow(places[0] + WIDTH, middle, places[1] - 2, middle))
    for column, group in columns.items():
        top = TOP + (most - len(group)) * PITCH / 2
        for row, it in enumerate(group):
            shapes += _element(places[column], top + row * PITCH, it)
        if column > 1 and group:
            shapes.append(arrow(places[column - 1] + WIDTH + 2, middle, places[column] - 2, middle))
    label = f"environment {name} with " + ", ".join(f"{it.name} {it.state}" for it in elements)
    return picture(4 * (WIDTH + GAP), TOP + most * PITCH, label, *shapes)


def _heading(name: str, elements: Sequence[ElementStatus]) -> str:
    count = sum(bool(it.container) for it in elements)
    return f"environment {name}: {count} container{'s' if count != 1 else ''}"


def _element(x: float, y: float, it: ElementStatus) -> list[str]:
    what = f"version {it.version[:6]}" if it.role == "service" else IS.get(it.role, it.role)
    sign, fill, ink = TROUBLE.get(it.state, ("", FILL.get(it.role, "#ececec"), INK))
    if it.balanced == "DOWN" and not sign:
        sign, fill, ink = "✗", *FILLS["failed"][1:]
    elif it.held_ms and not sign:
        sign, fill, ink = "…", *FILLS["waiting"][1:]
    return _box(x, y, fill, ink, it.name, f"{what}, {it.state}", _known(it), sign=sign)


def _known(it: ElementStatus) -> str:
    """Return what balancer and coordinator know of an instance, in few words."""
    words = [it.balanced, f"+{it.held_ms} ms" if it.held_ms else ""]
    words += [
        f"{it.requests} req." if it.balanced else "",
        "not registered" if it.registered is False else "",
    ]
    return ", ".join(filter(None, words))


def _box(x: float, y: float, fill: str, ink: str, title: str, *lines: str, sign: str = "") -> list[str]:
    told = [cut(line, 30) for line in lines if line]
    return [
        box(x, y, WIDTH, HEIGHT, fill),
        text(x + 10, y + 20, cut(title, 22), ink, bold=True),
        text(x + WIDTH - 10, y + 20, sign, ink, bold=True, anchor="end"),
        *(text(x + 10, y + 38 + 17 * at, line, ink) for at, line in enumerate(told)),
    ]
