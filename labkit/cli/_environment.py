"""`labkit environment`: create, list, clean up; read the logs, capture what comes in."""

import getpass
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from labkit.cli._select import environment_of, environments, services, the_environment
from labkit.cli._show import (
    as_json,
    duration,
    in_workspace,
    plain,
    print_json,
    print_table,
    progress,
    say,
    step_printer,
)
from labkit.errors import LabError
from labkit.system import STAGES
from labkit.workspace import Workspace

if TYPE_CHECKING:
    from labkit.environment import Captured, Environment, EnvironmentStatus

LEADING = {"time", "service", "instance", "version", "level"}
"""The fields of a log line that a person reads before it, or can do without."""


@click.group()
def environment() -> None:
    """Create, list and clean up environments. Read their logs, capture what comes in."""


@environment.command()
@click.option("--stage", required=True, type=click.Choice(STAGES), help="The kind of environment.")
@click.option(
    "--module", shell_complete=services, help="The service to develop; required for the development stage."
)
@in_workspace
@as_json
def create(stage: str, module: str | None, root: Path | None, *, as_json: bool) -> None:
    """Create an environment. It outlives this command and stays until it is cleaned up.

    Example: labkit environment create --stage staging
    """
    from labkit.engine import Owner  # noqa: PLC0415 - keeps `labkit --help` quick
    from labkit.environment import Environment  # noqa: PLC0415 - keeps `labkit --help` quick

    workspace = Workspace.open(root)
    if stage == "development" and module is None:
        message = f"the development stage needs --module: one of {', '.join(workspace.system.services)}"
        raise click.UsageError(message)
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
        say(f"{created.name} is ready" + (f" at {url}" if url else ""))
        say(f"clean it up with: labkit environment clean-up {created.name}")


@environment.command("list")
@in_workspace
@as_json
def list_environments(root: Path | None, *, as_json: bool) -> None:
    """List the environments of the workspace.

    Example: labkit environment list
    """
    from labkit.environment import Environment  # noqa: PLC0415 - keeps `labkit --help` quick

    statuses = Environment.list(Workspace.open(root))
    if as_json:
        print_json([status.to_json() for status in statuses])
        return
    now = datetime.now(UTC)
    rows = [
        (
            status.name,
            status.stage,
            _state(status),
            duration(now - status.created_at),
            status.containers,
            status.owner,
        )
        for status in statuses
    ]
    columns = ("name", "stage", "state", "age", "containers", "owner")
    print_table(columns, rows, empty="there is no environment")
    for status in statuses:
        if status.ended and status.complete and status.owner_alive:
            say(f"start again what has ended: labkit environment start {status.name}")


def _state(status: "EnvironmentStatus") -> str:
    if not status.owner_alive:
        return f"{'left over' if status.complete else 'incomplete'}: the next create removes it"
    if not status.complete:
        return "being created or removed"
    return f"{status.ended} ended" if status.ended else "whole"


@environment.command()
@click.argument("name", required=False, shell_complete=environments)
@in_workspace
@as_json
def start(name: str | None, root: Path | None, *, as_json: bool) -> None:
    """Start again what has ended in the environment NAME, as after a restart of the engine or the machine.

    Everything has what it had: the database its rows, the services their versions. The load balancer gets its
    instances back. NAME may be left out if it is the only environment.

    Example: labkit environment start
    """
    from labkit import deployment  # noqa: PLC0415 - keeps `labkit --help` quick

    found = environment_of(root, name)
    started = found.start(step_printer())
    attached = deployment.reconcile(found)
    if as_json:
        print_json({"environment": found.name, "started": started, "attached": attached})
        return
    say(
        f"{found.name}: {', '.join(started)} started again" if started else f"{found.name}: nothing has ended"
    )


@environment.command("clean-up")
@click.argument("name", required=False, shell_complete=environments)
@click.option("--all", "everything", is_flag=True, help="All environments of the workspace.")
@click.option("--yes", is_flag=True, help="With --all: ask nothing, and remove everything.")
@in_workspace
@as_json
def clean_up(name: str | None, root: Path | None, *, everything: bool, yes: bool, as_json: bool) -> None:
    """Remove the environment NAME or, with --all, all. Nothing of it is left in the container engine.

    With --all, you are asked about production and about what another process uses, such as a pipeline run.
    Where nobody can answer, these stay, unless --yes is given; the exit code is then 1.

    Example: labkit environment clean-up --all
    """
    from labkit.environment import Environment  # noqa: PLC0415 - keeps `labkit --help` quick

    if bool(name) == everything:
        message = "name either one environment or --all"
        raise click.UsageError(message)
    workspace = Workspace.open(root)
    kept: list[str] = []
    if everything:
        cleaned = Environment.clean_up_all(workspace, lambda status: yes or _may_go(status, kept))
    else:
        Environment.attach(str(name), workspace).clean_up()
        cleaned = [str(name)]
    if as_json:
        print_json([{"name": one} for one in cleaned])
    else:
        say("cleaned up: " + (", ".join(cleaned) or "no environment"))
    if kept:
        expected = "your answer about production and what is in use, or --yes"
        raise LabError(expected, f"kept: {', '.join(kept)}", "labkit environment clean-up --all --yes")


def _may_go(status: "EnvironmentStatus", kept: list[str]) -> bool:
    """Return whether an environment may be removed: nobody would miss it, or who sits here says so.

    The name of one that stays is added to `kept`.
    """
    from labkit.engine import Owner  # noqa: PLC0415 - keeps `labkit --help` quick

    if status.stage == "production" and status.complete:
        question = f"{status.name} is production, and its database would go too. Remove it?"
    elif Owner.parse(status.owner).kind == "process" and status.owner_alive:
        question = f"{status.name} is used by process {status.owner.split(':')[3]}. Remove it?"
    else:
        return True
    if sys.stdin.isatty() and click.confirm(question, err=True):
        return True
    kept.append(status.name)
    return False


@environment.command()
@the_environment
@click.option(
    "--service", shell_complete=services, help="A service, an instance (cart-2), or an element (database)."
)
@click.option("--request-id", help="Only what was logged for this request, in any service.")
@in_workspace
@as_json
def logs(
    name: str | None, service: str | None, request_id: str | None, root: Path | None, *, as_json: bool
) -> None:
    """Print what the environment NAME has logged, the oldest first.

    NAME may be left out if it is the only environment. The logs of a removed instance are gone.

    Example: labkit environment logs --service cart-2
    """
    found = environment_of(root, name)
    known = {word for one in found.elements() for word in (one.service, one.role, one.name) if word}
    if service is not None and service not in known:
        expected = f"a service or an element of {found.name}: {', '.join(sorted(known))}"
        raise LabError(expected, repr(service), "name one of them")
    lines = found.logs(service, request_id=request_id)
    if as_json:
        print_json(lines)
        return
    for line in lines:
        rest = {key: value for key, value in line.items() if key not in LEADING and value != ""}
        words = rest.pop("message", None) or " ".join(f"{key}={value}" for key, value in rest.items())
        click.echo(plain(f"{line['time']} {line['instance']:<12} {words}"))


@environment.command()
@the_environment
@click.option(
    "--seconds", type=click.FloatRange(0), default=30.0, show_default=True, help="How long to capture."
)
@click.option(
    "--to",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file for the requests, one JSON object a line; `labkit.load.replay` sends them again.",
)
@in_workspace
@as_json
def capture(name: str | None, seconds: float, to: Path | None, root: Path | None, *, as_json: bool) -> None:
    """Record the requests that come to the environment NAME, through a recording proxy in front of it.

    Send the requests to the address that is printed. Ctrl-C ends the capture early; what came until then is
    kept too. NAME may be left out if it is the only environment.

    Example: labkit environment capture --seconds 60 --to requests.jsonl
    """
    requests = _capture(environment_of(root, name), seconds, to)
    if as_json:
        print_json([asdict(request) for request in requests])
        return
    rows = [(f"{one.at_s:.3f} s", one.method, one.path, one.status, f"{one.ms:g} ms") for one in requests]
    print_table(("at", "method", "path", "status", "took"), rows, empty="no request came")


def _capture(found: "Environment", seconds: float, to: Path | None) -> "Sequence[Captured]":
    """Capture for some seconds, or until Ctrl-C; the requests are saved in each case.

    :raises LabError: when a capture is open already.
    """
    for one in found.elements():
        if one.role == "capture":
            next_step = "end the other with Ctrl-C; if its process was killed: "
            next_step += f"docker rm --force {one.container[:12]}"
            raise LabError(f"one capture of {found.name} at a time", "one is open", next_step)
    with found.capture() as recorded:
        say(f"send the requests to {recorded.url}", to=progress)
        try:
            time.sleep(seconds)
        finally:
            requests = recorded.stop()
            if to is not None:
                recorded.save(to)
                say(f"{len(requests)} requests saved in {to}", to=progress)
    return requests
