"""What runs in a lab's kernel while a class is graded: its own solution first, then every submission."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from labkit.engine import Engine
from labkit.errors import LabError
from labkit.grading._attempt import Answer, attempt, cells_of
from labkit.grading._exercises import Exercise, SolvedLab
from labkit.grading._names import CodeCell
from labkit.grading._sandbox import Sandbox


def try_all(notebook: str, place: int, submissions: str, *, fresh: bool) -> str:
    """Try every submission's answer to the exercise at a place of a lab; return what came of each as JSON.

    The lab's own solution is tried first, in the sandbox as all others are.

    :raises LabError: when the lab's own solution does not pass the check.
    """
    from IPython import get_ipython  # noqa: PLC0415 - there is one in a kernel only

    shell, lab = get_ipython(), SolvedLab.read(Path(notebook))
    exercise = lab.exercises[place]
    names = dict(shell.user_ns)
    handed_in = json.loads(Path(submissions).read_text(encoding="utf-8"))
    with Sandbox(Engine.find(), fresh=fresh) as sandbox:

        def tried(cells: Sequence[CodeCell]) -> dict[str, Any]:
            return _try(
                shell, exercise, lambda: Answer(sandbox, cells_of(lab, exercise, cells), exercise, names)
            )

        if not _is_sound(tried(lab.cells)):  # once more: the machine may have been too busy
            _refuse_unsound(exercise, tried(lab.cells))
        return json.dumps(
            [
                {"learner": learner} | tried([CodeCell(*cell) for cell in cells])
                for learner, cells in handed_in.items()
            ]
        )


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
