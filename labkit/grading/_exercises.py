"""A solved lab as its grader reads it: its cells, and each exercise with the check that judges it."""

import ast
import hashlib
import json
import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from labkit.errors import LabError
from labkit.grading._names import CodeCell
from labkit.grading._release import HIDDEN, learner_source

SOLUTION = "### BEGIN SOLUTION"
BLOCK = re.compile(r"lab\.check\(\s*(['\"])(?P<name>.*?)\1\s*\)")


class JudgedBy(StrEnum):
    """By what an answer is judged, as the metadata of its check's cell says.

    An answer that is data, or takes and returns data, is tried again by its check: ALONE after those cells
    whose names are needed, in an ENVIRONMENT after all cells before it. Any other answer acts on what the
    learner has made, or would be a program on the grader's side (SQL, a command), and is judged by the
    learner's own RECORD.
    """

    ALONE = "alone"
    ENVIRONMENT = "environment"
    RECORD = "record"


@dataclass(frozen=True)
class Exercise:
    """An exercise: the cell with its solution, and the cell that checks an answer, hidden part included."""

    solution: CodeCell
    check: CodeCell
    judged_by: JudgedBy = JudgedBy.RECORD

    @property
    def is_tried(self) -> bool:
        """Whether an answer is tried again when it is graded."""
        return self.judged_by != JudgedBy.RECORD

    @cached_property
    def name(self) -> str:
        """The check's name, as it stands in the record."""
        found = BLOCK.search(self.check.source)
        if found is None:
            raise LabError('a check: with lab.check("name"):', self.check.id, "give the check its name")
        return found["name"]

    @cached_property
    def hidden(self) -> list[bool]:
        """For each row of the check, whether a learner's copy lacks it."""
        secret = [
            range(*(self.check.source.count("\n", 0, place) + 1 for place in match.span()))
            for match in HIDDEN.finditer(self.check.source)
        ]
        return [any(row.lineno in part for part in secret) for row in self._rows]

    @cached_property
    def hints(self) -> list[str]:
        """For each row of the check, its message where that is a plain text, and "" elsewhere."""
        return [str(row.msg.value) if isinstance(row.msg, ast.Constant) else "" for row in self._rows]

    @cached_property
    def _rows(self) -> list[ast.Assert]:
        # A line with a shell command is none of the check's rows; the number of lines stays.
        python = re.sub(r"(?m)^(\s*)([\w, ]+=\s*)?[!%].*$", r"\1pass", self.check.source)
        blocks = [node for node in ast.walk(ast.parse(python)) if isinstance(node, ast.With)]
        return [one for one in blocks[0].body if isinstance(one, ast.Assert)] if blocks else []

    def answered(self, source: str | None) -> bool:
        """Return whether an exercise's cell is there, and is not the one that learners get."""
        return source is not None and not same(source, self.solution)

    @property
    def names(self) -> frozenset[str]:
        """The names that an answer has to define."""
        return self.solution.defines


def same(source: str | None, solved: CodeCell) -> bool:
    """Return whether a cell is what learners get of a solved one; spaces do not count."""
    return source is not None and source.split() == learner_source(solved.source, Path()).split()


@dataclass(frozen=True)
class SolvedLab:
    """A lab's solved notebook: its identity, its code cells in their order, its exercises in theirs."""

    path: Path
    slug: str
    cells: list[CodeCell]
    exercises: list[Exercise]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a solved lab.

        :raises LabError: when the file is no lab, or none of its cells has a solution.
        """
        try:
            notebook = json.loads(path.read_bytes())
            slug, cells = notebook["metadata"]["labkit"]["id"], notebook["cells"]
        except (OSError, ValueError, KeyError, TypeError) as fault:
            raise LabError("a lab of labkit", f"{path}: {fault!r}", "name a notebook in labs/") from fault
        code = [cell for cell in cells if cell["cell_type"] == "code"]
        return cls(path.resolve(), slug, [_code(cell) for cell in code], list(_exercises(code)))

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of the notebook's file, in hexadecimal."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    def before(self, cell: CodeCell) -> list[CodeCell]:
        """Return the cells before a cell."""
        return self.cells[: self.cells.index(cell)]


def _exercises(cells: list[dict[str, Any]]) -> list[Exercise]:
    found, solution = [], None
    for cell in cells:
        if SOLUTION in "".join(cell["source"]):
            solution = _code(cell)
        elif "check" in cell["metadata"].get("tags", ()) and solution is not None:
            how = cell["metadata"].get("labkit", {})
            judged_by = JudgedBy(how.get("judged_by", JudgedBy.RECORD))
            found.append(Exercise(solution, _code(cell), judged_by))
    return found


def _code(cell: dict[str, Any]) -> CodeCell:
    return CodeCell(cell["id"], "".join(cell["source"]))
