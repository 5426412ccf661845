"""`labkit load`: let the users of a locustfile work in an environment."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from labkit.cli._select import environment_of, in_environment
from labkit.cli._show import as_json, in_workspace, print_json, print_table, progress, say
from labkit.workspace import Workspace

if TYPE_CHECKING:
    from labkit.environment import Environment
    from labkit.load import Measurement, RunningLoad

LOOK_S = 0.2


@click.group()
def load() -> None:
    """Put load on an environment."""


@load.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--users", type=click.IntRange(min=1), help="How many users; default: 1, or the file's shape.")
@click.option("--spawn-rate", type=float, help="How many users come a second; default: 1.")
@click.option(
    "--duration", type=float, help="For how many seconds; default: until Ctrl-C, or the shape ends."
)
@in_environment
@in_workspace
@as_json
def run(
    file: Path,
    environment: str | None,
    users: int | None,
    spawn_rate: float | None,
    duration: float | None,
    root: Path | None,
    *,
    as_json: bool,
) -> None:
    """Let the users of the locustfile FILE work, and record what they measured.

    Ctrl-C ends it and still shows what was measured. The exit code is 1 when a request failed, as
    locust's is. The same file runs with plain locust: locust -f FILE --headless --host URL

    Example: labkit load run shoppers.py --users 10 --duration 30
    """
    from labkit.load import apply  # noqa: PLC0415 - keeps `labkit --help` quick

    place = environment_of(root, environment)
    url = place.url
    hosts = [urlsplit(url).hostname or ""]
    running = apply(file, url, users=users, spawn_rate=spawn_rate, duration_s=duration, hosts=hosts)
    measured = _watch(running)
    _record(Workspace.open(root), place, file, measured)
    if as_json:
        print_json(measured.to_json())
    else:
        _show(measured)
    sys.exit(1 if measured.failed else 0)


def _watch(running: "RunningLoad") -> "Measurement":
    """Show how the load goes until it ends or Ctrl-C ends it, and return what was measured."""
    with running:
        try:
            say(f"load on {running.url}; Ctrl-C ends it", to=progress)
            with progress.status("") as status:
                while running.is_running:
                    status.update(repr(running.snapshot()))
                    time.sleep(LOOK_S)
        except KeyboardInterrupt:
            return running.stop()
        return running.wait()


def _record(workspace: Workspace, environment: "Environment", file: Path, measured: "Measurement") -> None:
    from labkit.artifacts import Kind, Subject  # noqa: PLC0415 - keeps `labkit --help` quick

    workspace.artifacts.record(
        Kind.ENVIRONMENT_USED,
        Subject(environment.name, ""),
        stage=environment.stage,
        environment=environment.name,
        use="load",
        locustfile=file.name,
        measurement=measured.to_json(),
    )


def _show(measured: "Measurement") -> None:
    rows = [
        (
            name,
            tally.requests,
            tally.failed,
            *(f"{ms:.1f}" for ms in (tally.p50_ms, tally.p90_ms, tally.p99_ms)),
        )
        for name, tally in [*measured.by_request.items(), ("all", measured.tally)]
    ]
    print_table(("request", "requests", "failed", "p50 ms", "p90 ms", "p99 ms"), rows, empty="")
