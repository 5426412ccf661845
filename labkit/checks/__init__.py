"""Checks: each runs a real tool and answers pass, fail, accepted or not run, with findings.

Each check is one module: `unit`, `functional`, `bill_of_materials`, `configuration`, `load_smoke`, `squawk`,
`command`.
A new check makes its `Report` with a `CheckRun`, which knows the check's name, its tool and its start.
"""

from labkit.checks._bill_of_materials import bill_of_materials, cyclonedx
from labkit.checks._command import command
from labkit.checks._configuration import configuration, settings
from labkit.checks._functional import functional
from labkit.checks._junit import TestResults, read_junit
from labkit.checks._load_smoke import load_smoke
from labkit.checks._report import CheckOutcome, CheckRun, Finding, Report, version_of
from labkit.checks._squawk import squawk
from labkit.checks._unit import unit

__all__ = [
    "CheckOutcome",
    "CheckRun",
    "Finding",
    "Report",
    "TestResults",
    "bill_of_materials",
    "command",
    "configuration",
    "cyclonedx",
    "functional",
    "load_smoke",
    "read_junit",
    "settings",
    "squawk",
    "unit",
    "version_of",
]
