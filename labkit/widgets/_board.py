"""The pipeline board: one run with its stages and gates, live from the artifact database."""

import time
from collections.abc import Sequence

import traitlets

from labkit.pipeline import Run, StageRun, runs
from labkit.widgets._drawing import FILLS, arrow, box, cut, picture, text
from labkit.widgets._live import SelectableViews
from labkit.widgets._picture import Picture
from labkit.widgets._table import Table
from labkit.workspace import Workspace

COLUMN, GAP, GATE_HEIGHT, TOP = 214, 26, 30, 92
OUTCOMES = {"pass": "passed", "accepted": "accepted", "not run": "not run", "fail": "failed"}
"""Outcome of a gate → its look, from best to worst."""
LOST_S = 2.0
"""A killed process records nothing, so a run that runs is read again after this time."""

CODE = "pipeline.run(workspace)      # one run\npipeline.runs(workspace.artifacts)[0]   # the newest one"


class PipelineBoard(SelectableViews):
    """One run with its stages and gates. `state` maps each stage to its state, and a stage can be selected.

    It follows the artifact database until it is closed, or until the given run has ended. The browser gets at
    most ten updates a second.
    """

    PAUSE_S = 0.1

    run = traitlets.Instance(
        Run, allow_none=True, read_only=True, help="the run that is shown; None without a run"
    )

    def __init__(self, workspace: Workspace | None = None, run_id: str | None = None) -> None:
        """Show the run of an id; None is always the newest run. workspace None is the one that one is in."""
        self._workspace, self._run_id = workspace or Workspace.open(), run_id
        super().__init__("stage", CODE)
        self._seen, self._read_at = -1, 0.0
        self._follow()

    def _read(self) -> None:
        """Read the run when there are new facts, and now and then while it runs: it may be lost by then."""
        newest, now = self._newest_fact(), time.monotonic()
        if newest == self._seen and not (self.running and now > self._read_at + LOST_S):
            return
        self._seen, self._read_at = newest, now
        run = self._newest_run()
        running = run is not None and run.state in {"running", "waiting"}
        if self._run_id and not running:
            self._end()
        state = {stage.name: stage.state for stage in run.stages} if run else {}
        self._set(run=run, state=state, running=running)

    def _draw(self) -> Picture:
        run = self.run
        if run is None:
            return Picture(_empty(), [Table(("stage", "gate", "state"), [], "no run yet")], CODE)
        stages = [stage for stage in run.stages if self.selected in {None, stage.name}]
        return Picture(draw(run, self.selected), [_stage_table(run, stages), _gate_table(stages)], CODE)

    def _newest_run(self) -> Run | None:
        if self._run_id:
            return Run.read(self._workspace.artifacts, self._run_id)
        newest = runs(self._workspace.artifacts, limit=1)
        return newest[0] if newest else None

    def _newest_fact(self) -> int:
        newest = self._workspace.artifacts.history(limit=1)
        return newest[0].id if newest else 0


def draw(run: Run, selected: str | None = None) -> str:
    """Return a run as SVG: a column for each stage, a box for each gate, arrows for the triggers.

    selected is the stage with a thick frame; None is none.
    """
    most = max((len(_gates(stage)) for stage in run.stages), default=0)
    height = TOP + 40 + max(most, 1) * (GATE_HEIGHT + 6) + 34
    width = 20 + len(run.stages) * (COLUMN + GAP)
    sign, _, _ = FILLS[run.state]
    took = f", {run.seconds:.0f} s" if run.seconds is not None else ""
    title = f"{sign} run {run.id} {run.state}{took}: {run.subject_line}"
    shapes = [
        text(10, 24, cut(title, width // 8), bold=True),
        text(10, 44, f"commit {run.commit[:12]} by {run.by}"),
    ]
    for at, stage in enumerate(run.stages):
        x = 10 + at * (COLUMN + GAP)
        shapes += _stage(x, stage, selected=stage.name == selected)
        if at:
            shapes.append(arrow(x - GAP + 3, TOP - 10, x - 3, TOP - 10))
    if run.stopped_because:
        shapes.append(text(10, height - 10, cut(f"stopped because: {run.stopped_because}", width // 7)))
    states = ", ".join(f"{stage.name} {stage.state}" for stage in run.stages)
    chosen = f"; {selected} is selected" if selected else ""
    return picture(width, height, f"{title}. {states}{chosen}", *shapes)


def _stage(x: float, stage: StageRun, *, selected: bool) -> list[str]:
    sign, fill, ink = FILLS[stage.state]
    took = f" {stage.seconds:.0f} s" if stage.seconds is not None else ""
    shapes = [
        box(x, 60, COLUMN, 50, fill, selected=selected),
        text(x + 12, 81, stage.name, ink, bold=True),
        text(x + 12, 101, f"{sign} {stage.state}{took}", ink),
    ]
    for at, (check, outcome, times) in enumerate(_gates(stage)):
        sign, fill, ink = FILLS[OUTCOMES[outcome]]
        y = TOP + 30 + at * (GATE_HEIGHT + 6)
        words = f"{sign} {check.replace('_', ' ')}{f' ×{times}' if times > 1 else ''}: {outcome}"
        shapes += [box(x + 8, y, COLUMN - 16, GATE_HEIGHT, fill, radius=4), text(x + 18, y + 20, words, ink)]
    return shapes


def _gates(stage: StageRun) -> list[tuple[str, str, int]]:
    """Return each gate of a stage once: its name, its worst outcome, and how often it ran."""
    by_gate: dict[str, list[str]] = {}
    for report in stage.reports:
        by_gate.setdefault(report.check, []).append(str(report.outcome))
    worst = list(OUTCOMES).index
    return [(check, max(outcomes, key=worst), len(outcomes)) for check, outcomes in by_gate.items()]


def _empty() -> str:
    words = "No run yet. Commit a change, then run the pipeline."
    return picture(560, 60, words, text(10, 34, words))


def _stage_table(run: Run, stages: Sequence[StageRun]) -> Table:
    rows = [
        (
            stage.name,
            stage.state,
            "" if stage.seconds is None else f"{stage.seconds:.1f}",
            stage.trigger,
            stage.reason,
        )
        for stage in stages
    ]
    return Table(("stage", "state", "seconds", "triggered by", "reason"), rows, f"run {run.id}: {run.state}")


def _gate_table(stages: Sequence[StageRun]) -> Table:
    rows = [
        (
            stage.name,
            services[0] if len(services) == 1 else "all",
            report.check,
            report.outcome,
            f"{report.seconds:.1f}",
            f"{report.tool} {report.tool_version}".strip(),
            report.reason(),
        )
        for stage in stages
        for report, services in stage.answers
    ]
    return Table(("stage", "service", "gate", "answer", "seconds", "tool", "findings"), rows, "gates")
