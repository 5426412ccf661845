"""What an environment costs against the engine's own floor.

The floor is as many idle containers in a network, without ports, created, started and removed by as many
threads; it is measured in turn with the environment, so that both meet the same machine.
"""

import json
import statistics
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
MEGA = 1e6


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


def against_the_floor(engine: Engine, workspace: Workspace) -> None:
    """Measure create, clean-up and memory."""
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


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        engine, here = Engine.find(), Workspace.create(Path(folder) / "workspace")
        against_the_floor(engine, here)
        here.artifacts.close()
