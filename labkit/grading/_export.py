"""The gradebook as a table for other programs: CSV that no spreadsheet takes for formulas."""

import csv
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, Any

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


def marks(
    gradebook: Gradebook, attempt: Attempt, asked: Sequence[Question]
) -> dict[str, tuple[Mark, Mapping[str, bool | None], str]]:
    """Return by question what people's decisions are worth, the decisions by row, and the comment.

    A question without an answer has no points, and nothing is left to decide.
    """
    found = {}
    for question in asked:
        answer = attempt.result.answers.get(question.name)
        decisions: Mapping[str, bool | None] = {row.asks: False for row in question.rows}
        comment = ""
        if answer is not None:
            decisions, comment = gradebook.decisions(question, attempt.result.learner, answer)
        found[question.name] = (question.mark(decisions), decisions, comment)
    return found


def _line(
    attempt: Attempt, manual: Mapping[str, tuple[Mark, Mapping[str, bool | None], str]]
) -> dict[str, Any]:
    result, decided = attempt.result, [mark for mark, _, _ in manual.values()]
    graded, undecided = result.state is State.GRADED, sum(mark.undecided for mark in decided)
    values = (
        result.learner,
        result.lab,
        result.state.value,
        result.points if graded else None,
        result.possible if graded else None,
        None if undecided else sum(mark.points for mark in decided),
        sum(mark.possible for mark in decided),
        undecided,
        result.reason,
        result.whose,
        attempt.at.isoformat(timespec="seconds"),
        result.seconds,
        attempt.labkit,
        result.digests.get("submission", ""),
    )
    return dict(zip(COLUMNS, values, strict=True))


def write_csv(lines: Iterable[Mapping[str, Any]], file: IO[str]) -> None:
    """Write lines of `grades` as CSV (RFC 4180), with a header. None becomes an empty cell."""
    writer = csv.writer(file, quoting=csv.QUOTE_ALL)
    writer.writerow(COLUMNS)
    writer.writerows([_safe(value) for value in line.values()] for line in lines)


def _safe(value: object) -> object:
    """Return a cell that no spreadsheet takes for a formula: ' stands before what would begin one."""
    return FORMULA.sub(r"\1'", value) if isinstance(value, str) else value
