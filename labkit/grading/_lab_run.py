"""A solved lab, run by the grader in a kernel and a workspace of its own, where submissions are tried.

The lab's cells make what an exercise needs, on real containers. Where an exercise comes, the lab's own
solution has to pass its check first; then each submission's answer takes its place.
"""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from labkit.errors import LabError
from labkit.grading._attempt import ANSWER_S
from labkit.grading._exercises import Exercise, SolvedLab
from labkit.grading._names import CodeCell, needed
from labkit.lesson import RunWorkspace

START_S = 60.0
CELL_S = 600.0
"""How long one cell of a solved lab may take, in seconds."""
OWN_S = 15.0
"""How long the grader's own work on an answer may take beside the answer's, in seconds."""
KEPT = ("PATH", "HOME", "LANG", "TZ", "DOCKER_", "LABKIT_", "XDG_", "PYTHON", "VIRTUAL_ENV", "LC_")
"""How the names of variables begin that a lab's kernel gets: no password of the grader's is among them."""


class Tried(NamedTuple):
    """What came of one learner's answer to one exercise.

    rows are those of the check: passed, seen, hint. asked are the names that the answer asked for in vain.
    fault is what failed on the grader's side, "" when nothing did.
    """

    learner: str
    exercise: Exercise
    rows: Sequence[Mapping[str, Any]]
    asked: Sequence[str]
    fault: str
    seconds: float


class LabRun:
    """The kernel in which a lab's cells run."""

    def __init__(self, lab: SolvedLab) -> None:
        from jupyter_client.manager import KernelManager  # noqa: PLC0415 - only a batch needs it

        self._lab, self._workspace = lab, RunWorkspace()
        sockets = self._workspace.root / "kernel"  # and not TCP, which others on this machine reach
        self._manager = KernelManager(kernel_name="python3", transport="ipc", ip=str(sockets))
        try:
            own = {name: value for name, value in os.environ.items() if name.startswith(KEPT)}
            variables = own | self._workspace.variables
            self._manager.start_kernel(env=variables, cwd=str(self._workspace.root))
            self._client = self._manager.blocking_client()
            self._client.start_channels()
            self._client.wait_for_ready(timeout=START_S)
        except BaseException:
            self._end()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        """End the kernel, and with it what it owns."""
        if self._manager.has_kernel:
            self._manager.shutdown_kernel(now=True)
        self._workspace.close()

    def execute(self, source: str, timeout_s: float = CELL_S) -> None:
        """Run a cell.

        :raises LabError: when it fails or does not end.
        """
        try:
            reply = self._client.execute_interactive(
                source, store_history=False, timeout=timeout_s, output_hook=lambda _message: None
            )
        except TimeoutError:
            raise self._fault(source, f"it took longer than {timeout_s:.0f} s") from None
        content = reply["content"]
        if content["status"] != "ok":
            raise self._fault(source, f"{content.get('ename')}: {content.get('evalue')}")

    def _fault(self, source: str, seen: str) -> LabError:
        first = source.strip().partition("\n")[0]
        return LabError(
            f"the solved lab {self._lab.slug} runs here",
            f"the cell that begins with {first[:60]!r} failed: {seen}",
            f"run the lab itself: pytest --nbval-lax {self._lab.path}",
        )

    def ask(self, call: str, timeout_s: float) -> Any:  # noqa: ANN401 - whatever the call returns, as JSON
        """Return the result of a call of this room's `_attempts`, which runs in the kernel."""
        with tempfile.TemporaryDirectory(prefix="labkit-grade-") as folder:
            file = Path(folder) / "result.json"
            self.execute(
                f"import labkit.grading._attempts as _attempts, pathlib as _pathlib\n"
                f"_pathlib.Path({str(file)!r}).write_text(_attempts.{call}, encoding='utf-8')",
                timeout_s,
            )
            return json.loads(file.read_text(encoding="utf-8"))


def try_out(lab: SolvedLab, submissions: Mapping[str, Sequence[CodeCell]], *, fresh: bool) -> Iterator[Tried]:
    """Yield what came of each learner's answer to each exercise that can be tried here.

    An exercise that a learner has not answered is left out.

    :raises LabError: when the lab itself does not run here, or its own solution does not pass a check.
    """
    exercises = [one for one in lab.exercises if one.alone]
    if not exercises:
        return
    with LabRun(lab) as run, tempfile.TemporaryDirectory(prefix="labkit-grade-") as folder:
        file = Path(folder) / "submissions.json"
        done: set[str] = set()
        for exercise in exercises:
            for cell in [*_set_up(lab, exercise), exercise.solution]:
                if cell.id not in done:
                    run.execute(cell.source)
                    done.add(cell.id)
            answers = {
                learner: [(cell.id, cell.source) for cell in cells]
                for learner, cells in submissions.items()
                if any(cell.id == exercise.solution.id and exercise.answered(cell.source) for cell in cells)
            }
            file.write_text(json.dumps(answers), encoding="utf-8")
            place = lab.exercises.index(exercise)
            call = f"try_all({str(lab.path)!r}, {place}, {str(file)!r}, fresh={fresh})"
            for one in run.ask(call, (len(answers) + 1) * (ANSWER_S + OWN_S)):
                yield Tried(exercise=exercise, **one)
            run.execute(exercise.solution.source)


def _set_up(lab: SolvedLab, exercise: Exercise) -> list[CodeCell]:
    """Return the cells that an exercise and its check need, in their order; no other check is among them."""
    before = lab.before(exercise.check)
    wanted = [*needed(exercise.solution, before), *needed(exercise.check, before)]
    judges = [one.check for one in lab.exercises]
    return [cell for cell in lab.cells if cell in wanted and cell not in (*judges, exercise.solution)]
