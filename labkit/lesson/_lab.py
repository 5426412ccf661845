"""One lab while a learner works through it."""

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from labkit import widgets
from labkit.artifacts import Fact, Kind, Subject
from labkit.containers import ENGINE_ERRORS, ryuk_missing
from labkit.engine import Engine, Label, Owner
from labkit.environment import Environment
from labkit.errors import LabError
from labkit.lesson._check import CheckBlock, Row
from labkit.workspace import Workspace

UNATTENDED = "LABKIT_UNATTENDED"
"""Set to 1 where no learner is there (CI): predictions and reflections take their defaults."""


@dataclass(frozen=True)
class Guess:
    """A prediction. It has a value, as text, once it is recorded: "production", "20"."""

    name: str
    question: str
    _read: Callable[[], str | None]

    @property
    def value(self) -> str:
        """Return what was predicted.

        :raises LabError: when nothing is recorded yet.
        """
        recorded = self._read()
        if recorded is None:
            raise LabError(
                f"your prediction first: {self.question}",
                "nothing is recorded yet",
                "choose an answer above, press Record, then run this cell again",
            )
        return recorded


class Lab:
    """A lab by its slug, in a workspace. Its questions and checks are recorded in the artifact database.

    minutes is how long the lab takes, None when its notebook does not say.
    """

    def __init__(self, slug: str, workspace: Workspace, minutes: int | None) -> None:
        self.slug, self.workspace, self.minutes = slug, workspace, minutes
        self._subject = Subject(f"lab/{slug}", "")
        self._opened = time.monotonic()

    def predict(
        self, name: str, question: str, options: Sequence[str] = (), *, default: str | float | None = None
    ) -> Guess:
        """Ask for a prediction before something is run.

        Without options the learner types a number. A recorded prediction is shown again and cannot be
        changed. Unattended, the default is recorded. With None that is the first option, or 0, so that a
        notebook need not give its answer away.
        """
        if default is None:
            default = options[0] if options else 0

        def form(recorded: str | None, record: Callable[[str], None]) -> object:
            if options:
                return widgets.choice_form(question, options, recorded, record)
            return widgets.number_form(question, recorded, record)

        self._ask(Kind.PREDICTED, name, question, str(default), form)
        return Guess(name, question, lambda: self._recorded(Kind.PREDICTED, name))

    def compare(self, guess: Guess, measured: object, sentence: str = "") -> None:
        """Show what was predicted beside what was measured, and the sentence when it is not "".

        :raises LabError: when nothing was predicted.
        """
        row = (guess.question, guess.value, str(measured))
        widgets.show(widgets.Table(("question", "you predicted", "measured"), [row]))
        if sentence:
            widgets.show(widgets.note(sentence))

    def check(self, name: str) -> CheckBlock:
        """Return the block for a check's asserts: `with lab.check("name"): assert seen == right, "hint"`."""
        return CheckBlock(name, self._record_check)

    def hint(self, *steps: str) -> None:
        """Show hints that open one by one, each inside the one before, from a nudge to nearly the answer."""
        widgets.show(widgets.collapsible(steps))

    def reflect(self, name: str, question: str) -> None:
        """Ask a discussion question and record the answer. Unattended, "(unattended)" is recorded."""
        self._ask(
            Kind.REFLECTED,
            name,
            question,
            "(unattended)",
            lambda recorded, record: widgets.text_form(question, recorded, record),
        )

    def close(self) -> None:
        """Clean up every environment that this notebook made and check that nothing of them is left.

        Production stays, because the workspace owns it.

        :raises LabError: when something could not be removed.
        """
        mine: dict[str, str | None] = {
            Label.WORKSPACE: self.workspace.id,
            Label.OWNER: str(Owner.process()),
        }
        started, engine = time.monotonic(), Engine.find()
        names = [
            status.name for status in Environment.list(self.workspace) if status.owner == mine[Label.OWNER]
        ]
        for name in names:
            Environment.attach(name, self.workspace).clean_up()
        left = engine.owned(mine)
        if left:
            seen = ", ".join(container.name for container in left)
            raise LabError("nothing of this lab is left", seen, "run this cell again")
        number = "1 environment" if len(names) == 1 else f"{len(names)} environments"
        done = f"cleaned up {number} in {time.monotonic() - started:.1f} s"
        kept = [status.name for status in Environment.list(self.workspace)]
        stays = f". Still there, because your workspace owns it: {', '.join(kept)}" if kept else ""
        worked = time.monotonic() - self._opened
        self.workspace.artifacts.record(
            Kind.CHECKED, self._subject, check="clean-up", passed=True, seconds=round(worked, 1)
        )
        sitting = f"You opened the lab {worked / 60:.0f} min ago"
        widgets.show(widgets.note(f"{done}; nothing of this lab is left{stays}. {sitting}."))

    def _ask(self, kind: Kind, name: str, question: str, default: str, form: Callable[..., object]) -> None:
        def record(answer: str) -> None:
            self.workspace.artifacts.record(kind, self._subject, name=name, question=question, answer=answer)

        recorded = self._recorded(kind, name)
        if recorded is None and os.environ.get(UNATTENDED) == "1":
            record(default)
            recorded = default
        widgets.show(form(recorded, record))

    def _recorded(self, kind: Kind, name: str) -> str | None:
        facts: list[Fact] = [
            fact
            for fact in self.workspace.artifacts.history(kind=kind)
            if fact.subject.name == self._subject.name and fact.predicate.get("name") == name
        ]
        return str(facts[-1].predicate["answer"]) if facts else None

    def _record_check(self, name: str, rows: Sequence[Row], more: int) -> None:
        shown = [
            ("✓ holds" if row.passed else "✗ not yet", row.expected, row.seen, "" if row.passed else row.hint)
            for row in rows
        ]
        passed = sum(row.passed for row in rows)
        words = f"{passed} of {len(rows)} public checks passed" + (
            f"; {more} more when graded" if more else ""
        )
        widgets.show(widgets.Table(("", "expected", "seen", "hint"), shown, f"{name}: {words}"))
        self.workspace.artifacts.record(
            Kind.CHECKED,
            self._subject,
            check=name,
            passed=passed == len(rows),
            rows=[vars(row) for row in rows],
        )


def open(slug: str) -> Lab:  # noqa: A001 - see the docstring of labkit.lesson
    """Open a lab of the workspace that the notebook lies in.

    :raises LabError: when the notebook lies in no workspace.
    """
    workspace = Workspace.open()
    widgets.rephrase_errors(ENGINE_ERRORS, ryuk_missing)
    lab = Lab(slug, workspace, _minutes(workspace.root, slug))
    duration = f", about {lab.minutes} minutes" if lab.minutes else ""
    widgets.show(widgets.note(f"{slug}{duration}; your workspace is {workspace.root}"))
    return lab


def _minutes(root: Path, slug: str) -> int | None:
    """Return how long a lab takes in all; None when there is no notebook, or it does not say."""
    for path in root.glob(f"labs/*/{slug}.ipynb"):
        metadata = json.loads(path.read_bytes()).get("metadata", {}).get("labkit", {})
        return sum(metadata.get("minutes", {}).values()) or None
    return None
