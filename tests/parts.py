"""Runs the parts of `make test`, two at once, and prints how long each took and which tests failed.

`python tests/parts.py` runs them all, `python tests/parts.py unit labs` these two. A part that fails does not
keep the others from their end. Most of the time a part waits for containers, so that two at once win on two
processors.
"""

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
FOUND = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("labs/**/*.ipynb"))
NOTEBOOKS = random.Random(len(FOUND)).sample(FOUND, len(FOUND))  # noqa: S311 - an order, no secret
"""The notebooks in a mixed order, the same for the same number: a lab must not need what another one left."""

NBVAL = ("-p", "wrong_answers", "-p", "restarts", "--nbval-lax", "--timeout=600")
AT_ONCE = 2
TEST_LINE = 300
"""How much of the line about a failed test is told once more at the end, in characters."""

# Longest first, so that the second place is never empty while the longest part still runs.
PARTS: dict[str, Sequence[Sequence[str]]] = {
    "engine": [["pytest", "-m", "engine and not browser", "tests"]],
    "labs": [["pytest", *NBVAL, *NOTEBOOKS]],
    "browser": [["pytest", "-m", "browser", "tests"]],
    "unit": [
        ["ruff", "format", "--check", "."],
        ["ruff", "check", "."],
        ["mypy"],
        ["pytest", "-m", "not engine and not browser", "tests"],
    ],
    "extension": [["sh", "-c", "cd extension && jlpm run check"]],
}

VARIABLES = {"labs": {"LC_ALL": "C", "TZ": "Pacific/Chatham"}}
"""A part's own variables: the labs run in a locale and a time zone that few machines have."""

FAILURE = re.compile(r"(FAILED|ERROR) (tests|labs)/")
"""How a line of pytest's short summary begins that names a test."""


class Result(NamedTuple):
    """How a part ended: its seconds, the command that failed, "" when none did, and the tests that failed."""

    part: str
    seconds: float
    failed: str
    tests: Sequence[str]


class Runner:
    """Runs commands, each in a process group of its own, so that all of them can be ended."""

    def __init__(self) -> None:
        self._processes: set[subprocess.Popen[str]] = set()
        self._stopped = False

    def run(self, part: str) -> Result:
        """Run the commands of a part until one fails; each line of output begins with the part's name."""
        began, failed, tests = time.monotonic(), "", list[str]()
        for command in PARTS[part]:
            print(f"{part:>9} | {' '.join(command)[:90]}", flush=True)
            if self._stopped or self._execute(part, command, tests) != 0:
                failed = " ".join(command)[:60]
                break
        return Result(part, time.monotonic() - began, failed, tests)

    def _execute(self, part: str, command: Sequence[str], tests: list[str]) -> int:
        """Run a command and return its exit code; add the tests that failed to tests."""
        own = {"PYTHONPATH": "tests", "PYTHONUNBUFFERED": "1"} | VARIABLES.get(part, {})
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | own,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
        )
        self._processes.add(process)
        if self._stopped:  # between the question and the start
            os.killpg(process.pid, signal.SIGTERM)
        with process:
            for line in process.stdout or ():
                print(f"{part:>9} | {line}", end="", flush=True)
                if FAILURE.match(line):
                    tests.append(line.rstrip()[:TEST_LINE])
        self._processes.discard(process)
        return process.returncode

    def stop(self, number: int, _frame: FrameType | None) -> None:
        """End what runs, as a terminal would: every process of each group gets the signal."""
        self._stopped = True
        for process in list(self._processes):
            os.killpg(process.pid, number)


def main(parts: Sequence[str]) -> int:
    """Run the parts and print a line for each; return 1 when one failed."""
    if unknown := set(parts) - set(PARTS):
        print(f"parts: {', '.join(PARTS)}; not known: {', '.join(sorted(unknown))}")
        return 2
    runner, began = Runner(), time.monotonic()
    before = {number: signal.signal(number, runner.stop) for number in (signal.SIGINT, signal.SIGTERM)}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        results = list(pool.map(runner.run, [part for part in PARTS if part in (parts or PARTS)]))
    for number, handler in before.items():
        signal.signal(number, handler)
    for result in results:
        verdict = f"FAILED: {result.failed}" if result.failed else "passed"
        print(f"{result.part:>9} | {result.seconds:6.0f} s | {verdict}")
        for line in result.tests:
            print(f"{result.part:>9} | {line}")
    print(f"    whole | {time.monotonic() - began:6.0f} s |")
    return int(any(result.failed for result in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
