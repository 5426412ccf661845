"""`labkit pipeline`: take a commit through the stages, list and show runs, approve or reject one."""

import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.text import Text

from labkit.cli._select import runs, versions
from labkit.cli._show import (
    as_json,
    console,
    duration,
    in_workspace,
    plain,
    print_json,
    print_problem,
    print_table,
    progress,
    say,
)
from labkit.workspace import Workspace

if TYPE_CHECKING:
    from labkit.artifacts import Fact
    from labkit.checks import Finding, Report
    from labkit.pipeline import PipelineEvent, Run, StageRun

WORDS = {
    "running": ("..", "dim"),
    "waiting": ("wait", "yellow"),
    "passed": ("pass", "green"),
    "accepted": ("ok", "green"),
    "failed": ("FAIL", "red"),
    "not run": ("not run", "red"),
    "stopped": ("stop", "yellow"),
}
"""The word and the style of each state."""

the_run = click.argument("run_id", metavar="RUN", shell_complete=runs)


@click.group()
def pipeline() -> None:
    """Take a commit through the pipeline, and see how runs went."""


@pipeline.command()
@click.option(
    "--commit",
    default="HEAD",
    show_default=True,
    shell_complete=versions,
    help="Commit, tag or branch of the shop repository.",
)
@in_workspace
@as_json
def run(commit: str, root: Path | None, *, as_json: bool) -> None:
    """Take a commit to production, stage by stage. The first red gate stops it.

    Production is created once and goes on living: new images, changed values in system.toml, services more or
    less and new migrations roll through it while it serves, and its database stays. What would lose data is
    refused first.

    Example: labkit pipeline run --commit v2
    """
    from labkit.pipeline import run as run_pipeline  # noqa: PLC0415 - keeps `labkit --help` quick

    workspace = Workspace.open(root)
    done = run_pipeline(workspace, commit, on_event=_print_event)
    if as_json:
        print_json(done.to_json())
    elif done.state == "passed":
        say(f"run {done.id}: {done.commit[:12]} is in production")
        say(f"to see what went into it: labkit artifacts what-runs {done.entry}")
    else:
        say(f"run {done.id} {done.state}")
    for problem in _problems(done):
        print_problem(problem)
    sys.exit(0 if done.state == "passed" else 1)


def _print_event(event: "PipelineEvent") -> None:
    """Print a line of progress. Why something is red comes once, at the end of the run."""
    word, style = WORDS[event.state]
    ended = event.seconds is not None
    message = "" if ended and event.state in {"failed", "not run"} else event.message
    took = f"({event.seconds:.1f} s)" if ended else ""
    columns = f"{event.stage:<12}" if event.stage else "" if message else "run"
    if event.gate:
        columns += f" {event.gate:<18} {event.service or '':<12}"
    line = " ".join(part for part in (columns, message, took) if part).rstrip()
    progress.print(Text(f"{word:<7} ", style), Text(plain(line)), sep="", soft_wrap=True)


def _problems(run: "Run") -> "list[str]":
    """Return the error of a red run, and one for each red gate that the run's reason does not name."""
    reason, see = run.stopped_because, f"next:     labkit pipeline show {run.id}"
    if run.state == "passed":
        return []
    if reason.startswith("expected: "):
        return [reason]
    stage = next((stage for stage in run.stages if stage.state == "failed"), None)
    passes = f"{run.commit[:12]} passes {stage.name if stage else 'all stages'}"
    logs = "".join(f"\n{finding.rule}:\n{finding.message}" for finding in _logs(stage))
    problems = [f"expected: {passes}\nseen:     {reason}{logs}\n{see}"]
    for report in stage.red() if stage else []:
        module = report.evidence.get("module")
        if f"gate {report.check} ({module}) " not in reason and f"gate {report.check} answered" not in reason:
            expected = f"gate {report.check}{_of_module(report)} passes"
            problems.append(f"expected: {expected}\nseen:     {report.reason()}\n{see}")
    return problems


@pipeline.command("list")
@click.option("--limit", type=click.IntRange(1), default=10, show_default=True, help="How many, the newest.")
@in_workspace
@as_json
def list_runs(limit: int, root: Path | None, *, as_json: bool) -> None:
    """List the runs of the workspace, the newest first.

    Example: labkit pipeline list --limit 20
    """
    from labkit.pipeline import runs as newest_runs  # noqa: PLC0415 - keeps `labkit --help` quick

    listed = newest_runs(Workspace.open(root).artifacts, limit)
    if as_json:
        print_json([one.to_json() for one in listed])
        return
    rows = [
        (
            one.id,
            f"{one.started_at:%Y-%m-%d %H:%M:%S}",
            one.commit[:12],
            one.state,
            _took(one),
            one.subject_line,
        )
        for one in listed
    ]
    columns = ("run", "started (UTC)", "commit", "state", "took", "subject line")
    print_table(columns, rows, empty="there was no run; start one: labkit pipeline run")


@pipeline.command()
@the_run
@in_workspace
@as_json
def show(run_id: str, root: Path | None, *, as_json: bool) -> None:
    """Show how RUN went: its stages, the answers of their gates, and every finding.

    Example: labkit pipeline show 1f0c9a3e
    """
    from labkit.pipeline import Run  # noqa: PLC0415 - keeps `labkit --help` quick

    shown = Run.read(Workspace.open(root).artifacts, run_id)
    if as_json:
        print_json(shown.to_json())
        return
    head = f"run {shown.id} of {shown.commit[:12]} ({shown.subject_line}), by {shown.by}: {shown.state}"
    say(f"{head}{_after(shown)}")
    for stage in shown.stages:
        _print_stage(stage)
    if shown.stopped_because:
        say("stopped because:")
        print_problem(shown.stopped_because, to=console)


def _print_stage(stage: "StageRun") -> None:
    say(f"{stage.name}: {stage.state}{_after(stage)}")
    for report in stage.reports:
        gate = f"{report.check}{_of_module(report)}"
        say(f"  {gate:<26} {report.outcome} ({report.seconds:.1f} s)")
        for finding in report.findings:
            say(f"    {finding.severity}: {finding}")


def _logs(stage: "StageRun | None") -> "list[Finding]":
    """Return what the logs of the services that failed said last."""
    reports = stage.red() if stage else []
    return [one for report in reports for one in report.findings if one.rule.startswith("log of ")]


def _of_module(report: "Report") -> str:
    module = report.evidence.get("module")
    return f" of {module}" if module else ""


def _took(ended: "Run | StageRun") -> str:
    return "" if ended.seconds is None else duration(timedelta(seconds=ended.seconds))


def _after(ended: "Run | StageRun") -> str:
    return f" after {_took(ended)}" if ended.seconds is not None else ""


@pipeline.command()
@the_run
@in_workspace
@as_json
def approve(run_id: str, root: Path | None, *, as_json: bool) -> None:
    """Let a waiting RUN go on into production. Your name is recorded.

    Example: labkit pipeline approve 1f0c9a3e
    """
    from labkit.pipeline import approve as approve_run  # noqa: PLC0415 - keeps `labkit --help` quick

    _print_decision(approve_run(Workspace.open(root), run_id), as_json=as_json)


@pipeline.command()
@the_run
@click.option("--reason", required=True, help="Why; it is recorded, and the run ends with it.")
@in_workspace
@as_json
def reject(run_id: str, reason: str, root: Path | None, *, as_json: bool) -> None:
    """End a waiting RUN before production. Your name and the reason are recorded.

    Example: labkit pipeline reject 1f0c9a3e --reason "not on a Friday"
    """
    from labkit.pipeline import reject as reject_run  # noqa: PLC0415 - keeps `labkit --help` quick

    _print_decision(reject_run(Workspace.open(root), run_id, reason), as_json=as_json)


def _print_decision(fact: "Fact", *, as_json: bool) -> None:
    decision = {"run": fact.run, **fact.predicate, "by": fact.by}
    if as_json:
        print_json(decision)
    else:
        say(f"run {fact.run} {decision['decision']} by {fact.by}")
