"""JSON columns: which rule a value inside has, which values have none, and a proposal for each path."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

import polars as pl

from labkit.errors import LabError
from labkit.testdata._json import Paths, Steps, Value, path_of, read, values
from labkit.testdata._rule import Rule, quoted, toml_key
from labkit.testdata._schema import Column
from labkit.testdata._suggest import Proposal, suggest

COVERING = {"keep", "null"}
"""Rules for everything that is at a path, however deep."""

EMPTY = {"null", '""'}
MOST, KEYS = 10, 40
"""Paths that an error lists. An object with more different keys than KEYS is a table by a key of its own, and
such a key can be anything."""

TELLING = re.compile(r"[A-Za-z_][\w-]*", re.ASCII)
"""A key that may be printed: another one, such as a name or an address, can be somebody's."""


def rule_at(paths: Paths[Rule], value: Value) -> Rule | None:
    """Return the rule for a value; None when it has none."""
    found = paths.at(value.steps)
    if not found:
        return None
    rule, is_own = found
    return rule if is_own or rule.kind in COVERING else None


def without_rule(paths: Paths[Rule], documents: Iterable[str]) -> Counter[Steps]:
    """Return how many values have no rule, by the steps to them; what is null or "" needs none."""
    return Counter(
        value.steps
        for document in documents
        for value in values(document)
        if not value.is_whole
        and document[value.start : value.end] not in EMPTY
        and rule_at(paths, value) is None
    )


def refused(table: str, column: str, missing: Mapping[Steps, int]) -> LabError:
    """Return the error for values without a rule; it has no key that can be a person's."""
    shown = Counter[str]()
    for steps, count in missing.items():
        shown[
            path_of(tuple(None if name is None or not TELLING.fullmatch(name) else name for name in steps))
        ] += count
    lines = [f'{quoted(path)} = "null"' for path, _ in shown.most_common(MOST)]
    seen = ", ".join(f"{path} in {count} values" for path, count in shown.most_common(MOST))
    seen += f" and {len(shown) - MOST} more" if len(shown) > MOST else ""
    head = f"[{toml_key(table)}.{toml_key(column)}.json]"
    next_step = "decide, and add for example:\n" + "\n".join([head, *lines])
    return LabError(f"a rule for every path in {table}.{column}", f"none for {seen}", next_step)


def suggest_inside(documents: Iterable[str]) -> dict[str, Proposal]:
    """Return a proposal for each path of some documents, which may be cut off at their end.

    Where keys can be a person's, all of their object is proposed to be null.
    """
    texts: defaultdict[Steps, list[str]] = defaultdict(list)
    for document in documents:
        for value in values(document):
            token = document[value.start : value.end]
            if not value.is_whole and token not in EMPTY:
                texts[value.steps].append(token)
    closed = _tables_by_key(texts)
    proposals = {
        path_of(steps): Proposal(Rule("null"), "keys that can be anything", "low") for steps in closed
    }
    for steps, tokens in texts.items():
        if not any(steps[: len(whole)] == whole for whole in closed):
            proposals[path_of(steps)] = _suggest_at(steps, tokens)
    return proposals or {"$": Proposal(Rule("null"), "no value was seen", "low")}


def _tables_by_key(found: Iterable[Steps]) -> list[Steps]:
    """Return the objects whose keys may not be printed or are too many, but those inside of others."""
    keys: defaultdict[Steps, set[str | None]] = defaultdict(set)
    for steps in found:
        for length, name in enumerate(steps):
            keys[steps[:length]].add(name)
    closed = [
        steps
        for steps, names in keys.items()
        if len(names) > KEYS or any(name is not None and not TELLING.fullmatch(name) for name in names)
    ]
    return [steps for steps in closed if not any(steps[:length] in closed for length in range(len(steps)))]


def _suggest_at(steps: Steps, tokens: list[str]) -> Proposal:
    if all(token in {"true", "false"} for token in tokens):
        return Proposal(Rule("keep"), "yes or no", "high")
    of_numbers = not any(token.startswith('"') for token in tokens)
    name = next((name for name in reversed(steps) if name is not None), "value")
    column = Column(name, "bigint" if of_numbers else "text", nullable=True, generated=False)
    proposal = suggest(column, values=pl.Series([read(token) for token in tokens], dtype=pl.String))
    if proposal.rule is None or proposal.rule.kind == "generalize" or proposal.confidence == "low":
        return proposal._replace(rule=Rule("null"))
    return proposal
