"""What every check answers with: an outcome, the findings behind it, and the tool that found them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from importlib import metadata
from typing import Any, Self


class Outcome(StrEnum):
    """The four answers of a gate; a check that could not run is never a pass."""

    PASS = "pass"  # noqa: S105 - the chapter's word, no password
    FAIL = "fail"
    ACCEPTED = "accepted"
    NOT_RUN = "not run"

    @property
    def lets_through(self) -> bool:
        """Return whether the run may go on after this answer."""
        return self in (Outcome.PASS, Outcome.ACCEPTED)


@dataclass(frozen=True)
class Finding:
    """One thing a check saw: the rule it breaks, what was seen, and where.

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
    outcome: Outcome
    findings: Sequence[Finding] = ()
    tool: str = ""
    tool_version: str = ""
    seconds: float = 0.0
    evidence: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def not_run(cls, check: str, why: str, *, tool: str = "", seconds: float = 0.0) -> Self:
        """Return the report of a check that could not do its work, with the reason as its one finding."""
        return cls(check, Outcome.NOT_RUN, (Finding("could not run", why),), tool=tool, seconds=seconds)

    def reason(self, most: int = 3) -> str:
        """Return why the check answered so: its first findings, at most `most` of them, and how many more."""
        shown = "; ".join(str(finding) for finding in self.findings[:most])
        more = len(self.findings) - most
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
            outcome=Outcome(document["outcome"]),
            findings=tuple(Finding(**finding) for finding in document.get("findings", ())),
            tool=document.get("tool", ""),
            tool_version=document.get("tool_version", ""),
            seconds=document.get("seconds", 0.0),
            evidence=document.get("evidence", {}),
        )


def version_of(distribution: str) -> str:
    """Return the version of a Python distribution that runs in this process."""
    return metadata.version(distribution)
