"""Predictions: recorded before what they are about runs, and compared with what came true."""

import ast
import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from labkit.errors import LabError

ALWAYS = {"predict", "hint", "close"}
"""The verbs of a lab whose cells run while a prediction is open: more questions, help, the clean-up."""

Option = TypeVar("Option")


@dataclass(frozen=True)
class Guess:
    """A prediction among options. It has a value, one of them, once it is recorded."""

    name: str
    question: str
    options: Sequence[str]
    _read: Callable[[], str | None]

    @property
    def open(self) -> bool:
        """Return whether nothing is recorded yet."""
        return self._read() is None

    @property
    def value(self) -> str:
        """Return what was predicted.

        :raises LabError: when nothing is recorded yet.
        """
        recorded = self._read()
        if recorded is None:
            raise self.missing()
        return recorded

    def missing(self) -> LabError:
        """Return the error for what needs this prediction before it was made."""
        return LabError(
            f"your prediction first: {self.question}",
            "nothing is recorded yet",
            "choose an answer above, press Record, then run this cell again",
        )

    def verdict(self, option: object) -> bool:
        """Return whether the option that came true is the one that was predicted.

        :raises LabError: when nothing was predicted, or what came true is none of the options.
        """
        if str(option) not in self.options:
            expected = f"one of the options of {self.name!r} came true: {'; '.join(self.options)}"
            raise LabError(expected, str(option), "run the experiment again; then look at what was measured")
        return str(option) == self.value


def refusal(cell: ast.Module, guesses: Iterable[Guess]) -> LabError | None:
    """Return the error for a cell that is not to run before a prediction; None for one that may run.

    Cells that open or close the lab, ask for a prediction or give a hint always run.
    """
    calls = (node.func for node in ast.walk(cell) if isinstance(node, ast.Call))
    for call in calls:
        if isinstance(call, ast.Attribute) and (call.attr in ALWAYS or ast.unparse(call) == "lesson.open"):
            return None
    return next((guess.missing() for guess in guesses if guess.open), None)


def shuffled(options: Sequence[str], seed: str) -> list[str]:
    """Return the options in an order that the seed draws; options with a number keep theirs, like a scale."""
    if any(re.search(r"\d", option) for option in options):
        return list(options)
    return random.Random(seed).sample(options, len(options))  # noqa: S311 - an order, no secret


def up_to(value: float, limits: Mapping[float, Option]) -> Option:
    """Return the option of the first limit that value does not exceed; the last option has no limit.

    `up_to(share, {0: "none", 0.03: "about 1 in 100", 1: "about 1 in 10"})`; limits are in rising order.
    """
    *below, last = limits.items()
    return next((option for limit, option in below if value <= limit), last[1])
