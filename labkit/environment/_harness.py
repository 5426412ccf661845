"""Where commands run: in the module's container, in the harness beside the services, or in their own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from labkit.engine import Completed
from labkit.environment._creation import APP
from labkit.environment._elements import harness
from labkit.environment._part import NameTaken, Part, Scope
from labkit.environment._plan import Plan
from labkit.environment._run import Files, execute, fresh_folder, put

# The wheelhouse has pytest; an image that already has it costs one look.
TOOLS = "python3 -c 'import pytest' 2>/dev/null || pip install --quiet pytest"
INSTALL_S = 120.0
WORK = "/work"


@dataclass(frozen=True)
class Inside:
    """A container that stays, and the folder in it where a command runs."""

    scope: Scope
    container: str
    folder: str

    def run(
        self, command: Sequence[str] | str, files: Files, variables: Mapping[str, str], timeout_s: float
    ) -> Completed:
        """Put the files into the folder and run the command there."""
        engine = self.scope.engine
        put(engine, self.container, self.folder, files)
        return execute(
            engine, self.container, command, workdir=self.folder, variables=variables, timeout_s=timeout_s
        )


@dataclass(frozen=True)
class Once:
    """A container of an image, inside the network, that goes with its command."""

    scope: Scope
    plan: Plan
    image: str

    def run(
        self, command: Sequence[str] | str, files: Files, variables: Mapping[str, str], timeout_s: float
    ) -> Completed:
        """Run the command in a new container that has the files."""
        wanted = harness(self.plan)
        return self.scope.engine.run(
            self.image,
            ["sh", "-c", command] if isinstance(command, str) else list(command),
            files={str(PurePosixPath(WORK) / name): content for name, content in files.items()},
            environment={**wanted.variables, **variables},
            network=self.scope.network or None,
            labels={**self.scope.labels, "labkit.role": wanted.role},
            timeout_s=timeout_s,
            workdir=WORK,
        )


def place_of(scope: Scope, plan: Plan, image: str | None) -> Inside | Once:
    """Return where a command runs; image None is the container that stays, which the first run starts."""
    if image is not None:
        return Once(scope, plan, image)
    if plan.module:
        (module,) = (part for part in scope.parts() if part.role == "module")
        return Inside(scope, module.id, APP)
    return Inside(scope, _ready_harness(scope, plan), fresh_folder())


def _ready_harness(scope: Scope, plan: Plan) -> str:
    """Return the id of the harness; the first time, start it and see that pytest is there."""
    if found := _harness(scope):
        return found.id
    try:
        found = scope.start(harness(plan))
    except NameTaken:  # another process was quicker; it has its tools once the look below has ended
        found = _harness(scope) or scope.start(harness(plan))
    execute(scope.engine, found.id, TOOLS, workdir="/", timeout_s=INSTALL_S)
    return found.id


def _harness(scope: Scope) -> Part | None:
    running = (part for part in scope.parts() if part.role == "harness" and part.state == "running")
    return next(running, None)
