"""What runs in a lab's kernel while a class is graded: the lab's own solution first, then each answer."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from labkit.engine import Engine
from labkit.errors import LabError
from labkit.grading._attempt import Answer, attempt, cells_of
from labkit.grading._exercises import Exercise, SolvedLab
from labkit.grading._names import CodeCell
from labkit.grading._sandbox import Sandbox

ASKED, ANSWERED = "asked.json", "answered.json"
"""The files by which a kernel is asked for a verb of this module."""


class Exam:
    """One exercise in this kernel, and the sandbox where answers to it run.

    names are those of the notebook before the first answer.
    """

    def __init__(self, shell: Any, lab: SolvedLab, exercise: Exercise, sandbox: Sandbox) -> None:  # noqa: ANN401 - IPython's shell
        self._shell, self._lab, self._exercise, self._sandbox = shell, lab, exercise, sandbox
        self._names = dict(shell.user_ns)

    def tried(self, cells: Sequence[CodeCell]) -> dict[str, Any]:
        """Try the answer that is among a notebook's cells."""
        own = cells_of(self._lab, self._exercise, cells)
        return _try(
            self._shell,
            self._exercise,
            lambda: Answer(self._sandbox, own, self._exercise, self._names),
        )

    def solved(self) -> dict[str, Any]:
        """Try the lab's own solution, in the sandbox as all others are."""
        tried = self.tried(self._lab.cells)
        if not _is_sound(tried):  # once more: the machine may have been too busy
            tried = self.tried(self._lab.cells)
        return tried


_exams = list[Exam]()
"""The exercise that is tried in this kernel: at most one."""
_open = ExitStack()


def ask(verb: str, folder: str) -> None:
    """Do a verb of this module with the arguments in a folder, as JSON, and write there what it returns."""
    place = Path(folder)
    args = json.loads((place / ASKED).read_text(encoding="utf-8"))
    (place / ANSWERED).write_text(json.dumps(VERBS[verb](*args)), encoding="utf-8")


def begin(notebook: str, place: int, fresh: bool) -> dict[str, Any]:  # noqa: FBT001 - JSON has no keywords
    """Begin with the exercise at a place of a lab: try the lab's own solution; return what came of it.

    :raises LabError: when it does not pass the check.
    """
    from IPython import get_ipython  # noqa: PLC0415 - there is one in a kernel only

    lab = SolvedLab.read(Path(notebook))
    sandbox = _open.enter_context(Sandbox(Engine.find(), fresh=fresh))
    exam = Exam(get_ipython(), lab, lab.exercises[place], sandbox)
    _exams[:] = [exam]
    solved = exam.solved()
    _refuse_unsound(lab.exercises[place], solved)
    return solved


def tried(*cells: Sequence[str]) -> dict[str, Any]:
    """Try the answer that is among a notebook's cells, each its id and source; return what came of it."""
    return _exams[0].tried([CodeCell(*cell) for cell in cells])


def is_sound() -> bool:
    """Return whether the lab's own solution still passes."""
    return _is_sound(_exams[0].solved())


def end() -> None:
    """End the sandbox."""
    _exams.clear()
    _open.close()


VERBS: dict[str, Callable[..., object]] = {"begin": begin, "tried": tried, "is_sound": is_sound, "end": end}


def _try(shell: Any, exercise: Exercise, answered: Callable[[], Answer]) -> dict[str, Any]:  # noqa: ANN401 - IPython's shell
    """Try one answer; what fails on the grader's side is told, and is not the learner's."""
    started, rows, asked, fault = time.monotonic(), list[dict[str, Any]](), list[str](), ""
    try:
        answer = answered()
        asked = answer.unknown
        try:
            rows = attempt(shell, exercise, answer)
        finally:
            answer.close()
        fault = answer.fault
    except Exception as error:  # noqa: BLE001 - one answer must not stop the others
        fault = error.seen if isinstance(error, LabError) else f"{type(error).__name__}: {error}"
    return {
        "rows": [{name: row[name] for name in ("passed", "seen", "hint")} for row in rows],
        "asked": asked,
        "fault": fault or ("" if rows else "the check came to no verdict"),
        "seconds": round(time.monotonic() - started, 3),
    }


def _is_sound(tried: Mapping[str, Any]) -> bool:
    return not tried["fault"] and all(row["passed"] for row in tried["rows"])


def _refuse_unsound(exercise: Exercise, tried: Mapping[str, Any]) -> None:
    """Refuse a lab whose own solution does not pass its check.

    :raises LabError: then.
    """
    if _is_sound(tried):
        return
    failed = [f"{row['hint']}: {row['seen']}" for row in tried["rows"] if not row["passed"]]
    raise LabError(
        f"the lab's own solution passes its check {exercise.name!r}",
        tried["fault"] or failed[0],
        "mend the lab, then grade the class",
    )
