"""Runs pytest in a container and reads what it reports: version, tests and findings."""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from labkit.checks._junit import TestResults, read_junit
from labkit.environment import Environment

Files = Mapping[str, bytes | Path]

REPORT_FOLLOWS = "----- labkit: JUnit XML follows -----"
# The report travels on standard output, because a container's files are gone with the container.
SCRIPT = f"""\
report=$(mktemp -u)
python3 -m pytest --color=no --tb=short -p no:cacheprovider --junitxml="$report" "$@" 2>&1
code=$?
echo; echo '{REPORT_FOLLOWS}'; cat "$report"; rm -f "$report"
exit $code
"""
NOTHING_COLLECTED = 5
LAST_LINES = 12


class ToolCrashed(Exception):
    """pytest ended without a verdict; the text says how, with its last lines."""


@dataclass(frozen=True)
class PytestRun:
    """One run of pytest: its version, its results, and the wall seconds with the container's start."""

    version: str
    results: TestResults
    seconds: float


def run_pytest(environment: Environment, arguments: Sequence[str], files: Files | None = None) -> PytestRun:
    """Run pytest in the environment's module container, or in a test runner container inside its network.

    files are copied into the container first; None copies none.

    :raises ToolCrashed: when pytest wrote no report (no pytest, no tests, killed): such a run is no verdict.
    """
    started = time.monotonic()
    done = environment.run(["sh", "-c", SCRIPT, "sh", *arguments], files=files or {})
    words, _, document = done.output.partition(REPORT_FOLLOWS)
    try:
        results = read_junit(document.strip())
    except ValueError as fault:
        raise ToolCrashed(_last_lines(words, done.exit_code)) from fault
    if done.exit_code == NOTHING_COLLECTED:
        message = f"pytest found no tests in {' '.join(arguments)}"
        raise ToolCrashed(message)
    # From 2 on pytest was interrupted, broken or misused; findings of a broken collection say more than that.
    if done.exit_code > 1 and not results.findings:
        raise ToolCrashed(_last_lines(words, done.exit_code))
    return PytestRun(_version(words), results, time.monotonic() - started)


def collect(environment: Environment, folder: str, files: Files) -> list[str]:
    """Return the ids of a folder's tests in pytest's order.

    :raises ToolCrashed: when pytest cannot collect them, or finds none.
    """
    command = [
        "python3",
        "-m",
        "pytest",
        "--collect-only",
        "-q",
        "--color=no",
        "-p",
        "no:cacheprovider",
        folder,
    ]
    done = environment.run(command, files=files)
    listed = done.output.partition("\n\n")[0].splitlines()  # a blank line ends the list, the summary follows
    identities = [line.strip() for line in listed if "::" in line]
    if done.exit_code != 0 or not identities:
        raise ToolCrashed(_last_lines(done.output, done.exit_code))
    return identities


def _version(words: str) -> str:
    header = re.search(r"\bpytest-(\S+?),?(?:\s|$)", words)
    return header[1].rstrip(",") if header else ""


def _last_lines(words: str, exit_code: int) -> str:
    kept = [line for line in words.strip().splitlines() if line.strip()][-LAST_LINES:]
    return f"pytest ended with exit code {exit_code} and no verdict: " + " | ".join(kept)
