"""A service that forks, allocates and logs without end, for 20 s: what its neighbours and the host feel.

The neighbour is the catalog of the same environment. Its requests are measured before, beside and after.
"""

import json
import sys
import tempfile
import threading
from pathlib import Path

from labkit import Environment, Workspace
from labkit.load import Load, Request, apply

RATE, QUIET_S, HOG_S, SETTLED_S = 50, 8, 20, 2
GIGA = 1e9

HOG = """
import os, signal, sys, time
END = time.monotonic() + float(sys.argv[1])
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
        (allocate, log, spin)[forked % 3]()
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


def measure(environment: Environment) -> None:
    """Measure the catalog before, beside and after a hog in the cart; print the figures."""
    url, (hog,) = environment.urls["catalog"], environment.instances("cart")
    p99_ms(url, SETTLED_S)
    before = p99_ms(url, QUIET_S)
    memory, seen = LeastMemory(), list[str]()
    memory.start()
    command = ["python3", "-c", HOG, str(HOG_S)]
    running = threading.Thread(
        target=lambda: seen.append(hog.execute(command, timeout_s=HOG_S + 5).output), daemon=True
    )
    running.start()
    beside = p99_ms(url, HOG_S - 2 * SETTLED_S)
    running.join()
    least = memory.stop()
    after = p99_ms(url, QUIET_S)
    alone = (before + after) / 2
    more = {"alone_ms": round(alone, 1), "beside_ms": round(beside, 1), "forked_and_refused": seen}
    tell("p99 of a service beside one that hogs / alone", beside / alone, "ratio", "<= 2", **more)
    tell("least memory available to the host meanwhile", least / GIGA, "GB", ">= 1")


def main() -> None:
    """Print one JSON line a figure."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.create(Path(folder) / "workspace")
        with Environment.create(workspace.system, "integration", workspace=workspace) as environment:
            measure(environment)
        workspace.artifacts.close()


if __name__ == "__main__":
    main()
