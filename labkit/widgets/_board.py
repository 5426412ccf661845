"""The pipeline board: one run with its stages and gates, live from the artifact database."""

from labkit.pipeline import Run, StageRun, runs
from labkit.widgets._drawing import FILLS, arrow, box, cut, picture, text
from labkit.widgets._table import Table
from labkit.widgets._views import LiveViews
from labkit.workspace import Workspace

COLUMN, GAP, GATE_HEIGHT, TOP = 214, 26, 30, 92
OUTCOMES = {"pass": "passed", "accepted": "accepted", "not run": "not run", "fail": "failed"}
"""Outcome of a gate → its look, from best to worst."""
CODE = "pipeline.run(workspace)      # one run\npipeline.runs(workspace.artifacts)[0]   # the newest one"


class PipelineBoard(LiveViews):
    """The newest run of a workspace, or a given one.

    It follows the artifact database until it is closed, or until the given run has ended. The browser gets at
    most ten updates a second.
    """

    PAUSE_S = 0.1

    def __init__(self, workspace: Workspace, run_id: str | None = None) -> None:
        super().__init__("pipeline board", CODE)
        self._workspace, self._run_id = workspace, run_id
        self._seen = 0
        self.refresh()
        self.follow()

    def refresh(self) -> None:
        """Read the run anew and show it."""
        self._seen = self._newest_fact()
        run = self._run()
        if self._run_id and run and run.state not in {"running", "waiting"}:
            self.end()
        if run is None:
            self.update(_empty(), Table(("stage", "gate", "state"), [], "no run yet"))
        else:
            self.update(draw(run), _stage_table(run), _gate_table(run))

    def look(self) -> None:
        """Show the run anew when there are new facts."""
        if self._newest_fact() != self._seen:
            self.refresh()

    def _run(self) -> Run | None:
        if self._run_id:
            return Run.read(self._workspace.artifacts, self._run_id)
        newest = runs(self._workspace.artifacts, limit=1)
        return newest[0] if newest else None

    def _newest_fact(self) -> int:
        newest = self._workspace.artifacts.history(limit=1)
        return newest[0].id if newest else 0


def board(workspace: Workspace | None = None, run: str | None = None) -> PipelineBoard:
    """Return the board of a run by its id; None is always the newest run.

    workspace None is the one around the working folder.
    """
    return PipelineBoard(workspace or Workspace.open(), run)


def draw(run: Run) -> str:
    """Return a run as SVG: a column for each stage, a box for each gate, arrows for the triggers."""
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
        shapes += [*_stage(x, stage)]
        if at:
            shapes.append(arrow(x - GAP + 3, TOP - 10, x - 3, TOP - 10))
    if run.stopped_because:
        shapes.append(text(10, height - 10, cut(f"stopped because: {run.stopped_because}", width // 7)))
    return picture(
        width, height, f"{title}. " + ", ".join(f"{s.name} {s.state}" for s in run.stages), *shapes
    )


def _stage(x: float, stage: StageRun) -> list[str]:
    sign, fill, ink = FILLS[stage.state]
    took = f" {stage.seconds:.0f} s" if stage.seconds is not None else ""
    shapes = [
        box(x, 60, COLUMN, 50, fill),
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


def _stage_table(run: Run) -> Table:
    rows = [
        (
            stage.name,
            stage.state,
            "" if stage.seconds is None else f"{stage.seconds:.1f}",
            stage.trigger,
            stage.reason,
        )
        for stage in run.stages
    ]
    return Table(("stage", "state", "seconds", "triggered by", "reason"), rows, f"run {run.id}: {run.state}")


def _gate_table(run: Run) -> Table:
    rows = [
        (
            stage.name,
            report.check,
            report.outcome,
            f"{report.seconds:.1f}",
            f"{report.tool} {report.tool_version}".strip(),
            report.reason(),
        )
        for stage in run.stages
        for report in stage.reports
    ]
    return Table(("stage", "gate", "answer", "seconds", "tool", "findings"), rows, "gates")
