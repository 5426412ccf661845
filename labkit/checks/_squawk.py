"""Migrations of the database, examined by squawk: what would hurt a production that serves requests."""

import json
import subprocess
import sys
from pathlib import Path

from labkit.checks._report import CheckRun, Finding, Report, version_of

TIMEOUT_S = 60
NOTES = ("prefer-", "require-lock-timeout", "require-statement-timeout")
"""Rules about habits become notes. The others are about instances that break, or writers that wait."""


def squawk(folder: Path) -> Report:
    """Examine the *.sql files of a folder, without running them.

    The answer is fail when a statement breaks instances of the previous version or locks a table for long.
    It is pass when no statement does, or when there is no file. A statement that is meant so is marked in
    its file: `-- squawk-ignore RULE`. The answer is not run when squawk is missing, crashes, or cannot read a
    file.
    Source: squawkhq.com, "Rules".
    """
    check = CheckRun("squawk", tool="squawk")
    files = sorted(folder.glob("*.sql"))
    try:
        findings = _examine(files) if files else []
    except (OSError, subprocess.TimeoutExpired, ValueError) as fault:
        return check.not_run(str(fault))
    if unread := [finding for finding in findings if finding.rule == "syntax-error"]:
        return check.not_run(str(unread[0]))
    return check.report(
        findings,
        tool_version=version_of("squawk-cli"),
        evidence={"files": [file.name for file in files]},
    )


def _examine(files: list[Path]) -> list[Finding]:
    """Return squawk's findings by file and line.

    :raises OSError: when there is no squawk.
    :raises subprocess.TimeoutExpired: when squawk takes longer than TIMEOUT_S.
    :raises ValueError: when squawk prints no JSON.
    """
    done = subprocess.run(
        # The wheel puts squawk beside Python, where PATH does not lead when the virtualenv is not activated.
        # A migration is applied in a transaction, which it must not end.
        [
            Path(sys.executable).with_name("squawk"),
            "--assume-in-transaction",
            "--reporter",
            "json",
            *map(str, files),
        ],
        capture_output=True,
        encoding="utf-8",
        timeout=TIMEOUT_S,
        check=False,  # squawk's exit code is 1 as soon as it finds anything
    )
    findings = [
        Finding(
            rule=row["rule_name"],
            message=" ".join(filter(None, (row["message"], row["help"]))),
            severity="note" if row["rule_name"].startswith(NOTES) else "error",
            path=Path(row["file"]).name,
            line=row["line"] + 1,  # squawk counts from 0
        )
        for row in json.loads(done.stdout)
    ]
    return sorted(findings, key=lambda finding: (finding.path or "", finding.line or 0))
