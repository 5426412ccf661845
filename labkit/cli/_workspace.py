"""`labkit start`, `lab`, `reset`, `release`: the learner's folder and its notebooks."""

import os
import shlex
import socket
import sys
from pathlib import Path

import click

from labkit.cli._show import as_json, in_workspace, print_json, say, step_printer
from labkit.workspace import Workspace, course

HOME = Path("~/labkit")
INDEX = "labs/index.ipynb"
PORT = 8888

directory = click.argument("directory", type=click.Path(path_type=Path, file_okay=False), required=False)


def _start(root: Path | None) -> Workspace:
    from labkit.grading import learner_notebooks  # noqa: PLC0415 - keeps `labkit --help` quick

    return Workspace.create((root or HOME).expanduser(), notebooks=learner_notebooks())


@click.command()
@directory
def start(directory: Path | None) -> None:
    """Create the workspace in DIRECTORY. The default is ~/labkit; existing files are kept.

    Example: labkit start ~/pipeline
    """
    workspace = _start(directory)
    say(f"workspace ready: {workspace.root}\nnext: labkit lab {shlex.quote(str(workspace.root))}")


@click.command()
@directory
@click.option("--port", type=int, help=f"The port of JupyterLab; default: {PORT}, or the next free one.")
@click.option("--no-browser", is_flag=True, help="Print the address, and open no browser.")
def lab(directory: Path | None, port: int | None, *, no_browser: bool) -> None:
    """Open JupyterLab on the map of the labs. Stop it with Ctrl-C.

    Example: labkit lab ~/pipeline --no-browser
    """
    from labkit.engine import Engine  # noqa: PLC0415 - keeps `labkit --help` quick

    workspace = _start(directory)
    Engine.ensure(progress=step_printer())
    command = [
        *(sys.executable, "-P", "-m", "jupyterlab"),  # -P: nothing is imported from the folder
        f"--ServerApp.root_dir={workspace.root}",
        f"--LabApp.default_url=/lab/tree/{INDEX}",
        f"--ServerApp.port={port or _free_port(PORT)}",
        f"--ServerApp.port_retries={0 if port else 50}",
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    if no_browser:
        command.append("--no-browser")
    if os.geteuid() == 0:
        command.append("--allow-root")
    say(f"JupyterLab opens {workspace.root}; stop it with Ctrl-C. Does the page lack its colours? Reload it.")
    os.execvpe(command[0], command, os.environ | {"LABKIT_WORKSPACE": str(workspace.root)})  # noqa: S606 - our own command


def _free_port(first: int) -> int:
    """Return the first free port of fifty; 0 when none is free, which lets the system choose."""
    for port in range(first, first + 50):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port
    return 0


@click.command()
@click.argument("slug", metavar="LAB")
@in_workspace
def reset(slug: str, root: Path | None) -> None:
    """Restore the original notebook of LAB. Your copy is kept beside it.

    Example: labkit reset one-change-to-production
    """
    from labkit.grading import learner_notebooks  # noqa: PLC0415 - keeps `labkit --help` quick

    copy = Workspace.open(root).reset(slug, notebooks=learner_notebooks())
    say(f"{slug} is restored" + (f"; your copy is kept as {copy}" if copy else ""))


@click.command()
@click.option(
    "--to",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("release"),
    show_default=True,
    help="The folder for the copies.",
)
@as_json
def release(to: Path, *, as_json: bool) -> None:
    """Write the learner copies of all labs. They have no solutions and no hidden tests.

    Example: labkit release --to release
    """
    from labkit import grading  # noqa: PLC0415 - keeps `labkit --help` quick

    copies = grading.release(course(), to)
    if as_json:
        print_json(copies)
        return
    for path in copies:
        say(path)
