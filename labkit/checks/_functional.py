"""The functional tests of the whole system: each on its own, the test database restored in between."""

import time
from collections.abc import Callable
from pathlib import Path

from labkit.checks._pytest import Files, PytestRun, ToolCrashed, collect, run_pytest
from labkit.checks._report import Finding, Outcome, Report
from labkit.environment import Environment

CHECK = "functional"
OnTest = Callable[[str, int, int], None]


def functional(environment: Environment, folder: Path, on_test: OnTest | None = None) -> Report:
    """Run the functional tests of a folder against an environment, from a harness container in its network.

    Each test is a run of its own, and the database is put back to its first state before each, so that no
    test sees what another left. The answer is not run when the tests cannot be collected or one crashed the
    tool. on_test hears the id, the number and the count of each test before it starts.
    """
    started = time.monotonic()
    files = _files(folder)
    runs: dict[str, PytestRun] = {}
    try:
        identities = collect(environment, folder.name, files)
        if environment.database is not None:
            environment.database.snapshot()
        for number, identity in enumerate(identities, 1):
            if on_test is not None:
                on_test(identity, number, len(identities))
            if environment.database is not None and number > 1:
                environment.database.restore()
            runs[identity] = run_pytest(environment, [identity], files)
    except ToolCrashed as crash:
        return Report.not_run(CHECK, str(crash), tool="pytest", seconds=time.monotonic() - started)
    return _report(runs, time.monotonic() - started)


def _files(folder: Path) -> Files:
    return {
        str(path.relative_to(folder.parent)): path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def _report(runs: dict[str, PytestRun], seconds: float) -> Report:
    findings: list[Finding] = [finding for run in runs.values() for finding in run.results.findings]
    passed = sum(len(run.results.passed) for run in runs.values())
    ran = Outcome.PASS if passed else Outcome.NOT_RUN
    return Report(
        check=CHECK,
        outcome=Outcome.FAIL if findings else ran,
        findings=findings,
        tool="pytest",
        tool_version=next((run.version for run in runs.values()), ""),
        seconds=seconds,
        evidence={
            "passed": passed,
            "tests": list(runs),
            "seconds": {identity: round(run.seconds, 3) for identity, run in runs.items()},
        },
    )
