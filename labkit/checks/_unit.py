"""The unit tests of one module, run by pytest inside the module's own container."""

import time

from labkit.checks._pytest import ToolCrashed, run_pytest
from labkit.checks._report import Report
from labkit.environment import Environment

CHECK = "unit"


def unit(environment: Environment, folder: str = "tests") -> Report:
    """Run a module's unit tests in its development environment.

    folder is relative to the module. The answer is pass when at least one test ran and none was red, fail
    with one finding a red test, and not run when pytest itself crashed or found no test.
    """
    started = time.monotonic()
    try:
        run = run_pytest(environment, [folder])
    except ToolCrashed as crash:
        return Report.not_run(CHECK, str(crash), tool="pytest", seconds=time.monotonic() - started)
    return Report(
        check=CHECK,
        outcome=run.results.outcome,
        findings=run.results.findings,
        tool="pytest",
        tool_version=run.version,
        seconds=time.monotonic() - started,
        evidence={
            "environment": environment.name,
            "passed": len(run.results.passed),
            "skipped": len(run.results.skipped),
            "tests": [*run.results.passed, *(finding.rule for finding in run.results.findings)],
            "test_seconds": round(run.results.seconds, 3),
        },
    )
