"""Results of made-up learners for tests of the gradebook."""

from dataclasses import replace

from labkit.grading import Result, Row, State

LAB = "canary"
DIGESTS = {name: f"sha256:{name}" for name in ("submission", "lab", "checks", "image")}
ROWS = (
    Row("price", 1, passed=True, points=1.0, hidden=False, hint="one less"),
    Row("price", 2, passed=False, points=2.5, hidden=True, hint="never below zero"),
)
NAMES = [
    "Müller, Änne",
    'O\'Neil "Bob"',
    "=cmd|' /C calc'!A0",
    "+49",
    "-1",
    "@x",
    "张伟 🦉",
    "a\nb",
    "NULL",
    "%_\\",
]


def result(learner: str = "ada", lab: str = LAB, **changed: object) -> Result:
    """Return a graded result."""
    digests = DIGESTS | {"submission": f"sha256:{learner}/{lab}"}
    made = Result(
        learner, lab, State.GRADED, rows=ROWS, answers={"Q3": "5 of 50"}, seconds=1.5, digests=digests
    )
    return replace(made, **changed)  # type: ignore[arg-type] # whatever a test changes
