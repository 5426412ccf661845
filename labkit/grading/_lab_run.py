"""A solved lab, run by the grader in a kernel and a workspace of its own, where submissions are tried.

The lab's cells make what an exercise needs, on real containers. Where an exercise comes, the lab's own
solution has to pass its check first; then each submission's answer takes its place.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Self

from labkit.errors import LabError
from labkit.grading._attempt import ANSWER_S
from labkit.grading._attempts import ANSWERED, ASKED
from labkit.grading._exercises import Exercise, JudgedBy, SolvedLab
from labkit.grading._names import CodeCell, needed
from labkit.lesson import RunWorkspace

START_S = 60.0
CELL_S = 600.0
"""How long one cell of a solved lab may take, in seconds."""
OWN_S = 15.0
"""How long the grader's own work on an answer may take beside the answer's, in seconds."""
PATIENCE = 3
"""So many times as long as with the lab's own solution may a check take with an answer."""
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
            self.close()
            raise

    def close(self) -> None:
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

    def ask(self, verb: str, *args: object, timeout_s: float = CELL_S) -> Any:  # noqa: ANN401 - data as JSON
        """Do a verb of this room's `_attempts` in the kernel, and return what it returns."""
        folder = self._workspace.root
        (folder / ASKED).write_text(json.dumps(args), encoding="utf-8")
        call = f"_attempts.ask({verb!r}, {str(folder)!r})"
        self.execute(f"import labkit.grading._attempts as _attempts\n{call}", timeout_s)
        return json.loads((folder / ANSWERED).read_text(encoding="utf-8"))


class Trials:
    """A lab's exercises, and the run of the lab in which they are tried, begun anew where it has to be."""

    def __init__(self, lab: SolvedLab, *, fresh: bool) -> None:
        self._lab, self._fresh = lab, fresh
        self._run: LabRun | None = None
        self._done, self._answer_s = set[str](), 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        run, self._run = self._run, None
        self._done.clear()
        if run:
            run.close()

    def reach(self, exercise: Exercise) -> LabRun:
        """Run what an exercise needs, then the lab's own solution in the place of an answer.

        :raises LabError: when the lab itself does not run here, or its own solution does not pass the check.
        """
        run = self._run = self._run or LabRun(self._lab)
        for cell in _set_up(self._lab, exercise):
            if cell.id not in self._done:
                run.execute(cell.source)
                self._done.add(cell.id)
        place = self._lab.exercises.index(exercise)
        solved = run.ask("begin", str(self._lab.path), place, self._fresh)
        self._answer_s = ANSWER_S + OWN_S + PATIENCE * solved["seconds"]
        return run

    def tried(self, exercise: Exercise, learner: str, cells: Sequence[CodeCell]) -> Tried:
        """Return what came of one answer, which finds the lab as the lab's own solution has found it.

        An answer may have spoiled the lab for the next one, and a busy machine may have failed a right one.
        So the lab's own solution follows each answer that fails: when it fails too, the lab is run anew, and
        the answer is tried once more.
        """
        came, is_sound = self._try(exercise, cells)
        if not is_sound:
            self._end()
            came, is_sound = self._try(exercise, cells)
        if not is_sound:
            self._end()
        return Tried(learner=learner, exercise=exercise, **came)

    def _try(self, exercise: Exercise, cells: Sequence[CodeCell]) -> tuple[dict[str, Any], bool]:
        """Return what came of an answer, and whether the next one finds the lab as it was."""
        run = self._run or self.reach(exercise)
        try:
            given = [(cell.id, cell.source) for cell in cells]
            came = run.ask("tried", *given, timeout_s=self._answer_s)
            passed = not came["fault"] and all(row["passed"] for row in came["rows"])
            return came, passed or exercise.judged_by == JudgedBy.ALONE or run.ask("is_sound")
        except LabError as error:
            fault = f"the check did not end as it should: {error.seen}"
            return {"rows": [], "asked": [], "fault": fault, "seconds": self._answer_s}, False

    def leave(self) -> None:
        """End what an exercise has begun in the lab's kernel."""
        if self._run:
            self._run.ask("end")


def try_out(lab: SolvedLab, submissions: Mapping[str, Sequence[CodeCell]], *, fresh: bool) -> Iterator[Tried]:
    """Yield what came of each learner's answer to each exercise that can be tried here.

    An exercise that a learner has not answered is left out.

    :raises LabError: when the lab itself does not run here, or its own solution does not pass a check.
    """
    with Trials(lab, fresh=fresh) as trials:
        for exercise in (one for one in lab.exercises if one.is_tried):
            answers = {
                learner: cells
                for learner, cells in submissions.items()
                if any(cell.id == exercise.solution.id and exercise.answered(cell.source) for cell in cells)
            }
            if not answers:
                continue
            trials.reach(exercise)
            for learner, cells in answers.items():
                yield trials.tried(exercise, learner, cells)
            trials.leave()


def _set_up(lab: SolvedLab, exercise: Exercise) -> list[CodeCell]:
    """Return the cells that an exercise and its check need, in their order; no other check is among them."""
    before = lab.before(exercise.check)
    if exercise.judged_by == JudgedBy.ALONE:
        wanted = [*needed(exercise.solution, before), *needed(exercise.check, before)]
        before = [cell for cell in before if cell in wanted]
    judges = [one.check for one in lab.exercises]
    return [cell for cell in before if cell not in (*judges, exercise.solution)]
