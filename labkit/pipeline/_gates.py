"""The gates: what each asks, what its answer is about, and what becomes of the run."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from labkit import checks
from labkit.artifacts import Kind, Reference, Subject
from labkit.checks import Report
from labkit.environment import Environment
from labkit.errors import LabError
from labkit.pipeline._definition import Stage
from labkit.pipeline._journal import About
from labkit.pipeline._provenance import known
from labkit.pipeline._trip import Stopped, Trip, configured, tool, why

Answer = tuple[Report, list[About]]


@dataclass
class Gates:
    """The gates of one stage: asks them, writes their answers down, stops the run at a red one."""

    trip: Trip
    stage: Stage
    answered: set[str] = field(default_factory=set)

    def ask(self, gate: str, answers: Callable[[], Iterable[Answer]], message: str = "") -> None:
        """Ask one gate; raise Stopped unless all its answers let the run through."""
        self.trip.journal.say(self.stage.name, "running", message, gate=gate)
        started = time.monotonic()
        reports: list[Report] = []
        try:
            for report, about in answers():
                reports.append(report)
                self._write(report, about)
        except (LabError, OSError) as fault:
            reports.append(Report.not_run(gate, why(fault), seconds=time.monotonic() - started))
            self._write(reports[-1], [About(self.trip.journal.subject)])
        for report in reports:
            if not report.outcome.lets_through:
                place = f" ({message})" if message else ""
                told = f"{self.stage.name}: gate {gate}{place} answered {report.outcome}: {report.reason()}"
                raise Stopped(told)

    def close(self, reason: str) -> None:
        """Write down that the gates without an answer were not run."""
        for gate in self.stage.gates:
            if gate not in self.answered:
                report = Report.not_run(gate, f"not started, because: {reason}")
                self._write(report, [About(self.trip.journal.subject)])

    def _write(self, report: Report, about: list[About]) -> None:
        self.answered.add(report.check)
        self.trip.journal.gate_answered(self.stage, report, about)


def unit(trip: Trip, stage: Stage, environment: Environment, module: str) -> Iterator[Answer]:
    """Run one module's unit tests; the answer is about its source, as its image may not exist yet."""
    report = checks.unit(environment)
    report = replace(report, evidence={"module": module, **report.evidence})
    path = str(trip.system.services[module].path)
    source = Subject(module, f"gitTree:{trip.source.digest(trip.revision.commit, path)}")
    references = [trip.code(path), *trip.tests(f"{path}/tests"), tool(report)]
    tested = About(source, module, environment.name, references)
    trip.module_answers.append((stage, report, tested))
    yield report, [tested]


def functional(trip: Trip, stage: Stage, environment: Environment) -> Iterator[Answer]:
    """Run the tests of the whole system, one by one."""

    def tell(identity: str, number: int, count: int) -> None:
        trip.journal.say(stage.name, "running", f"{number} of {count}: {identity}", gate="functional")

    report = checks.functional(environment, trip.folder / trip.pipeline.functional, tell)
    yield report, about_all(trip, environment, [*trip.tests(trip.pipeline.functional), tool(report)])


def bill_of_materials(trip: Trip, stage: Stage, environment: Environment) -> Iterator[Answer]:
    """Make the bill of materials of each image and hold it against the service's lock file."""
    for name, built in trip.images.items():
        lock = trip.folder / trip.system.services[name].path / "requirements.lock"
        report = checks.bill_of_materials(
            trip.engine, built.image, locked=lock.read_text(), packages=built.packages
        )
        tested = trip.about(name, environment.name, [tool(report)])
        evidence = dict(report.evidence)
        document = evidence.pop("document", None)
        if document and not known(trip.artifacts, Kind.BILL_OF_MATERIALS, built.digest):
            trip.journal.record(Kind.BILL_OF_MATERIALS, tested, stage.name, document)
        yield replace(report, evidence=evidence), [tested]


def configuration(trip: Trip, stage: Stage, environment: Environment) -> Iterator[Answer]:
    """Hold the environment's settings against production's."""
    here = checks.settings(trip.system, stage.environment)
    report = checks.configuration(
        here, checks.settings(trip.system, "production"), trip.pipeline.exceptions, name=stage.name
    )
    yield report, about_all(trip, environment, [tool(report)])


def squawk(trip: Trip, _stage: Stage, environment: Environment) -> Iterator[Answer]:
    """Hold the database's migrations against what a living production bears."""
    database = trip.system.database
    report = checks.squawk(trip.folder / database.migrations) if database else checks.squawk(trip.folder)
    yield report, about_all(trip, environment, [tool(report)])


def load_smoke(trip: Trip, _stage: Stage, environment: Environment) -> Iterator[Answer]:
    """Send the customers' mix of requests for a few seconds."""
    traffic, limits = trip.pipeline.traffic, trip.pipeline.load_smoke
    report = checks.load_smoke(
        environment,
        mix=traffic.mix,
        rate_per_s=traffic.rate_per_s,
        duration_s=limits.duration_s,
        error_share=limits.error_share,
        p99_ms=limits.p99_ms,
    )
    yield report, about_all(trip, environment, [tool(report)])


def about_all(trip: Trip, environment: Environment, references: list[Reference]) -> list[About]:
    """Return what a gate over the whole system is about: each service's image, as configured here."""
    kept = [*references, *configured(environment.configuration)]
    return [trip.about(name, environment.name, kept) for name in trip.images]


MODULE_GATES = {"unit": unit}
SYSTEM_GATES = {
    "bill_of_materials": bill_of_materials,
    "configuration": configuration,
    "functional": functional,
    "load_smoke": load_smoke,
    "squawk": squawk,
}
