"""What is printed about several runs of a lab."""

import nbformat
import pytest
from measure_labs import COMPARED, Comparison, LabRun, busy_cores, rows, run_lab, spread

LAB = (
    "from labkit import lesson\nlab = lesson.open('a-lab')",
    "nothing = 'is shown'",
    "guess = lab.predict('n', 'How many & why?', ['1', '2'])",
    "lab.compare(guess, 2, '20 of 30 <', {'2': 'Because.'})\nlab.compare(guess, 1, '2 of 30')",
    "1 / 0",
)
STORED = nbformat.v4.new_output(
    "display_data", {"text/html": f"<table><caption>{COMPARED}</caption></table>"}
)


@pytest.fixture(scope="module")
def lab_run(tmp_path_factory: pytest.TempPathFactory) -> LabRun:
    """Run a lab of one question: a cell fails, and the one after it has an output that was stored before."""
    path = tmp_path_factory.mktemp("labs") / "a-lab.ipynb"
    cells = [nbformat.v4.new_code_cell(source) for source in LAB]
    cells.append(nbformat.v4.new_code_cell("'not reached'", outputs=[STORED]))
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return run_lab(path)


def test_comparisons_are_read_from_what_was_shown(lab_run: LabRun) -> None:
    """Question, what came true, what was measured, and whether a sentence stood beneath it."""
    question = "How many & why?"
    assert lab_run.comparisons == [
        Comparison(question, "2", "20 of 30 <", explained=True),
        Comparison(question, "1", "2 of 30", explained=False),
    ]


def test_a_cell_that_fails_is_told(lab_run: LabRun) -> None:
    """The run ends with the error; what was compared before it stays."""
    assert lab_run.error == "ZeroDivisionError: division by zero"


def test_a_question_is_one_row(lab_run: LabRun) -> None:
    """It tells how often each option came true, and how many of the runs were explained."""
    assert [*rows([lab_run])] == [("How many & why?", "1 × 2; 1 × 1", "1 of 2", "20 of 30 <; 2 of 30")]


def test_measurements_that_differ_in_their_numbers_are_one() -> None:
    """The least and the greatest of each number are told; other texts are listed once each."""
    assert (
        spread(["9 of 1,000, 0.5 s", "12 of 1,000, 0.25 s", "10 of 1,000, 1 s"]) == "9…12 of 1,000, 0.25…1 s"
    )
    assert spread(["none", "2 of 3", "none"]) == "none; 2 of 3"


def test_no_busy_process_is_left() -> None:
    """All cores are busy inside the block, and none after it."""
    with busy_cores() as processes:
        assert all(process.poll() is None for process in processes)
    assert all(process.poll() is not None for process in processes)
