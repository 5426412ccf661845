"""Runs labs several times and prints what came true in each run: `python tests/measure_labs.py SLUG… --busy`.

A lab's text has to hold in each run, or to say that this one came out otherwise, also on a busy machine. Each
run has a workspace of its own, as under nbval, so that the seeds of two runs differ. What is printed is read
from what a learner sees. It is not a part of `make test`, because it takes minutes.
"""

import argparse
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from labkit.lesson import RunWorkspace
from labkit.workspace import LabNotebook, course, labs

TIMEOUT_S = 600
BUSY = "import os\nparent = os.getppid()\nwhile os.getppid() == parent: pass"
"""Keeps one core busy until its parent is gone, however that ends."""
NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")
COMPARED = "you predicted"
"""A column of the table that `lab.compare` shows, by which it is known."""


class Comparison(NamedTuple):
    """What `lab.compare` showed in one run; explained is whether a sentence stood beneath it."""

    question: str
    came_true: str
    measured: str
    explained: bool


class LabRun(NamedTuple):
    """One run of a lab: the machine's seconds, its comparisons, the error of the cell that failed or ""."""

    seconds: float
    comparisons: Sequence[Comparison]
    error: str


@contextmanager
def busy_cores() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Keep every core busy for one block; give the processes that do."""
    processes = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(os.cpu_count() or 1)]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


def run_lab(path: Path) -> LabRun:
    """Run a solved notebook without a learner, in a workspace of its own, and clean up what it leaves."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []  # what is stored is of another run, and stays in cells that are not reached
    workspace, error = RunWorkspace(), ""
    place = {"metadata": {"path": str(path.parent)}}
    client = NotebookClient(notebook, timeout=TIMEOUT_S, kernel_name="python3", resources=place)
    began = time.monotonic()
    try:
        client.execute(env=os.environ | workspace.variables)
    except CellExecutionError as fault:
        error = f"{fault.ename}: {fault.evalue}"
    finally:
        seconds = time.monotonic() - began
        workspace.close()
    return LabRun(seconds, [*comparisons(notebook)], error)


def comparisons(notebook: Any) -> Iterator[Comparison]:
    """Yield what `lab.compare` has shown in a notebook that was run."""
    for cell in notebook.cells:
        pages = [output.get("data", {}).get("text/html", "") for output in cell.get("outputs", ())]
        for page, beneath in pairwise([*pages, ""]):
            if page.startswith("<table") and COMPARED in page:
                table = ET.fromstring(page)  # noqa: S314 - labkit's own output
                _, came_true, measured = (cell.text or "" for cell in table.iter("td"))
                yield Comparison(table[0].text or "", came_true, measured, beneath.startswith("<p"))


def spread(measured: Sequence[str]) -> str:
    """Return texts that differ in their numbers as one, with the least and the greatest of each number."""
    if len({NUMBER.sub("", text) for text in measured}) > 1:
        return "; ".join(dict.fromkeys(measured))
    columns = zip(*(NUMBER.findall(text) for text in measured), strict=True)
    ordered = (sorted(column, key=lambda number: float(number.replace(",", ""))) for column in columns)
    ranges = iter(["…".join(dict.fromkeys((column[0], column[-1]))) for column in ordered])
    return NUMBER.sub(lambda _: next(ranges), measured[0])


def rows(runs: Sequence[LabRun]) -> Iterator[tuple[str, ...]]:
    """Yield for each question how often which option came true and was explained, and what was measured."""
    found = [comparison for run in runs for comparison in run.comparisons]
    for question in dict.fromkeys(comparison.question for comparison in found):
        own = [comparison for comparison in found if comparison.question == question]
        explained = f"{sum(comparison.explained for comparison in own)} of {len(own)}"
        came_true = "; ".join(f"{n} × {option}" for option, n in Counter(it.came_true for it in own).items())
        yield question, came_true, explained, spread([it.measured for it in own])


def report(lab: LabNotebook, minutes: float, runs: Sequence[LabRun]) -> bool:
    """Print a table of runs in Markdown; return whether none failed, and the minutes are those said."""
    median = statistics.median(run.seconds for run in runs) / 60
    agrees = abs(minutes - median) <= max(1, median / 4)
    seconds = ", ".join(f"{run.seconds:.0f}" for run in runs)
    verdict = "agrees" if agrees else "more than a quarter and a minute apart"
    print(
        f"\n## {lab.slug}\n\nMachine: {seconds} s; median {median:.1f} min, metadata {minutes}: {verdict}.\n"
    )
    print("| question | came true | explained | measured |\n|---|---|---|---|")
    for row in rows(runs):
        print(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |")
    for number, run in enumerate(runs, 1):
        if run.error:
            print(f"\nRun {number} failed: {run.error}")
    return agrees and not any(run.error for run in runs)


def main(arguments: Sequence[str]) -> int:
    """Run the labs and print a table for each; return 1 when one failed or took other minutes than said."""
    course_labs = {lab.slug: lab for lab in labs(course())}
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("slugs", nargs="+", metavar="SLUG", choices=course_labs, help="which labs")
    parser.add_argument("--times", type=int, default=5, help="how often each is run (default: 5)")
    parser.add_argument("--busy", action="store_true", help="keep every core busy meanwhile")
    chosen = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that a run that is ended cleans up
    held = True
    for slug in chosen.slugs:
        path = course() / course_labs[slug].path
        runs = []
        for _ in range(chosen.times):
            with busy_cores() if chosen.busy else nullcontext():
                runs.append(run_lab(path))
            print(f"{slug}: {runs[-1].seconds:.0f} s {runs[-1].error}", file=sys.stderr, flush=True)
        minutes = nbformat.read(path, as_version=4).metadata.labkit.minutes.run
        held = report(course_labs[slug], minutes, runs) and held
    return int(not held)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
