"""An audit of a test database while it works: the steps that are done, and in the end its report."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import traitlets

from labkit.errors import LabError
from labkit.widgets._audit import CODE, audit
from labkit.widgets._drawing import FILLS, box, picture, text
from labkit.widgets._live import LiveViews
from labkit.widgets._picture import Picture
from labkit.widgets._table import Table

if TYPE_CHECKING:  # testdata loads polars, which a notebook without test data need not wait for
    from labkit.testdata import Policy

WIDTH, ROW, TOP = 560, 34, 40


class AuditProgress(LiveViews):
    """Audits a test database in a thread of its own. `state` maps each step so far to its state.

    `close` ends the audit at its next step.
    """

    report = traitlets.Instance(
        "labkit.testdata.Audit", allow_none=True, read_only=True, help="the report; None before the end"
    )

    def __init__(self, source: str, target: str, policy: Policy | None = None, **options: Any) -> None:  # noqa: ANN401 - those of testdata.audit
        """Begin `testdata.audit` with the same arguments: libpq URLs, the policy, and its options."""
        super().__init__(CODE)
        self._arguments, self._options = (source, target, policy), options
        self._set(running=True)
        threading.Thread(target=self._work, daemon=True, name="labkit-widget").start()

    def _work(self) -> None:
        from labkit import testdata  # noqa: PLC0415 - it loads polars

        try:
            self._step("comparing rows")
            report = testdata.audit(*self._arguments, progress=self._step, **self._options)
        except Exception as fault:  # noqa: BLE001 - shown to the learner, in the place where they look
            self._finish("failed")
            self._report("the audit failed", fault)
        else:
            self._set(report=report)
            self._finish("passed")

    def _step(self, name: str) -> None:
        """Begin a step; the one before is done."""
        if self._ended.is_set():
            raise LabError("an audit that is followed", "its widget was closed", "make a new AuditProgress")
        self._set(state=dict.fromkeys(self.state, "passed") | {name: "running"})
        self._leave_snapshot()

    def _finish(self, state: str) -> None:
        self._ended.set()
        steps = {name: state if was == "running" else was for name, was in self.state.items()}
        self._set(state=steps, running=False)
        self._leave_snapshot()

    def _draw(self) -> Picture:
        if self.report is not None:
            return audit(self.report)
        return Picture(_draw(self.state), [Table(("step", "state"), list(self.state.items()), "audit")], CODE)


def _draw(steps: dict[str, str]) -> str:
    shapes = [text(10, 24, "the test database is audited", bold=True)]
    for at, (name, state) in enumerate(steps.items()):
        sign, fill, ink = FILLS[state]
        y = TOP + at * ROW
        shapes += [box(10, y, WIDTH - 20, ROW - 6, fill), text(20, y + 19, f"{sign} {name}: {state}", ink)]
    label = "audit: " + ", ".join(f"{name} {state}" for name, state in steps.items())
    return picture(WIDTH, TOP + max(len(steps), 1) * ROW, label, *shapes)
