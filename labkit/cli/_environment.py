"""`labkit environment`: create, list, clean up."""

import getpass
import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from labkit.cli._show import as_json, console, in_workspace, print_json, print_table, step_printer
from labkit.system import STAGES
from labkit.workspace import Workspace


@click.group()
def environment() -> None:
    """Create, list and clean up environments."""


@environment.command()
@click.option("--stage", required=True, type=click.Choice(STAGES))
@click.option("--module", help="The service to develop; needed for the development stage.")
@in_workspace
@as_json
def create(stage: str, module: str | None, root: Path | None, *, as_json: bool) -> None:
    """Create an environment that the workspace owns: it stays until it is cleaned up."""
    from labkit.engine import Owner  # noqa: PLC0415 - keeps `labkit --help` quick
    from labkit.environment import Environment  # noqa: PLC0415 - as above

    workspace = Workspace.open(root)
    made = Environment.create(
        workspace.system,
        stage,
        module=module,
        owner=Owner.workspace(workspace.id),
        workspace=workspace,
        because=f"labkit environment create by {getpass.getuser()}",
        progress=step_printer(),
    )
    url = None if stage == "development" else made.url
    if as_json:
        print_json({"name": made.name, "stage": stage, "url": url})
    else:
        console.print(f"{made.name} is ready" + (f" at {url}" if url else ""))
        console.print(f"clean it up with: labkit environment clean-up {made.name}")


@environment.command("list")
@in_workspace
@as_json
def list_environments(root: Path | None, *, as_json: bool) -> None:
    """List the live environments of the workspace."""
    from labkit.environment import Environment  # noqa: PLC0415 - as above

    live = Environment.list(Workspace.open(root))
    if as_json:
        print_json([status.to_json() for status in live])
        return
    now = datetime.now(UTC)
    rows = [(s.name, s.stage, f"{(now - s.created_at).seconds} s", s.containers, s.owner) for s in live]
    print_table(("name", "stage", "age", "containers", "owner"), rows, empty="no environment is alive")


@environment.command("clean-up")
@click.argument("name", required=False)
@click.option("--all", "everything", is_flag=True, help="All environments of the workspace, production too.")
@in_workspace
def clean_up(name: str | None, root: Path | None, *, everything: bool) -> None:
    """Clean up the environment NAME, or --all; nothing of it is left."""
    from labkit.environment import Environment  # noqa: PLC0415 - as above

    if bool(name) == everything:
        message = "give either the NAME of an environment or --all"
        raise click.UsageError(message)
    workspace = Workspace.open(root)
    if everything:
        cleaned = Environment.clean_up_all(workspace)
    else:
        Environment.attach(str(name), workspace).clean_up()
        cleaned = [str(name)]
    console.print("cleaned up: " + (", ".join(cleaned) or "there was nothing to clean up"))
    sys.exit(0)
