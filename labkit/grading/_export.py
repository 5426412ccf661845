"""The gradebook as a table for other programs: CSV that no spreadsheet takes for formulas."""

import csv
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

from labkit.grading._file import write_private
from labkit.grading._gradebook import Gradebook
from labkit.grading._gradebook_tables import Attempt
from labkit.grading._result import State
from labkit.grading._rubric import Mark, Question, questions

COLUMNS = (
    "learner",
    "lab",
    "state",
    "points",
    "possible",
    "manual_points",
    "manual_possible",
    "undecided",
    "reason",
    "whose",
    "graded_at",
    "seconds",
    "labkit",
    "submission",
)

FORMULA = re.compile(r"(^|[;\t\r\n])(?=[=+\-@\t\r\n＝＋－＠])")
"""Where a spreadsheet would begin a formula: at a cell's start, or after a sign that may part cells."""


def grades(
    gradebook: Gradebook, lab: str | None = None, rubric: Sequence[Question] | None = None
) -> Iterator[dict[str, Any]]:
    """Yield a line for each learner and lab, with the keys COLUMNS, by learner and lab; lab None is all labs.

    points is None for what was not graded: that is not 0. manual_points is None while a row is undecided.
    rubric None is that of labkit's own course.
    """
    by_lab = defaultdict(list)
    for question in questions() if rubric is None else rubric:
        by_lab[question.lab].append(question)
    for attempt in gradebook.latest(lab):
        yield _line(attempt, marks(gradebook, attempt, by_lab[attempt.result.lab]))


class Judged(NamedTuple):
    """What people decided on one answer: its worth, each row by its words, and the last comment."""

    mark: Mark
    decisions: Mapping[str, bool | None]
    comment: str


def marks(gradebook: Gradebook, attempt: Attempt, asked: Iterable[Question]) -> dict[str, Judged]:
    """Return what was decided on an attempt's answers to the questions of its lab, by the question's name.

    A question without an answer has no points, and nothing is left to decide. It is left out of what was not
    graded, where nobody knows the answers.
    """
    found, result = {}, attempt.result
    for question in asked:
        answer = result.answers.get(question.name)
        if not answer and result.state is not State.GRADED:
            continue
        decisions, comment = dict[str, bool | None](), ""
        if answer:
            decisions, comment = gradebook.decisions(question, result.learner, answer)
        by_row = {row.asks: decisions.get(row.asks, None if answer else False) for row in question.rows}
        found[question.name] = Judged(question.mark(by_row), by_row, comment)
    return found


def _line(attempt: Attempt, manual: Mapping[str, Judged]) -> dict[str, Any]:
    result, decided = attempt.result, [judged.mark for judged in manual.values()]
    graded, undecided = result.state is State.GRADED, sum(mark.undecided for mark in decided)
    values = (
        result.learner,
        result.lab,
        result.state.value,
        result.points if graded else None,
        result.possible if graded else None,
        sum(mark.points for mark in decided) if decided and not undecided else None,
        sum(mark.possible for mark in decided) if decided else None,
        undecided,
        result.reason,
        result.whose,
        attempt.at.isoformat(timespec="seconds"),
        result.seconds,
        attempt.labkit,
        result.digests.get("submission", ""),
    )
    return dict(zip(COLUMNS, values, strict=True))


def to_csv(lines: Iterable[Mapping[str, Any]]) -> str:
    """Return lines of `grades` as CSV (RFC 4180), with a header. None becomes an empty cell."""
    text = StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerow(COLUMNS)
    writer.writerows([_safe(value) for value in line.values()] for line in lines)
    return text.getvalue()


def write_csv(lines: Iterable[Mapping[str, Any]], path: Path) -> Path:
    """Write lines of `grades` as CSV into a file, which is replaced as a whole.

    :raises LabError: when it cannot be written.
    """
    return write_private(path, to_csv(lines))


def _safe(value: object) -> object:
    """Return a cell that no spreadsheet takes for a formula: ' stands before what would begin one."""
    return FORMULA.sub(r"\1'", value) if isinstance(value, str) else value
