"""What an audit examines: which columns name a person, describe one, are sensitive, or hold text."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from labkit.testdata._policy import Policy, Rules
from labkit.testdata._rule import INTEGER, JSON, OTHER, TEXT, Rule, family
from labkit.testdata._schema import Column, Schema, Table
from labkit.testdata._suggest import suggest
from labkit.testdata.kinds import KINDS

NAMES = {"name", "first_name", "last_name"}

CHANGED = {"fake", "format_preserving", "unissued", "pseudonymize", "date_shift", "null"}
"""Kinds of rules after which no row may have its own value any more."""

DESCRIBES = r"born|birth|dob|age|sex|gender|zip|post_?code|postal|city|town|state|region|county|country|job"
"""Words in the names of columns that a neighbour or a register knows of somebody."""

SENSITIVE = r"diagnos|drug|medic|substance|treatment|condition|disease|allerg|icd|blood|insur|salary|income"
UNSEARCHED = {"boolean", "bytea"}


@dataclass(frozen=True)
class Roles:
    """Columns by table, and what the audit checks in them.

    changed: columns that may keep none of their own values, with the rule that demands it.
    direct_identifiers: columns that name a person by themselves.
    texts: columns that can hold anything, and are searched.
    free: those of them that people write.
    people: the table that is about persons; None when there is none.
    quasi_identifiers: columns of that table that an outsider knows.
    sensitive: columns that nobody should learn of a person.
    matched: whether the rows of a table still have their primary key; None when no policy tells.
    few: columns of so few made-up values that one's own value proves nothing; they are not compared.
    """

    changed: Rules
    direct_identifiers: Mapping[str, list[str]]
    texts: Mapping[str, list[str]]
    free: Mapping[str, list[str]]
    people: str | None
    quasi_identifiers: list[str]
    sensitive: Mapping[str, list[str]]
    matched: Mapping[str, bool | None]
    few: Mapping[str, list[str]]


def roles_of(schema: Schema, policy: Policy | None) -> Roles:
    """Judge every column by its name, its type and the policy; None judges by name and type alone.

    A policy cannot exempt a name or an address. In a table about persons, a column whose name suggests a
    direct identifier has to change, whatever the policy says.
    """
    suggested = {name: _suggested(table) for name, table in schema.tables.items()}
    rules: Rules = policy.resolve(schema) if policy else suggested
    direct = {name: _direct_identifiers(columns) for name, columns in suggested.items()}
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
    texts = {
        name: _texts(table, rules[name], changed[name], any_rule=not policy)
        for name, table in schema.tables.items()
    }
    free = {
        name: [
            column
            for column in columns
            if "redact" in {rules[name][column].kind, suggested[name][column].kind}
        ]
        for name, columns in texts.items()
    }
    of_people = schema.tables[people].columns.values() if people else ()
    quasi = [column.name for column in of_people if _suggests(DESCRIBES, column)]
    matched = {
        name: all(rules[name][column].kind == "keep" for column in table.primary_key) if policy else None
        for name, table in schema.tables.items()
    }
    return Roles(changed, direct, texts, free, people, quasi, _sensitive(schema, people), matched, few)


def _suggested(table: Table) -> dict[str, Rule]:
    return {
        column.name: suggest(column).rule or Rule("keep")
        for column in table.columns.values()
        if not column.generated
    }


def _direct_identifiers(rules: Mapping[str, Rule]) -> list[str]:
    """Return the columns that name a person; a name alone may be that of a product."""
    columns = [
        column
        for column, rule in rules.items()
        if rule.kind == "format_preserving"
        or (rule.argument in KINDS and KINDS[str(rule.argument)].is_direct)
    ]
    return columns if any(rules[column].argument not in NAMES for column in columns) else []


def _people(schema: Schema, direct: Mapping[str, list[str]]) -> str | None:
    """Return the table with the most columns that name or describe persons; None when no column names one."""

    def weight(name: str) -> tuple[int, int]:
        columns = schema.tables[name].columns.values()
        return len(direct[name]), sum(_suggests(DESCRIBES, column) for column in columns)

    best = max(schema.tables, key=weight, default=None)
    return best if best and direct[best] else None


def _texts(
    table: Table, rules: Mapping[str, Rule], changed: Mapping[str, Rule], *, any_rule: bool
) -> list[str]:
    return [
        column.name
        for column in table.columns.values()
        if column.name in rules
        and column.name not in changed
        and (any_rule or rules[column.name].kind in {"keep", "redact", "json"})
        and family(column.type) in {TEXT, JSON, OTHER}
        and column.type not in UNSEARCHED
    ]


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
