"""What an environment costs against the engine's own floor, and what an owner killed by -9 leaves.

The floor is as many idle containers in a network, without ports, created, started and removed by as many
threads; it is measured in turn with the environment, so that both meet the same machine.
"""

import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from labkit.engine import SERVERS, Engine, Label
from labkit.environment import Environment
from labkit.workspace import Workspace

ROUNDS = 7
KILLS = 20
LEFT_AFTER_S = 3.0
MEGA = 1e6

CHILD = """\
import sys, time
from labkit import Environment, Workspace
workspace = Workspace.open(sys.argv[1])
print("begin", flush=True)
environment = Environment.create(workspace.system, "integration", workspace=workspace)
time.sleep(60)
"""


def tell(figure: str, value: float, unit: str, aim: str, **more: object) -> None:
    """Print one figure as a line of JSON."""
    print(json.dumps({"figure": figure, "value": round(value, 2), "unit": unit, "aim": aim, **more}))


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that work takes."""
    began = time.monotonic()
    work()
    return time.monotonic() - began


class Floor:
    """As many idle containers as an environment has."""

    def __init__(self, engine: Engine, containers: int) -> None:
        self._client, self._count = engine.client, containers
        self._network: Any = None
        self._made: list[Any] = []

    def create(self) -> None:
        """Create the network and start the containers."""
        self._network = self._client.networks.create(f"labkit-floor-{time.time_ns()}")
        with ThreadPoolExecutor(self._count) as pool:
            self._made = list(pool.map(self._start, range(self._count)))

    def _start(self, _: int) -> Any:
        made = self._client.containers.create(SERVERS, ["sleep", "600"], network=self._network.name)
        made.start()
        return made

    def remove(self) -> None:
        """Remove the containers by force, and the network."""
        with ThreadPoolExecutor(self._count) as pool:
            list(pool.map(lambda made: made.remove(force=True, v=True), self._made))
        self._network.remove()


def memory_bytes(engine: Engine, environment: Environment) -> int:
    """Return the memory of an environment's containers without page cache, as `docker stats` does."""
    used = 0
    for thing in engine.owned({Label.ENVIRONMENT: environment.name}):
        if thing.kind == "container":
            stats = engine.client.api.stats(thing.id, stream=False)["memory_stats"]
            inactive = stats["stats"].get("total_inactive_file", stats["stats"].get("inactive_file", 0))
            used += stats["usage"] - inactive
    return used


def against_the_floor(engine: Engine, workspace: Workspace) -> float:
    """Measure create, clean-up and memory; return the median seconds of a create."""
    system = workspace.system
    create, clean, floor_create, floor_clean, memory = [], [], [], [], 0
    Environment.create(system, "integration", workspace=workspace).clean_up()  # builds the images
    for _ in range(ROUNDS):
        began = time.monotonic()
        environment = Environment.create(system, "integration", workspace=workspace)
        create.append(time.monotonic() - began)
        containers = Environment.list(workspace)[-1].containers
        memory = max(memory, memory_bytes(engine, environment))
        clean.append(timed(environment.clean_up))
        floor = Floor(engine, containers)
        floor_create.append(timed(floor.create))
        floor_clean.append(timed(floor.remove))
    pairs = {
        ("environment create to all ready / floor", "<= 2"): (create, floor_create),
        ("environment clean-up / floor", "<= 1.5"): (clean, floor_clean),
    }
    for (figure, aim), (ours, floors) in pairs.items():
        here, there = statistics.median(ours), statistics.median(floors)
        each = [round(a / b, 2) for a, b in zip(ours, floors, strict=True)]
        tell(figure, here / there, "ratio", aim, ours_s=round(here, 2), floor_s=round(there, 2), rounds=each)
    tell("memory of an environment's containers", memory / MEGA, "MB", "<= 600", containers=containers)
    return statistics.median(create)


def killed(engine: Engine, workspace: Workspace, create_s: float) -> None:
    """Kill an owner by -9 at random moments of create and use, and count how often nothing is left."""
    clean, seen = 0, []
    for _ in range(KILLS):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, workspace.root], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(random.uniform(0, 1.5 * create_s))  # noqa: S311 - a moment, not a secret
        child.kill()
        child.communicate()
        seen.append(len(engine.owned({Label.WORKSPACE: workspace.id})))
        time.sleep(LEFT_AFTER_S)
        left = engine.owned({Label.WORKSPACE: workspace.id})
        clean += not left
        while engine.owned({Label.WORKSPACE: workspace.id}):
            time.sleep(0.2)
    tell(
        f"owner killed by -9: nothing left after {LEFT_AFTER_S:g} s",
        clean,
        f"of {KILLS}",
        f"{KILLS}",
        seen_at_kill=seen,
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        engine, here = Engine.find(), Workspace.create(Path(folder) / "workspace")
        killed(engine, here, against_the_floor(engine, here))
        here.artifacts.close()
