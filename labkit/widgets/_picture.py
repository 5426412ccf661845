"""The environment view: which elements an environment has at this moment, found by their labels."""

from collections import defaultdict
from collections.abc import Sequence

from labkit.engine import Engine, Label, Owned
from labkit.environment import Environment
from labkit.widgets._drawing import arrow, box, cut, picture, text
from labkit.widgets._faces import Faces
from labkit.widgets._table import Table

WIDTH, HEIGHT, PITCH = 176, 46, 58
FILL, INK = (
    {
        "balancer": "#d9e8ff",
        "service": "#d3f1dc",
        "module": "#d3f1dc",
        "database": "#ffefc2",
        "coordinator": "#ffefc2",
        "stub": "#f3e3f7",
        "provider": "#ffd9d5",
        "harness": "#ececec",
    },
    "#1f2328",
)
IS = {
    "balancer": "load balancer",
    "module": "one service alone",
    "database": "PostgreSQL",
    "coordinator": "etcd",
    "stub": "stand-ins",
    "provider": "external",
}
COLUMN_OF = {"balancer": 1, "module": 1, "service": 2}
LAST_COLUMN = 3
CODE = "environment.instances('cart'), environment.urls, environment.database, environment.stub('payments')"


class EnvironmentView(Faces):
    """The elements of one environment; `refresh` looks again."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(f"environment {environment.name}", CODE)
        self._name = environment.name
        self._labels: dict[str, str | None] = {
            Label.WORKSPACE: environment.workspace.id,
            Label.ENVIRONMENT: environment.name,
        }
        self.refresh()

    def refresh(self) -> None:
        """Read the elements from the engine anew and show them."""
        found = Engine.find().owned(self._labels)
        containers = sorted(
            (it for it in found if it.kind == "container"), key=lambda it: (_role(it), it.name)
        )
        self.update(draw(self._name, containers), element_table(self._name, containers))


def environment(environment: Environment) -> EnvironmentView:
    """Return the view of one environment."""
    return EnvironmentView(environment)


def element_table(name: str, containers: Sequence[Owned]) -> Table:
    """Return the elements as a table: role, what it serves as, version, state."""
    rows = [
        (_role(it), it.labels.get(Label.SERVICE, ""), it.labels.get(Label.VERSION, ""), it.state, it.name)
        for it in containers
    ]
    return Table(("element", "serves as", "version", "state", "container"), rows, f"environment {name}")


def draw(name: str, containers: Sequence[Owned]) -> str:
    """Return the elements as SVG: input, balancer, instances, and what the instances stand on."""
    columns: dict[int, list[Owned]] = defaultdict(list)
    for it in containers:
        columns[COLUMN_OF.get(_role(it), LAST_COLUMN)].append(it)
    most = max((len(column) for column in columns.values()), default=1)
    height = 40 + most * PITCH
    places = {column: 10 + column * (WIDTH + 34) for column in range(LAST_COLUMN + 1)}
    shapes = [
        text(
            10,
            22,
            f"environment {name}: {len(containers)} container{'s' if len(containers) != 1 else ''}",
            bold=True,
        )
    ]
    middle = 40 + (most * PITCH - PITCH + HEIGHT) / 2
    if columns[1]:
        shapes += [*_element(places[0], middle - HEIGHT / 2, "input", "clients, tests, load", "#ffffff")]
        shapes.append(arrow(places[0] + WIDTH, middle, places[1] - 2, middle))
    for column, elements in columns.items():
        top = 40 + (most - len(elements)) * PITCH / 2
        for row, it in enumerate(elements):
            y = top + row * PITCH
            shapes += _element(places[column], y, _title(it), _subtitle(it), FILL.get(_role(it), "#ececec"))
        if column > 1 and elements:
            shapes.append(arrow(places[column - 1] + WIDTH + 2, middle, places[column] - 2, middle))
    label = f"environment {name} with " + ", ".join(_title(it) for it in containers)
    return picture(4 * (WIDTH + 34), height, label, *shapes)


def _element(x: float, y: float, title: str, subtitle: str, fill: str) -> list[str]:
    return [
        box(x, y, WIDTH, HEIGHT, fill),
        text(x + 10, y + 19, cut(title, 22), INK, bold=True),
        text(x + 10, y + 37, cut(subtitle, 24), INK),
    ]


def _role(it: Owned) -> str:
    return it.labels.get(Label.ROLE, "")


def _title(it: Owned) -> str:
    return it.name.rpartition(".")[2]


def _subtitle(it: Owned) -> str:
    role, version = _role(it), it.labels.get(Label.VERSION, "")
    kind = f"version {version[:6]}" if role == "service" else IS.get(role, role)
    return f"{kind}, {it.state}"
