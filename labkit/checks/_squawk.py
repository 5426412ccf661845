"""Migrations of the database, held by squawk against what a living production bears."""

import json
import subprocess
import sys
import time
from pathlib import Path

from labkit.checks._report import Finding, Outcome, Report, version_of

CHECK = "squawk"
PATIENCE_S = 60
TOLD_ONLY = ("prefer-", "require-lock-timeout", "require-statement-timeout")
"""Rules about habits: told as notes. The others are about old instances that break, or writers that wait."""


def squawk(folder: Path) -> Report:
    """Examine the *.sql files of a folder, without running them.

    The answer is pass when there is none, or nothing in them breaks an instance of the version before or
    locks a table for long; a finding that is meant is marked in the file: `-- squawk-ignore RULE`. Not run
    when squawk is not there, crashes, or cannot read a file.
    Source: squawkhq.com, "Rules".
    """
    started = time.monotonic()
    files = sorted(folder.glob("*.sql"))
    if not files:
        return _report([], started, files)
    program = Path(sys.executable).with_name("squawk")
    try:
        done = subprocess.run(
            [program, "--reporter", "json", *map(str, files)],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        told = json.loads(done.stdout)
    except (OSError, subprocess.TimeoutExpired, ValueError) as fault:
        return Report.not_run(CHECK, str(fault), tool="squawk", seconds=time.monotonic() - started)
    findings = [
        Finding(
            rule=it["rule_name"],
            message=" ".join(filter(None, (it["message"], it["help"]))),
            severity="note" if it["rule_name"].startswith(TOLD_ONLY) else "error",
            path=Path(it["file"]).name,
            line=it["line"] + 1,
        )
        for it in told
    ]
    if unread := [it for it in findings if it.rule == "syntax-error"]:
        return Report.not_run(CHECK, str(unread[0]), tool="squawk", seconds=time.monotonic() - started)
    return _report(findings, started, files)


def _report(findings: list[Finding], started: float, files: list[Path]) -> Report:
    errors = any(it.severity == "error" for it in findings)
    return Report(
        check=CHECK,
        outcome=Outcome.FAIL if errors else Outcome.PASS,
        findings=sorted(findings, key=lambda it: (it.severity != "error", it.path or "", it.line or 0)),
        tool="squawk",
        tool_version=version_of("squawk-cli"),
        seconds=time.monotonic() - started,
        evidence={"files": [it.name for it in files]},
    )
