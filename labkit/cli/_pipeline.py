"""`labkit pipeline`: take a commit through the stages, list and show runs, approve or reject one."""

import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.markup import escape

from labkit.cli._select import runs, versions
from labkit.cli._show import as_json, console, duration, in_workspace, print_json, print_table, progress
from labkit.workspace import Workspace

if TYPE_CHECKING:
    from labkit.artifacts import Fact
    from labkit.pipeline import PipelineEvent, Run, StageRun

WORDS = {
    "passed": "[green]pass[/]",
    "failed": "[red]FAIL[/]",
    "accepted": "[green]ok  [/]",
    "waiting": "[yellow]wait[/]",
    "stopped": "[yellow]stop[/]",
}

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

    Example: labkit pipeline run --commit v2
    """
    from labkit.pipeline import run as run_pipeline  # noqa: PLC0415 - keeps `labkit --help` quick

    workspace = Workspace.open(root)
    done = run_pipeline(workspace, commit, on_event=_print_event)
    if as_json:
        print_json(done.to_json())
    elif done.state == "passed":
        console.print(f"run {done.id}: {done.commit[:12]} is in production")
        console.print(f"to see what went into it: labkit artifacts what-runs {workspace.system.entry}")
    else:
        console.print(f"run {done.id} {done.state}: {done.stopped_because}", markup=False, soft_wrap=True)
    sys.exit(0 if done.state == "passed" else 1)


def _print_event(event: "PipelineEvent") -> None:
    word = WORDS.get(event.state, f"[dim]{event.state:<4}[/]" if event.gate else "[dim] .. [/]")
    took = "" if event.seconds is None else f" ({event.seconds:.1f} s)"
    line = escape(f"{event.stage:<12}{event.gate or '':<18}{event.message}{took}")
    progress.print(f"{word} {line}", soft_wrap=True)


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
    console.print(f"{head}{_after(shown)}", markup=False, soft_wrap=True)
    for stage in shown.stages:
        _print_stage(stage)
    if shown.stopped_because:
        console.print(f"stopped because: {shown.stopped_because}", markup=False, soft_wrap=True)


def _print_stage(stage: "StageRun") -> None:
    console.print(f"{stage.name}: {stage.state}{_after(stage)}", markup=False, soft_wrap=True)
    for report in stage.reports:
        line = f"  {report.check:<18} {report.outcome} ({report.seconds:.1f} s)"
        console.print(line, markup=False, soft_wrap=True)
        for finding in report.findings:
            console.print(f"    {finding.severity}: {finding}", markup=False, soft_wrap=True)


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
        console.print(f"run {fact.run} {decision['decision']} by {fact.by}", markup=False)
