"""The rules of a policy: what may happen to a column's values, and which types each rule fits."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from labkit.errors import LabError
from labkit.testdata._ff1 import LEAST, MOST
from labkit.testdata._schema import Column

PLAIN = {
    "keep": "the value stays",
    "null": "the value is taken out",
    "scrub": "free text: what identifies someone is taken out of it",
    "code": "another value instead, unique and without a meaning",
}
WITH_ARGUMENT = {
    "fake": "a made-up value of a kind",
    "digits": "the digits marked # become others, one to one",
    "never": "the digits marked # become others, in numbers that are given to nobody",
    "shift": "a date moves by up to so many days, the same for the same person",
    "round": "less exact: a date to its year, a number to a multiple, a postcode to three digits",
}
FAKES = (
    "name", "first name", "last name", "email", "user name", "phone", "address", "street", "city", "postcode",
    "company", "url", "ip",
)  # fmt: skip
ROUNDINGS = ("year", "month", "birth year", "postcode")
"""birth year: the year, but none of more than 90 years ago, for there are few so old."""


TEXT, INTEGER, NUMBER, DATE, UUID, JSON, OTHER = "text", "integer", "number", "date", "uuid", "json", "other"
FITS = {
    "keep": {TEXT, INTEGER, NUMBER, DATE, UUID, JSON, OTHER},
    "null": {TEXT, INTEGER, NUMBER, DATE, UUID, JSON, OTHER},
    "scrub": {TEXT},
    "code": {TEXT, INTEGER, UUID},
    "fake": {TEXT},
    "digits": {TEXT},
    "never": {TEXT},
    "shift": {DATE},
    "round": {TEXT, INTEGER, NUMBER, DATE},
}
UNIQUE = {"keep", "null", "code", "digits"}
"""Rules that leave no two values the same that were not; of the fakes, `email` and `user name` do so too."""

LEAST_WIDTH = {"email": 25, "user name": 28, "url": 33, "code": 16}
"""How many characters what has to stay whole takes."""

FAMILIES = {
    TEXT: r"text|character varying.*|character\(.*|character|citext|name",
    INTEGER: r"smallint|integer|bigint",
    NUMBER: r"numeric.*|real|double precision",
    DATE: r"date|timestamp.*",
    UUID: r"uuid",
    JSON: r"jsonb?",
}


@dataclass(frozen=True)
class Rule:
    """What happens to a column: its kind, the kind's argument, and by whom.

    argument is a text ("name", "###-##-####", "year"), a number (days, a multiple), or None for a plain kind.
    by names the column whose value tells which person a row is about; None is the column's own value.
    """

    kind: str
    argument: str | int | None = None
    by: str | None = None

    @property
    def is_unique(self) -> bool:
        """Tell whether different values stay different."""
        return self.kind in UNIQUE or (
            self.kind == "fake" and self.argument in {"email", "user name"} and self.by is None
        )

    def toml(self) -> str:
        """Return the rule as it is written in a policy."""
        if self.argument is None:
            return f'"{self.kind}"'
        argument = self.argument if isinstance(self.argument, int) else f'"{self.argument}"'
        by = f', by = "{self.by}"' if self.by else ""
        return f"{{{self.kind} = {argument}{by}}}"


def width(column_type: str) -> int | None:
    """Return how many characters a type takes; None is any number."""
    found = re.search(r"\((\d+)\)$", column_type) if family(column_type) == TEXT else None
    return int(found[1]) if found else (1 if column_type == "character" else None)


def family(column_type: str) -> str:
    """Return the family of a PostgreSQL type: text, integer, number, date, uuid, json or other."""
    return next((name for name, types in FAMILIES.items() if re.fullmatch(types, column_type)), OTHER)


def read_rule(place: str, written: object) -> Rule:
    """Return the rule that is written for a column; place names it: "customers.email".

    :raises LabError: for what is no rule.
    """
    if isinstance(written, str):
        if written not in PLAIN:
            raise _unknown(place, written)
        return Rule(written)
    if not isinstance(written, Mapping):
        raise _unknown(place, written)
    rest = {name: value for name, value in written.items() if name != "by"}
    by = written.get("by")
    if len(rest) != 1 or not set(rest) <= set(WITH_ARGUMENT) or not isinstance(by, str | None):
        raise _unknown(place, written)
    ((kind, argument),) = rest.items()
    _check_argument(place, kind, argument)
    return Rule(kind, argument, by)


def _check_argument(place: str, kind: str, argument: Any) -> None:  # noqa: ANN401 - what TOML holds
    expected = {
        "fake": (argument in FAKES, f"fake = one of {', '.join(FAKES)}"),
        "digits": (
            _is_pattern(argument),
            f"digits = a pattern with {LEAST} to {MOST} #, such as ###-##-####",
        ),
        "never": (_is_pattern(argument), "never = a pattern with # for digits, such as 9##-##-####"),
        "shift": (type(argument) is int and argument > 0, "shift = a number of days, 1 or more"),
        "round": (
            argument in ROUNDINGS or (type(argument) is int and argument > 1),
            f"round = one of {', '.join(ROUNDINGS)}, or a number above 1",
        ),
    }
    holds, words = expected[kind]
    if not holds:
        raise LabError(f"{place}: {words}", repr(argument), f"correct {place} in the policy")


def _is_pattern(argument: Any) -> bool:  # noqa: ANN401 - as above
    return isinstance(argument, str) and LEAST <= argument.count("#") <= MOST


def _unknown(place: str, written: object) -> LabError:
    rules = [f'"{kind}"' for kind in PLAIN] + [f"{{{kind} = …}}" for kind in WITH_ARGUMENT]
    return LabError(f"{place}: one rule, {', '.join(rules)}", repr(written), f"correct {place} in the policy")


def misfit(rule: Rule, column: Column) -> str | None:
    """Return why a rule cannot be used for a column, as half a sentence; None when it can."""
    kind = family(column.type)
    if kind not in FITS[rule.kind]:
        return f"{rule.kind} takes {' or '.join(sorted(FITS[rule.kind]))}, and the column is {column.type}"
    if rule.kind == "null" and not column.nullable:
        return "null cannot be, for the column is NOT NULL"
    least = LEAST_WIDTH.get(str(rule.argument or rule.kind), 0)
    if least > (width(column.type) or least):
        return f"it takes {least} characters, and the column is {column.type}"
    if rule.kind == "round" and not _rounds(rule.argument, kind):
        return f"round = {rule.argument!r} does not go with a column of type {column.type}"
    return None


def _rounds(argument: str | int | None, kind: str) -> bool:
    if isinstance(argument, int):
        return kind in {INTEGER, NUMBER}
    return kind == (TEXT if argument == "postcode" else DATE)
