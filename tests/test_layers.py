"""The design as a test: which room may look into which, and which library has which door."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Collection, Iterator
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

LABKIT = Path(__file__).parents[1] / "labkit"

# Each row imports only rows below it; a room's own sideways permission stands in SIDEWAYS.
ROWS = [
    {"cli", "jupyter", "nbval"},
    {"grading"},
    {"lesson"},
    {"widgets"},
    {"pipeline"},
    {"deployment", "checks", "load"},
    {"service"},
    {"toggles", "testdata", "skew", "experiment", "model"},
    {"environment"},
    {"postgres", "balancer", "etcd"},
    {"containers"},
    {"engine"},
    {"workspace"},
    {"artifacts"},
    {"system", "coordination"},
    {"errors"},
]
DEPTH = {room: depth for depth, row in enumerate(ROWS) for room in row}
SIDEWAYS = {("deployment", "load"), ("checks", "load")}

DOORS = {
    "docker": {"engine", "containers"},
    "testcontainers": {"containers"},
    "requests": {"engine", "containers"},
    "packageurl": {"engine", "artifacts"},
    "faker": {"testdata"},
    "polars": {"testdata"},
    "numpy": {"testdata", "experiment"},
    "cryptography": {"artifacts", "balancer", "testdata"},
    "securesystemslib": {"artifacts"},
    "sqlalchemy": {"artifacts", "grading"},
    "nbformat": {"grading", "nbval"},
    "nbval": {"nbval"},
    "pytest": {"nbval"},
    "locust": {"load"},
    "cloudpickle": {"load"},
    "gevent": {"load"},
    "httptools": {"load"},
    "openfeature": {"toggles"},
    "ipywidgets": {"widgets"},
    "traitlets": {"widgets", "grading"},
    "IPython": {"widgets", "grading"},
    "jupyter_client": {"grading"},
    "tornado": {"jupyter"},
    "jupyter_server": {"jupyter"},
    "jupyter_events": {"jupyter"},
    "click": {"cli"},
    "rich": {"cli"},
    "psycopg": {"postgres", "testdata", "skew"},
    "httpx": {"service"},
    "starlette": {"service"},
    "uvicorn": {"service"},
}

# What runs inside the system's containers knows neither engine nor notebook.
IN_CONTAINER = {"service": {"errors", "coordination", "toggles", "skew"}}


def imports(path: Path) -> Iterator[str]:
    """Yield the full dotted name of everything a module imports, wherever in the module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms() -> dict[str, list[Path]]:
    """Return every room that exists with its modules."""
    paths = {
        p.stem if p.is_file() else p.name: p for p in LABKIT.iterdir() if not p.name.startswith(("_", "."))
    }
    return {
        name: [p] if p.is_file() else sorted(p.rglob("*.py"))
        for name, p in paths.items()
        if p.joinpath("__init__.py").exists() or p.suffix == ".py"
    }


@pytest.mark.parametrize("room", sorted(rooms()))
def test_a_room_looks_only_into_rooms_below_it_and_uses_only_its_own_doors(room: str) -> None:
    """Imports follow the design's rows, and a library is imported only in the rooms that own its door."""
    assert room in DEPTH, f"{room} stands in no row of the design"
    for path in rooms()[room]:
        for name in imports(path):
            top, _, rest = name.partition(".")
            other = rest.partition(".")[0]
            if top == "labkit" and other in DEPTH and other != room:
                below = DEPTH[other] > DEPTH[room] or (room, other) in SIDEWAYS
                allowed = other in IN_CONTAINER[room] if room in IN_CONTAINER else below
                assert allowed, f"{path.name}: {room} may not import {other}"
            assert room in DOORS.get(top, {room}), f"{path.name}: only {DOORS[top]} may import {top}"


def declared() -> set[str]:
    """Return the import names of all that pyproject.toml declares, for labkit, its services and its tests."""
    project = tomllib.loads((LABKIT.parent / "pyproject.toml").read_text())
    lines = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    lines += [line for extra in project["project"]["optional-dependencies"].values() for line in extra]
    names = {re.split(r"[^\w.-]", line, maxsplit=1)[0].lower().replace("_", "-") for line in lines}
    return {
        module
        for module, distributions in packages_distributions().items()
        if names & {distribution.lower().replace("_", "-") for distribution in distributions}
    }


def test_what_is_imported_is_declared_and_each_door_leads_to_a_dependency() -> None:
    """No library comes in as somebody else's dependency, and no door stands where there is no library."""
    modules = {path: imports(path) for path in [*LABKIT.rglob("*.py"), *Path(__file__).parent.rglob("*.py")]}
    own = {"labkit", *(path.stem for path in modules)}
    known = declared() | own | sys.stdlib_module_names
    missing = {
        f"{path.name}: {name}"
        for path, names in modules.items()
        for name in names
        if name.partition(".")[0] not in known
    }
    assert missing == set()
    assert set(DOORS) <= declared()


def test_no_room_imports_another_that_imports_it_not_even_for_types() -> None:
    """The modules of labkit have no circle of imports, type-only ones included."""
    graph = {
        ".".join(path.relative_to(LABKIT.parent).with_suffix("").parts).removesuffix(".__init__"): {
            name for name in imports(path) if name.startswith("labkit.")
        }
        for path in LABKIT.rglob("*.py")
    }
    graph = {
        module: {other for name in names if (other := _module(name, graph)) and other != module}
        for module, names in graph.items()
    }
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as circle:
        pytest.fail(" → ".join(circle.args[1]))


def _module(name: str, graph: Collection[str]) -> str:
    """Return the module that an imported name is, or is in; "" when it is none of these."""
    return next((module for module in (name, name.rpartition(".")[0]) if module in graph), "")


def test_import_labkit_loads_no_heavy_library() -> None:
    """`import labkit` stays quick because no room is loaded before it is used."""
    code = "import labkit, sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"docker", "sqlalchemy", "testcontainers", "ipywidgets", "locust", "psycopg", "rich"} & set(
        loaded
    )
