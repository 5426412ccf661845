"""The human gate before production: a run waits until somebody approves it; who that was is recorded."""

import time

from labkit.artifacts import ArtifactDatabase, Fact, Kind, Subject
from labkit.errors import LabError
from labkit.pipeline._record import Run
from labkit.workspace import Workspace

POLL_S = 0.2


def approve(workspace: Workspace, run_id: str, by: str | None = None) -> Fact:
    """Let a waiting run go on into production.

    by None records the user of this process.

    :raises LabError: when there is no such run, or when it does not wait.
    """
    return _decide(workspace.artifacts, run_id, by, decision="approved", reason="")


def reject(workspace: Workspace, run_id: str, reason: str, by: str | None = None) -> Fact:
    """End a waiting run before production; the reason is recorded.

    by None records the user of this process.

    :raises LabError: when there is no such run, or when it does not wait.
    """
    return _decide(workspace.artifacts, run_id, by, decision="rejected", reason=reason)


def await_decision(artifacts: ArtifactDatabase, run_id: str, timeout_s: float) -> Fact | None:
    """Return the decision about a run as soon as there is one; None when timeout_s passed without.

    The decision comes as a fact, because another process records it: the command line or the server of
    JupyterLab.
    """
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        facts = artifacts.history(kind=Kind.APPROVED, run=run_id)
        if facts:
            return facts[0]
        time.sleep(POLL_S)
    return None


def _decide(artifacts: ArtifactDatabase, run_id: str, by: str | None, *, decision: str, reason: str) -> Fact:
    run = Run.read(artifacts, run_id)
    if run.state != "waiting":
        because = f" because {run.stopped_because}" if run.stopped_because else ""
        raise LabError(
            "a run that waits for approval",
            f"run {run_id} is {run.state}{because}",
            "write approval = true in pipeline.toml, commit, and start a run: labkit pipeline run",
        )
    waiting = next(stage.name for stage in run.stages if stage.state == "waiting")
    subject = Subject(run.system, f"gitCommit:{run.commit}")
    return artifacts.record(
        Kind.APPROVED, subject, stage=waiting, run=run_id, by=by, decision=decision, reason=reason
    )
