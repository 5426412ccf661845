"""What an instructor does with the labs: release the learner copies, grade what comes back, keep the points.

The names below are loaded when first used: who releases needs no database.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labkit.grading._batch import grade, solved_labs
    from labkit.grading._export import COLUMNS, grades, to_csv, write_csv
    from labkit.grading._feedback import write_feedback
    from labkit.grading._gradebook import Answer, Gradebook
    from labkit.grading._gradebook_tables import Attempt
    from labkit.grading._manual import answers_to_judge, undecided
    from labkit.grading._release import learner_notebooks, release, release_notebook
    from labkit.grading._result import Result, Row, State
    from labkit.grading._rubric import Mark, Question, questions
    from labkit.grading._submission import Submission, read_class

__all__ = [
    "COLUMNS",
    "Answer",
    "Attempt",
    "Gradebook",
    "Mark",
    "Question",
    "Result",
    "Row",
    "State",
    "Submission",
    "answers_to_judge",
    "grade",
    "grades",
    "learner_notebooks",
    "questions",
    "read_class",
    "release",
    "release_notebook",
    "solved_labs",
    "to_csv",
    "undecided",
    "write_csv",
    "write_feedback",
]

_MODULES = {
    "_batch": {"grade", "solved_labs"},
    "_export": {"COLUMNS", "grades", "to_csv", "write_csv"},
    "_feedback": {"write_feedback"},
    "_gradebook": {"Answer", "Gradebook"},
    "_gradebook_tables": {"Attempt"},
    "_manual": {"answers_to_judge", "undecided"},
    "_release": {"learner_notebooks", "release", "release_notebook"},
    "_result": {"Result", "Row", "State"},
    "_rubric": {"Mark", "Question", "questions"},
    "_submission": {"Submission", "read_class"},
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the type is the module's; type checkers read the imports above
    """Load the module of a public name on first use (PEP 562)."""
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"labkit.grading.{module}"), name)
    message = f"module 'labkit.grading' has no attribute {name!r}"
    raise AttributeError(message)
