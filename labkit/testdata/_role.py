"""What an audit examines: which columns name a person, describe one, are sensitive, or hold text."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from labkit.testdata._loss import POSTCODE
from labkit.testdata._people import FAMILY, FIRST, VALUE, WHOLE, WORDS, Identifying
from labkit.testdata._policy import Policy, Rules
from labkit.testdata._rule import INTEGER, JSON, NUMBER, TEXT, Rule, family
from labkit.testdata._schema import Column, Schema, Table
from labkit.testdata._suggest import suggest
from labkit.testdata.kinds import KINDS

REDACT = Rule("redact")
NAME_KINDS = {"first_name": FIRST, "last_name": FAMILY, "name": WHOLE}
"""The beginnings of the kinds of names, and what a column of the kind has of a person."""

CHANGED = {"fake", "format_preserving", "unissued", "pseudonymize", "date_shift", "null"}
"""Kinds of rules after which no row may have its own value any more."""

OWN = {"keep", "redact"}
"""Kinds of rules after which a text has nothing but what it had."""

MEASURED = {"keep", "date_shift", "generalize"}
"""Kinds of rules after which a column is to be distributed as it was."""

DESCRIBES = r"born|birth|dob|age|sex|gender|zip|post_?code|postal|city|town|state|region|county|country|job"
"""Words in the names of columns that a neighbour or a register knows of somebody."""

SENSITIVE = r"diagnos|drug|medic|substance|treatment|condition|disease|allerg|icd|blood|insur|salary|income"
OF_PERSONS = (
    r"(full|patient|customer|client|person|contact|doctor|prescriber|user|member|employee|guest)_?name"
)
"""A column that is called "name" alone, or another one's name, may have the names of products."""

NUMBERS = r"ssn|iban|bban|passport|license_plate|card_number|msisdn|phone|email|user_name|ipv\d|mac_address"
"""Parts of the names of Faker's methods that make what one person alone has."""

UNSEARCHED = r"boolean|smallint|real|double precision|numeric\(\d+,[1-9]\d*\)|money|uuid|date|interval|time.*"
"""Types whose values can hold neither a name nor a telephone number."""


@dataclass(frozen=True)
class Roles:
    """Columns by table, and what the audit checks in them.

    changed: columns that may keep none of their own values, with the rule that demands it.
    direct_identifiers: columns that name a person by themselves, and what they have of one.
    texts: columns that can hold anything, and are searched.
    made_up: those of them with made-up values inside, beside others.
    unsearched: the other columns of which values stay, with their types.
    free: those of the texts that people write.
    people: the table that is about persons; None when there is none.
    quasi_identifiers: columns of that table that an outsider knows.
    sensitive: columns that nobody should learn of a person.
    matched: whether the rows of a table still have their primary key; None when no policy tells.
    measured: columns of which the distribution has to stay, and the family of their types.
    few: columns of so few made-up values that one's own value proves nothing; they are not compared.
    """

    changed: Rules
    direct_identifiers: Identifying
    texts: Mapping[str, list[str]]
    made_up: Mapping[str, list[str]]
    unsearched: Mapping[str, str]
    free: Mapping[str, list[str]]
    people: str | None
    quasi_identifiers: list[str]
    sensitive: Mapping[str, list[str]]
    matched: Mapping[str, bool | None]
    measured: Mapping[str, str]
    few: Mapping[str, list[str]]


def roles_of(schema: Schema, policy: Policy | None) -> Roles:
    """Judge every column by its name, its type and the policy; None judges by name and type alone.

    A policy cannot exempt a name or an address. In a table about persons, a column whose name suggests a
    direct identifier has to change, whatever the policy says.
    """
    suggested = {name: _suggested(table) for name, table in schema.tables.items()}
    rules: Rules = policy.resolve(schema) if policy else suggested
    direct = identifying(schema, rules)
    people = _people(schema, direct)
    few = {
        name: [column for column, rule in columns.items() if policy and policy.fakes.has_few(rule)]
        for name, columns in rules.items()
    }
    changed = {
        name: {
            column: rule
            for column, rule in rules[name].items()
            if (policy and rule.kind in CHANGED and column not in few[name]) or column in direct[name]
        }
        for name in schema.tables
    }
    texts, unsearched = _searched(schema, _stays(rules, changed, any_rule=not policy))
    free = {
        name: [column for column in columns if REDACT in (rules[name][column], suggested[name][column])]
        for name, columns in texts.items()
    }
    made_up = {
        name: [column for column in columns if policy and rules[name][column].kind not in OWN]
        for name, columns in texts.items()
    }
    of_people = schema.tables[people].columns.values() if people else ()
    quasi = [column.name for column in of_people if _suggests(DESCRIBES, column)]
    matched = {
        name: all(rules[name][column].kind == "keep" for column in table.primary_key) if policy else None
        for name, table in schema.tables.items()
    }
    sensitive = _sensitive(schema, people)
    measured = _measured(schema, rules, direct)
    return Roles(
        changed, direct, texts, made_up, unsearched, free, people, quasi, sensitive, matched, measured, few
    )


def _stays(rules: Rules, changed: Rules, *, any_rule: bool) -> dict[str, list[str]]:
    """Return by table the columns whose values may stay; with any_rule, all that need not change."""
    gone = set() if any_rule else {*CHANGED, "generalize"}
    return {
        name: [
            column
            for column, rule in columns.items()
            if column not in changed[name] and rule.kind not in gone
        ]
        for name, columns in rules.items()
    }


def _searched(schema: Schema, stays: Mapping[str, list[str]]) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Return the columns to search by table, and the types of the others by "table.column"."""
    texts = {
        name: [column for column in columns if _holds_text(schema, name, column)]
        for name, columns in stays.items()
    }
    others = {
        f"{name}.{column}": schema.tables[name].columns[column].type
        for name, columns in stays.items()
        for column in columns
        if column not in texts[name]
    }
    return texts, others


def _measured(schema: Schema, rules: Rules, direct: Identifying) -> dict[str, str]:
    """Return the columns that are kept, shifted or generalized; what a key is made of tells nothing."""
    measured = {}
    for name, table in schema.tables.items():
        for column, rule in rules[name].items():
            if rule.kind in MEASURED and column not in {*direct[name], *_of_keys(schema, table)}:
                postcode = rule == Rule("generalize", POSTCODE)
                measured[f"{name}.{column}"] = POSTCODE if postcode else family(table.columns[column].type)
    return measured


def _of_keys(schema: Schema, table: Table) -> set[str]:
    keys = {name for key in table.unique for name in key}
    return keys | {name for key in schema.parents(table.name) for name in key.columns}


def identifying(schema: Schema, rules: Rules) -> dict[str, dict[str, str]]:
    """Return by table the columns that name somebody, by their names or by the rules, and what each has.

    A column that is called "name" alone may have the names of products: it counts beside another column that
    names a person, or when its rule says that it is one's name.
    """
    return {name: _identifying(table, rules[name]) for name, table in schema.tables.items()}


def _identifying(table: Table, rules: Mapping[str, Rule]) -> dict[str, str]:
    suggested = _suggested(table)
    by_rule = {name: kind for name, rule in rules.items() if (kind := _kind(rule))}
    by_name = {name: kind for name, rule in suggested.items() if (kind := _kind(rule))}
    sure = any(kind != WHOLE or re.search(OF_PERSONS, name.lower()) for name, kind in by_name.items())
    # A rule that no name suggests is somebody's decision.
    decided = any(rules[name] != suggested[name] for name in by_rule)
    return by_rule | by_name if sure or decided else {}


def _kind(rule: Rule) -> str | None:
    """Return what a column with a rule has of a person; None when nothing."""
    if rule.kind in {"format_preserving", "unissued"}:
        return VALUE
    if rule.kind != "fake":
        return None
    for begin, kind in NAME_KINDS.items():
        if str(rule.argument).startswith(begin):
            return kind
    faked = KINDS.get(str(rule.argument))
    if faked and faked.is_direct:
        return WORDS if faked.has_words else VALUE
    return VALUE if re.search(NUMBERS, str(rule.argument)) else None


def _suggested(table: Table) -> dict[str, Rule]:
    return {
        column.name: suggest(column).rule or Rule("keep")
        for column in table.columns.values()
        if not column.generated
    }


def _people(schema: Schema, direct: Identifying) -> str | None:
    """Return the table with the most columns that name or describe persons; None when no column names one."""

    def weight(name: str) -> tuple[int, int]:
        columns = schema.tables[name].columns.values()
        return len(direct[name]), sum(_suggests(DESCRIBES, column) for column in columns)

    best = max(schema.tables, key=weight, default=None)
    return best if best and direct[best] else None


def _holds_text(schema: Schema, table: str, column: str) -> bool:
    """Return whether a column can hold what names somebody; a whole number can, but not that of a key."""
    own = schema.tables[table]
    type_ = own.columns[column].type
    if family(type_) in {INTEGER, NUMBER} and column in _of_keys(schema, own):
        return False
    return re.fullmatch(UNSEARCHED, type_.removesuffix("[]")) is None


def _sensitive(schema: Schema, people: str | None) -> dict[str, list[str]]:
    """Return the sensitive columns of the table of people and of those that refer to it."""
    near = [people] if people else []
    near += [key.table for key in schema.foreign_keys if key.to == people and key.table != people]
    kinds = {TEXT, INTEGER}
    sensitive = {
        name: [
            column.name
            for column in schema.tables[name].columns.values()
            if family(column.type) in kinds and _suggests(SENSITIVE, column)
        ]
        for name in dict.fromkeys(near)
    }
    return {name: columns for name, columns in sensitive.items() if columns}


def _suggests(words: str, column: Column) -> bool:
    """Return whether a column's name has one of the words, at its start or after an underscore."""
    parts = rf"(^|_)({words})"
    return bool(re.search(parts, column.name.lower())) and family(column.type) != JSON
