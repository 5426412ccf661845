"""A service that forks, allocates and logs without end, for 20 s: what its neighbours and the host feel.

The neighbour is the catalog of the same environment. Its requests are measured before, beside and after. Each
figure has the processors that the hog uses, and those of the engine, which writes its log. The same is then
measured with a part of what the hog does, and with tighter limits, one at a time.
"""

import json
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]  # it ships no types

from labkit import Environment, Workspace
from labkit.engine import Engine
from labkit.environment import Instance
from labkit.load import Load, Request, apply

RATE, QUIET_S, HOG_S, SETTLED_S = 50, 8, 20, 2
GIGA = 1e9
ALL = "allocate log spin"
ENGINE = {"dockerd", "containerd", "containerd-shim-runc-v2"}
USUAL = {"cpu_period": 100_000, "cpu_quota": 100_000, "cpu_shares": 1024}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "without its log": ("allocate spin", {}),
    "its log alone": ("log", {}),
    "with half a processor": (ALL, {"cpu_quota": 50_000}),
    "with periods of 10 ms": (ALL, {"cpu_period": 10_000, "cpu_quota": 10_000}),
    "with a quarter of the others' weight": (ALL, {"cpu_shares": 256}),
}
"""What the service does, and the settings of its container that are changed meanwhile."""

HOG = """
import os, signal, sys, time
END, KINDS = time.monotonic() + float(sys.argv[1]), sys.argv[2:]
signal.signal(signal.SIGCHLD, signal.SIG_IGN)

def allocate():
    with open("/proc/self/oom_score_adj", "w") as score:
        score.write("1000")  # so that the kernel ends this process, and not the whole container
    kept = []
    while True:
        kept.append(b"x" * (8 << 20))

def log():
    with open("/proc/1/fd/1", "wb", 0) as out:
        while True:
            out.write(b"x" * 1023 + b"\\n")

def spin():
    while True:
        pass

forked, refused = 0, 0
while time.monotonic() < END:
    try:
        child = os.fork()
    except OSError:
        refused += 1
        time.sleep(0.01)
        continue
    if not child:
        signal.alarm(max(1, int(END - time.monotonic()) + 1))
        globals()[KINDS[forked % len(KINDS)]]()
    forked += 1
print(forked, refused)
"""


def tell(figure: str, value: float, unit: str, aim: str, **more: object) -> None:
    """Print one figure as a line of JSON."""
    print(json.dumps({"figure": figure, "value": round(value, 2), "unit": unit, "aim": aim, **more}))


class LeastMemory(threading.Thread):
    """Notes the least memory that this machine has available, in bytes, until it is stopped."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.least_bytes, self._stop_it = sys.maxsize, threading.Event()

    def run(self) -> None:
        """Look ten times a second."""
        while not self._stop_it.wait(0.1):
            fields = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
            self.least_bytes = min(self.least_bytes, int(fields["MemAvailable"].split()[0]) << 10)

    def stop(self) -> int:
        """Return the least that was seen."""
        self._stop_it.set()
        self.join()
        return self.least_bytes


def p99_ms(url: str, seconds: float) -> float:
    """Return the 99th percentile of the catalog's answers."""
    measured = apply(Load({Request("GET", "/products"): 1}, RATE, seconds), url).wait()
    if measured.failed:
        tell("requests to the neighbour that failed", measured.failed, f"of {measured.requests}", "0")
    return measured.p99_ms


class Processors:
    """How many processors a container and the engine use, from its making on."""

    def __init__(self, instance: Instance) -> None:
        self._client, self._container = Engine.find().client.api, instance.container
        self._before = self._used_s()

    def _used_s(self) -> tuple[float, float, float]:
        usage = self._client.stats(self._container, stream=False, one_shot=True)["cpu_stats"]["cpu_usage"][
            "total_usage"
        ]
        engine = [process for process in psutil.process_iter(["name"]) if process.info["name"] in ENGINE]
        return time.monotonic(), usage / GIGA, sum(sum(process.cpu_times()[:2]) for process in engine)

    def used(self) -> dict[str, float]:
        """Return the mean of each; the engine's is 0 when it does not run on this machine."""
        seconds, *used = (now - before for now, before in zip(self._used_s(), self._before, strict=True))
        return dict(
            zip(("hog_cores", "engine_cores"), [round(one / seconds, 2) for one in used], strict=True)
        )


def beside(environment: Environment, kinds: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Measure the catalog before, beside and after a hog in the cart, and return the figures."""
    url, (hog,) = environment.urls["catalog"], environment.instances("cart")
    Engine.find().client.api.update_container(hog.container, **{**USUAL, **settings})
    p99_ms(url, SETTLED_S)
    before = p99_ms(url, QUIET_S)
    seen, processors = list[str](), Processors(hog)
    command = ["python3", "-c", HOG, str(HOG_S), *kinds.split()]
    running = threading.Thread(
        target=lambda: seen.append(hog.execute(command, timeout_s=HOG_S + 5).output), daemon=True
    )
    running.start()
    meanwhile, used = p99_ms(url, HOG_S - 2 * SETTLED_S), processors.used()
    running.join()
    alone = (before + p99_ms(url, QUIET_S)) / 2
    figures = {"alone_ms": round(alone, 1), "beside_ms": round(meanwhile, 1), **used}
    return {"value": meanwhile / alone, **figures, "forked_and_refused": seen}


def measure(environment: Environment) -> None:
    """Print what the neighbour and the host feel of the hog; then of less of it, or with tighter limits."""
    memory = LeastMemory()
    memory.start()
    figures = beside(environment, ALL, {})
    least = memory.stop()
    tell("p99 of a service beside one that hogs / alone", unit="ratio", aim="<= 2", **figures)
    tell("least memory available to the host meanwhile", least / GIGA, "GB", ">= 1")
    for case, (kinds, settings) in CASES.items():
        tell(f"the same {case}", unit="ratio", aim="-", **beside(environment, kinds, settings))


def main() -> None:
    """Print one JSON line a figure."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.create(Path(folder) / "workspace")
        with Environment.create(workspace.system, "integration", workspace=workspace) as environment:
            measure(environment)
        workspace.artifacts.close()


if __name__ == "__main__":
    main()
