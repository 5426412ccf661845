"""The rubrics of the discussion questions, and what a person's decisions on their rows are worth.

A decision belongs to a row's words. When the words change, the row is undecided again; when a row goes, its
decision counts no more; what is mandatory and how many rows are enough is looked up each time. Points are
never stored, so nothing is out of date after a change.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkit.workspace import course


@dataclass(frozen=True)
class RubricRow:
    """One yes/no row: an answer counts when it does what `asks` says."""

    asks: str
    mandatory: bool


@dataclass(frozen=True)
class Question:
    """A discussion question of a lab: its rows, and how many are enough, all mandatory ones included."""

    lab: str
    name: str
    rows: Sequence[RubricRow]
    enough: int
    model_answer: str

    def mark(self, decisions: Mapping[str, bool | None]) -> "Mark":
        """Return what the decisions are worth, by a row's words; a row without one is undecided."""
        verdicts = [decisions.get(row.asks) for row in self.rows]
        missed = any(row.mandatory and not yes for row, yes in zip(self.rows, verdicts, strict=True))
        points = sum(yes is True for yes in verdicts)
        undecided = sum(yes is None for yes in verdicts)
        return Mark(points, len(verdicts), undecided, passed=points >= self.enough and not missed)


@dataclass(frozen=True)
class Mark:
    """A point for each row that holds, of the possible ones. It is final when no row is undecided."""

    points: int
    possible: int
    undecided: int
    passed: bool


def questions(root: Path | None = None) -> list[Question]:
    """Return the questions that have a rubric, by lab and name; root None is labkit's own course."""
    found = []
    for path in sorted((root or course()).glob("labs/[0-9]*/rubric.toml")):
        for lab, by_name in tomllib.loads(path.read_text(encoding="utf-8")).items():
            found += [_question(lab, name, table) for name, table in by_name.items()]
    return found


def _question(lab: str, name: str, table: Mapping[str, Any]) -> Question:
    rows = tuple(RubricRow(row["asks"], row["mandatory"]) for row in table["rows"])
    return Question(lab, name, rows, table["pass"], table["model_answer"].strip())
