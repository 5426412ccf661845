"""What an audit found, and which of it is a fault."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from labkit.testdata._compare import ChanceMatches
from labkit.testdata._demands import Demands
from labkit.testdata._distribution import Distribution
from labkit.testdata._linkage_attack import LinkageAttack
from labkit.testdata._texts import FreeText


@dataclass(frozen=True)
class Audit:
    """The report on one test database; columns are written "table.column".

    rows: number of rows by table of the target.
    leaked_originals: rows that still have their own value, by column that had to change. None means that
        rows cannot be matched, because no primary key stayed.
    chance_matches: made-up values that are another person's real value, by column that had to change.
    free_text: original values that stand in texts, JSON and other types, by column.
    schema: places of the schema's own text that have an original value or seem to, and what was found.
    not_searched: columns of which values stay and which were not searched, with their types.
    distributions: PostgreSQL's statistics before and after, and how much was lost, by column.
    people: the table about persons; None when there is none.
    quasi_identifiers: what an outsider can compare, in words, by column. A direct identifier that is still
        there counts too, once the linkage attack was run.
    k: the size of the smallest group of people who look alike; None when it cannot be counted.
    l: the least number of different sensitive values in such a group; None when it cannot be counted.
    linkage_attack: how many people a list from outside finds; None when the attack was not run.
    foreign_keys: each key of the source, and whether every reference in the target leads to a row.
    not_run: what could not be checked, and why.
    policy_digest: SHA-256 of the policy's text, as hexadecimal digits; None without a policy.
    demands: what the policy demands beside its rules.
    seconds: how long the audit took.
    """

    MOST_REIDENTIFIED: ClassVar[float] = 0.09
    """One in eleven. The guidance of the European Medicines Agency on its policy 0070 takes 0.09 as a ceiling
    on the probability that a record is re-identified, which groups of at least twelve people keep. Here it is
    the most that the linkage attack may find of all people. A policy demands groups of twelve by k = 12."""

    rows: Mapping[str, int]
    leaked_originals: Mapping[str, int | None]
    chance_matches: Mapping[str, ChanceMatches]
    free_text: Mapping[str, FreeText]
    schema: Mapping[str, Sequence[str]]
    not_searched: Mapping[str, str]
    distributions: Mapping[str, Distribution]
    people: str | None
    quasi_identifiers: Mapping[str, str]
    k: int | None
    l: int | None  # noqa: E741 - l-diversity is called so
    linkage_attack: LinkageAttack | None
    foreign_keys: Mapping[str, bool]
    not_run: Sequence[str]
    policy_digest: str | None
    demands: Demands
    seconds: float

    @property
    def reidentified(self) -> float | None:
        """Share of the people whom the linkage attack found, from 0 to 1; None when it was not run."""
        attack = self.linkage_attack
        return attack.right / attack.people if attack and attack.people else None

    @property
    def foreign_keys_ok(self) -> bool:
        """Return whether every reference in the target leads to a row."""
        return all(self.foreign_keys.values())

    @property
    def passed(self) -> bool:
        """Return whether there is no problem. What was not run is no problem: see not_run."""
        return not self.problems

    @property
    def problems(self) -> list[str]:
        """What is wrong: a sentence for each problem, with the column and what to do."""
        return [
            *self._leaked(),
            *self._matched(),
            *self._left_in_texts(),
            *self._left_in_schema(),
            *self._reidentified(),
            *self._alike(),
            *self._lost(),
            *self._broken(),
        ]

    @property
    def lines(self) -> list[str]:
        """A summary for people in a few lines; the problems are not in it."""
        share = "not run" if self.reidentified is None else f"{self.reidentified:.1%} re-identified"
        columns, texts = len(self.leaked_originals), len(self.free_text)
        return [
            f"{columns} columns had to change, {texts} columns of text were searched",
            f"k = {self.k}, l = {self.l}, linkage attack: {share}",
            f"quasi-identifiers: {self._identifiers() or 'none'}",
            f"most lost of a distribution: {self._most_lost()}",
            *([f"not searched: {', '.join(self._unsearched())}"] if self.not_searched else []),
            *(f"not checked: {why}" for why in self.not_run),
        ]

    def _identifiers(self) -> str:
        return ", ".join(f"{column} ({how})" for column, how in self.quasi_identifiers.items())

    def _leaked(self) -> list[str]:
        return [
            f"{column} keeps {count} original values: give it a rule such as fake or format_preserving"
            for column, count in self.leaked_originals.items()
            if count
        ]

    def _matched(self) -> list[str]:
        return [
            f"{column} has {matches.seen} real values of other people, where chance explains {matches.most}: "
            "make new values instead of shuffling or keeping the real ones"
            for column, matches in self.chance_matches.items()
            if not matches.within
        ]

    def _left_in_texts(self) -> list[str]:
        return [
            f"{column} has real values of {', '.join(text.named)} in {text.leaking} rows: use redact or null"
            for column, text in self.free_text.items()
            if not text.clean
        ]

    def _left_in_schema(self) -> list[str]:
        return [
            f"the schema has {', '.join(origins)} in the {place}: change it in the source's schema, or in "
            "the test database alone"
            for place, origins in self.schema.items()
        ]

    def _unsearched(self) -> list[str]:
        return [f"{column} ({why})" for column, why in self.not_searched.items()]

    def _alike(self) -> list[str]:
        """Return the demands for k and l that do not hold."""
        seen = {"k": (self.demands.k, self.k), "l": (self.demands.l, self.l)}
        counted = {
            name: "cannot be counted" if is_ is None else f"is {is_}" for name, (_, is_) in seen.items()
        }
        return [
            f"{name} {counted[name]}, and the policy demands {least}: make quasi-identifiers less exact "
            f"({self._identifiers() or 'none is known'})"
            for name, (least, is_) in seen.items()
            if least is not None and (is_ is None or is_ < least)
        ]

    def _losses(self) -> dict[str, float]:
        return {name: each.lost for name, each in self.distributions.items() if each.lost is not None}

    def _most_lost(self) -> str:
        losses = self._losses()
        most = max(losses, key=losses.__getitem__, default=None)
        return f"{losses[most]:.2f} of {most}" if most else "not measured"

    def _lost(self) -> list[str]:
        return [
            f"{column} lost {loss:.2f} of its distribution, where 1 is as if all its values were one, and "
            f"{self.demands.allowed(column):g} is allowed: give it a rule that keeps more, or a tolerance"
            for column, loss in self._losses().items()
            if loss > self.demands.allowed(column)
        ]

    def _reidentified(self) -> list[str]:
        share = self.reidentified
        if share is None or share <= self.MOST_REIDENTIFIED:
            return []
        return [
            f"{share:.0%} of {self.people} are re-identified by {self._identifiers()}: make these less exact"
        ]

    def _broken(self) -> list[str]:
        return [
            f"{key} has references that lead nowhere: copy the database again with `labkit data obscure`"
            for key, whole in self.foreign_keys.items()
            if not whole
        ]

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON data. It has no value of either database, but the keys of a few rows."""
        verdict = {"passed": self.passed, "problems": self.problems, "reidentified": self.reidentified}
        return asdict(self) | verdict
