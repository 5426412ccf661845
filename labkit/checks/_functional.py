"""The functional tests of the whole system: each on its own, the test database restored in between."""

import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from labkit.checks._pytest import Files, PytestRun, ToolCrashed, collect, run_pytest
from labkit.checks._report import CheckOutcome, CheckRun, Finding, Report
from labkit.containers import Element
from labkit.environment import Environment
from labkit.errors import LabError

OnTest = Callable[[str, int, int], None]

LAST_LINES = 12
STATUS = re.compile(r'HTTP/[\d.]+" (\d{3})\b')
"""The status of an answer in a line of a web server's log."""


def functional(environment: Environment, folder: Path, on_test: OnTest | None = None) -> Report:
    """Run the functional tests of a folder against an environment, from a test runner in its network.

    Each test is a pytest run of its own. The database is restored to its first state before each, so that no
    test sees the changes of another. That ends the connections of the services: a test that is red is run
    again after these have been restarted, and the second time counts. The answer is not run when the tests
    cannot be collected or when pytest crashes. on_test is called with the id, the number and the count of
    each test before it starts; None calls nobody.
    """
    check = CheckRun("functional", tool="pytest")
    files = _files(folder)
    runs: dict[str, PytestRun] = {}
    try:
        identities = collect(environment, folder.name, files)
        state = FirstState(environment)
        for number, identity in enumerate(identities, 1):
            if on_test is not None:
                on_test(identity, number, len(identities))
            runs[identity] = state.run(partial(run_pytest, environment, [identity], files))
    except ToolCrashed as crash:
        return check.not_run(str(crash))
    return _report(check, runs, state)


class FirstState:
    """The state of the database before the first test, with which each test begins."""

    def __init__(self, environment: Environment) -> None:
        self.environment, self._kept = environment, False
        self._cut: dict[str, Element] = {}
        """Those whose connections were ended and that were not restarted since."""

        self.forgetful: set[str] = set()
        """Those that had to be restarted before a test, because they do not connect again by themselves."""

    def run(self, test: Callable[[], PytestRun]) -> PytestRun:
        """Return the result of a test that begins with the first state, and with services that answer."""
        self._restore()
        done = test()
        if not done.results.findings or not self._cut:
            return done
        self._restore()
        names = self._restart()
        done = test()
        if not done.results.findings:
            self.forgetful |= names
        return done

    def _restore(self) -> None:
        """Restore the state, which ends all connections to the database; the first time, keep it."""
        if (database := self.environment.database) is None:
            return
        self._cut |= {element.name: element for element in self.environment.connected()}
        if self._kept:
            database.restore()
        else:
            database.snapshot()
        self._kept = True
        if self.forgetful:
            self._restart()

    def _restart(self) -> set[str]:
        """Restart those whose connections were ended, and return their names."""
        cut, self._cut = self._cut, {}
        with ThreadPoolExecutor(max(1, len(cut))) as pool:
            list(pool.map(Element.restart, cut.values()))
        return set(cut)


def _logs_of_failing(environment: Environment) -> list[Finding]:
    """Return the last log lines of each service that answered 5xx; none when the logs cannot be read."""
    with suppress(LabError):
        return failing_services(environment.logs())
    return []


def failing_services(lines: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """Return a note for each service that answered 5xx, with the last lines of its log.

    lines are as `Environment.logs` returns them. The balancer's say who answered what, also of a service that
    logs no answers: its field `backend` names the service. Other answers are left out. The log goes with the
    environment, so whoever reads the report has no other.
    """
    failing = sorted({line.get("backend") or line["service"] for line in lines if _status(line)[:1] == "5"})
    logs = {service: _last_lines(lines, service) for service in failing}
    return [Finding(f"log of {service}", log, "note") for service, log in logs.items() if log]


def _last_lines(lines: Sequence[Mapping[str, Any]], service: str) -> str:
    own = [line for line in lines if line["service"] == service and _status(line)[:1] in {"", "5"}]
    text = "\n".join(f"{line['instance']} {_text(line)}" for line in own)
    return "\n".join(text.splitlines()[-LAST_LINES:])


def _text(line: Mapping[str, Any]) -> str:
    fields = ("message", "method", "path", "status", "exception")
    return " ".join(str(line[name]) for name in fields if line.get(name))


def _status(line: Mapping[str, Any]) -> str:
    """Return the status of the answer that a line tells of, "" when it tells of none."""
    written = STATUS.search(str(line.get("message", "")))
    return written[1] if written else str(line.get("status", ""))


def _files(folder: Path) -> Files:
    return {
        str(path.relative_to(folder.parent)): path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def _report(check: CheckRun, runs: dict[str, PytestRun], state: FirstState) -> Report:
    findings: list[Finding] = [finding for run in runs.values() for finding in run.results.findings]
    if findings:
        findings += _logs_of_failing(state.environment)
    passed = sum(len(run.results.passed) for run in runs.values())
    return check.report(
        findings,
        otherwise=CheckOutcome.PASS if passed else CheckOutcome.NOT_RUN,  # all skipped: nothing was tested
        tool_version=next((run.version for run in runs.values()), ""),
        evidence={
            "passed": passed,
            "tests": list(runs),
            "restarted": sorted(state.forgetful),  # they do not connect to a restored database by themselves
            "seconds": {identity: round(run.seconds, 3) for identity, run in runs.items()},
        },
    )
