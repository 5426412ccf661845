"""What the panel shows and does: each request reads the engine's labels and the artifact database.

Other rooms of labkit are imported inside the functions, which run in a thread, so that a server with this
extension starts as quickly as one without.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit.errors import LabError

if TYPE_CHECKING:
    from labkit.environment import EnvironmentStatus
    from labkit.pipeline import Run
    from labkit.workspace import Workspace

LAST_RUNS = 5

Json = dict[str, Any]


class PanelService:
    """Reads the state of the workspace at one folder, and does what the panel's buttons ask for."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._workspace: Workspace | None = None

    def workspace(self) -> "Workspace":
        """Return the workspace. Its artifact database is opened once, not with each request.

        :raises LabError: when the folder is no workspace, or not yet.
        """
        from labkit.workspace import Workspace  # noqa: PLC0415 - see the module's docstring

        current = Workspace.open(self.root)
        # The folder may have become another workspace since: somebody deleted it and started again.
        if self._workspace is None or self._workspace.id != current.id:
            self._workspace = current
        return self._workspace

    def read(self, notebooks: Mapping[str, str]) -> Json:
        """Return the state as JSON data. A part that cannot be read is empty, its problem is in `problems`.

        notebooks maps the process id of a kernel to the path of the notebook that it runs.
        """
        from labkit.environment import Environment  # noqa: PLC0415 - see the module's docstring
        from labkit.pipeline import runs  # noqa: PLC0415 - see the module's docstring

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
        """Clean up an environment of the workspace.

        :raises LabError: when there is none of that name.
        """
        from labkit.environment import Environment  # noqa: PLC0415 - see the module's docstring

        Environment.attach(name, self.workspace()).clean_up()

    def approve(self, run_id: str) -> None:
        """Let a waiting run go on, in the name of the server's user.

        :raises LabError: when the run does not wait.
        """
        from labkit.pipeline import approve  # noqa: PLC0415 - see the module's docstring

        approve(self.workspace(), run_id)


def problem_json(problem: LabError) -> Json:
    """Return the three parts of an error that the user can fix."""
    return {"expected": problem.expected, "seen": problem.seen, "next_step": problem.next_step}


def _environment(status: "EnvironmentStatus", now: datetime, notebooks: Mapping[str, str]) -> Json:
    kind, *parts = status.owner.split(":")  # process:machine:namespace:pid:start, or workspace:id
    notebook = notebooks.get(parts[2]) if len(parts) > 2 else None  # noqa: PLR2004 - the pid's place
    return {
        "name": status.name,
        "stage": status.stage,
        "containers": status.containers,
        "age_s": _age_s(status.created_at, now),
        "owner": {"kind": kind, "notebook": notebook, "alive": status.owner_alive},
    }


def _run(run: "Run", now: datetime) -> Json:
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
