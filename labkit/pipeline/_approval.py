"""The human gate before production: a run waits until somebody approves it; who that was is recorded.

Whether a run waits, and who may decide, are settings of the workspace, because a commit must not decide it. A
name is a claim: whoever can write the workspace's files can give any name.
"""

import time
from collections.abc import Collection, Sequence

from labkit.artifacts import Fact, Kind, Subject
from labkit.errors import LabError
from labkit.pipeline._record import Run
from labkit.workspace import Workspace, user

POLL_S = 0.2
SETTINGS = ".labkit/settings.toml"


def approve(workspace: Workspace, run_id: str, by: str | None = None) -> Fact:
    """Let a waiting run go on into production.

    by None records the user of this process.

    :raises LabError: when there is no such run, when it does not wait, when it is decided already, or when
        the workspace's settings do not list who decides.
    """
    return _decide(workspace, run_id, by, decision="approved", reason="")


def reject(workspace: Workspace, run_id: str, reason: str, by: str | None = None) -> Fact:
    """End a waiting run before production; the reason is recorded.

    by None records the user of this process.

    :raises LabError: when there is no such run, when it does not wait, when it is decided already, or when
        the workspace's settings do not list who decides.
    """
    return _decide(workspace, run_id, by, decision="rejected", reason=reason)


def await_decision(workspace: Workspace, run_id: str, timeout_s: float) -> Fact | None:
    """Return the decision about a run as soon as there is one; None when timeout_s passed without.

    The decision comes as a fact, because another process records it: the command line or the server of
    JupyterLab.
    """
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        fact = _decision(workspace.artifacts.history(run=run_id), workspace.settings.approvers)
        if fact is not None:
            return fact
        time.sleep(POLL_S)
    return None


def _decide(workspace: Workspace, run_id: str, by: str | None, *, decision: str, reason: str) -> Fact:
    who, approvers = by or user(), workspace.settings.approvers
    run = Run.read(workspace.artifacts, run_id)
    waiting = next((stage.name for stage in run.stages if stage.state == "waiting"), None)
    return workspace.artifacts.record(
        Kind.APPROVED,
        Subject(run.system, f"gitCommit:{run.commit}"),
        stage=waiting,
        run=run_id,
        by=who,
        # Looked at inside the append, so that of two who decide at once the second is refused.
        guard=lambda facts: _check(facts, waiting, who, approvers),
        decision=decision,
        reason=reason,
    )


def _check(facts: Sequence[Fact], stage: str | None, who: str, approvers: Collection[str]) -> None:
    """Refuse a decision about a run that is decided, or does not wait before this stage, or by another."""
    run, decided = Run.from_facts(facts), _decision(facts, approvers)
    see = f"labkit pipeline show {run.id}"
    if decided is not None:
        decision, moment = decided.predicate["decision"], f"{decided.at:%Y-%m-%d %H:%M:%S} UTC"
        seen = f"run {run.id} was {decision} by {decided.by} at {moment}"
        raise LabError("a run that waits for approval", seen, see)
    if stage is None or run.state != "waiting" or run.stage(stage).state != "waiting":
        asked = any(fact.predicate.get("approval") for fact in facts if fact.kind == Kind.RUN_STARTED)
        next_step = see if asked else f"write approval = true in {SETTINGS}, then: labkit pipeline run"
        raise LabError("a run that waits for approval", f"run {run.id} is {run.state}", next_step)
    if who not in approvers:
        next_step = f"ask one of them, or add {who!r} to approvers in {SETTINGS}"
        raise LabError(
            f"an approver of this workspace: {', '.join(approvers) or 'nobody'}", repr(who), next_step
        )


def _decision(facts: Sequence[Fact], approvers: Collection[str]) -> Fact | None:
    """Return the first decision about a run since it began to wait; None when there is none.

    What was recorded before, or by nobody who may, or about another commit or stage, decides nothing.
    """
    waiting: Fact | None = None
    for fact in facts:
        if fact.kind == Kind.STAGE_STARTED and fact.predicate.get("state") == "waiting":
            waiting = fact
        elif fact.kind == Kind.APPROVED and waiting is not None:
            about = (fact.subject, fact.stage) == (waiting.subject, waiting.stage)
            decides = fact.predicate.get("decision") in {"approved", "rejected"}
            if about and decides and fact.by in approvers:
                return fact
    return None
