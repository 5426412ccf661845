"""`labkit pipeline`: take a commit through the stages with live progress, and approve a waiting run."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.markup import escape

from labkit.cli._show import as_json, console, in_workspace, print_json, progress
from labkit.workspace import Workspace

if TYPE_CHECKING:
    from labkit.pipeline import PipelineEvent

WORDS = {
    "passed": "[green]pass[/]",
    "failed": "[red]FAIL[/]",
    "accepted": "[green]ok  [/]",
    "waiting": "[yellow]wait[/]",
}


@click.group()
def pipeline() -> None:
    """Take a commit through the pipeline."""


@pipeline.command()
@click.option(
    "--commit", default="HEAD", show_default=True, help="Commit, tag or branch of the shop repository."
)
@in_workspace
@as_json
def run(commit: str, root: Path | None, *, as_json: bool) -> None:
    """Take a commit to production, stage by stage. The first red gate stops it."""
    from labkit.pipeline import run as run_pipeline  # noqa: PLC0415 - keeps `labkit --help` quick

    done = run_pipeline(Workspace.open(root), commit, on_event=_print_event)
    if as_json:
        print_json(done.to_json())
    elif done.state == "passed":
        console.print(f"run {done.id}: {done.commit[:12]} is in production")
        console.print("to see what went into it: labkit artifacts what-runs cart")
    else:
        console.print(f"run {done.id} {done.state}: {done.stopped_because}", markup=False, soft_wrap=True)
    sys.exit(0 if done.state == "passed" else 1)


def _print_event(event: "PipelineEvent") -> None:
    word = WORDS.get(event.state, f"[dim]{event.state:<4}[/]" if event.gate else "[dim] .. [/]")
    took = "" if event.seconds is None else f" ({event.seconds:.1f} s)"
    line = escape(f"{event.stage:<12}{event.gate or '':<18}{event.message}{took}")
    progress.print(f"{word} {line}", soft_wrap=True)


@pipeline.command()
@click.argument("run_id", metavar="RUN")
@in_workspace
def approve(run_id: str, root: Path | None) -> None:
    """Let a waiting RUN go on into production. Your name is recorded."""
    from labkit.pipeline import approve as approve_run  # noqa: PLC0415 - keeps `labkit --help` quick

    fact = approve_run(Workspace.open(root), run_id)
    console.print(f"run {run_id} approved by {fact.by}")
