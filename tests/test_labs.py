"""The shape of the labs. nbval runs them, and wrong_answers.py their wrong answers."""

import ast
import importlib
import re
import sys
import tomllib
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
from reading import ASKED, learner_copy, ninetieth, python, reading_minutes, sentences, texts, words
from wrong_answers import answers

from labkit.grading import release_notebook
from labkit.postgres import Database
from labkit.workspace import EXERCISES, labs

LABS = Path(__file__).parents[1] / "labs"
NOTEBOOKS = sorted(LABS.glob("[0-9]*/*.ipynb"))
TAGS = (
    *("goal", "set-up", "predict", "run", "observe", "explain", "change"),
    *("exercise", "check", "reflect", "clean-up", "record", "summary"),
)
COMPARED = "nbval-check-output"
ROUND = {"predict", "run", "observe", "explain", "change", "exercise", "check"}
LONGEST_CELL = 10
LONGEST_SENTENCES = 20
"""At most so many words have nine of ten sentences of a lab: many read them in a second language."""
MARKERS = re.compile(r"^\s*### (?:BEGIN|END) (?:SOLUTION|HIDDEN TESTS)$")
SECRET = re.compile(r"### BEGIN (?:SOLUTION|HIDDEN TESTS)\n(.*?)\n\s*### END", re.DOTALL)
UNQUOTED = re.compile(r"-C \{|\{[^}]*(?:shop|root|path|folder)[^}]*\}")
"""A path in a `!` line that is not quoted: the shell takes a path with a space for two."""
HIDDEN = re.compile(r"### BEGIN HIDDEN TESTS.*?### END HIDDEN TESTS", re.DOTALL)


@cache
def read(path: Path) -> Any:
    """Read a solved notebook, once for all tests."""
    return nbformat.read(path, as_version=4)


def tag(cell: Any) -> str:
    """Return the one tag of a cell that says which step it is."""
    (step,) = [name for name in cell.metadata.tags if name in TAGS]
    return str(step)


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


def runs_the_pipeline(tree: ast.Module) -> bool:
    """Return whether a cell runs the pipeline itself, and does not only define a function that does."""
    cell = [statement for statement in tree.body if not isinstance(statement, ast.FunctionDef)]
    return any("pipeline.run(" in ast.unparse(statement) for statement in cell)


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
        """Goal and set-up come first, reflect to summary last; nothing is run before a prediction."""
        steps = [tag(cell) for cell in read(path).cells]
        assert set(TAGS) <= set(steps)
        outer = [step for step in dict.fromkeys(steps) if step not in ROUND]
        assert outer == ["goal", "set-up", "reflect", "clean-up", "record", "summary"]
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

    def test_a_run_of_the_pipeline_is_read_back(self, path: Path) -> None:
        """No later cell needs a name of a cell that runs the pipeline: the artifact database has the run."""
        made: set[str] = set()
        for cell in read(path).cells:
            if cell.cell_type == "code":
                tree = ast.parse(python(cell.source))
                names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
                own = {name.id for name in names if isinstance(name.ctx, ast.Store)}
                assert not made & {name.id for name in names} - own, cell.id
                made = made | own if runs_the_pipeline(tree) else made - own

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

    def test_the_figure_row_of_a_question_is_mandatory(self, path: Path) -> None:
        """Each discussion question has a row that asks for figures of the learner's own record."""
        rubric = tomllib.loads((path.parent / "rubric.toml").read_text(encoding="utf-8"))[path.stem[3:]]
        for name, question in rubric.items():
            figures = [row for row in question["rows"] if row.get("figure")]
            assert figures, name
            assert all(row["mandatory"] for row in figures), name


def headings(cells: Any) -> list[str]:
    """Return the section headings in the texts of cells."""
    found = [
        re.findall(r"^## (.+)$", cell.source, re.MULTILINE) for cell in cells if cell.cell_type == "markdown"
    ]
    return [heading for cell in found for heading in cell]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem[3:])
class TestAround:
    """What stands around the experiments of every lab."""

    def test_the_goal_says_what_a_learner_needs(self, path: Path) -> None:
        """A line of the first cell names the knowledge that the lab uses."""
        assert re.search(r"^\*\*You need\*\*\W+\w", read(path).cells[0].source, re.MULTILINE)

    def test_a_text_stands_before_each_set_up(self, path: Path) -> None:
        """Right before each set-up cell with code, a text besides the goal says what it is for."""
        goal, *cells = read(path).cells
        for before, cell in zip((goal, *cells), cells, strict=False):
            if cell.cell_type == "code" and tag(cell) == "set-up":
                assert before is not goal, cell.id
                assert before.cell_type == "markdown", cell.id

    def test_sections_have_headings(self, path: Path) -> None:
        """Two experiments or more, a change and the exercise have a heading each, besides the title."""
        *cells, _ = read(path).cells
        sections = headings(cells)
        assert len(sections) >= 4
        assert [one for one in sections if one.startswith("Change ")]
        assert [one for one in sections if one.startswith("Your turn")]

    def test_the_summary_is_last(self, path: Path) -> None:
        """The last cell has three to five key points, and says how industry calls and does it."""
        cell = read(path).cells[-1]
        assert (cell.cell_type, tag(cell)) == ("markdown", "summary")
        assert headings([cell]) == ["Key points", "In industry"]
        points, industry = cell.source.split("## In industry")
        assert 3 <= len(re.findall(r"^- ", points, re.MULTILINE)) <= 5
        assert industry.strip()

    def test_each_exercise_has_a_kind_and_a_level(self, path: Path) -> None:
        """The metadata lists the exercises in their order: one for each cell with a solution."""
        lab, cells = read(path).metadata.labkit, read(path).cells
        assert len(lab.exercises) == sum("### BEGIN SOLUTION" in cell.source for cell in cells)
        for exercise in lab.exercises:
            assert set(exercise) == {"kind", "level"}
            assert exercise.kind in EXERCISES
            assert exercise.level in {1, 2, 3}

    def test_a_path_with_a_space_is_one_word_for_the_shell(self, path: Path) -> None:
        """A path in a line for the shell stands in quotes."""
        for cell in read(path).cells:
            for line in re.findall(r"^\s*(?:\w+ = )?!(.*)$", cell.source, re.MULTILINE):
                assert not UNQUOTED.search(re.sub(r"([\"']).*?\1", "", line)), (cell.id, line)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem[3:])
class TestText:
    """What a learner reads."""

    def test_sentences_are_short(self, path: Path) -> None:
        """Nine of ten sentences have at most twenty words."""
        found = sentences_of(path)
        long = [sentence for sentence in found if words(sentence) > LONGEST_SENTENCES]
        assert ninetieth(map(words, found)) <= LONGEST_SENTENCES, "\n".join(long)

    def test_minutes_for_reading_are_those_of_the_text(self, path: Path) -> None:
        """The metadata agrees with words and lines of code, within a quarter or a minute."""
        minutes, said = reading_minutes(learner_copy(path)), read(path).metadata.labkit.minutes.read
        assert abs(said - minutes) <= max(1, minutes / 4), (
            f"{minutes:.1f} by words and lines, {said} in the metadata"
        )


def sentences_of(path: Path) -> list[str]:
    """Return all sentences of a lab that a learner reads, hints too."""
    return [sentence for text in texts(read(path), ASKED | {"hint"}) for sentence in sentences(text)]


def test_the_courses_sentences_are_short(capsys: pytest.CaptureFixture[str]) -> None:
    """The figure for the whole course is printed."""
    lengths = [words(sentence) for path in NOTEBOOKS for sentence in sentences_of(path)]
    with capsys.disabled():
        figure = f"{len(lengths)} sentences; nine of ten have at most {ninetieth(lengths):.1f} words"
        print(f"\n{figure}")  # noqa: T201 - a figure to look at
    assert ninetieth(lengths) <= LONGEST_SENTENCES


def test_the_course_has_exercises_of_several_kinds() -> None:
    """At least five faults are to be found, and four things to be ordered or read."""
    exercises = [
        exercise for path in NOTEBOOKS for exercise in read(path).metadata.labkit.get("exercises", [])
    ]
    kinds = [exercise.kind for exercise in exercises]
    assert kinds.count("find") >= 5
    assert kinds.count("order") + kinds.count("read") >= 4
