"""What one run carries from stage to stage: its commit, its images, and its recorder."""

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labkit.artifacts import ArtifactDatabase, Reference, Subject
from labkit.checks import Report
from labkit.engine import Engine, Owner
from labkit.environment import Environment
from labkit.errors import LabError
from labkit.load import RunningLoad
from labkit.pipeline._build import Builds, Built
from labkit.pipeline._definition import Pipeline, Stage
from labkit.pipeline._recorder import FactSubject, RunRecorder
from labkit.pipeline._source import Revision, Source
from labkit.system import Service, System
from labkit.workspace import Workspace


class RunStopped(Exception):
    """A gate did not let the run through; the text says which and why."""


def why(fault: BaseException) -> str:
    """Return in one line why a run stopped."""
    if isinstance(fault, RunStopped):
        return str(fault)
    if isinstance(fault, KeyboardInterrupt):
        return "interrupted by its user"
    if isinstance(fault, LabError):
        return f"expected {fault.expected}; seen {fault.seen}; next: {fault.next_step}"
    return f"{type(fault).__name__}: {fault}"


@dataclass
class RunContext:
    """What every stage and gate of one run works with.

    folder holds the files of the commit. The images are built in another thread while the modules are
    tested: `images` waits for them. stop tells the threads of the run that their work is no longer needed.
    module_answers keeps the answers about the modules' sources until the images of these sources exist.
    """

    workspace: Workspace
    engine: Engine
    source: Source
    revision: Revision
    folder: Path
    system: System
    pipeline: Pipeline
    recorder: RunRecorder
    building: "Future[Builds]" = field(default_factory=Future)
    stop: threading.Event = field(default_factory=threading.Event)
    module_answers: list[tuple[Stage, Report, FactSubject]] = field(default_factory=list)

    @property
    def artifacts(self) -> ArtifactDatabase:
        """The artifact database of the workspace."""
        return self.workspace.artifacts

    @property
    def images(self) -> Mapping[str, Built]:
        """The built images by service; waits until all are there, and raises what ended their building."""
        return self.building.result().images

    def has_changed(self, service: Service) -> bool:
        """Return whether a service's folder differs from what its production image was built from."""
        running = self.artifacts.what_runs(service.name)
        if running is None or running.commit is None:
            return True
        path = str(service.path)
        # By git's id of the folder, not by the commit: most commits leave most services as they are.
        return self.source.digest(self.revision.commit, path) != self.source.digest(running.commit, path)

    def create(self, stage: Stage, *, module: str | None = None, owner: Owner | None = None) -> Environment:
        """Create the environment of a stage, or of one module in it, by the stage's trigger.

        module None is the whole system. owner None is this process, with which the environment ends.
        """
        with self.recorder.step(stage, f"create the environment of {module or 'all services'}"):
            return Environment.create(
                self.system,
                stage.environment,
                # A module is tested from its source, so that development does not wait for the images.
                images=None if module else {name: built.image for name, built in self.images.items()},
                module=module,
                owner=owner,
                workspace=self.workspace,
                because=stage.trigger,
            )

    @contextmanager
    def environment(self, stage: Stage, module: str | None = None) -> Iterator[Environment]:
        """Create the environment of a stage, or of one module, and clean it up after the block."""
        environment = self.create(stage, module=module)
        try:
            yield environment
        finally:
            with self.recorder.step(stage, f"clean up {module or 'all services'}"):
                environment.clean_up()

    def code(self, path: str) -> Reference:
        """Return the reference to a folder of this commit."""
        return Reference(
            "code", f"git:{self.system.name}@{self.revision.commit}#{path}", self.revision.digest
        )

    def tests(self, path: str) -> list[Reference]:
        """Return the reference to the tests in a folder of this commit by git's id of it; [] if none."""
        tree = self.source.digest(self.revision.commit, path)
        return [Reference("test", f"git:{self.system.name}#{path}", f"gitTree:{tree}")] if tree else []

    def image_subject(
        self, service: str, environment: str | None, references: list[Reference]
    ) -> FactSubject:
        """Return one service's image as the subject of a fact; environment None is none."""
        return FactSubject(Subject(service, self.images[service].digest), service, environment, references)


@dataclass(frozen=True)
class GateContext:
    """What a gate works with: the run, its stage, the environment, and what its own table says.

    gate is its name, options what its `options` function returned. module is the service under development,
    None in the other stages. load is the customers' requests in production, None in the other stages.
    """

    run: RunContext
    stage: Stage
    environment: Environment
    gate: str
    options: Any = None
    module: str | None = None
    load: RunningLoad | None = None

    @property
    def folder(self) -> Path:
        """The folder with all files of the commit."""
        return self.run.folder

    @property
    def services(self) -> list[Service]:
        """The services that the gate is asked about: the module in development, all of them elsewhere."""
        services = self.run.system.services
        return [*services.values()] if self.module is None else [services[self.module]]

    @property
    def tested(self) -> Path:
        """The folder with the files that the gate is asked about: the module's, or the whole commit's."""
        return self.folder if self.module is None else self.folder / self.services[0].path

    @property
    def customers(self) -> RunningLoad:
        """The customers' requests in production.

        :raises LabError: in another stage.
        """
        if self.load is None:
            next_step = f"list {self.gate} in a production stage, or do not ask for customers in it"
            raise LabError("customers, as production has them", f"stage {self.stage.name}", next_step)
        return self.load

    def notify(self, message: str) -> None:
        """Tell who listens to the run how far the gate is."""
        self.run.recorder.notify(self.stage.name, "running", message, gate=self.gate, service=self.module)


def tool(report: Report) -> Reference:
    """Return the reference to the tool that made a report, as a package URL."""
    name = "pipeline-labkit" if report.tool == "labkit" else report.tool  # labkit's name on PyPI
    return Reference("tool", f"pkg:pypi/{name}@{report.tool_version}", "")
