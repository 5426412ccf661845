"""`labkit doctor` and `labkit images`: whether this machine is ready, and the images that the labs need."""

import shlex
import sys
from dataclasses import asdict
from pathlib import Path

import click
from rich.text import Text

from labkit.cli._show import as_json, console, plain, print_json, say, step_printer


@click.command()
@click.option("--fix", is_flag=True, help="Start the engine and build the images where that is needed.")
@as_json
def doctor(*, fix: bool, as_json: bool) -> None:
    """Check this machine, one line a check, each failure with its next step.

    Example: labkit doctor --fix
    """
    from labkit import engine  # noqa: PLC0415 - keeps `labkit --help` quick

    checks = engine.doctor(fix=fix, progress=step_printer())
    if as_json:
        print_json([asdict(check) for check in checks])
    else:
        for check in checks:
            mark = Text("ok  ", "green") if check.ok else Text("FAIL", "red")
            line = plain(f" {check.name:<8} {check.seen} (needed: {check.threshold})")
            console.print(mark, Text(line), sep="", soft_wrap=True)
            if not check.ok:
                say(f"     next: {check.next_step}")
    if any(check.name == "engine" and not check.ok for check in checks):
        sys.exit(3)
    sys.exit(0 if all(check.ok for check in checks) else 1)


@click.group()
def images() -> None:
    """Build the images of the labs, or copy them. A copy is for a machine without a network."""


@images.command()
def build() -> None:
    """Build the images that are missing, outdated (their recipe has changed) or not built or loaded by you.

    Example: labkit images build
    """
    from labkit import engine  # noqa: PLC0415 - keeps `labkit --help` quick

    engine.build_images(progress=step_printer())
    say("all images are present")


@images.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def save(file: Path) -> None:
    """Save all images into one FILE. Take it to machines without a network.

    Example: labkit images save images.tar
    """
    from labkit import engine  # noqa: PLC0415 - keeps `labkit --help` quick

    engine.save_images(file)
    size = file.stat().st_size / 1e6
    say(f"saved {file} ({size:.0f} MB); on the other machine: labkit images load {shlex.quote(file.name)}")


@images.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
def load(file: Path) -> None:
    """Load the images from FILE. `labkit images save` writes such a file.

    Example: labkit images load images.tar
    """
    from labkit import engine  # noqa: PLC0415 - keeps `labkit --help` quick

    loaded = engine.load_images(file)
    say(f"loaded {', '.join(loaded)}: all images are present")
