"""`labkit grade`: a class's submissions through their labs' checks, with progress."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from labkit.cli._show import as_json, plain, print_json, print_table, progress, say

if TYPE_CHECKING:
    from labkit.grading import Result


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--gradebook",
    default="gradebook.db",
    show_default=True,
    help="A SQLite file, or a PostgreSQL database by URL.",
)
@click.option(
    "--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="How many labs run at once."
)
@click.option("--fast", is_flag=True, help="Share a container between submissions.")
@as_json
def grade(folder: Path, gradebook: str, workers: int, *, fast: bool, as_json: bool) -> None:
    """Grade FOLDER, which has one folder a learner, with their notebooks in it.

    An answer that needs no container runs in a locked one, without a hidden test, an expected value or the
    gradebook. Other exercises are judged by the learner's signed record. A submission that was graded is not
    run again: repeat the command, and a batch that was stopped goes on.

    Example: labkit grade handed-in --gradebook course.db
    """
    from labkit import grading  # noqa: PLC0415 - keeps `labkit --help` quick

    told = Told()
    with (
        grading.Gradebook.open(gradebook) as book,
        ThreadPoolExecutor(workers) as executor,
        progress.status("each lab begins with its own solution") as bar,
    ):
        for result in grading.grade(folder, grading.solved_labs(), book, executor, fresh=not fast):
            told.add(result)
            bar.update(plain(f"{told.count} submissions; the last one: {result.learner}"))
    told.show(gradebook, as_json=as_json)


class Told:
    """What came of a batch: how many, and what is not graded; small, however large the class is."""

    def __init__(self) -> None:
        self._states = Counter[tuple[str, str]]()
        self._open = list[dict[str, Any]]()

    @property
    def count(self) -> int:
        """How many submissions came."""
        return self._states.total()

    def add(self, result: "Result") -> None:
        """Count a result."""
        self._states[result.lab, result.state] += 1
        if result.reason:
            words = {name: getattr(result, name) for name in ("learner", "lab", "state", "reason", "whose")}
            self._open.append(words)

    def show(self, gradebook: str, *, as_json: bool) -> None:
        """Print how many submissions are in which state, and each that has no points with its reason."""
        counts = [(lab or "-", state, number) for (lab, state), number in sorted(self._states.items())]
        if as_json:
            names = ("lab", "state", "submissions")
            print_json({"states": [dict(zip(names, row, strict=True)) for row in counts], "open": self._open})
            return
        print_table(("lab", "state", "submissions"), counts, empty="nothing is left to grade")
        if self._open:
            say("\nno points yet:")
            rows = [[one["learner"], one["lab"], one["state"], one["reason"]] for one in self._open]
            print_table(("learner", "lab", "state", "reason"), rows, empty="")
        say(f"\nnext: labkit grades export --gradebook {gradebook}")
