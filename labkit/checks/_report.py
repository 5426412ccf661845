"""What every check answers with: an outcome, the findings behind it, and the tool that made them."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from importlib import metadata
from typing import Any, Self

SEVERITIES = ("error", "warning", "note")  # SARIF's levels; a report lists its findings in this order


class CheckOutcome(StrEnum):
    """The four answers of a gate; a check that could not run is never a pass."""

    PASS = "pass"  # noqa: S105 - the chapter's word, no password
    FAIL = "fail"
    ACCEPTED = "accepted"
    NOT_RUN = "not run"

    @property
    def lets_through(self) -> bool:
        """Return whether the run may go on after this answer."""
        return self in (CheckOutcome.PASS, CheckOutcome.ACCEPTED)


@dataclass(frozen=True)
class Finding:
    """One observation of a check: the rule that is broken, what was seen, and where.

    severity is "error", "warning" or "note" (SARIF's levels). path and line are None where the finding has
    no place in a file; line counts from 1.
    """

    rule: str
    message: str
    severity: str = "error"
    path: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        """Return the finding in one line, with its place unless the rule (a test's name) starts with it."""
        place = "" if self.path is None or self.rule.startswith(self.path) else f"{self.path}: "
        line = "" if self.line is None else f" (line {self.line})"
        return f"{place}{self.rule}{line}: {self.message}"

    def to_json(self) -> dict[str, Any]:
        """Return the finding as JSON data, empty fields left out."""
        return {key: value for key, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class Report:
    """One check's answer.

    tool and tool_version name the tool that ran, as it called itself ("" when it never started). seconds is
    the wall time of the check. evidence is JSON data of the check's own kind, such as the tests that ran.
    """

    check: str
    outcome: CheckOutcome
    findings: Sequence[Finding] = ()
    tool: str = ""
    tool_version: str = ""
    seconds: float = 0.0
    evidence: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def not_run(cls, check: str, reason: str, *, tool: str = "", seconds: float = 0.0) -> Self:
        """Return the report of a check that could not do its work; the reason is its one finding."""
        finding = Finding("could not run", reason)
        return cls(check, CheckOutcome.NOT_RUN, (finding,), tool=tool, seconds=seconds)

    def reason(self, most: int = 3) -> str:
        """Return the first findings, at most `most` of them, and how many more there are.

        Where there are errors, notes are left out: they are no reason.
        """
        errors = any(finding.severity == "error" for finding in self.findings)
        reasons = [one for one in self.findings if not errors or one.severity != "note"]
        shown = "; ".join(str(finding) for finding in reasons[:most])
        more = len(reasons) - most
        return f"{shown}; and {more} more" if more > 0 else shown

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON data that `from_json` reads back."""
        return {
            "check": self.check,
            "outcome": str(self.outcome),
            "findings": [finding.to_json() for finding in self.findings],
            "tool": self.tool,
            "tool_version": self.tool_version,
            "seconds": round(self.seconds, 3),
            "evidence": dict(self.evidence),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Return the report that `to_json` wrote; keys of other writers are ignored."""
        return cls(
            check=document["check"],
            outcome=CheckOutcome(document["outcome"]),
            findings=tuple(Finding(**finding) for finding in document.get("findings", ())),
            tool=document.get("tool", ""),
            tool_version=document.get("tool_version", ""),
            seconds=document.get("seconds", 0.0),
            evidence=document.get("evidence", {}),
        )


@dataclass(frozen=True)
class CheckRun:
    """One check at work, made when the work begins: its name, its tool, and the start on the monotonic clock.

    The seconds of its report are the wall time from here to the report.
    """

    check: str
    tool: str
    started: float = field(default_factory=time.monotonic)

    def report(
        self,
        findings: Sequence[Finding] = (),
        *,
        otherwise: CheckOutcome = CheckOutcome.PASS,
        tool_version: str = "",
        evidence: Mapping[str, Any] | None = None,
    ) -> Report:
        """Return the report: fail when a finding is an error, else the outcome `otherwise`.

        The findings are put in the order of their severity, errors first. evidence None means that there is
        none.
        """
        failed = any(finding.severity == "error" for finding in findings)
        return Report(
            check=self.check,
            outcome=CheckOutcome.FAIL if failed else otherwise,
            findings=sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)),
            tool=self.tool,
            tool_version=tool_version,
            seconds=self.seconds,
            evidence=evidence or {},
        )

    def not_run(self, reason: str) -> Report:
        """Return the report of a check that could not do its work; the reason is its one finding."""
        return Report.not_run(self.check, reason, tool=self.tool, seconds=self.seconds)

    @property
    def seconds(self) -> float:
        """The wall time since the check began."""
        return time.monotonic() - self.started


def version_of(distribution: str) -> str:
    """Return the version of a Python distribution that runs in this process."""
    return metadata.version(distribution)
