"""The rules of a policy: what may happen to a column's values, and which types each rule fits."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from labkit.errors import LabError
from labkit.testdata._ff1 import LEAST, MOST
from labkit.testdata._json import steps_of
from labkit.testdata._locale import Locale, read_locale
from labkit.testdata._schema import Column

PLAIN = {
    "keep": "the value stays",
    "null": "the value is taken out",
    "redact": "free text: what identifies a person is replaced by [removed]",
    "pseudonymize": "a code instead of the value: unique, and without a meaning",
}
WITH_ARGUMENT = {
    "fake": "a made-up value of a kind",
    "format_preserving": "the digits marked # are encrypted to other digits, one to one",
    "unissued": "the digits marked # are replaced, in a form of numbers that no authority issues",
    "date_shift": "a date moves by up to so many days, the same for the same person",
    "generalize": "less exact: a date to its year, a number to a multiple, a postcode to three digits",
    "json": "a rule for each path in it: keep and null for all that is at the path, others for one value",
}
AT_A_PATH = {*PLAIN, "fake", "format_preserving", "unissued", "date_shift"}
"""Rules for a value inside of JSON, which is taken as a text."""

GENERALIZATIONS = ("year", "month", "birth year", "postcode")
"""birth year is the year, but all people over 90 share one: they are so few that the year would name them."""


TEXT, INTEGER, NUMBER, DATE, UUID, JSON, OTHER = "text", "integer", "number", "date", "uuid", "json", "other"
FITS = {
    "keep": {TEXT, INTEGER, NUMBER, DATE, UUID, JSON, OTHER},
    "null": {TEXT, INTEGER, NUMBER, DATE, UUID, JSON, OTHER},
    "redact": {TEXT},
    "pseudonymize": {TEXT, INTEGER, UUID},
    "fake": {TEXT, INTEGER, NUMBER, DATE, UUID, JSON, OTHER},
    "format_preserving": {TEXT},
    "unissued": {TEXT},
    "date_shift": {DATE},
    "generalize": {TEXT, INTEGER, NUMBER, DATE},
    "json": {JSON},
}
UNIQUE = {"keep", "null", "pseudonymize", "format_preserving"}
"""Rules that keep different values different; some kinds of fakes do so too."""

PSEUDONYM = 16
"""The number of characters that a pseudonym needs: cut shorter, two of them could become equal."""

FAMILIES = {
    TEXT: r"text|character varying.*|character\(.*|character|bpchar|citext|name",
    INTEGER: r"smallint|integer|bigint",
    NUMBER: r"numeric.*|real|double precision",
    DATE: r"date|timestamp.*",
    UUID: r"uuid",
    JSON: r"jsonb?",
}


@dataclass(frozen=True)
class Rule:
    """What happens to a column: the kind of rule, its argument, and the column that identifies the person.

    argument is a text ("name", "###-##-####", "year"), a number (days, a multiple), or None for a plain kind.
    by names the column whose value identifies the person of a row; None means the column's own value.
    locale gives a fake's locales and their weights; None means the policy's. arguments are those of a fake
    that is a method of Faker's. paths are the rules of JSON by path.
    """

    kind: str
    argument: str | int | None = None
    by: str | None = None
    locale: Locale | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    paths: Mapping[str, "Rule"] = field(default_factory=dict)

    @property
    def parts(self) -> Iterator["Rule"]:
        """The rule itself and those of its paths."""
        yield self
        yield from self.paths.values()

    def toml(self) -> str:
        """Return the rule as it is written in a policy."""
        if self.kind == "json":
            rules = ", ".join(f"{quoted(path)} = {rule.toml()}" for path, rule in self.paths.items())
            return f"{{json = {{{rules}}}}}"
        if self.argument is None:
            return f'"{self.kind}"'
        written = {self.kind: self.argument, **self.arguments}
        written |= {"by": self.by} if self.by else {}
        if self.locale:
            written["locale"] = self.locale if len(self.locale) > 1 else next(iter(self.locale))
        return _toml(written)


def _toml(value: object) -> str:
    """Return a value as it is written in TOML, in one line."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{toml_key(str(name))} = {_toml(inner)}' for name, inner in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, str):
        return quoted(value)
    # The numbers and truth values of JSON are those of TOML; dates stand there as they are.
    return json.dumps(value) if isinstance(value, int | float) else str(value)


def toml_key(name: str) -> str:
    """Return a name as it is written in TOML, in quotes where it needs them."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else quoted(name)


def comment(text: str) -> str:
    """Return a text without the control characters that a comment in TOML may not have."""
    return re.sub(r"[\x00-\x1f\x7f]", "?", text)


def quoted(text: str) -> str:
    """Return a text in the quotes of TOML."""
    # JSON's escapes are TOML's, but TOML wants one for DEL as well.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def width(column_type: str) -> int | None:
    """Return how many characters a type takes; None means that there is no limit."""
    column_type = element(column_type)
    length = re.search(r"\((\d+)\)$", column_type) if family(column_type) == TEXT else None
    return int(length[1]) if length else (1 if column_type == "character" else None)


def element(column_type: str) -> str:
    """Return the type to whose values a rule is applied: that of an array's elements, or the type itself."""
    return column_type.removesuffix("[]")


def family(column_type: str) -> str:
    """Return the family of a PostgreSQL type: text, integer, number, date, uuid, json or other."""
    return next((name for name, types in FAMILIES.items() if re.fullmatch(types, column_type)), OTHER)


def read_rule(place: str, written: object) -> Rule:
    """Return the rule that is written for a column; place names the column: "customers.email".

    :raises LabError: when what is written is not a rule.
    """
    if isinstance(written, str):
        if written not in PLAIN:
            raise _unknown(place, written)
        return Rule(written)
    if not isinstance(written, Mapping):
        raise _unknown(place, written)
    if "json" in written:
        return _read_json(place, written)
    kinds, by = set(written) & set(WITH_ARGUMENT), written.get("by")
    more = {name: value for name, value in written.items() if name not in kinds | {"by"}}
    if len(kinds) != 1 or (more and kinds != {"fake"}) or not isinstance(by, str | None):
        raise _unknown(place, written)
    (kind,) = kinds
    argument, locale = written[kind], more.pop("locale", None)
    _check_argument(place, kind, argument)
    return Rule(kind, argument, by, None if locale is None else read_locale(place, locale), more)


def _read_json(place: str, written: Mapping[str, Any]) -> Rule:
    paths = written["json"]
    if set(written) != {"json"} or not isinstance(paths, Mapping) or not paths:
        raise _unknown(place, written)
    rules = {path: read_rule(f"{place} {path}", rule) for path, rule in paths.items()}
    for path, rule in rules.items():
        if steps_of(path) is None:
            next_step = f"correct {place} in the policy"
            raise LabError(f"{place}: a path such as $.contact.email, $.tags[*] or $['a b']", path, next_step)
        if rule.kind not in AT_A_PATH:
            expected = f"{place} {path}: one of {', '.join(sorted(AT_A_PATH))}"
            raise LabError(expected, rule.toml(), f"correct {place} in the policy")
    return Rule("json", paths=rules)


def _check_argument(place: str, kind: str, argument: Any) -> None:  # noqa: ANN401 - what TOML holds
    # type() instead of isinstance: in Python true is an int, and `date_shift = true` is a mistake.
    expected = {
        "fake": (isinstance(argument, str), 'fake = the name of a kind, such as "name"'),
        "format_preserving": (
            _is_pattern(argument),
            f"format_preserving = a pattern with {LEAST} to {MOST} #, such as ###-##-####",
        ),
        "unissued": (_is_pattern(argument), "unissued = a pattern with # for digits, such as 9##-##-####"),
        "date_shift": (type(argument) is int and argument > 0, "date_shift = a number of days, 1 or more"),
        "generalize": (
            argument in GENERALIZATIONS or (type(argument) is int and argument > 1),
            f"generalize = one of {', '.join(GENERALIZATIONS)}, or a number above 1",
        ),
    }
    holds, words = expected[kind]
    if not holds:
        raise LabError(f"{place}: {words}", repr(argument), f"correct {place} in the policy")


def _is_pattern(argument: Any) -> bool:  # noqa: ANN401 - what TOML holds
    return isinstance(argument, str) and LEAST <= argument.count("#") <= MOST


def _unknown(place: str, written: object) -> LabError:
    rules = [f'"{kind}"' for kind in PLAIN] + [f"{{{kind} = …}}" for kind in WITH_ARGUMENT]
    return LabError(f"{place}: one rule, {', '.join(rules)}", repr(written), f"correct {place} in the policy")


def misfit(rule: Rule, column: Column) -> str | None:
    """Return why a rule cannot be used for a column, as half a sentence; None when it can.

    A rule for an array is one for its elements, but those that PostgreSQL itself carries out.
    """
    of = element(column.type) if rule.kind != "generalize" else column.type
    kind = family(of)
    if kind not in FITS[rule.kind]:
        return f"{rule.kind} takes {' or '.join(sorted(FITS[rule.kind]))}, and the column is {column.type}"
    if kind in {JSON, OTHER} and of != column.type and rule.kind not in PLAIN:
        return f"{rule.kind} takes no {column.type}"
    if rule.kind == "null" and not column.nullable:
        return "null is not possible, because the column is NOT NULL"
    if rule.kind == "pseudonymize" and (width(column.narrowest) or PSEUDONYM) < PSEUDONYM:
        return f"the rule needs {PSEUDONYM} characters, and the column is {column.narrowest}"
    if rule.kind == "generalize" and not _generalizes(rule.argument, kind):
        return f"generalize = {rule.argument!r} does not fit a column of type {column.type}"
    return None


def _generalizes(argument: str | int | None, kind: str) -> bool:
    if isinstance(argument, int):
        return kind in {INTEGER, NUMBER}
    return kind == (TEXT if argument == "postcode" else DATE)
