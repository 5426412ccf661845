"""The harness: a container inside the environment's network, for commands beside the services."""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from labkit.engine import Completed
from labkit.environment._elements import harness
from labkit.environment._part import Scope
from labkit.environment._plan import Plan
from labkit.environment._run import Files, execute

# The wheelhouse has pytest; an image that already has it costs one look.
TOOLS = "python3 -c 'import pytest' 2>/dev/null || pip install --quiet pytest"
INSTALL_S = 120.0


def ready_harness(scope: Scope, plan: Plan) -> str:
    """Return the id of the harness container; the first time, start it and see that pytest is there."""
    for part in scope.parts():
        if part.role == "harness" and part.state == "running":
            return part.id
    started = scope.start(harness(plan))
    execute(scope.engine, started.id, TOOLS, workdir="/", timeout_s=INSTALL_S)
    return started.id


def run_once(
    scope: Scope,
    plan: Plan,
    image: str,
    command: Sequence[str] | str,
    files: Files,
    environment: Mapping[str, str],
    timeout_s: float,
) -> Completed:
    """Run a command in a container of its own inside the network; the container goes with the command."""
    wanted = harness(plan)
    words = ["sh", "-c", command] if isinstance(command, str) else list(command)
    return scope.engine.run(
        image,
        words,
        files={str(PurePosixPath("/work") / name): content for name, content in files.items()},
        environment={**wanted.variables, **environment},
        network=scope.network or None,
        labels={**scope.labels, "labkit.role": wanted.role},
        timeout_s=timeout_s,
        workdir="/work",
    )
