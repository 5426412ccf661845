"""Reads the JUnit XML that pytest writes: the tests by id, and a finding for each that did not pass."""

import xml.etree.ElementTree as ET
from dataclasses import dataclass

from labkit.checks._report import CheckOutcome, Finding

LONGEST_MESSAGE = 400


@dataclass(frozen=True)
class TestResults:
    """What one run of pytest did: tests by id, seconds in the tests, and findings for what did not pass."""

    __test__ = False  # without this, pytest collects the class as a test because of its name

    passed: tuple[str, ...]
    findings: tuple[Finding, ...]
    skipped: tuple[str, ...]
    seconds: float

    @property
    def outcome(self) -> CheckOutcome:
        """Return pass when at least one test ran and none was red; not run when no test ran."""
        if self.findings:
            return CheckOutcome.FAIL
        return CheckOutcome.PASS if self.passed else CheckOutcome.NOT_RUN


def read_junit(document: str) -> TestResults:
    """Read pytest's JUnit XML.

    A test that failed and a test that broke in set-up or tear-down both become findings of severity "error".

    :raises ValueError: when the document is no JUnit XML, as after a crash of pytest.
    """
    try:
        root = ET.fromstring(document)  # noqa: S314 - written by pytest in labkit's container; expat limits entity expansion itself
    except ET.ParseError as fault:
        message = f"no JUnit XML: {fault}"
        raise ValueError(message) from fault
    passed, findings, skipped, seconds = [], [], [], 0.0
    for case in root.iter("testcase"):
        seconds += float(case.get("time", 0))
        red = [element for tag in ("failure", "error") for element in case.findall(tag)]
        if red:
            findings.append(_finding(case, red[0]))  # one finding a test, also when its tear-down broke too
        elif case.find("skipped") is not None:
            skipped.append(_identity(case))
        else:
            passed.append(_identity(case))
    return TestResults(tuple(passed), tuple(findings), tuple(skipped), seconds)


def _identity(case: ET.Element) -> str:
    """Return "tests/test_cart.py::TestX::test_y" from the dotted class name that JUnit knows."""
    module, name = case.get("classname", ""), case.get("name", "")
    parts = module.split(".")
    depth = next((at + 1 for at, part in enumerate(parts) if part.startswith("test_")), len(parts))
    path = case.get("file") or "/".join(parts[:depth]) + ".py"
    return "::".join([path, *parts[depth:], name]) if module else name


def _finding(case: ET.Element, element: ET.Element) -> Finding:
    text = element.text or ""
    message = (element.get("message") or text.strip() or "no message").replace("\n", " ")
    path = _identity(case).split("::", maxsplit=1)[0]
    return Finding(
        rule=_identity(case),
        message=message if len(message) <= LONGEST_MESSAGE else message[:LONGEST_MESSAGE] + " …",
        path=path,
        line=_line(text, path),
    )


def _line(text: str, path: str) -> int | None:
    """Return the last line number that pytest's traceback names in the test's own file ("path:12: …").

    None when it names none.
    """
    for row in reversed(text.splitlines()):
        place, _, rest = row.partition(":")
        number = rest.partition(":")[0]
        if place.endswith(path) and number.isdigit():
            return int(number)
    return None
