"""What an audit found, and what of it is a fault."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from labkit.testdata._attack import Attack
from labkit.testdata._compare import Coincidence
from labkit.testdata._distribution import Distribution
from labkit.testdata._texts import FreeText


@dataclass(frozen=True)
class Audit:
    """The report on one test database; columns are written "table.column".

    rows: of the target's tables. own_kept: rows that still have their own value, of columns that should have
    changed; None where rows cannot be matched, because the key changed too. coincidences: made-up values that
    are some other person's. free_text: what was found in texts. distributions: PostgreSQL's statistics before
    and after. people: the table that is about persons, None when there is none. known: what an outsider can
    compare, in words, by column. k: how many people at least say the same there; l: how many different
    sensitive values at least such a group has; None when there is nothing to count. attack: None when it was
    not run. foreign_keys: each key of the source, and whether every reference in the target leads somewhere.
    not_run: what could not be checked, and why. seconds is how long it took.
    """

    MOST_REIDENTIFIED: ClassVar[float] = 0.09
    """One in eleven: the most that the European Medicines Agency allows (guidance on its policy 0070)."""

    rows: Mapping[str, int]
    own_kept: Mapping[str, int | None]
    coincidences: Mapping[str, Coincidence]
    free_text: Mapping[str, FreeText]
    distributions: Mapping[str, Distribution]
    people: str | None
    known: Mapping[str, str]
    k: int | None
    l: int | None  # noqa: E741 - l-diversity is called so
    attack: Attack | None
    foreign_keys: Mapping[str, bool]
    not_run: Sequence[str]
    policy_digest: str | None
    seconds: float

    @property
    def reidentified(self) -> float | None:
        """Share of the people whom the attack found, from 0 to 1; None if it was not run."""
        return self.attack.right / self.attack.people if self.attack and self.attack.people else None

    @property
    def foreign_keys_ok(self) -> bool:
        """Tell whether every reference in the target leads somewhere."""
        return all(self.foreign_keys.values())

    @property
    def passed(self) -> bool:
        """Tell whether there is no fault; what was not run is none, and stands in not_run."""
        return not self.problems

    @property
    def problems(self) -> list[str]:
        """What is wrong, a sentence each, naming the column and the way out."""
        return [*self._kept(), *self._met(), *self._left_in_texts(), *self._found(), *self._broken()]

    @property
    def lines(self) -> list[str]:
        """The report in a few lines for people, beside its problems."""
        share = "not run" if self.reidentified is None else f"{self.reidentified:.1%} found again"
        known = ", ".join(f"{name} ({how})" for name, how in self.known.items()) or "nothing"
        return [
            f"{len(self.own_kept)} columns had to change, {len(self.free_text)} of text were searched",
            f"k = {self.k}, l = {self.l}, attack: {share}; known outside: {known}",
            *(f"not checked: {why}" for why in self.not_run),
        ]

    def _kept(self) -> list[str]:
        return [
            f"{column} keeps {count} of its own values: give it a rule such as fake or digits"
            for column, count in self.own_kept.items()
            if count
        ]

    def _met(self) -> list[str]:
        return [
            f"{column} has {it.seen} values of other people, and chance explains {it.most}: "
            "were they shuffled, or left as they are?"
            for column, it in self.coincidences.items()
            if not it.within
        ]

    def _left_in_texts(self) -> list[str]:
        return [
            f"{column} has real values of {', '.join(it.named)} in {it.leaking} rows: use scrub or null"
            for column, it in self.free_text.items()
            if not it.clean
        ]

    def _found(self) -> list[str]:
        share = self.reidentified
        if share is None or share <= self.MOST_REIDENTIFIED:
            return []
        known = ", ".join(f"{column} ({how})" for column, how in self.known.items())
        return [f"{share:.0%} of {self.people} are found again by {known}: make these less exact"]

    def _broken(self) -> list[str]:
        return [
            f"{key} has references that lead nowhere" for key, whole in self.foreign_keys.items() if not whole
        ]

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON data; it holds no value of either database but keys of a few rows."""
        told = {"passed": self.passed, "problems": self.problems, "reidentified": self.reidentified}
        return asdict(self) | told
