"""What grading costs: eight cells and three calls, in a shared container, in a fresh one, and by nbgrader.

Wall and processor time are for one submission, of eight in each of three rounds, the three ways in turn; the
figures are medians. nbgrader gets the same cells and checks, in an environment of its own; where that cannot
be made, its figures are "not run". Last, many submissions share a container: memory of grader and container.
`bench_grading.py 1000` takes 1,000 for that in place of 10,000.
"""

import json
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import psutil  # type: ignore[import-untyped]  # it ships no types
from peers import NotRun, run

from labkit.engine import Engine
from labkit.grading._sandbox import Sandbox

ROUNDS, IN_ROUND, MANY, WARM = 3, 8, 10_000, 1000
NANO = 1e9
CELLS = [
    "import random\nimport statistics",
    "carts = [[random.randrange(100, 1000) for _ in range(5)] for _ in range(20)]",
    "totals = [sum(cart) for cart in carts]\nprint(statistics.mean(totals))",
    "def total(cart, percent):\n    return sum(cart) * (100 - percent) // 100",
    "def steps(instances, at_once):\n    return -(-instances // at_once)",
    "steps(10, 3)",
    "def mask(name):\n    return name[:1] + '*' * (len(name) - 1)",
    "print(mask('Anna'), total(carts[0], 10))",
]
CALLS: list[tuple[str, list[object], object]] = [
    ("total", [[100, 250], 10], 315),
    ("steps", [10, 3], 4),
    ("mask", ["Anna"], "A***"),
]


class Cost(NamedTuple):
    """Seconds of one submission: by the clock, and of processors."""

    wall_s: float
    processor_s: float


def grade(sandbox: Sandbox) -> None:
    """Grade the submission once."""
    with sandbox.submission() as child:
        for cell in CELLS:
            assert child.run(cell) == ""
        for name, args, expected in CALLS:
            assert child.call(name, args) == expected


def used_by_container(sandbox: Sandbox) -> tuple[float, int]:
    """Return the processor seconds and the bytes of memory that a sandbox's container has used."""
    container = sandbox._container
    assert container is not None
    figures: dict[str, Any] = sandbox._engine.client.api.stats(container.id, stream=False, one_shot=True)
    return figures["cpu_stats"]["cpu_usage"]["total_usage"] / NANO, figures["memory_stats"]["usage"]


def shared(sandbox: Sandbox) -> Cost:
    """Return what a submission costs that shares its container."""
    inside, ours, started = used_by_container(sandbox)[0], time.process_time(), time.monotonic()
    for _ in range(IN_ROUND):
        grade(sandbox)
    wall, ours = time.monotonic() - started, time.process_time() - ours
    return Cost(wall / IN_ROUND, (ours + used_by_container(sandbox)[0] - inside) / IN_ROUND)


def fresh(engine: Engine) -> Cost:
    """Return what a submission costs that has a container of its own, without the processor's part inside."""
    with Sandbox(engine) as sandbox:
        ours, started = time.process_time(), time.monotonic()
        for _ in range(IN_ROUND):
            grade(sandbox)
        return Cost((time.monotonic() - started) / IN_ROUND, (time.process_time() - ours) / IN_ROUND)


class Nbgrader:
    """nbgrader in an environment of its own, with a course of one assignment."""

    def __init__(self, folder: Path) -> None:
        self._bin, self._course = folder / "nbgrader" / "bin", folder / "course"
        uv = Path(sys.executable).parent / "uv"
        run([uv, "venv", "--quiet", "--python", sys.executable, self._bin.parent])
        packages = ["nbgrader==0.9.6", "ipykernel"]
        run([uv, "pip", "install", "--quiet", "--python", self._bin / "python", *packages])
        source = self._course / "source" / "ps1"
        source.mkdir(parents=True)
        (source / "lab.ipynb").write_text(nbformat.writes(self._notebook()))
        os.environ["PATH"] = f"{self._bin}{os.pathsep}{os.environ['PATH']}"  # where it looks for alembic
        os.environ["JUPYTER_PATH"] = str(self._bin.parent / "share" / "jupyter")
        self._run("generate_assignment", "ps1")

    def _notebook(self) -> Any:
        notebook = nbformat.v4.new_notebook()
        notebook.metadata["kernelspec"] = {
            "name": "python3",
            "display_name": "Python 3",
            "language": "python",
        }
        notebook.cells = [nbformat.v4.new_code_cell(cell) for cell in CELLS]
        for name, args, expected in CALLS:
            check = f"assert {name}({', '.join(map(repr, args))}) == {expected!r}"
            cell = nbformat.v4.new_code_cell(check)
            marks = {"grade": True, "solution": False, "locked": True, "schema_version": 3}
            cell.metadata["nbgrader"] = {**marks, "grade_id": name, "points": 1, "task": False}
            notebook.cells.append(cell)
        return notebook

    def _run(self, *arguments: str) -> None:
        run([self._bin / "nbgrader", *arguments], self._course)

    def cost(self, number: int) -> Cost:
        """Return what a submission costs, its own start shared by all of a round."""
        released = (self._course / "release" / "ps1" / "lab.ipynb").read_text()
        for one in range(IN_ROUND):
            handed_in = self._course / "submitted" / f"learner-{number}-{one}" / "ps1"
            handed_in.mkdir(parents=True)
            (handed_in / "lab.ipynb").write_text(released)
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        self._run("autograde", "ps1", f"--student=learner-{number}-*")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return Cost((time.monotonic() - started) / IN_ROUND, used / IN_ROUND)


def say(figure: str, value: float | str, unit: str, **more: object) -> None:
    """Print one figure."""
    print(json.dumps({"figure": figure, "value": value, "unit": unit, **more}), flush=True)


def median(costs: list[Cost]) -> Cost:
    """Return the median of each part."""
    return Cost(*(statistics.median(part) for part in zip(*costs, strict=True)))


def speed(engine: Engine, peer: Callable[[int], Cost] | None, reason: str) -> None:
    """Measure the ways in turn, and print them and their ratios."""
    costs: dict[str, list[Cost]] = {"shared": [], "fresh": [], "nbgrader": []}
    with Sandbox(engine, fresh=False) as sandbox:
        grade(sandbox)
        for number in range(ROUNDS):
            costs["shared"].append(shared(sandbox))
            costs["fresh"].append(fresh(engine))
            if peer:
                costs["nbgrader"].append(peer(number))
    for way, measured in costs.items():
        if measured:
            wall_s, processor_s = median(measured)
            say(f"{way}: wall time of a submission", round(wall_s * 1000, 1), "ms")
            say(f"{way}: processor time of a submission", round(processor_s * 1000, 1), "ms")
    if not peer:
        say("nbgrader", "not run", "", reason=reason)
        return
    theirs = median(costs["nbgrader"])
    ours, alone = median(costs["shared"]), median(costs["fresh"])
    say("nbgrader / shared: wall", round(theirs.wall_s / ours.wall_s, 1), "times", aim="at least 40")
    say(
        "nbgrader / shared: processor",
        round(theirs.processor_s / ours.processor_s, 1),
        "times",
        aim="at least 30",
    )
    say("fresh / nbgrader: wall", round(alone.wall_s / theirs.wall_s, 2), "times", aim="at most 0.5")


def memory(engine: Engine, many: int) -> None:
    """Print the memory of grader and container after many submissions, over that after a tenth of them."""
    with Sandbox(engine, fresh=False) as sandbox:
        early = WARM if many > WARM else many // 10
        started = time.monotonic()
        sizes = {}
        for number in range(1, many + 1):
            grade(sandbox)
            if number in {early, many}:
                sizes[number] = (psutil.Process().memory_info().rss, used_by_container(sandbox)[1])
        seconds = time.monotonic() - started
    for at, whose in enumerate(("grader", "container")):
        ratio = sizes[many][at] / sizes[early][at]
        say(
            f"memory of the {whose}: {many} submissions / {early}",
            round(ratio, 3),
            "times",
            aim="at most 1.2",
        )
    say(f"{many} submissions in one container", round(seconds, 1), "s")


def main() -> None:
    """Print all figures."""
    engine = Engine.find()
    with tempfile.TemporaryDirectory() as folder:
        peer, reason = None, ""
        try:
            peer = Nbgrader(Path(folder)).cost
        except NotRun as problem:
            reason = str(problem)
        speed(engine, peer, reason)
    memory(engine, int(sys.argv[1]) if sys.argv[1:] else MANY)


if __name__ == "__main__":
    main()
