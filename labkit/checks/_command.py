"""A command in a container as a check: its exit code is the verdict."""

from collections.abc import Mapping
from pathlib import Path

from labkit.checks._report import CheckRun, Finding, Report
from labkit.environment import Environment

NOT_EXECUTABLE, NOT_FOUND = 126, 127  # the shell's exit codes for a command that it cannot start
LAST_LINES, KEPT_LINES = 12, 200


def command(
    environment: Environment,
    run: str,
    *,
    name: str = "command",
    files: Mapping[str, bytes | Path] | None = None,
    image: str | None = None,
    timeout_s: float = 600.0,
) -> Report:
    """Run a shell's command line in an environment, and answer pass when its exit code is 0, else fail.

    The answer is not run when the command cannot be started, or does not end within timeout_s seconds. name
    is the check's name in the report. Where it runs, and files and image, are as in `Environment.run`. The
    evidence has the last 200 lines of the output.

    :raises LabError: when there is no such image, or the container is gone.
    """
    check = CheckRun(name, tool="sh")
    done = environment.run(run, image=image, files=files, timeout_s=timeout_s)
    lines = [line for line in done.output.splitlines() if line.strip()]
    last = " | ".join(lines[-LAST_LINES:]) or "it printed nothing"
    if done.timed_out:
        return check.not_run(f"{run!r} did not end within {timeout_s:g} s: {last}")
    if done.exit_code in {NOT_EXECUTABLE, NOT_FOUND}:
        return check.not_run(f"{run!r} could not be started: {last}; give an image that has it")
    return check.report(
        [] if done.ok else [Finding(f"exit code {done.exit_code}", last)],
        evidence={
            "environment": environment.name,
            "command": run,
            "exit_code": done.exit_code,
            "output": "\n".join(lines[-KEPT_LINES:]),
        },
    )
