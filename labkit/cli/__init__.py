"""The command line: `labkit …`.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no container engine, 130 stopped by Ctrl-C, 143 by SIGTERM.
With `--json` a listing or a result is one JSON document on standard output; progress goes to standard error.
"""

import errno
import shlex
import signal
import sys
from typing import Any

import click

from labkit.cli import (
    _artifacts,
    _data,
    _database,
    _deployment,
    _engine,
    _environment,
    _grade,
    _grades,
    _load,
    _pipeline,
    _toggle,
    _workspace,
)
from labkit.cli._show import print_problem
from labkit.errors import LabError

__all__ = ["labkit", "main"]

FAILED, NO_ENGINE, INTERRUPTED, TERMINATED = 1, 3, 130, 143

FIXABLE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}
"""What a user can change about the machine; any other error of the system's is a fault of labkit's."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pipeline-labkit")
def labkit() -> None:
    """Learn the deployment pipeline by experiment, on real containers."""


labkit.add_command(_workspace.start)
labkit.add_command(_workspace.lab)
labkit.add_command(_workspace.reset)
labkit.add_command(_workspace.release)
labkit.add_command(_grade.grade)
labkit.add_command(_engine.doctor)
labkit.add_command(_engine.images)
labkit.add_command(_pipeline.pipeline)
labkit.add_command(_environment.environment)
labkit.add_command(_deployment.deployment)
labkit.add_command(_toggle.toggle)
labkit.add_command(_database.database)
labkit.add_command(_artifacts.artifacts)
labkit.add_command(_data.data)
labkit.add_command(_load.load)
labkit.add_command(_grades.grades)


def main(arguments: list[str] | None = None) -> Any:  # noqa: ANN401 - click's own return, never used
    """Run the command line and leave with its exit code; an error that the user can fix shows no traceback.

    SIGTERM ends a command as Ctrl-C does, so that it cleans up too. arguments None are those of the process.
    """
    code = INTERRUPTED

    def terminate(*_: object) -> None:
        nonlocal code
        code = TERMINATED
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        labkit.main(arguments, prog_name="labkit", standalone_mode=False)
    except click.exceptions.Abort:  # what click makes of Ctrl-C
        click.echo("stopped", err=True)
        sys.exit(code)
    except click.ClickException as problem:
        problem.show()
        sys.exit(problem.exit_code)
    except LabError as problem:
        print_problem(problem)
        sys.exit(_exit_code(problem))
    except OSError as fault:
        if fault.errno not in FIXABLE:
            raise
        print_problem(_refused(fault))
        sys.exit(FAILED)
    finally:
        signal.signal(signal.SIGTERM, before)


def _exit_code(problem: LabError) -> int:
    from labkit.engine import NoEngine  # noqa: PLC0415 - keeps `labkit --help` quick

    return NO_ENGINE if isinstance(problem, NoEngine) else FAILED


def _refused(fault: OSError) -> LabError:
    """Return the error for what the system refused: a full disk, or a file that may not be written."""
    place = shlex.quote(str(fault.filename or "."))
    seen = f"{fault.strerror}: {fault.filename or 'no file is named'}"
    return LabError("files and disks that labkit may write", seen, f"df -h {place}; ls -ld {place}")
