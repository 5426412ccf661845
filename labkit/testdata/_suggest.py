"""Which rule a column's name, type and values suggest: a proposal, for a person to decide."""

import re
from collections.abc import Callable
from typing import Literal, NamedTuple

import polars as pl

from labkit.testdata._column_name import named
from labkit.testdata._ff1 import LEAST, MOST
from labkit.testdata._looks import by_values, form_of, is_category, is_free
from labkit.testdata._rule import (
    DATE,
    INTEGER,
    JSON,
    NUMBER,
    TEXT,
    UUID,
    Rule,
    comment,
    element,
    family,
    misfit,
    toml_key,
    width,
)
from labkit.testdata._schema import Column
from labkit.testdata.kinds import KINDS

Confidence = Literal["high", "medium", "low"]
KEEP, NULL, CODE, YEAR = Rule("keep"), Rule("null"), Rule("pseudonymize"), Rule("generalize", "year")
KNOWN = {
    "boolean": "yes or no",
    "enum": "one of the labels in the schema",
    "interval": "a length of time",
    "time": "a time of day",
    "money": "an amount",
    r"oid|reg\w+": "a number of PostgreSQL's",
}
"""Types, as regular expressions, whose values say nothing of a person by themselves, and what they are."""

BY_TYPE = {
    "inet": (Rule("fake", "ipv4"), "an internet address"),
    "cidr": (Rule("fake", "ipv4"), "an internet address"),
    "macaddr": (Rule("fake", "mac_address"), "a network card's address"),
    "macaddr8": (Rule("fake", "mac_address"), "a network card's address"),
}
LONG = 10**8
"""Numbers above this that are not a key look like telephone, account or social security numbers."""

ADULT_DAYS = 18 * 365
OF_NUMBERS = {"iban", "credit_card_number", "phone_number"}
"""Kinds that are written as numbers too."""

EMPTY = pl.Series(dtype=pl.String)


class Proposal(NamedTuple):
    """A rule, the reason for it, and how sure it is; rule is None where no rule is both safe and possible."""

    rule: Rule | None
    reason: str
    confidence: Confidence

    def toml(self, name: str) -> str:
        """Return the line of a policy for a column or a path; without a rule, a comment to decide on."""
        why = comment(f"{self.reason} (confidence: {self.confidence})")
        if self.rule is None:
            return f'# {toml_key(name)} = "keep"  # {why}: decide, no other rule fits'
        return (
            f"{toml_key(name)} = {self.rule.toml()}  # {why}{': decide' if self.confidence == 'low' else ''}"
        )


def suggest(column: Column, *, key: bool = False, values: pl.Series = EMPTY) -> Proposal:
    """Return a proposal for a column.

    key is whether a primary or unique key has the column. values are some of the column's as texts; without
    them its name and type alone are judged. "keep" is proposed only for what is known to tell of no person.
    """
    texts = values.drop_nulls()
    texts = texts.filter(texts != "")
    of = element(column.type)
    judge = JUDGES.get(family(of), _other)
    proposal = judge(column, texts, key)
    if proposal.rule and not _fits(proposal.rule, column):
        return _next_best(column, proposal)
    return proposal


def _fits(rule: Rule, column: Column) -> bool:
    """Return whether a rule fits a column's type, and what it makes its width."""
    kind = KINDS.get(str(rule.argument))
    most = width(column.narrowest)
    return not misfit(rule, column) and not (kind and most and most < kind.least_width)


def _next_best(column: Column, proposal: Proposal) -> Proposal:
    """Return a proposal with a rule that fits its column: a code, else NULL, else none."""
    rules = [] if proposal.rule == KEEP else [CODE, NULL]
    rule = next((rule for rule in rules if _fits(rule, column)), None)
    return proposal._replace(rule=rule)


def _text(column: Column, texts: pl.Series, key: bool) -> Proposal:  # noqa: FBT001 - as JUDGES calls it
    of_name, looks = _by_name(column.name), by_values(texts)
    if of_name and looks and (of_name[0] == looks[0] or of_name[0].kind == "format_preserving"):
        proposal = Proposal(of_name[0], f"column name and values suggest {of_name[1]}", "high")
    elif looks and not (of_name and (of_name[0].kind in {"redact", "null"} or not looks[2])):
        proposal = Proposal(looks[0], f"values look like {looks[1]}", "high" if looks[2] else "medium")
    elif of_name:
        proposal = Proposal(of_name[0], f"column name suggests {of_name[1]}", "medium")
    else:
        return _apart(_unnamed(column, texts, key), key)
    return _apart(_in_form(proposal, texts), key)


def _by_name(name: str) -> tuple[Rule, str] | None:
    """Return what the name of a column of texts suggests; a name of a thing is no person's."""
    of_name = named("text", name)
    of_person = of_name and of_name[0].argument in {"name", "user_name"}
    return None if of_person and named("thing", name) else of_name


def _unnamed(column: Column, texts: pl.Series, key: bool) -> Proposal:  # noqa: FBT001 - as in _text
    """Return a proposal for texts of which neither name nor form tells a kind."""
    if is_free(texts):
        return Proposal(Rule("redact"), "values are long texts", "low")
    if of_name := named("sort", column.name):
        return Proposal(KEEP, f"column name suggests {of_name[1]}", "medium")
    if is_category(texts) and not key:
        counts = f"{texts.n_unique()} different values in {len(texts)} rows"
        return Proposal(KEEP, f"{counts} are categories", "medium")
    return Proposal(CODE, "a text; neither name nor values tell what it is", "low")


def _apart(proposal: Proposal, key: bool) -> Proposal:  # noqa: FBT001 - as in _text
    """Return a proposal for a column of a key, whose values have to stay different."""
    unique = {"email", "user_name"}
    rule = proposal.rule
    if (
        not key
        or rule is None
        or rule.kind in {"keep", "pseudonymize", "format_preserving"}
        or rule.argument in unique
    ):
        return proposal
    return proposal._replace(rule=CODE)


def _in_form(proposal: Proposal, texts: pl.Series) -> Proposal:
    """Return a proposal whose numbers have the form that all values have, if they have one."""
    if proposal.rule is None or proposal.rule.kind != "format_preserving" or texts.is_empty():
        return proposal
    form = form_of(texts)
    fits = form and LEAST <= form.count("#") <= MOST
    return proposal._replace(rule=Rule("format_preserving", form) if fits else CODE)


def _whole_number(column: Column, texts: pl.Series, key: bool) -> Proposal:  # noqa: FBT001 - as JUDGES calls it
    of_name = named("text", column.name)
    if (
        of_name
        and not key
        and (of_name[0].argument in OF_NUMBERS or of_name[0].kind in {"format_preserving", CODE.kind})
    ):
        return Proposal(CODE, f"column name suggests {of_name[1]}", "medium")
    long = texts.cast(pl.Float64, strict=False).abs() >= LONG
    if not key and 2 * int(long.sum()) > len(texts):
        return Proposal(CODE, "values are long numbers, as of telephones and accounts", "low")
    return _number(column, texts, key)


def _number(column: Column, texts: pl.Series, key: bool) -> Proposal:  # noqa: FBT001 - as JUDGES calls it
    del texts
    if (of_name := named("number", column.name)) and not key:
        return Proposal(of_name[0], f"column name suggests {of_name[1]}", "medium")
    return Proposal(KEEP, "a key of numbers" if key else "a number", "medium")


def _date(column: Column, texts: pl.Series, key: bool) -> Proposal:  # noqa: FBT001 - as JUDGES calls it
    if of_name := named("date", column.name):
        return Proposal(of_name[0], f"column name suggests {of_name[1]}", "medium")
    days = sorted(texts.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False).drop_nulls().to_list())
    if days and not key and (days[-1] - days[len(days) // 2]).days > ADULT_DAYS / 2:
        return Proposal(YEAR, "values spread over decades, as birthdays do", "low")
    return Proposal(KEEP, "a date; column name does not suggest a person's life", "medium")


def _uuid(column: Column, texts: pl.Series, key: bool) -> Proposal:  # noqa: FBT001 - as JUDGES calls it
    del column, texts
    return Proposal(KEEP, "a random key", "medium") if key else Proposal(CODE, "an identifier", "medium")


def _json(column: Column, texts: pl.Series, key: bool) -> Proposal:  # noqa: FBT001 - as JUDGES calls it
    del column, texts, key
    return Proposal(NULL, "JSON can hold anything", "low")


def _other(column: Column, texts: pl.Series, key: bool) -> Proposal:  # noqa: FBT001 - as JUDGES calls it
    del texts, key
    of = element(column.type)
    known = next((what for words, what in KNOWN.items() if re.match(rf"({words})\b", of)), None)
    if known:
        return Proposal(KEEP, known, "high")
    if of in BY_TYPE:
        rule, what = BY_TYPE[of]
        return Proposal(rule, f"type is that of {what}", "high")
    return Proposal(NULL, f"values of {column.declared or column.type} can hold anything", "low")


JUDGES: dict[str, Callable[[Column, pl.Series, bool], Proposal]] = {
    TEXT: _text,
    INTEGER: _whole_number,
    NUMBER: _number,
    DATE: _date,
    UUID: _uuid,
    JSON: _json,
}
"""Family of a type → what judges a column of it."""
