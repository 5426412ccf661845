"""The shape of the labs. nbval runs them, and wrong_answers.py their wrong answers."""

import ast
import importlib
import re
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
from wrong_answers import answers

from labkit.grading import release_notebook
from labkit.postgres import Database
from labkit.workspace import labs

LABS = Path(__file__).parents[1] / "labs"
NOTEBOOKS = sorted(LABS.glob("[0-9]*/*.ipynb"))
TAGS = (
    *("goal", "set-up", "predict", "run", "observe", "explain", "change"),
    *("exercise", "check", "reflect", "clean-up", "record", "summary"),
)
COMPARED = "nbval-check-output"
ROUND = {"predict", "run", "observe", "explain", "change", "exercise", "check"}
LONGEST_CELL = 10
MARKERS = re.compile(r"^\s*### (?:BEGIN|END) (?:SOLUTION|HIDDEN TESTS)$")
SECRET = re.compile(r"### BEGIN (?:SOLUTION|HIDDEN TESTS)\n(.*?)\n\s*### END", re.DOTALL)
HIDDEN = re.compile(r"### BEGIN HIDDEN TESTS.*?### END HIDDEN TESTS", re.DOTALL)


def read(path: Path) -> Any:
    """Read a solved notebook."""
    return nbformat.read(path, as_version=4)


def tag(cell: Any) -> str:
    """Return the one tag of a cell that says which step it is."""
    (step,) = [name for name in cell.metadata.tags if name in TAGS]
    return str(step)


def python(source: str) -> str:
    """Return a cell's source without IPython's own lines, so that Python's parser reads it."""
    return "\n".join(re.sub(r"^(\s*)(!|\w+ = !).*", r"\1pass", line) for line in source.splitlines())


def asked(path: Path) -> dict[str, dict[str, list[str]]]:
    """Return the options of a lab's predictions, by the cell that asks and the prediction's name."""
    options: dict[str, list[str]] = {}
    lab = SimpleNamespace(predict=lambda name, _, shown, **__: options.update({name: [*shown]}))
    names, cells = {"lab": lab, "database": Database}, {}
    for cell in read(path).cells:
        if tag(cell) == "predict":
            options.clear()
            exec(cell.source, names)  # noqa: S102 - a lab's own cell, which only asks
            cells[cell.id] = dict(options)
    return cells


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem[3:])
class TestShape:
    """What every lab looks like."""

    def test_metadata(self, path: Path) -> None:
        """A lab has its slug for an identity, rows, labs that it builds on, and 20 to 35 minutes."""
        lab = read(path).metadata.labkit
        assert f"{path.stem[:2]}-{lab.id}" == path.stem
        assert all(re.fullmatch(r"[OEDISPQ]\d+", row) for row in lab.rows)
        assert set(lab.minutes) == {"read", "run", "exercise"}
        order = [one.slug for one in labs(LABS.parent)]
        assert set(lab.needs) <= set(order[: order.index(lab.id)]), "a lab builds on labs before it"
        assert 20 <= sum(lab.minutes.values()) <= 35

    def test_steps_come_in_order(self, path: Path) -> None:
        """Goal and set-up come first, reflect to record last; nothing is run before a prediction."""
        steps = [tag(cell) for cell in read(path).cells]
        assert set(TAGS) - {"summary"} <= set(steps)
        outer = [step for step in dict.fromkeys(steps) if step not in {*ROUND, "summary"}]
        assert outer == ["goal", "set-up", "reflect", "clean-up", "record"]
        assert steps.index("predict") < steps.index("run") < steps.index("observe") < steps.index("exercise")
        assert steps.index("exercise") < steps.index("check") < steps.index("reflect")

    def test_cells_are_small_clean_and_named(self, path: Path) -> None:
        """A code cell has at most ten lines besides hidden checks; an id is made of words."""
        for cell in read(path).cells:
            assert re.fullmatch(r"[a-z][a-z0-9-]+", cell.id), cell.id
            if cell.cell_type == "code":
                shown = [line for line in HIDDEN.sub("", cell.source).splitlines() if not MARKERS.match(line)]
                assert len([line for line in shown if line.strip()]) <= LONGEST_CELL, cell.id

    def test_each_wrong_option_says_what_it_stands_for(self, path: Path) -> None:
        """Instructors find a sentence for each option but the one that normally comes true."""
        cells = {cell.id: cell for cell in read(path).cells}
        for name, questions in asked(path).items():
            misconceptions = cells[name].metadata.labkit.misconceptions
            assert set(misconceptions) == set(questions), name
            for question, options in questions.items():
                sentences = misconceptions[question]
                assert set(sentences) < set(options), question
                assert len(sentences) == len(options) - 1, question
                assert all(sentence.endswith(".") for sentence in sentences.values()), question

    def test_machinery_is_announced_and_is_nothing_to_work_on(self, path: Path) -> None:
        """A text says that folded cells are machinery; none of them is an exercise or a check."""
        announced = False
        for cell in read(path).cells:
            if cell.cell_type == "markdown":
                announced = announced or "machinery" in cell.source
            if "machinery" in cell.metadata.tags:
                assert announced, cell.id
                assert cell.cell_type == "code", cell.id
                assert tag(cell) not in {"exercise", "check"}, cell.id

    def test_outputs_are_those_that_are_compared(self, path: Path) -> None:
        """One to five results are stored, in cells that nbval compares; no other cell has an output."""
        cells = [cell for cell in read(path).cells if cell.cell_type == "code"]
        compared = [cell for cell in cells if COMPARED in cell.metadata.tags]
        assert 1 <= len(compared) <= 5
        for cell in cells:
            stored = (bool(cell.outputs), cell.execution_count is not None)
            assert stored == (cell in compared, cell in compared), cell.id

    def test_only_public_names_of_labkit_are_imported(self, path: Path) -> None:
        """A notebook imports labkit's public names, the standard library and locust's users, nothing else."""
        for cell in read(path).cells:
            if cell.cell_type != "code":
                continue
            for node in ast.walk(ast.parse(python(cell.source))):
                if isinstance(node, ast.Import):
                    assert {alias.name.partition(".")[0] for alias in node.names} <= sys.stdlib_module_names
                elif isinstance(node, ast.ImportFrom) and node.module != "locust":
                    assert node.module == "labkit", cell.id
                    for alias in node.names:
                        room = importlib.import_module("labkit")
                        assert hasattr(room, alias.name) or importlib.import_module(f"labkit.{alias.name}")

    def test_an_exercise_has_a_solution_a_check_and_wrong_answers(self, path: Path) -> None:
        """Solution and hidden checks are marked, and answers that must fail lie beside the lab."""
        source = "\n".join(cell.source for cell in read(path).cells)
        assert "### BEGIN SOLUTION" in source
        assert "### BEGIN HIDDEN TESTS" in source
        assert len(answers(path)) >= 3
        cells = {cell.id for cell in read(path).cells}
        assert {answer[name] for answer in answers(path) for name in ("cell", "check")} <= cells

    def test_the_learner_copy_gives_nothing_away(self, path: Path) -> None:
        """No solution, no hidden check, no default of a prediction, no result is in what learners get."""
        copy = nbformat.reads(release_notebook(path), as_version=4)
        released = "\n".join(cell.source for cell in copy.cells)
        assert not any(cell.get("outputs") for cell in copy.cells)
        for cell in read(path).cells:
            for secret in SECRET.findall(cell.source):
                assert secret not in released
                asserts = re.findall(r"^\s*(assert .*)$", secret, re.MULTILINE)
                assert not any(line in released for line in asserts)
        assert "### BEGIN" not in released
        assert not re.search(r"^\s*default=", released, re.MULTILINE)
        assert not any("labkit" in cell.metadata for cell in copy.cells)

    def test_the_discussion_question_has_a_rubric(self, path: Path) -> None:
        """The rubric beside the lab has yes/no rows, at least one of them mandatory, and a model answer."""
        rubric = tomllib.loads((path.parent / "rubric.toml").read_text())[path.stem[3:]]
        source = "\n".join(cell.source for cell in read(path).cells if tag(cell) == "reflect")
        for name, question in rubric.items():
            assert f'"{name}"' in source
            assert any(row["mandatory"] for row in question["rows"])
            assert question["model_answer"]
