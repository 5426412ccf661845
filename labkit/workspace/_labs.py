"""The labs of a course in their order, as their notebooks say."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

NOTEBOOKS = "labs/[0-9]*/[0-9][0-9]-*.ipynb"
"""A folder for each part of the course; two digits give a lab's place in it, with gaps for labs to come."""

EXERCISES = {
    "write": "write code",
    "find": "find the fault",
    "order": "order the steps",
    "read": "read and judge",
}
"""The kinds of exercises in a lab's metadata, and what a learner is told."""


class Exercise(NamedTuple):
    """An exercise of a lab. kind is one of EXERCISES, level 1 (apply), 2 (combine) or 3 (find or design)."""

    kind: str
    level: int

    def __str__(self) -> str:
        """Tell a learner what there is to do, and how hard it is."""
        return f"{EXERCISES.get(self.kind, self.kind)}, level {self.level} of 3"


@dataclass(frozen=True)
class LabNotebook:
    """A lab's notebook: path is relative to the course, slug is the lab's identity, title its first heading.

    rows are the rows of the chapter and its questions that the lab teaches, needs the slugs of the labs to do
    before. minutes is how long it takes in all. exercises are in the order in which they are met.
    """

    path: Path
    slug: str
    title: str
    rows: Sequence[str]
    needs: Sequence[str]
    minutes: int
    exercises: Sequence[Exercise]

    @property
    def asks(self) -> str:
        """What its exercises ask for, in words; "" without one."""
        return "; ".join(map(str, self.exercises))

    @classmethod
    def read(cls, root: Path, path: Path) -> Self:
        """Read what a notebook says about itself."""
        notebook = json.loads(path.read_bytes())
        lab = notebook["metadata"]["labkit"]
        title = "".join(notebook["cells"][0]["source"]).splitlines()[0].lstrip("# ")
        minutes = sum(lab["minutes"].values())
        exercises = [Exercise(one["kind"], one["level"]) for one in lab.get("exercises", [])]
        needs = lab.get("needs", [])
        return cls(path.relative_to(root), lab["id"], title, lab["rows"], needs, minutes, exercises)


def labs(root: Path) -> list[LabNotebook]:
    """Return the labs below a folder in the order of the course; a file that is no lab is left out."""
    labs = []
    for path in sorted(root.glob(NOTEBOOKS)):
        try:
            labs.append(LabNotebook.read(root, path))
        except (ValueError, KeyError, TypeError, IndexError):
            continue  # a learner's notebook of their own, or one that they broke
    return labs
