"""The design as a test: which room may look into which, and which library has which door."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

LABKIT = Path(__file__).parents[1] / "labkit"

# Each row imports only rows below it; a room's own sideways permission stands in SIDEWAYS.
ROWS = [
    {"cli", "jupyter"},
    {"grading"},
    {"lesson"},
    {"widgets"},
    {"pipeline"},
    {"deployment", "checks", "load"},
    {"service"},
    {"toggles", "testdata", "skew", "experiment", "model"},
    {"environment"},
    {"engine"},
    {"workspace"},
    {"artifacts"},
    {"system", "coordination"},
    {"errors"},
]
DEPTH = {room: depth for depth, row in enumerate(ROWS) for room in row}
SIDEWAYS = {("deployment", "load"), ("checks", "load")}

DOORS = {
    "docker": {"engine", "environment"},
    "testcontainers": {"environment"},
    "faker": {"testdata"},
    "polars": {"testdata"},
    "numpy": {"testdata", "experiment"},
    "cryptography": {"artifacts", "testdata"},
    "locust": {"load"},
    "gevent": {"load"},
    "sqlalchemy": {"artifacts", "grading"},
    "ipywidgets": {"widgets"},
    "anywidget": {"widgets"},
    "IPython": {"widgets"},
    "tornado": {"jupyter"},
    "jupyter_server": {"jupyter"},
    "click": {"cli"},
    "rich": {"cli"},
    "psycopg": {"environment", "testdata", "skew"},
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
    found = {
        p.stem if p.is_file() else p.name: p for p in LABKIT.iterdir() if not p.name.startswith(("_", "."))
    }
    return {
        name: [p] if p.is_file() else sorted(p.rglob("*.py"))
        for name, p in found.items()
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


def test_import_labkit_loads_no_heavy_library() -> None:
    """`import labkit` stays quick because no room is loaded before it is used."""
    code = "import labkit, sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"docker", "sqlalchemy", "testcontainers", "ipywidgets", "locust", "psycopg", "rich"} & set(
        loaded
    )
