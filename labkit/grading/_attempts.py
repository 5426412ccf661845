"""What runs in the lab's kernel while a class is graded: the reference solution first, then every submission."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from labkit.engine import Engine
from labkit.errors import LabError
from labkit.grading._attempt import Answer, attempt, cells_of, checked
from labkit.grading._exercises import Exercise, SolvedLab
from labkit.grading._names import CodeCell
from labkit.grading._sandbox import Sandbox


def try_all(notebook: str, place: int, submissions: str, *, fresh: bool) -> str:
    """Try every submission's answer to the exercise at a place of a lab; return learners' rows as JSON.

    :raises LabError: when the lab's own solution does not pass the check.
    """
    from IPython import get_ipython  # noqa: PLC0415 - there is one in a kernel only

    shell, exercise = get_ipython(), SolvedLab.read(Path(notebook)).exercises[place]  # type: ignore[no-untyped-call]  # IPython has no types here
    names = dict(shell.user_ns)
    _prove(shell, exercise)
    with Sandbox(Engine.find(), fresh=fresh) as sandbox:
        handed_in = json.loads(Path(submissions).read_text(encoding="utf-8"))
        tried = [
            _try(shell, exercise, sandbox, names, learner, [CodeCell(*cell) for cell in cells])
            for learner, cells in handed_in.items()
        ]
    return json.dumps(tried)


def _try(
    shell: Any,  # noqa: ANN401 - IPython's shell
    exercise: Exercise,
    sandbox: Sandbox,
    names: Mapping[str, object],
    learner: str,
    cells: Sequence[CodeCell],
) -> dict[str, Any]:
    """Try one answer; a fault of the engine or the sandbox is told, and is not the learner's."""
    started, rows, fault = time.monotonic(), [], ""
    answer = Answer(sandbox, cells_of(exercise, cells), exercise, names)
    try:
        rows = attempt(shell, exercise, answer)
    except LabError as error:
        fault = error.seen
    finally:
        answer.close()
    fault = fault or ("" if rows else "the check came to no verdict")
    return {
        "learner": learner,
        "check": exercise.check.id,
        "rows": [{"passed": row["passed"], "hint": row["hint"]} for row in rows],
        "asked": [*answer.unknown, *sorted(answer.hands.refused)],
        "fault": fault or answer.fault,
        "seconds": round(time.monotonic() - started, 3),
    }


def _prove(shell: Any, exercise: Exercise) -> None:  # noqa: ANN401 - IPython's shell
    rows = checked(shell, exercise)
    if failed := [row for row in rows if not row["passed"]] or not rows:
        seen = failed[0]["seen"] if isinstance(failed, list) else "it came to no verdict"
        raise LabError(
            f"the lab's own solution passes its check {exercise.name!r}",
            str(seen),
            "mend the lab before the class is graded",
        )
