"""Runs the parts of `make test` as jobs, and prints how long each took and what failed.

`python tests/parts.py` runs them all, `python tests/parts.py unit labs` these two. A part that fails does not
keep the others from their end. Two jobs with customers run at once, and beside them one that only computes
and gives way. `--newest PYTHON` adds the part newest: what needs no engine, on that Python.
"""

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
FOUND = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("labs/**/*.ipynb"))
NOTEBOOKS = random.Random(len(FOUND)).sample(FOUND, len(FOUND))  # noqa: S311 - an order, no secret
"""The notebooks in a mixed order, the same for the same number: a lab must not need what another one left."""

PYTEST = ("pytest", "--durations=25", "--durations-min=5")
"""The slowest tests of a job are told: where a minute is to be saved."""
NBVAL = ("-p", "wrong_answers", "-p", "restarts", "--nbval-lax", "--timeout=600")
AT_ONCE = 2
"""How many jobs with customers run at once; beside them runs one that only computes."""

TEST_LINE = 300
"""How much of the line about a failed test is told once more at the end, in characters."""

LAST_LINES = 20
"""How many lines of a command that failed without naming a test are told once more at the end."""

Command = Sequence[str]
Job = Sequence[Command]
"""Commands that run one after the other, until one fails."""


def shares(modules: Iterable[Path], count: int) -> list[list[str]]:
    """Return test modules in shares of about the same size; those of the fleet are in the last, at its end.

    pytest makes the fleet once for a session, and it costs time as long as it runs.
    """
    modules = sorted(modules, key=_size, reverse=True)
    users = sorted(path for path in modules if FLEET in path.read_text(encoding="utf-8"))
    found: list[list[Path]] = [*([] for _ in range(count - 1)), users]
    for path in modules:
        if path not in users:
            min(found, key=lambda share: sum(map(_size, share))).insert(0, path)
    return [[str(path.relative_to(ROOT)) for path in share] for share in found]


def _size(path: Path) -> int:
    return path.stat().st_size


FLEET = 'pytest_plugins = ["fleets"]'
MODULES = [*(ROOT / "tests").glob("test_*.py")]

# Longest first, so that no place is empty while a long job still runs. The labs are one job: two that build
# images of the same name at once would change each other's.
PARTS: dict[str, Sequence[Job]] = {
    "labs": [[[*PYTEST, *NBVAL, *NOTEBOOKS]]],
    "engine": [[[*PYTEST, "-m", "engine and not browser", *share]] for share in shares(MODULES, 3)],
    "browser": [[[*PYTEST, "-m", "browser", "tests"]]],
    "unit": [
        [
            ["ruff", "format", "--check", "."],
            ["ruff", "check", "."],
            ["mypy"],
            [*PYTEST, "-m", "not engine and not browser", "tests"],
        ]
    ],
    "extension": [[["sh", "-c", "cd extension && jlpm run check"]]],
}

NEWEST = ".ci/newest"
"""Runs what needs no engine on the Python that it is given."""

GIVE_WAY = {"unit", "extension", "newest"}
"""Parts that only compute: they leave the processors to those whose customers wait for answers."""

VARIABLES = {"labs": {"LC_ALL": "C", "TZ": "Pacific/Chatham"}}
"""A part's own variables: the labs run in a locale and a time zone that few machines have."""

FAILURE = re.compile(r"(FAILED|ERROR) (tests|labs)/")
"""How a line of pytest's short summary begins that names a test."""


class Result(NamedTuple):
    """How a job of a part ended: its seconds, what failed ("" for nothing), and the lines that say why."""

    part: str
    seconds: float
    failed: str
    why: Sequence[str]


def say(part: str, line: str) -> None:
    """Print a line of a part, whole: the parts write at the same time."""
    sys.stdout.write(f"{part:>9} | {line.rstrip()}\n")
    sys.stdout.flush()


class Runner:
    """Runs commands, each in a process group of its own, so that all of them can be ended."""

    def __init__(self) -> None:
        self._processes: set[subprocess.Popen[str]] = set()
        self._stopped = False

    def run(self, part: str, job: Job) -> Result:
        """Run the commands of a job until one fails; each line of output begins with the part's name."""
        began, failed, why = time.monotonic(), "", list[str]()
        for command in job:
            say(part, " ".join(command)[:90])
            if self._stopped or self._execute(part, command, why) != 0:
                failed = " ".join(command)[:60]
                break
        return Result(part, time.monotonic() - began, failed, why)

    def _execute(self, part: str, command: Sequence[str], why: list[str]) -> int:
        """Run a command and return its exit code; add to why the tests that failed, or its last lines."""
        own = {"PYTHONPATH": "tests", "PYTHONUNBUFFERED": "1"} | VARIABLES.get(part, {})
        process = subprocess.Popen(
            ["nice", *command] if part in GIVE_WAY else command,
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
        tests, last = list[str](), deque[str](maxlen=LAST_LINES)
        with process:
            for line in process.stdout or ():
                say(part, line)
                last.append(line)
                if FAILURE.match(line):
                    tests.append(line)
        self._processes.discard(process)
        if process.returncode:
            why += [line.rstrip()[:TEST_LINE] for line in tests or last]
        return process.returncode

    def stop(self, number: int, _frame: FrameType | None) -> None:
        """End what runs, as a terminal would: every process of each group gets the signal."""
        self._stopped = True
        for process in list(self._processes):
            os.killpg(process.pid, number)


def main(arguments: Sequence[str]) -> int:
    """Run the parts and print a line for each job; return 1 when one failed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--newest", metavar="PYTHON", help="run what needs no engine on this Python too")
    asked = parser.parse_args(arguments)
    if unknown := set(asked.parts) - set(PARTS):
        parser.error(f"parts: {', '.join(PARTS)}; not known: {', '.join(sorted(unknown))}")
    jobs = [(part, job) for part, jobs in PARTS.items() if part in (asked.parts or PARTS) for job in jobs]
    if asked.newest:
        jobs.append(("newest", [[NEWEST, asked.newest]]))
    runner, began = Runner(), time.monotonic()
    before = {number: signal.signal(number, runner.stop) for number in (signal.SIGINT, signal.SIGTERM)}
    with ThreadPoolExecutor(AT_ONCE) as customers, ThreadPoolExecutor(1) as computing:
        pools = [computing if part in GIVE_WAY else customers for part, _ in jobs]
        running = [pool.submit(runner.run, *job) for pool, job in zip(pools, jobs, strict=True)]
        results = [one.result() for one in running]
    for number, handler in before.items():
        signal.signal(number, handler)
    for result in results:
        verdict = f"FAILED: {result.failed}" if result.failed else "passed"
        say(result.part, f"{result.seconds:6.0f} s | {verdict}")
        for line in result.why:
            say(result.part, line)
    say("whole", f"{time.monotonic() - began:6.0f} s |")
    return int(any(result.failed for result in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
