"""A run as the artifact database records it, rebuilt from facts so that a reopened notebook shows it too."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from labkit.artifacts import ArtifactDatabase, Fact, Kind
from labkit.checks import Report
from labkit.engine import Owner
from labkit.errors import LabError

NOT_STARTED = "not started, because"
"""How the answer of a gate begins that was never asked, as the run had stopped before it."""

Alive = Callable[[str], bool]


def owner_lives(owner: str) -> bool:
    """Return whether the process that an owner string names still runs."""
    return Owner.parse(owner).alive()


@dataclass
class StageRun:
    """One stage of one run.

    state is "not started", "running", "waiting" (for approval), "passed" or "failed". seconds is None until
    the stage has ended. steps maps each step of the stage to its wall seconds. answers are those of its gates
    in order: each report, with the names of the services that it is about.
    """

    name: str
    state: str = "not started"
    trigger: str = ""
    seconds: float | None = None
    reason: str = ""
    answers: list[tuple[Report, list[str]]] = field(default_factory=list)
    steps: dict[str, float] = field(default_factory=dict)

    @property
    def reports(self) -> list[Report]:
        """The answers of its gates in order, without the services."""
        return [report for report, _ in self.answers]

    def red(self) -> list[Report]:
        """Return the answers that let no run through, without those of gates that were never asked."""
        return [
            report
            for report in self.reports
            if not report.outcome.lets_through and NOT_STARTED not in report.reason()
        ]

    def add(self, report: Report, service: str | None) -> None:
        """Add an answer, which is recorded once for each of its services; None is no service."""
        services = next((services for known, services in self.answers if known == report), None)
        if services is None:
            services = []
            self.answers.append((report, services))
        if service:
            services.append(service)

    def to_json(self) -> dict[str, Any]:
        """Return the stage as JSON data."""
        fields = dict(vars(self))
        answers = fields.pop("answers")
        fields["reports"] = [report.to_json() | {"services": services} for report, services in answers]
        return fields


@dataclass
class Run:
    """One commit's run through the pipeline.

    state is "running", "waiting" (for approval), "passed", "failed", "stopped" (by its user) or "lost" (its
    process is gone). stopped_because is "" while nothing stopped it. seconds is None until the run has
    ended. entry is the service by which clients enter the commit's system.
    """

    id: str
    system: str
    commit: str
    subject_line: str
    started_at: datetime
    by: str
    state: str
    stages: list[StageRun]
    seconds: float | None = None
    stopped_because: str = ""
    entry: str = ""

    @classmethod
    def read(cls, artifacts: ArtifactDatabase, run_id: str) -> Self:
        """Rebuild one run from the artifact database.

        :raises LabError: when there is no such run.
        """
        facts = artifacts.history(run=run_id)
        if not any(fact.kind == Kind.RUN_STARTED for fact in facts):
            known = ", ".join(run.id for run in runs(artifacts, limit=5)) or "none yet"
            raise LabError(
                "the id of a run of this workspace", repr(run_id), f"name one of the newest runs: {known}"
            )
        return cls.from_facts(facts)

    @classmethod
    def latest(cls, artifacts: ArtifactDatabase, subject_line: str) -> Self:
        """Rebuild the newest run of a commit whose message has this first line.

        :raises LabError: when no such commit was run.
        """
        for fact in reversed(artifacts.history(kind=Kind.RUN_STARTED)):
            if fact.run and fact.predicate.get("subject_line") == subject_line:
                return cls.read(artifacts, fact.run)
        known = ", ".join(repr(run.subject_line) for run in runs(artifacts, limit=5)) or "none yet"
        raise LabError(
            f"a run of the commit {subject_line!r}",
            f"the newest runs are of: {known}",
            "run the cell that sends this commit through the pipeline",
        )

    @classmethod
    def from_facts(cls, facts: Sequence[Fact], alive: Alive = owner_lives) -> Self:
        """Rebuild one run from its facts, oldest first; alive returns whether an owner's process runs."""
        start = next(fact for fact in facts if fact.kind == Kind.RUN_STARTED)
        run = cls(
            id=start.run or "",
            system=start.subject.name,
            commit=start.predicate["commit"],
            subject_line=start.predicate.get("subject_line", ""),
            started_at=start.at,
            by=start.by,
            state="running",
            entry=start.predicate.get("entry", ""),
            stages=[StageRun(name) for name in start.predicate.get("stages", ())],
        )
        for fact in facts:
            run._add(fact)
        # A killed process records no end of its run, so the reader finds out that it is gone.
        if run.state in {"running", "waiting"} and not alive(start.predicate["owner"]):
            run._lose()
        return run

    def stage(self, name: str) -> StageRun:
        """Return the stage of this name.

        :raises KeyError: when the run has none.
        """
        for stage in self.stages:
            if stage.name == name:
                return stage
        raise KeyError(name)

    def to_json(self) -> dict[str, Any]:
        """Return the run as JSON data, times as ISO 8601 in UTC."""
        started = self.started_at.astimezone(UTC).isoformat()
        return vars(self) | {"started_at": started, "stages": [stage.to_json() for stage in self.stages]}

    def _add(self, fact: Fact) -> None:
        fields = fact.predicate
        if fact.kind == Kind.RUN_FINISHED:
            self.state, self.seconds = fields["state"], fields["seconds"]
            self.stopped_because = fields.get("reason", "")
            return
        stage = next((stage for stage in self.stages if stage.name == fact.stage), None)
        if stage is None:
            return
        if fact.kind == Kind.STAGE_STARTED:
            stage.state, stage.trigger = fields.get("state", "running"), fields.get("trigger", stage.trigger)
            self.state = stage.state
        elif fact.kind == Kind.STAGE_FINISHED:
            stage.state, stage.seconds = fields["state"], fields["seconds"]
            stage.reason, stage.steps = fields.get("reason", ""), dict(fields.get("steps", {}))
        elif fact.kind == Kind.TESTED:
            stage.add(Report.from_json(fields), fact.service)

    def _lose(self) -> None:
        self.state = "lost"
        self.stopped_because = "the process that ran it ended before it recorded an end"
        for stage in self.stages:
            if stage.state in {"running", "waiting"}:
                stage.state = "failed"
                stage.reason = self.stopped_because


def runs(artifacts: ArtifactDatabase, limit: int | None = 10) -> list[Run]:
    """Return the newest runs, newest first; limit None returns all."""
    started = [fact.run for fact in reversed(artifacts.history(kind=Kind.RUN_STARTED)) if fact.run]
    return [Run.from_facts(artifacts.history(run=run)) for run in started[:limit]]
