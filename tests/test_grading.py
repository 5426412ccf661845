"""Grading: what a lab's cells need of each other, what is handed to an answer, and a lab graded for real."""

import json
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from labkit.errors import LabError
from labkit.grading import Gradebook, Result, State, grade, release_notebook
from labkit.grading._exercises import SolvedLab
from labkit.grading._hands import Hands
from labkit.grading._names import CodeCell, needed
from labkit.grading._sandbox import Raised
from labkit.grading._values import Reference
from labkit.workspace import course, labs

CANARY = course() / "labs" / "5-deployment" / "07-canary.ipynb"
WRONG = course() / "labs" / "5-deployment" / "wrong-answers" / "canary.toml"


def test_a_cell_tells_the_names_that_it_defines_and_uses() -> None:
    """Parameters and local names are neither; names in a shell command are seen; no Python is nothing."""
    cell = CodeCell(
        "c", "import math as m\n!echo {folder}\ndef area(r):\n    two = 2\n    return m.pi * r**two * scale"
    )
    assert cell.defines == {"m", "area"}
    assert {"m", "scale"} <= cell.uses
    assert not {"r", "two"} & cell.uses
    assert cell.attributes >= {"pi"}
    broken = CodeCell("c", "def area(:")
    assert (broken.defines, broken.uses, broken.attributes) == (frozenset(), frozenset(), frozenset())


def test_the_cells_that_a_cell_needs_are_found_by_their_names() -> None:
    """What those cells need themselves is needed too, in the order of the notebook; nothing else is."""
    a, b, c = CodeCell("a", "one = 1"), CodeCell("b", "other = 5"), CodeCell("c", "def two(): return one + 1")
    assert needed(CodeCell("d", "two()"), [a, b, c]) == [a, c]


def test_every_exercise_of_the_course_is_read() -> None:
    """Each lab has its exercises, with names to define or a record to judge, and rows."""
    root = course()
    found = {lab.slug: SolvedLab.read(root / lab.path) for lab in labs(root)}
    for lab in labs(root):
        assert len(found[lab.slug].exercises) == len(lab.exercises), lab.slug
    exercises = [one for lab in found.values() for one in lab.exercises]
    assert all(one.names or one.recorded for one in exercises)
    assert all(one.hidden for one in exercises)
    assert sum(sum(one.hidden) for one in exercises) == sum(
        part.split("### END")[0].count("\n    assert ")
        for one in exercises
        for part in one.check.source.split("### BEGIN HIDDEN TESTS")[1:]
    )


def test_a_notebook_that_is_no_lab_is_refused(tmp_path: Path) -> None:
    """The error names the file."""
    path = tmp_path / "other.ipynb"
    path.write_text('{"cells": [], "metadata": {}}')
    with pytest.raises(LabError, match=r"other\.ipynb"):
        SolvedLab.read(path)


class Thing:
    """Something that is no data, as an environment is."""

    name, secret = "cart-1", "password"

    def ask(self, other: "Thing", times: int) -> list[str]:
        """Return another thing's name some times."""
        return [other.name] * times

    def fails(self) -> None:
        """Raise an error."""
        raise ZeroDivisionError("by zero")


def test_what_is_no_data_is_handed_over_by_reference_and_comes_back_as_itself() -> None:
    """In containers too; a reference that was never handed over is refused."""
    hands, thing = Hands(frozenset({"ask"})), Thing()
    lent = hands.lend({"all": [1, thing]})
    assert lent["all"][0] == 1
    assert isinstance(lent["all"][1], Reference)
    assert hands.returned(lent) == {"all": [1, thing]}
    with pytest.raises(LookupError):
        hands.returned(Reference("Thing-1"))


def test_only_what_the_solution_asks_of_a_thing_may_be_asked() -> None:
    """All else is refused and noted, names of Python's own as well; what a thing raises is told."""
    hands, thing = Hands(frozenset({"ask", "name", "fails", "__dict__"})), Thing()
    key = hands.lend(thing).id
    ask = hands.answer(key, "__getattr__", ("ask",), {})
    assert hands.answer(ask.id, "__call__", (Reference(key), 2), {}) == ["cart-1", "cart-1"]
    assert hands.answer(key, "__getattr__", ("name",), {}) == "cart-1"
    for refused in ("secret", "__dict__", "__class__"):
        with pytest.raises(LookupError):
            hands.answer(key, "__getattr__", (refused,), {})
    assert hands.refused == {"secret", "__dict__", "__class__"}
    fails = hands.answer(key, "__getattr__", ("fails",), {})
    with pytest.raises(Raised) as raised:
        hands.answer(fails.id, "__call__", (), {})
    assert (raised.value.kind, raised.value.text) == ("ZeroDivisionError", "by zero")


def handed_in(folder: Path, answers: dict[str, str | None]) -> Path:
    """Write a class's folder: a copy of the canary lab with the answer; None leaves it untouched."""
    for learner, answer in answers.items():
        notebook: dict[str, Any] = json.loads(release_notebook(CANARY))
        for cell in notebook["cells"]:
            if cell["id"] == "verdict" and answer is not None:
                cell["source"] = answer
        (folder / learner).mkdir(parents=True)
        (folder / learner / "my lab.ipynb").write_text(json.dumps(notebook))
    return folder


@pytest.mark.engine
def test_a_class_is_graded_by_the_lab_s_own_check(tmp_path: Path) -> None:
    """The solution has all points, an untouched copy none, each wrong answer its hint; nothing runs twice."""
    lab = SolvedLab.read(CANARY)
    wrong = tomllib.loads(WRONG.read_text())["answer"]
    answers: dict[str, str | None] = {f"wrong {number}": one["code"] for number, one in enumerate(wrong)}
    answers |= {
        "good": lab.exercises[0].solution.source,
        "untouched": None,
        "loops": "def verdict(*_):\n    while True: pass",
        "looks": "def verdict(*_):\n    return lab.workspace.artifacts",
    }
    folder = handed_in(tmp_path / "class", answers)
    with Gradebook.open(tmp_path / "points.db") as book, ThreadPoolExecutor(1) as executor:

        def batch() -> dict[str, Result]:
            return {one.learner: one for one in grade(folder, [lab], book, executor, fresh=False)}

        results = batch()
        assert results.keys() == answers.keys()
        assert (results["good"].points, results["good"].possible) == (5, 5)
        assert results["untouched"].points == 0
        assert results["loops"].points == 0
        for number, one in enumerate(wrong):
            failed = [row.hint for row in results[f"wrong {number}"].rows if not row.passed]
            assert any(one["hint"] in hint for hint in failed), one["hint"]
        assert (results["looks"].state, results["looks"].rows) == (State.NEEDS_A_PERSON, ())
        assert "lab" in results["looks"].reason
        assert batch() == {}
