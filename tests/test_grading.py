"""Grading: what a lab's cells need of each other, what is handed to an answer, and a lab graded for real."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from wrong_answers import answers as answers_of

from labkit.engine import Engine
from labkit.errors import LabError
from labkit.grading import Gradebook, Result, State, _batch, grade, release_notebook
from labkit.grading._attempt import Answer, cells_of, restore
from labkit.grading._exercises import SolvedLab
from labkit.grading._limits import Limits
from labkit.grading._names import CodeCell, needed
from labkit.grading._sandbox import Sandbox
from labkit.workspace import course, labs

EXTERNAL = course() / "labs" / "1-environments" / "05-external-services.ipynb"
CANARY = course() / "labs" / "5-deployment" / "07-canary.ipynb"


def test_a_cell_tells_the_names_that_it_defines_and_uses() -> None:
    """Parameters and local names are neither; names in a shell command are seen; no Python is nothing."""
    cell = CodeCell(
        "c", "import math as m\n!echo {folder}\ndef area(r):\n    two = 2\n    return m.pi * r**two * scale"
    )
    assert cell.defines == {"m", "area"}
    assert {"m", "scale"} <= cell.uses
    assert not {"r", "two"} & cell.uses
    broken = CodeCell("c", "def area(:")
    assert (broken.defines, broken.uses) == (frozenset(), frozenset())
    assert CodeCell("c", "!x\n" * 501).defines == frozenset()


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
    assert all(one.names for one in exercises if one.is_tried)
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


def test_what_a_function_changes_in_its_arguments_is_changed_here_too() -> None:
    """Lists, dicts and sets; what came back in another shape changes nothing."""
    row, named, kept = [3, 1], {"a": 1}, (1, 2)
    restore([row, kept, named], [[[1, 3], (9, 9)], {"named": {"b": 2}}])
    assert (row, named, kept) == ([1, 3], {"b": 2}, (1, 2))
    line = {"price": 1}
    cart = {"lines": [line]}
    restore([dict(cart)], [[{"lines": [{"price": 2}, {"price": 3}]}], {}])
    assert (line, cart) == ({"price": 2}, {"lines": [{"price": 2}, {"price": 3}]})
    restore([row], ["nothing", 5])
    restore([row], [[{"other": 1}], {}])
    assert row == [1, 3]


def test_an_answer_s_cells_are_its_own_and_what_they_need() -> None:
    """A learner's own helper goes with the answer, and no cell of the lab; what it does not need stays."""
    lab = SolvedLab.read(CANARY)
    exercise = lab.exercises[0]
    own = CodeCell(exercise.solution.id, "def verdict(*known): return help_me(*known)")
    helper, other = CodeCell("mine", "def help_me(*known): return 1"), CodeCell("other", "import os")
    assert cells_of(lab, exercise, [*lab.before(exercise.solution), helper, other, own]) == [helper, own]
    assert cells_of(lab, exercise, [helper]) == []


def test_solutions_of_exercises_that_are_tried_use_data_and_modules_alone() -> None:
    """No shell command is among them, and no name that the solution defines is handed over."""
    for one in (one for lab in labs(course()) for one in SolvedLab.read(course() / lab.path).exercises):
        if one.is_tried:
            assert "get_ipython" not in one.solution.uses, one.name


def handed_in(folder: Path, lab: SolvedLab, answers: dict[str, dict[str, str]]) -> Path:
    """Write a class's folder: for each learner a copy of the lab with the answers, by their cells' ids."""
    for learner, given in answers.items():
        notebook: dict[str, Any] = json.loads(release_notebook(lab.path))
        for cell in notebook["cells"]:
            cell["source"] = given.get(cell["id"], cell["source"])
        (folder / learner).mkdir(parents=True)
        (folder / learner / "my lab.ipynb").write_text(json.dumps(notebook))
    return folder


def assert_refused(result: Result, hint: str) -> None:
    """Assert that a row with this hint has not passed."""
    failed = [row.hint for row in result.rows if not row.passed]
    assert any(hint in one for one in failed), (hint, failed)


def test_a_lab_that_does_not_work_here_keeps_no_other_from_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error comes last, the lab's other runs never begin, and the next batch tries it again."""
    sick, sound, began = SolvedLab.read(CANARY), SolvedLab.read(EXTERNAL), []

    def try_out(lab: SolvedLab, *_: object, **__: object) -> list[object]:
        began.append(lab.slug)
        if lab is sick:
            raise LabError("the lab's own solution passes", "it did not", "mend the lab")
        return []

    monkeypatch.setattr(_batch, "try_out", try_out)
    monkeypatch.setattr(_batch, "CHUNK", 1)
    monkeypatch.setattr(_batch, "AHEAD", 2)
    handed_in(tmp_path / "class", sick, {f"a {number}": {} for number in range(9)})
    handed_in(tmp_path / "class", sound, {"ben": {}, "cy": {}})
    with Gradebook.open(tmp_path / "points.db") as book, ThreadPoolExecutor(1) as executor:
        for wanted in ({"ben", "cy"}, set()):
            began.clear()
            graded = set()
            with pytest.raises(LabError, match="it did not"):
                for one in grade(tmp_path / "class", [sick, sound], book, executor):
                    graded.add((one.learner, one.state))
            assert graded == {(learner, State.GRADED) for learner in wanted}
            assert (began.count(sick.slug) < 9, began.count(sound.slug)) == (True, len(wanted))


@pytest.mark.engine
@pytest.mark.timeout(600)
def test_a_class_is_graded_by_the_lab_s_own_check(tmp_path: Path) -> None:
    """The solution has all points, an untouched copy none, a wrong answer its hint; nothing runs twice."""
    lab = SolvedLab.read(CANARY)
    wrong = answers_of(lab.path)[:2]  # all are tried where nbval runs the lab
    codes = {f"wrong {number}": one["code"] for number, one in enumerate(wrong)} | {
        "good": lab.exercises[0].solution.source,
        "loops": "def verdict(*_):\n    while True: pass",
        "exits": "def verdict(*_):\n    exit()",
        "lies": "class Lie: __class__ = property(lambda self: 1 / 0)\nverdict = Lie()",
        "bangs": "!x\n" * 501,
        "looks": "def verdict(*_):\n    return lab.workspace.artifacts",
    }
    answers = {learner: {"verdict": code} for learner, code in codes.items()} | {"untouched": {}}
    folder = handed_in(tmp_path / "class", lab, answers)
    with Gradebook.open(tmp_path / "points.db") as book, ThreadPoolExecutor(1) as executor:

        def batch() -> dict[str, Result]:
            return {one.learner: one for one in grade(folder, [lab], book, executor, fresh=False)}

        results = batch()
        assert results.keys() == answers.keys()
        assert (results["good"].points, results["good"].possible) == (5, 5)
        assert results["untouched"].points == 0
        for none in ("loops", "exits", "lies", "bangs"):
            assert (results[none].state, results[none].points) == (State.GRADED, 0), none
        for number, one in enumerate(wrong):
            assert_refused(results[f"wrong {number}"], one["hint"])
        assert (results["looks"].state, results["looks"].rows) == (State.NEEDS_A_PERSON, ())
        assert "lab" in results["looks"].reason
        assert batch() == {}


@pytest.mark.engine
def test_an_answer_that_loops_is_asked_twice_and_no_more() -> None:
    """The other rows of the check fail at once: a class does not wait for each."""
    exercise = SolvedLab.read(CANARY).exercises[0]
    loops = CodeCell("c", "def verdict(*_):\n    while True: pass")
    with Sandbox(Engine.find(), limits=Limits(call_s=0.5)) as sandbox:
        answer = Answer(sandbox, [loops], exercise, {})
        verdict = answer.value("verdict")
        for words in ("longer than 0.5 s", "longer than 0.5 s", "asked no more"):
            with pytest.raises(AssertionError, match=words):
                verdict()
        answer.close()


@pytest.mark.engine
@pytest.mark.timeout(600)
def test_answers_steer_real_services_and_spoil_them_for_nobody(tmp_path: Path) -> None:
    """A stub answers a shop of real services as the learner says; the next learner finds it as it was."""
    lab = SolvedLab.read(EXTERNAL)
    cell = lab.exercises[1].solution
    wrong = [one for one in answers_of(lab.path) if one["cell"] == cell.id]
    answers = {f"a {number}": {cell.id: one["code"]} for number, one in enumerate(wrong)}
    answers |= {"ben": {cell.id: cell.source}, "cy": {}}
    folder = handed_in(tmp_path / "class", lab, answers)
    with Gradebook.open(tmp_path / "points.db") as book, ThreadPoolExecutor(1) as executor:
        results = {one.learner: one for one in grade(folder, [lab], book, executor, fresh=False)}
    assert {one.state for one in results.values()} == {State.GRADED}
    passed = {learner: sum(row.passed for row in one.rows) for learner, one in results.items()}
    assert passed["ben"] == sum(row.check == "a bad day" for row in results["ben"].rows) > 0
    assert passed["cy"] == 0
    for number, one in enumerate(wrong):
        assert_refused(results[f"a {number}"], one["hint"])
