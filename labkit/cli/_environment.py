"""`labkit environment`: create, list, clean up."""

import getpass
import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from labkit.cli._show import (
    as_json,
    console,
    duration,
    in_workspace,
    print_json,
    print_table,
    step_printer,
)
from labkit.system import STAGES
from labkit.workspace import Workspace


@click.group()
def environment() -> None:
    """Create, list and clean up environments."""


@environment.command()
@click.option("--stage", required=True, type=click.Choice(STAGES), help="The kind of environment.")
@click.option("--module", help="The service to develop; required for the development stage.")
@in_workspace
@as_json
def create(stage: str, module: str | None, root: Path | None, *, as_json: bool) -> None:
    """Create an environment. It outlives this command and stays until it is cleaned up."""
    from labkit.engine import Owner  # noqa: PLC0415 - keeps `labkit --help` quick
    from labkit.environment import Environment  # noqa: PLC0415 - keeps `labkit --help` quick

    workspace = Workspace.open(root)
    created = Environment.create(
        workspace.system,
        stage,
        module=module,
        owner=Owner.workspace(workspace.id),
        workspace=workspace,
        because=f"labkit environment create by {getpass.getuser()}",
        progress=step_printer(),
    )
    url = None if stage == "development" else created.url
    if as_json:
        print_json({"name": created.name, "stage": stage, "url": url})
    else:
        console.print(f"{created.name} is ready" + (f" at {url}" if url else ""))
        console.print(f"clean it up with: labkit environment clean-up {created.name}")


@environment.command("list")
@in_workspace
@as_json
def list_environments(root: Path | None, *, as_json: bool) -> None:
    """List the environments of the workspace."""
    from labkit.environment import Environment  # noqa: PLC0415 - keeps `labkit --help` quick

    statuses = Environment.list(Workspace.open(root))
    if as_json:
        print_json([status.to_json() for status in statuses])
        return
    now = datetime.now(UTC)
    rows = [
        (status.name, status.stage, duration(now - status.created_at), status.containers, status.owner)
        for status in statuses
    ]
    print_table(("name", "stage", "age", "containers", "owner"), rows, empty="there is no environment")


@environment.command("clean-up")
@click.argument("name", required=False)
@click.option("--all", "everything", is_flag=True, help="All environments of the workspace, also production.")
@in_workspace
def clean_up(name: str | None, root: Path | None, *, everything: bool) -> None:
    """Remove the environment NAME or, with --all, all. Nothing of it is left in the container engine."""
    from labkit.environment import Environment  # noqa: PLC0415 - keeps `labkit --help` quick

    if bool(name) == everything:
        message = "name either one environment or --all"
        raise click.UsageError(message)
    workspace = Workspace.open(root)
    if everything:
        cleaned = Environment.clean_up_all(workspace)
    else:
        Environment.attach(str(name), workspace).clean_up()
        cleaned = [str(name)]
    console.print("cleaned up: " + (", ".join(cleaned) or "there was no environment"))
    sys.exit(0)
