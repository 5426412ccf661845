"""The unit tests of one module, run by pytest inside the module's own container."""

from labkit.checks._pytest import ToolCrashed, run_pytest
from labkit.checks._report import CheckRun, Report
from labkit.environment import Environment


def unit(environment: Environment, folder: str = "tests") -> Report:
    """Run a module's unit tests in its development environment.

    folder is relative to the module. The answer is pass when at least one test ran and none was red. It is
    fail with one finding for each red test, and not run when pytest itself crashed or found no test.
    """
    check = CheckRun("unit", tool="pytest")
    try:
        run = run_pytest(environment, [folder])
    except ToolCrashed as crash:
        return check.not_run(str(crash))
    results = run.results
    return check.report(
        results.findings,
        otherwise=results.outcome,
        tool_version=run.version,
        evidence={
            "environment": environment.name,
            "passed": len(results.passed),
            "skipped": len(results.skipped),
            "tests": [*results.passed, *(finding.rule for finding in results.findings)],
            "test_seconds": round(results.seconds, 3),
        },
    )
