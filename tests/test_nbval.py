"""A course's own CI: labs, and notebooks that are none, run by `pytest --nbval-lax` and nothing else."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import nbformat
import pytest

LEAVE = """\
from labkit import Workspace
from labkit.engine import Engine, Label
name = Engine.find().client.networks.create("left-behind", labels={Label.WORKSPACE: Workspace.open().id}).name
name"""
WHERE = 'import os\nprint(os.environ.get("LABKIT_WORKSPACE"), os.environ.get("LABKIT_UNATTENDED"))'


def write(path: Path, *sources: str, lab: bool = True, stored: str | None = None) -> Path:
    """Write a notebook; the result of its last cell is to be compared with the stored one."""
    cells = [nbformat.v4.new_code_cell(source, id=f"cell-{n}") for n, source in enumerate(sources)]
    cells[-1].metadata["tags"] = ["observe", "nbval-check-output"]
    if stored is not None:
        cells[-1].outputs = [nbformat.v4.new_output("stream", text=stored)]
        cells[-1].execution_count = 1
    metadata = {"labkit": {"id": path.stem}} if lab else {}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), path)
    return path


def run(folder: Path, *arguments: str) -> tuple[int, dict[str, list[str]]]:
    """Run all notebooks of a folder as a course does; return the exit code and each notebook's failures."""
    outside = os.environ | {"LABKIT_WORKSPACE": "the user's own"}
    outside.pop("LABKIT_UNATTENDED", None)
    names = sorted(path.name for path in folder.glob("*.ipynb"))
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "--junit-xml=report.xml", *arguments, *names]
    done = subprocess.run(command, cwd=folder, env=outside, capture_output=True, text=True, check=False)
    failures: dict[str, list[str]] = {name.removesuffix(".ipynb"): [] for name in names}
    for case in ElementTree.parse(folder / "report.xml").iter("testcase"):  # noqa: S314 - pytest's own report
        name = case.attrib["classname"].rpartition(".")[0] or case.attrib["classname"]
        failures[name] += [child.text or "" for child in case if child.tag in {"failure", "error"}]
    return done.returncode, failures


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, dict[str, list[str]]]:
    """Run a course of four notebooks once; return the exit code and each notebook's failures."""
    folder = tmp_path_factory.mktemp("course")
    write(
        folder / "right.ipynb", "import time", 'print(f"two in {time.time():.1f} s")', stored="two in 0.5 s\n"
    )
    write(folder / "changed.ipynb", "result = 2", "print(result)", stored="3\n")
    write(folder / "dies.ipynb", "import os", "os._exit(1)", stored="")
    write(folder / "foreign.ipynb", WHERE, lab=False, stored="the user's own None\n")
    return run(folder)


def test_a_changed_result_fails_the_run(course: tuple[int, dict[str, list[str]]]) -> None:
    """The cell whose output is not the stored one fails with both; one that differs in its time passes."""
    code, failures = course
    assert code == pytest.ExitCode.TESTS_FAILED
    assert failures["right"] == []
    (failure,) = failures["changed"]
    assert "Cell outputs differ" in failure


def test_a_dead_kernel_fails_its_cell_at_once(course: tuple[int, dict[str, list[str]]]) -> None:
    """The cell in which the kernel died says so, instead of waiting for the cell's whole time."""
    (failure,) = course[1]["dies"]
    assert "The kernel died" in failure


def test_a_notebook_that_is_no_lab_is_left_alone(course: tuple[int, dict[str, list[str]]]) -> None:
    """A notebook without labkit's metadata sees the user's own variables, in a run with labs too."""
    assert course[1]["foreign"] == []


@pytest.mark.engine
def test_what_a_lab_leaves_fails_the_run_and_is_removed(tmp_path: Path) -> None:
    """A lab that ends without cleaning up fails after its last cell, by name; nothing of it stays."""
    write(tmp_path / "leaves.ipynb", WHERE, LEAVE)
    code, failures = run(tmp_path)
    assert code == pytest.ExitCode.TESTS_FAILED
    (failure,) = failures["leaves"]
    assert "network left-behind" in failure
    left = ["docker", "network", "ls", "--quiet", "--filter", "name=^left-behind$"]
    assert subprocess.run(left, capture_output=True, text=True, check=True).stdout == ""


def test_storing_changes_the_results_of_tagged_cells_and_no_other_byte(tmp_path: Path) -> None:
    """A result is stored where there is none or another; one that is as good as the stored one stays."""
    same = write(tmp_path / "same.ipynb", 'print("took 1.5 s")', stored="took 2.5 s\n").read_text()
    path = write(tmp_path / "lab.ipynb", "print('é')", "2", "3", stored=None)
    before: Any = json.loads(path.read_text())
    before["cells"][0]["source"] = "print('é')"  # a string is as good as a list of lines, and is to stay one
    path.write_text(json.dumps(before, indent=3, ensure_ascii=False))
    assert run(tmp_path, "--labkit-store-outputs")[0] == 0
    result = {"data": {"text/plain": ["3"]}, "execution_count": 3, "metadata": {}}
    before["cells"][2] |= {"execution_count": 3, "outputs": [result | {"output_type": "execute_result"}]}
    assert path.read_text() == json.dumps(before, indent=3, ensure_ascii=False)
    assert (tmp_path / "same.ipynb").read_text() == same


def test_a_start_of_pytest_loads_nothing_for_it() -> None:
    """The module that pytest loads at each start brings neither nbval nor a room of labkit."""
    code = "import labkit.nbval, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"nbval", "nbformat", "docker", "labkit.engine", "labkit.workspace"} & set(
        loaded.stdout.split()
    )
