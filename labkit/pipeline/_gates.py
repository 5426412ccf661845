"""The gates: what each asks, what its answer is about, and when an answer stops the run."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from labkit import checks
from labkit.artifacts import Kind, Reference, Subject
from labkit.checks import Report
from labkit.environment import Environment
from labkit.errors import LabError
from labkit.pipeline._context import RunContext, RunStopped, tool, why
from labkit.pipeline._definition import Stage
from labkit.pipeline._provenance import known
from labkit.pipeline._recorder import FactSubject

GateAnswer = tuple[Report, list[FactSubject]]


@dataclass
class Gates:
    """The gates of one stage: asks them, records their answers, stops the run at a red one."""

    context: RunContext
    stage: Stage
    answered: set[str] = field(default_factory=set)

    def ask(self, gate: str, answers: Callable[[], Iterable[GateAnswer]], message: str = "") -> None:
        """Ask one gate and record its answers; message says in which module, "" when in none.

        :raises RunStopped: when an answer does not let the run through.
        """
        self.context.recorder.notify(self.stage.name, "running", message, gate=gate)
        started = time.monotonic()
        reports: list[Report] = []
        try:
            for report, subjects in answers():
                reports.append(report)
                self._record(report, subjects)
        except (LabError, OSError) as fault:
            # A gate that breaks is an answer too, else the record of the stage would have a hole.
            reports.append(Report.not_run(gate, why(fault), seconds=time.monotonic() - started))
            self._record(reports[-1], [FactSubject(self.context.recorder.subject)])
        # All answers are recorded before the first red one stops the run: the learner reads them together.
        for report in reports:
            if not report.outcome.lets_through:
                place = f" ({message})" if message else ""
                reason = f"{self.stage.name}: gate {gate}{place} answered {report.outcome}: {report.reason()}"
                raise RunStopped(reason)

    def close(self, reason: str) -> None:
        """Record that the gates without an answer were not run."""
        for gate in self.stage.gates:
            if gate not in self.answered:
                report = Report.not_run(gate, f"not started, because: {reason}")
                self._record(report, [FactSubject(self.context.recorder.subject)])

    def _record(self, report: Report, subjects: list[FactSubject]) -> None:
        self.answered.add(report.check)
        self.context.recorder.gate_answered(self.stage, report, subjects)


def unit(context: RunContext, stage: Stage, environment: Environment, module: str) -> Iterator[GateAnswer]:
    """Run one module's unit tests; the answer is about its source, as its image may not exist yet."""
    report = checks.unit(environment)
    report = replace(report, evidence={"module": module, **report.evidence})
    path = str(context.system.services[module].path)
    source = Subject(module, f"gitTree:{context.source.digest(context.revision.commit, path)}")
    references = [context.code(path), *context.tests(f"{path}/tests"), tool(report)]
    tested = FactSubject(source, module, environment.name, references)
    context.module_answers.append((stage, report, tested))
    yield report, [tested]


def record_module_answers(context: RunContext) -> None:
    """Record what the modules' gates answered a second time, about the images, as soon as these exist.

    A module is tested before its image is built. The answer holds for the image of the same source, and
    whoever asks what went into the image finds the tests too.
    """
    while context.module_answers:  # emptied, so that of several stages only the first records them
        stage, report, tested = context.module_answers.pop(0)
        image = context.image_subject(str(tested.service), tested.environment, [*tested.references])
        context.recorder.gate_answered(stage, report, [image], quiet=True)


def functional(context: RunContext, stage: Stage, environment: Environment) -> Iterator[GateAnswer]:
    """Run the tests of the whole system, one by one."""

    def notify(identity: str, number: int, count: int) -> None:
        message = f"{number} of {count}: {identity}"
        context.recorder.notify(stage.name, "running", message, gate="functional")

    report = checks.functional(environment, context.folder / context.pipeline.functional, notify)
    references = [*context.tests(context.pipeline.functional), tool(report)]
    yield report, image_subjects(context, environment, references)


def bill_of_materials(context: RunContext, stage: Stage, environment: Environment) -> Iterator[GateAnswer]:
    """Make the bill of materials of each image and compare it with the service's lock file."""
    for name, built in context.images.items():
        lock = context.folder / context.system.services[name].path / "requirements.lock"
        report = checks.bill_of_materials(
            context.engine, built.image, locked=lock.read_text(), packages=built.packages
        )
        subject = context.image_subject(name, environment.name, [tool(report)])
        # The document is long and the same in every stage: it is a fact of its own, once for each image.
        evidence = dict(report.evidence)
        document = evidence.pop("document", None)
        if document and not known(context.artifacts, Kind.BILL_OF_MATERIALS, built.digest):
            context.recorder.record(Kind.BILL_OF_MATERIALS, subject, stage.name, document)
        yield replace(report, evidence=evidence), [subject]


def configuration(context: RunContext, stage: Stage, environment: Environment) -> Iterator[GateAnswer]:
    """Compare the environment's settings with production's."""
    here = checks.settings(context.system, stage.environment)
    production = checks.settings(context.system, "production")
    report = checks.configuration(here, production, context.pipeline.exceptions, name=stage.name)
    yield report, image_subjects(context, environment, [tool(report)])


def squawk(context: RunContext, _stage: Stage, environment: Environment) -> Iterator[GateAnswer]:
    """Examine the database's migrations for statements that would hurt a production that serves requests."""
    database = context.system.database
    # A system without a database has no *.sql beside its system.toml, and passes.
    folder = context.folder / database.migrations if database else context.folder
    report = checks.squawk(folder)
    yield report, image_subjects(context, environment, [tool(report)])


def load_smoke(context: RunContext, _stage: Stage, environment: Environment) -> Iterator[GateAnswer]:
    """Send the customers' mix of requests for a few seconds."""
    traffic, limits = context.pipeline.traffic, context.pipeline.load_smoke
    report = checks.load_smoke(
        environment,
        mix=traffic.mix,
        rate_per_s=traffic.rate_per_s,
        duration_s=limits.duration_s,
        error_share=limits.error_share,
        p99_ms=limits.p99_ms,
    )
    yield report, image_subjects(context, environment, [tool(report)])


def image_subjects(
    context: RunContext, environment: Environment, references: list[Reference]
) -> list[FactSubject]:
    """Return what a gate over the whole system is about: each service's image, as configured here."""
    all_references = [*references, *Reference.configuration(environment.configuration)]
    return [context.image_subject(name, environment.name, all_references) for name in context.images]


MODULE_GATES = {"unit": unit}
SYSTEM_GATES = {
    "bill_of_materials": bill_of_materials,
    "configuration": configuration,
    "functional": functional,
    "load_smoke": load_smoke,
    "squawk": squawk,
}
