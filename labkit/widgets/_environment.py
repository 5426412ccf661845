"""The environment view: the elements that an environment has at this moment, and the state of each."""

from collections import defaultdict
from collections.abc import Sequence

import traitlets

from labkit.environment import ElementStatus, Environment
from labkit.widgets._drawing import FILLS, arrow, box, cut, picture, text
from labkit.widgets._live import SelectableViews
from labkit.widgets._picture import Picture
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
    "capture": "records requests",
}
TROUBLE = {
    "paused": ("‖", *FILLS["waiting"][1:]),
    "disconnected": ("✗", *FILLS["failed"][1:]),
    "exited": ("✗", *FILLS["failed"][1:]),
    "missing": ("?", "#ffffff", INK),
}
"""State in which an element does not work → (sign, fill, text colour)."""

COLUMN_OF = {"balancer": 1, "module": 1, "service": 2}
LAST_COLUMN = 3
CODE = """\
environment.elements()
environment.element("database").remove()
cart = environment.instances("cart")[0]
cart.pause()             # cart.resume(), slow(300), disconnect(), reconnect(), kill()"""


class EnvironmentView(SelectableViews):
    """The elements of one environment. `state` maps each to its state, and one can be selected.

    It follows them until the environment is cleaned up; then there are none.
    """

    elements = traitlets.Tuple(read_only=True, help="the ElementStatus of each element")

    def __init__(self, environment: Environment) -> None:
        super().__init__("element", CODE)
        self._environment = environment
        self._follow()

    def _read(self) -> None:
        """Read the states; end when the environment is gone."""
        elements = tuple(self._environment.elements())
        if not any(element.container for element in elements):
            self._end()
            elements = ()
        if elements != self.elements:
            state = {element.name: element.state for element in elements}
            self._set(elements=elements, state=state, running=bool(elements))

    def _draw(self) -> Picture:
        name = self._environment.name
        listed = [element for element in self.elements if self.selected in {None, element.name}]
        return Picture(draw(name, self.elements, self.selected), [element_table(name, listed)], CODE)


def element_table(name: str, elements: Sequence[ElementStatus]) -> Table:
    """Return the elements as a table: what each is, its state, and what balancer and coordinator know."""
    columns = ("element", "is", "version", "state", "balancer says", "requests", "coordinator says")
    registered = {True: "registered", False: "not registered", None: ""}
    rows = [
        (
            element.name,
            IS.get(element.role, element.role),
            element.version,
            element.state,
            element.balanced + (f", +{element.held_ms} ms" if element.held_ms else ""),
            element.requests if element.balanced else "",
            registered[element.registered],
        )
        for element in elements
    ]
    return Table(columns, rows, f"environment {name}")


def draw(name: str, elements: Sequence[ElementStatus], selected: str | None = None) -> str:
    """Return the elements as SVG: input, balancer, instances, and what the instances depend on.

    selected is the element with a thick frame; None is none.
    """
    columns: dict[int, list[ElementStatus]] = defaultdict(list)
    for element in elements:
        columns[COLUMN_OF.get(element.role, LAST_COLUMN)].append(element)
    most = max((len(column) for column in columns.values()), default=1)
    places = {column: 10 + column * (WIDTH + GAP) for column in range(LAST_COLUMN + 1)}
    middle = TOP + (most * PITCH - PITCH + HEIGHT) / 2
    shapes = [text(10, 22, _heading(name, elements), bold=True)]
    if columns[1]:
        shapes += _box(places[0], middle - HEIGHT / 2, "#ffffff", INK, "input", "clients, tests, load")
        shapes.append(arrow(places[0] + WIDTH, middle, places[1] - 2, middle))
    for column, group in columns.items():
        top = TOP + (most - len(group)) * PITCH / 2
        for row, element in enumerate(group):
            shapes += _element(places[column], top + row * PITCH, element, selected=element.name == selected)
        if column > 1 and group:
            shapes.append(arrow(places[column - 1] + WIDTH + 2, middle, places[column] - 2, middle))
    label = f"environment {name} with " + ", ".join(f"{element.name} {element.state}" for element in elements)
    label += f"; {selected} is selected" if selected else ""
    return picture(4 * (WIDTH + GAP), TOP + most * PITCH, label, *shapes)


def _heading(name: str, elements: Sequence[ElementStatus]) -> str:
    count = sum(bool(element.container) for element in elements)
    return f"environment {name}: {count} container{'s' if count != 1 else ''}"


def _element(x: float, y: float, element: ElementStatus, *, selected: bool) -> list[str]:
    what = (
        f"version {element.version[:6]}" if element.role == "service" else IS.get(element.role, element.role)
    )
    sign, fill, ink = TROUBLE.get(element.state, ("", FILL.get(element.role, "#ececec"), INK))
    if element.balanced == "DOWN" and not sign:
        sign, fill, ink = "✗", *FILLS["failed"][1:]
    elif element.held_ms and not sign:
        sign, fill, ink = "…", *FILLS["waiting"][1:]
    words = f"{what}, {element.state}", _known(element)
    return _box(x, y, fill, ink, element.name, *words, sign=sign, selected=selected)


def _known(element: ElementStatus) -> str:
    """Return in few words what balancer and coordinator know of an instance."""
    words = [element.balanced, f"+{element.held_ms} ms" if element.held_ms else ""]
    words += [
        f"{element.requests} req." if element.balanced else "",
        "not registered" if element.registered is False else "",
    ]
    return ", ".join(filter(None, words))


def _box(
    x: float, y: float, fill: str, ink: str, title: str, *lines: str, sign: str = "", selected: bool = False
) -> list[str]:
    texts = [cut(line, 30) for line in lines if line]
    return [
        box(x, y, WIDTH, HEIGHT, fill, selected=selected),
        text(x + 10, y + 20, cut(title, 22), ink, bold=True),
        text(x + WIDTH - 10, y + 20, sign, ink, bold=True, anchor="end"),
        *(text(x + 10, y + 38 + 17 * at, line, ink) for at, line in enumerate(texts)),
    ]
