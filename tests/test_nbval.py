"""A course's own CI: labs, and notebooks that are none, run by `pytest --nbval-lax` and nothing else."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import nbformat
import pytest

LEAVE = """\
from labkit import Workspace
from labkit.engine import Engine, Label
name = Engine.find().client.networks.create("left-behind", labels={Label.WORKSPACE: Workspace.open().id}).name
name"""
WHERE = 'import os\nprint(os.environ.get("LABKIT_WORKSPACE"), os.environ.get("LABKIT_UNATTENDED"))'
MOMENT = 'import time\nprint(f"{time.time():.1f} s")'


def write(path: Path, *cells: str | tuple[str, str], lab: bool = True) -> Path:
    """Write a notebook of sources; one with a text is to be compared with that, its stored output."""
    notebook = nbformat.v4.new_notebook(metadata={"labkit": {"id": path.stem}} if lab else {})
    for number, content in enumerate(cells):
        source, stored = (content, "") if isinstance(content, str) else content
        cell = nbformat.v4.new_code_cell(source, id=f"cell-{number}")
        if not isinstance(content, str):
            cell.metadata["tags"] = ["observe", "nbval-check-output"]
        if stored:
            cell.outputs, cell.execution_count = [nbformat.v4.new_output("stream", text=stored)], 1
        notebook.cells.append(cell)
    nbformat.write(notebook, path)
    return path


def run(folder: Path, *arguments: str) -> tuple[int, dict[str, str]]:
    """Run all notebooks of a folder as a course does; return the exit code, and what failed by cell."""
    outside = os.environ | {"LABKIT_WORKSPACE": "the user's own"}
    outside.pop("LABKIT_UNATTENDED", None)
    names = sorted(path.name for path in folder.glob("*.ipynb"))
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "--junit-xml=report.xml", *arguments, *names]
    done = subprocess.run(command, cwd=folder, env=outside, capture_output=True, text=True, check=False)
    failures = {
        f"{case.attrib['classname'].partition('.')[0]}, {case.attrib['name']}": child.text or ""
        for case in ET.parse(folder / "report.xml").iter("testcase")  # noqa: S314 - pytest's own report
        for child in case
        if child.tag in {"failure", "error"}
    }
    return done.returncode, failures


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, dict[str, str]]:
    """Run a lab and a notebook that is none; return the exit code, and what failed by cell."""
    folder = tmp_path_factory.mktemp("course")
    write(folder / "foreign.ipynb", (WHERE, "the user's own None\n"), lab=False)
    write(folder / "lab.ipynb", (MOMENT, "0.5 s\n"), ("print(2)", "3\n"), "import os\nos._exit(1)")
    return run(folder)


def test_a_changed_result_fails_the_run(course: tuple[int, dict[str, str]]) -> None:
    """The cell whose output is not the stored one fails; one whose output differs in a time passes."""
    code, failures = course
    assert code == pytest.ExitCode.TESTS_FAILED
    assert "lab, Cell 0" not in failures
    assert "Cell outputs differ" in failures["lab, Cell 1"]


def test_a_dead_kernel_fails_its_cell_at_once(course: tuple[int, dict[str, str]]) -> None:
    """The cell in which the kernel died says so, instead of waiting for the cell's whole time."""
    assert "The kernel died" in course[1]["lab, Cell 2"]


def test_a_notebook_that_is_no_lab_is_left_alone(course: tuple[int, dict[str, str]]) -> None:
    """A notebook without labkit's metadata sees the user's own variables, in a run with labs too."""
    assert set(course[1]) == {"lab, Cell 1", "lab, Cell 2"}


@pytest.mark.engine
def test_what_a_lab_leaves_fails_the_run_and_is_removed(tmp_path: Path) -> None:
    """A lab that ends without cleaning up fails after its last cell, by name; nothing of it stays."""
    write(tmp_path / "leaves.ipynb", WHERE, LEAVE)
    code, failures = run(tmp_path)
    assert code == pytest.ExitCode.TESTS_FAILED
    assert "network left-behind" in failures["leaves, Cell 1"]
    left = ["docker", "network", "ls", "--quiet", "--filter", "name=^left-behind$"]
    assert subprocess.run(left, capture_output=True, text=True, check=True).stdout == ""


def test_storing_changes_the_results_of_tagged_cells_and_no_other_byte(tmp_path: Path) -> None:
    """A result is stored where there is none or another; one that is as good as the stored one stays."""
    path = write(tmp_path / "lab.ipynb", "print('é')", (MOMENT, "2.5 s\n"), ("3", ""))
    before: Any = json.loads(path.read_text())
    before["cells"][0]["source"] = "print('é')"  # a string is as good as a list of lines, and is to stay one
    path.write_text(json.dumps(before, indent=3, ensure_ascii=False))
    assert run(tmp_path, "--labkit-store-outputs") == (0, {})
    result = {"data": {"text/plain": ["3"]}, "execution_count": 3, "metadata": {}}
    before["cells"][2] |= {"execution_count": 3, "outputs": [result | {"output_type": "execute_result"}]}
    assert path.read_text() == json.dumps(before, indent=3, ensure_ascii=False)


def test_a_start_of_pytest_loads_nothing_for_it() -> None:
    """The module that pytest loads at each start brings neither nbval nor a room of labkit."""
    code = "import labkit.nbval, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"nbval", "nbformat", "docker", "labkit.engine", "labkit.workspace"}
    assert not heavy & set(loaded.stdout.split())
