"""What grading one submission gave: a state with its reason, and the points row by row."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

LEARNER, LABKIT = "learner", "labkit"
"""Whose fault it is that a submission has no points."""


class State(StrEnum):
    """How far a submission came. Only a graded one has points: anything else is never 0 points."""

    GRADED = "graded"
    NOT_GRADED = "not graded"
    NEEDS_A_PERSON = "needs a person"


@dataclass(frozen=True)
class Row:
    """One assert of a check. number counts from 1 within the check; hint says what counts."""

    check: str
    number: int
    passed: bool
    points: float
    hidden: bool
    hint: str


@dataclass(frozen=True)
class Result:
    """What one submission of a learner for a lab gave.

    lab is its slug, "" when the submission does not say. reason is "" for what was graded. whose is whose
    fault it is: "learner", "labkit", or "" for nobody's. rows are () unless the state is graded. answers
    holds what the learner wrote, by the name of the question. digests has "submission", "lab", "checks" and
    "image", as far as they are known.
    """

    learner: str
    lab: str
    state: State
    reason: str = ""
    whose: str = ""
    rows: tuple[Row, ...] = ()
    answers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    digests: Mapping[str, str] = field(default_factory=dict)

    @property
    def points(self) -> float:
        """The points of the rows that passed."""
        return sum(row.points for row in self.rows if row.passed)

    @property
    def possible(self) -> float:
        """The points of all rows."""
        return sum(row.points for row in self.rows)
