"""What the panel shows, read from the engine's labels and the artifact database each time it is asked for."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from labkit.engine import Owner
from labkit.environment import Environment, EnvironmentStatus
from labkit.errors import LabError
from labkit.pipeline import Run, approve, runs
from labkit.workspace import Workspace

LAST_RUNS = 5

Json = dict[str, Any]


class Desk:
    """Reads the state of the workspace at one folder, and does what the panel's buttons ask for.

    notebooks, where asked for, maps the process id of a kernel to the path of the notebook that it serves.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._workspace: Workspace | None = None

    def workspace(self) -> Workspace:
        """Return the workspace; LabError while there is none at this folder."""
        if self._workspace is None or not self.root.joinpath(".labkit").exists():
            self._workspace = Workspace.open(self.root)
        return self._workspace

    def read(self, notebooks: Mapping[int, str]) -> Json:
        """Return the state as JSON data; what cannot be read is empty and has its problem in `problems`."""
        problems: dict[str, Json] = {}
        state: Json = {"environments": [], "runs": [], "problems": problems}
        try:
            workspace = self.workspace()
        except LabError as problem:
            problems["workspace"] = problem_json(problem)
            return state
        now = datetime.now(UTC)
        parts: dict[str, Callable[[], list[Json]]] = {
            "environments": lambda: [_environment(e, now, notebooks) for e in Environment.list(workspace)],
            "runs": lambda: [_run(run, now) for run in runs(workspace.artifacts, LAST_RUNS)],
        }
        for name, read in parts.items():
            try:
                state[name] = read()
            except LabError as problem:
                problems[name] = problem_json(problem)
        return state

    def clean_up(self, name: str) -> None:
        """Clean an environment of the workspace up; LabError when there is none of that name."""
        Environment.attach(name, self.workspace()).clean_up()

    def approve(self, run_id: str) -> None:
        """Let a waiting run go on, in the name of the server's user; LabError when it does not wait."""
        approve(self.workspace(), run_id)


def problem_json(problem: LabError) -> Json:
    """Return the three parts of an error that the user can mend."""
    return {"expected": problem.expected, "seen": problem.seen, "next_step": problem.next_step}


def _environment(status: EnvironmentStatus, now: datetime, notebooks: Mapping[int, str]) -> Json:
    owner = Owner.parse(status.owner)
    return {
        "name": status.name,
        "stage": status.stage,
        "containers": status.containers,
        "age_s": _age_s(status.created_at, now),
        "owner": {"kind": owner.kind, "notebook": notebooks.get(_process(owner)), "alive": owner.alive()},
    }


def _process(owner: Owner) -> int:
    """Return the process id in an owner's text (kind:machine:namespace:pid:start); 0 for all other owners."""
    parts = str(owner).split(":")
    return int(parts[3]) if len(parts) == 5 and parts[3].isdigit() else 0  # noqa: PLR2004 - the five parts


def _run(run: Run, now: datetime) -> Json:
    stages = [
        {"name": stage.name, "state": stage.state, "seconds": stage.seconds, "reason": stage.reason}
        for stage in run.stages
    ]
    return {
        "id": run.id,
        "commit": run.commit,
        "subject_line": run.subject_line,
        "by": run.by,
        "age_s": _age_s(run.started_at, now),
        "state": run.state,
        "seconds": run.seconds,
        "stopped_because": run.stopped_because,
        "stages": stages,
    }


def _age_s(since: datetime, now: datetime) -> float:
    return max(0.0, (now - since).total_seconds())
