"""Records a run while it happens: facts into the artifact database, events to the listener."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from labkit.artifacts import ArtifactDatabase, Fact, Kind, Reference, Subject
from labkit.checks import CheckOutcome, Report
from labkit.pipeline._definition import Stage

GATE_STATES = {
    CheckOutcome.PASS: "passed",
    CheckOutcome.FAIL: "failed",
    CheckOutcome.ACCEPTED: "accepted",
    CheckOutcome.NOT_RUN: "not run",
}


@dataclass(frozen=True)
class PipelineEvent:
    """One line of live progress.

    gate is None when the event is about the stage or the run; stage is "" when it is about the run. state is
    "running", "waiting", "passed", "failed", "accepted", "not run" or "stopped". seconds is None until the
    stage, the gate or the run has ended. service is the one that a gate is asked about, None for all.
    """

    run: str
    stage: str
    gate: str | None
    state: str
    message: str
    seconds: float | None = None
    service: str | None = None


OnEvent = Callable[[PipelineEvent], None]


@dataclass(frozen=True)
class FactSubject:
    """What a fact of a run is about: mostly a service's source or image, and what went into it.

    service and environment are None where the fact belongs to none.
    """

    subject: Subject
    service: str | None = None
    environment: str | None = None
    references: Sequence[Reference] = ()


@dataclass
class RunRecorder:
    """Records one run; several threads may call it, and the listener gets one event at a time.

    subject is the commit. on_event None is no listener. by None records the user of this process.
    """

    artifacts: ArtifactDatabase
    run: str
    subject: Subject
    on_event: OnEvent | None = None
    by: str | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _started: float = field(default_factory=time.monotonic)
    _stage_started: float = 0.0
    _steps: dict[str, dict[str, float]] = field(default_factory=dict)

    def run_started(self, **predicate: Any) -> None:  # noqa: ANN401 - JSON data
        """Record that the run began."""
        self._record(Kind.RUN_STARTED, **predicate)
        commit = self.subject.digest.removeprefix("gitCommit:")
        self.notify("", "running", f"run {self.run} takes {commit[:12]} through the pipeline")

    def run_finished(self, state: str, reason: str) -> None:
        """Record how the run ended; reason is "" when it passed."""
        seconds = time.monotonic() - self._started
        self._record(Kind.RUN_FINISHED, state=state, seconds=round(seconds, 3), reason=reason)
        self.notify("", state, reason or "in production", seconds=seconds)

    def stage_started(self, stage: Stage, trigger: str, *, state: str = "running") -> None:
        """Record that a stage began, or began to wait."""
        self._stage_started = time.monotonic()
        self._record(Kind.STAGE_STARTED, stage=stage.name, state=state, trigger=trigger)
        self.notify(stage.name, state, f"triggered by {trigger}" if state == "running" else trigger)

    def stage_finished(self, stage: Stage, state: str, reason: str = "") -> None:
        """Record how a stage ended, with the seconds of its steps."""
        seconds = time.monotonic() - self._stage_started
        steps = {name: round(took, 3) for name, took in self._steps.get(stage.name, {}).items()}
        self._record(
            Kind.STAGE_FINISHED,
            stage=stage.name,
            state=state,
            seconds=round(seconds, 3),
            reason=reason,
            steps=steps,
        )
        self.notify(stage.name, state, reason or "done", seconds=seconds)

    def gate_answered(
        self, stage: Stage, report: Report, subjects: Sequence[FactSubject], *, quiet: bool = False
    ) -> None:
        """Record a gate's answer once for each of its subjects; quiet notifies no listener."""
        predicate = report.to_json()
        for tested in subjects:
            self._record(
                Kind.TESTED,
                tested.subject,
                stage=stage.name,
                service=tested.service,
                environment=tested.environment,
                references=tested.references,
                **predicate,
            )
        if not quiet:
            state, service = GATE_STATES[report.outcome], subjects[0].service if len(subjects) == 1 else None
            # What a green gate noted is in the record; beside each pass it would only be in the way.
            message = "" if report.outcome is CheckOutcome.PASS else report.reason()
            self.notify(
                stage.name, state, message, gate=report.check, seconds=report.seconds, service=service
            )

    @contextmanager
    def step(self, stage: Stage, name: str) -> Iterator[None]:
        """Notify that a step of a stage begins, and keep its seconds for the record of the stage."""
        self.notify(stage.name, "running", name)
        started = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                self._steps.setdefault(stage.name, {})[name] = time.monotonic() - started

    def notify(
        self,
        stage: str,
        state: str,
        message: str,
        *,
        gate: str | None = None,
        seconds: float | None = None,
        service: str | None = None,
    ) -> None:
        """Hand one event to the listener."""
        if self.on_event is not None:
            with self._lock:  # modules are tested side by side, and a listener that prints knows no threads
                self.on_event(PipelineEvent(self.run, stage, gate, state, message, seconds, service))

    def record(self, kind: Kind, about: FactSubject, stage: str, predicate: Mapping[str, Any]) -> Fact:
        """Record a fact of the run that is not a gate's answer, such as what an image was built from."""
        return self._record(
            kind,
            about.subject,
            stage=stage,
            service=about.service,
            references=about.references,
            **predicate,
        )

    def _record(self, kind: Kind, subject: Subject | None = None, **fields: Any) -> Fact:  # noqa: ANN401 - JSON data
        return self.artifacts.record(kind, subject or self.subject, run=self.run, by=self.by, **fields)
