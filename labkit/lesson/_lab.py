"""One lab while a learner works through it."""

import ast
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from labkit import widgets
from labkit.artifacts import Fact, Kind, Subject
from labkit.containers import ENGINE_ERRORS, ryuk_missing
from labkit.engine import Engine, Label, Owner
from labkit.environment import Environment
from labkit.errors import LabError
from labkit.lesson._check import CheckBlock, Row
from labkit.lesson._guess import Guess, refusal, shuffled
from labkit.lesson._measured import Measured
from labkit.lesson._missing import missing_name
from labkit.lesson._rubric import model_answer
from labkit.workspace import Workspace, labs

UNATTENDED = "LABKIT_UNATTENDED"
"""Set to 1 where no learner is there (CI): predictions and reflections take their defaults."""


class Lab:
    """A lab by its slug, in a workspace. Its questions and checks are recorded in the artifact database.

    minutes is how long the lab takes, None when its notebook does not say.
    """

    def __init__(self, slug: str, workspace: Workspace, minutes: int | None) -> None:
        self.slug, self.workspace, self.minutes = slug, workspace, minutes
        self._subject = Subject(f"lab/{slug}", "")
        self._opened = time.monotonic()
        self._guesses: dict[str, Guess] = {}

    def predict(
        self, name: str, question: str, options: Sequence[str], *, default: str | None = None
    ) -> Guess:
        """Ask for a prediction; until it is recorded, no cell runs but those that ask or help.

        Each learner has the options in another order, unless they have numbers. A recorded prediction is
        shown again and cannot be changed. Unattended, the default is recorded; None is the first option, so
        that a notebook need not give its answer away.
        """
        shown = shuffled(options, f"{self.workspace.id} {self.slug} {name}")

        def form(recorded: str | None, record: Callable[[str], None]) -> object:
            return widgets.choice_form(question, shown, recorded, record)

        self._ask(Kind.PREDICTED, name, question, default or options[0], form)
        guess = Guess(name, question, options, lambda: self._recorded(Kind.PREDICTED, name))
        self._guesses[name] = guess
        return guess

    def compare(
        self, guess: Guess, option: object, evidence: object = "", because: str | Mapping[str, str] = ""
    ) -> None:
        """Show whether the option that came true was predicted, and what was measured.

        because explains it: a sentence, or one for each option that may come true. A learner who predicted
        another option is asked what they overlooked, and the answer is recorded.

        :raises LabError: when nothing was predicted, or what came true is none of the options.
        """
        right, came_true = guess.verdict(option), str(option)
        row = ("✓ came true" if right else "✗ came out otherwise", guess.value, came_true, evidence)
        columns = ("your prediction", "you predicted", "came true", "measured")
        widgets.show(widgets.Table(columns, [row], guess.question))
        if sentence := because if isinstance(because, str) else because.get(came_true, ""):
            widgets.show(widgets.note(sentence))
        if not right and os.environ.get(UNATTENDED) != "1":
            self._reflect(f"{guess.name}-overlooked", "What did you overlook? One line will do.", lines=1)

    def refusal(self, cell: ast.Module) -> LabError | None:
        """Return why a cell is not run: a prediction is open; None for a cell that may run."""
        return refusal(cell, self._guesses.values())

    def check(self, name: str) -> CheckBlock:
        """Return the block for a check's asserts: `with lab.check("name"): assert seen == right, "hint"`."""
        return CheckBlock(name, self._record_check)

    def measured(self, kind: str) -> Measured:
        """Return the figures of one kind that this lab has measured, in whichever kernel, by their names."""
        return Measured(self.workspace.artifacts, self._subject, kind)

    def hint(self, *steps: str) -> None:
        """Show hints that open one by one, each inside the one before, from a nudge to nearly the answer."""
        widgets.show(widgets.collapsible(steps))

    def reflect(self, name: str, question: str) -> None:
        """Ask a discussion question and record the answer; then show a good answer and what counts.

        Unattended, "(unattended)" is recorded.
        """
        self._reflect(name, question, afterwards=model_answer(self.slug, name))

    def _reflect(self, name: str, question: str, **shape: Any) -> None:  # noqa: ANN401 - what text_form takes
        def form(recorded: str | None, record: Callable[[str], None]) -> object:
            return widgets.text_form(question, recorded, record, **shape)

        self._ask(Kind.REFLECTED, name, question, "(unattended)", form)

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
        took = f"cleaned up {number} in {time.monotonic() - started:.1f} s"
        done = took if names else "everything was cleaned up before"
        kept = [it.name for it in Environment.list(self.workspace) if it.owner.startswith("workspace")]
        stays = f". Still there, because your workspace owns it: {', '.join(kept)}" if kept else ""
        worked = time.monotonic() - self._opened
        self.workspace.artifacts.record(
            Kind.CHECKED, self._subject, check="clean-up", passed=True, seconds=round(worked, 1)
        )
        sitting = f"The lab's first cell ran {worked / 60:.0f} min ago"
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
        shown = [("✓ holds" if row.passed else "✗ not yet", row.hint, row.expected, row.seen) for row in rows]
        passed = sum(row.passed for row in rows)
        words = f"{passed} of {len(rows)} public checks passed" + (
            f"; {more} more when graded" if more else ""
        )
        widgets.show(widgets.Table(("", "what counts", "expected", "seen"), shown, f"{name}: {words}"))
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
    widgets.rephrase_errors((*ENGINE_ERRORS, NameError), _rephrased)
    minutes = next((lab.minutes for lab in labs(workspace.root) if lab.slug == slug), None)
    lab = Lab(slug, workspace, minutes)
    widgets.refuse_cells(lab.refusal)
    duration = f", about {lab.minutes} minutes" if lab.minutes else ""
    widgets.show(widgets.note(f"{slug}{duration}; your workspace is {workspace.root}"))
    return lab


def _rephrased(error: Exception) -> LabError | None:
    return missing_name(error) if isinstance(error, NameError) else ryuk_missing(error)
