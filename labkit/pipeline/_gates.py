"""Asks the gates of a stage, records what they answer, and stops the run at a red one."""

import shlex
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from labkit.artifacts import Reference, Subject
from labkit.checks import Report
from labkit.environment import Environment
from labkit.errors import LabError
from labkit.load import RunningLoad
from labkit.pipeline._context import GateContext, RunContext, RunStopped, tool, why
from labkit.pipeline._definition import Stage
from labkit.pipeline._record import NOT_STARTED
from labkit.pipeline._recorder import FactSubject
from labkit.pipeline._registry import Answer


@dataclass
class Gates:
    """The gates of one stage."""

    context: RunContext
    stage: Stage
    answered: set[str] = field(default_factory=set)

    def ask_all(
        self, environment: Environment, module: str | None = None, load: RunningLoad | None = None
    ) -> None:
        """Ask the gates in order; module and load are as in `GateContext`.

        :raises RunStopped: when an answer does not let the run through.
        """
        for name in self.stage.gates:
            options = self.context.pipeline.options[name]
            self._ask(GateContext(self.context, self.stage, environment, name, options, module, load))

    def close(self, reason: str) -> None:
        """Record that the gates without an answer were not run."""
        for gate in self.stage.gates:
            if gate not in self.answered:
                report = Report.not_run(gate, f"{NOT_STARTED}: {reason}")
                self._record(report, [FactSubject(self.context.recorder.subject)])

    def _ask(self, context: GateContext) -> None:
        context.notify("")
        reports = self._answers(context)
        # All answers are recorded before the first red one stops the run: the learner reads them together.
        for report in reports:
            if not report.outcome.lets_through:
                place = f" ({context.module})" if context.module else ""
                word = "failed" if report.outcome == "fail" else f"was {report.outcome}"
                message = f"{self.stage.name}: gate {context.gate}{place} {word}: {report.reason()}"
                raise RunStopped(message)

    def _answers(self, context: GateContext) -> list[Report]:
        """Ask one gate and record its answers; a gate that breaks, or says nothing, is not run."""
        started = time.monotonic()
        reports: list[Report] = []
        reason = "the gate gave no answer"
        try:
            for answer in self.context.pipeline.gates[context.gate].ask(context):
                reports.append(self._answer(context, answer))  # noqa: PERF401 - those before a fault count too
        except Exception as fault:  # noqa: BLE001 - a gate of any package; its fault is an answer too
            reason = _fault(fault)
        else:
            if reports:
                return reports
        reports.append(Report.not_run(context.gate, reason, seconds=time.monotonic() - started))
        self._record(reports[-1], [FactSubject(self.context.recorder.subject)])
        return reports

    def _answer(self, context: GateContext, answer: Answer) -> Report:
        """Record one answer under the gate's name and return its report."""
        report = replace(answer.report, check=context.gate)
        references = [*answer.references, *([tool(report)] if report.tool_version else [])]
        if context.module is None:
            self._record(report, self._images(context, answer.service, references))
            return report
        report = replace(report, evidence={"module": context.module, **report.evidence})
        source = self._source(context, references)
        self.context.module_answers.append((self.stage, report, source))
        self._record(report, [source])
        return report

    def _source(self, context: GateContext, references: Sequence[Reference]) -> FactSubject:
        """Return a module's source as the subject of a fact, as its image may not exist yet."""
        run, (service,) = self.context, context.services
        tree = run.source.digest(run.revision.commit, str(service.path))
        if tree is None:  # a folder that git keeps elsewhere, such as a submodule
            commit = run.revision.commit[:12]
            next_step = f"git add {shlex.quote(str(service.path))}, commit, and run again"
            raise LabError(
                f"the folder {service.path} in commit {commit}", "git has no such folder", next_step
            )
        all_references = [run.code(str(service.path)), *references]
        source = Subject(service.name, f"gitTree:{tree}")
        return FactSubject(source, service.name, context.environment.name, all_references)

    def _images(
        self, context: GateContext, service: str | None, references: list[Reference]
    ) -> list[FactSubject]:
        """Return one service's image as a subject, or with None all of them, as configured here."""
        environment = context.environment
        if service is not None:
            return [self.context.image_subject(service, environment.name, references)]
        references = [*references, *Reference.configuration(environment.configuration)]
        return [
            self.context.image_subject(name, environment.name, references) for name in self.context.images
        ]

    def _record(self, report: Report, subjects: list[FactSubject]) -> None:
        self.answered.add(report.check)
        self.context.recorder.gate_answered(self.stage, report, subjects)


def _fault(fault: Exception) -> str:
    """Return why a gate broke; for what is no LabError, with the place, which the gate's author needs."""
    if isinstance(fault, LabError | OSError):
        return why(fault)
    frame = traceback.extract_tb(fault.__traceback__)[-1]
    return f"{why(fault)} ({frame.filename}, line {frame.lineno})"


def record_module_answers(context: RunContext) -> None:
    """Record what the modules' gates answered a second time, about the images, as soon as these exist.

    A module is tested before its image is built. The answer holds for the image of the same source, and
    whoever asks what went into the image finds the tests too.
    """
    while context.module_answers:  # emptied, so that of several stages only the first records them
        stage, report, tested = context.module_answers.pop(0)
        image = context.image_subject(str(tested.service), tested.environment, [*tested.references])
        context.recorder.gate_answered(stage, report, [image], quiet=True)
