"""What an audit looks at: which columns name a person, describe one, tell a secret, or are text."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from labkit.testdata._policy import Policy, Rules
from labkit.testdata._rule import INTEGER, JSON, OTHER, TEXT, Rule, family
from labkit.testdata._schema import Column, Schema, Table
from labkit.testdata._suggest import suggest

NAMES = {"name", "first name", "last name"}
DIRECT = NAMES | {"email", "user name", "phone", "address", "street", "url", "ip"}
CHANGED = {"fake", "digits", "never", "code", "shift", "null"}
"""Kinds of rules after which no row may have its own value any more."""

DESCRIBES = r"born|birth|dob|age|sex|gender|zip|post_?code|postal|city|town|state|region|county|country|job"
"""Words in the names of columns that a neighbour or a register knows of somebody."""

SENSITIVE = r"diagnos|drug|medic|substance|treatment|condition|disease|allerg|icd|blood|insur|salary|income"
UNSEARCHED = {"boolean", "bytea"}


@dataclass(frozen=True)
class Roles:
    """Columns by table and what is to be checked of them.

    changed: none of its own values may be left, by the rule that says so. direct: names a person by itself.
    texts: could hold anything, and is searched. free: those of them that are written by people.
    people is the table that is about persons, None when there is none; describing are its columns that an
    outsider knows; sensitive are columns, by table, that nobody should learn of a person. matched tells of
    a table whether its rows have their primary key still, None when no policy says so.
    """

    changed: Rules
    direct: Mapping[str, list[str]]
    texts: Mapping[str, list[str]]
    free: Mapping[str, list[str]]
    people: str | None
    describing: list[str]
    sensitive: Mapping[str, list[str]]
    matched: Mapping[str, bool | None]


def roles_of(schema: Schema, policy: Policy | None) -> Roles:
    """Judge every column by its name and type and by the policy; None judges by the names alone.

    A policy cannot talk a name or an address away: of a table that is about persons, what by its name is
    such a thing counts as one that should have changed, whatever the policy says.
    """
    told = {name: _suggested(table) for name, table in schema.tables.items()}
    rules: Rules = policy.resolve(schema) if policy else told
    direct = {name: _direct(rules) for name, rules in told.items()}
    people = _people(schema, direct)
    changed = {
        name: {
            column: rule
            for column, rule in rules[name].items()
            if (policy and rule.kind in CHANGED) or column in direct[name]
        }
        for name in schema.tables
    }
    texts = {
        name: _texts(table, rules[name], changed[name], any_rule=not policy)
        for name, table in schema.tables.items()
    }
    free = {
        name: [it for it in columns if "scrub" in {rules[name][it].kind, told[name][it].kind}]
        for name, columns in texts.items()
    }
    describing = [
        it.name for it in (schema.tables[people].columns.values() if people else ()) if _says(DESCRIBES, it)
    ]
    matched = {
        name: all(rules[name][it].kind == "keep" for it in table.primary_key) if policy else None
        for name, table in schema.tables.items()
    }
    return Roles(changed, direct, texts, free, people, describing, _sensitive(schema, people), matched)


def _suggested(table: Table) -> dict[str, Rule]:
    return {it.name: suggest(it)[0] for it in table.columns.values() if not it.generated}


def _direct(rules: Mapping[str, Rule]) -> list[str]:
    """Return the columns that name a person; a name alone may be that of a product."""
    found = [it for it, rule in rules.items() if rule.kind == "digits" or rule.argument in DIRECT]
    return found if any(rules[it].argument not in NAMES for it in found) else []


def _people(schema: Schema, direct: Mapping[str, list[str]]) -> str | None:
    """Return the table that says most about persons, without pointing to another that is about them."""

    def weight(name: str) -> tuple[int, int]:
        return len(direct[name]), sum(_says(DESCRIBES, it) for it in schema.tables[name].columns.values())

    best = max(schema.tables, key=weight, default=None)
    return best if best and direct[best] else None


def _texts(
    table: Table, rules: Mapping[str, Rule], changed: Mapping[str, Rule], *, any_rule: bool
) -> list[str]:
    return [
        it.name
        for it in table.columns.values()
        if it.name in rules
        and it.name not in changed
        and (any_rule or rules[it.name].kind in {"keep", "scrub"})
        and family(it.type) in {TEXT, JSON, OTHER}
        and it.type not in UNSEARCHED
    ]


def _sensitive(schema: Schema, people: str | None) -> dict[str, list[str]]:
    """Return the sensitive columns of the table of people and of those that refer to it."""
    near = [people] if people else []
    near += [key.table for key in schema.foreign_keys if key.to == people and key.table != people]
    kinds = {TEXT, INTEGER}
    found = {
        name: [
            it.name
            for it in schema.tables[name].columns.values()
            if family(it.type) in kinds and _says(SENSITIVE, it)
        ]
        for name in dict.fromkeys(near)
    }
    return {name: columns for name, columns in found.items() if columns}


def _says(words: str, column: Column) -> bool:
    parts = rf"(^|_)({words})"
    return bool(re.search(parts, column.name.lower())) and family(column.type) != JSON
