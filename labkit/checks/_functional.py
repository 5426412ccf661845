"""The functional tests of the whole system: each on its own, the test database restored in between."""

from collections.abc import Callable
from pathlib import Path

from labkit.checks._pytest import Files, PytestRun, ToolCrashed, collect, run_pytest
from labkit.checks._report import CheckOutcome, CheckRun, Finding, Report
from labkit.environment import Environment

OnTest = Callable[[str, int, int], None]


def functional(environment: Environment, folder: Path, on_test: OnTest | None = None) -> Report:
    """Run the functional tests of a folder against an environment, from a test runner in its network.

    Each test is a pytest run of its own. The database is restored to its first state before each, so that no
    test sees the changes of another. The answer is not run when the tests cannot be collected or when pytest
    crashes. on_test is called with the id, the number and the count of each test before it starts; None
    calls nobody.
    """
    check = CheckRun("functional", tool="pytest")
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
        return check.not_run(str(crash))
    return _report(check, runs)


def _files(folder: Path) -> Files:
    return {
        str(path.relative_to(folder.parent)): path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def _report(check: CheckRun, runs: dict[str, PytestRun]) -> Report:
    findings: list[Finding] = [finding for run in runs.values() for finding in run.results.findings]
    passed = sum(len(run.results.passed) for run in runs.values())
    return check.report(
        findings,
        otherwise=CheckOutcome.PASS if passed else CheckOutcome.NOT_RUN,  # all skipped: nothing was tested
        tool_version=next((run.version for run in runs.values()), ""),
        evidence={
            "passed": passed,
            "tests": list(runs),
            "seconds": {identity: round(run.seconds, 3) for identity, run in runs.items()},
        },
    )
