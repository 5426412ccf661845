"""Obscures a database: every column by the rule of a policy, under a key."""

import importlib.metadata
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import Any

from psycopg import sql

from labkit.errors import LabError
from labkit.testdata._change import EXTRA, Changer
from labkit.testdata._copy import Connection, copy
from labkit.testdata._fakes import Fakes
from labkit.testdata._forms import Forms
from labkit.testdata._generalize import generalized
from labkit.testdata._people import VALUE, WORDS, gather
from labkit.testdata._policy import Policy, Rules
from labkit.testdata._redact import Redactor
from labkit.testdata._role import identifying
from labkit.testdata._rows import Progress, Reading
from labkit.testdata._rule import TEXT, Rule, family
from labkit.testdata._schema import Schema, Table
from labkit.testdata._subset import Subset, checked
from labkit.testdata._trial import refuse_misfits, refuse_unknown_paths

KEY_BYTES = 32
ROW = "copied"
"""The name of a table's rows in the query that reads them."""


@dataclass(frozen=True)
class Obscured:
    """What was done.

    rows: number of rows by table.
    policy_digest: SHA-256 of the policy's text, as hexadecimal digits.
    key_fingerprint: eight hexadecimal digits by which two keys are compared; the key does not follow from it.
    faker: version of the library whose names were used, because the names change from version to version.
    seconds: how long the copy took.
    """

    rows: Mapping[str, int]
    policy_digest: str
    key_fingerprint: str
    faker: str
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON data, for the artifact database."""
        return asdict(self)


def obscure(
    source: str,
    target: str,
    policy: Policy,
    *,
    key: bytes | None = None,
    progress: Callable[[str], None] | None = None,
) -> Obscured:
    """Copy a database into an empty one, and change every column by the rule of a policy.

    source and target are libpq URLs. key is 32 secret bytes: the same key gives the same output, and whoever
    has the key can find people again. None makes a fresh key and forgets it. The source is only read, in one
    state. progress gets a sentence for each step; None reports nothing.

    :raises LabError: when the policy does not cover or fit the database, a value does not fit its rule, the
        target is not empty, or a connection is lost. The target is then as empty as before.
    """
    if key is not None and policy.forget_key:
        next_step = "leave the key out, or take forget_key out of the policy"
        raise LabError("no key, because the policy says forget_key = true", "a key", next_step)
    if key is not None and len(key) != KEY_BYTES:
        raise LabError(
            f"a key of {KEY_BYTES} bytes", f"{len(key)} bytes", "make one: secrets.token_bytes(32)"
        )
    key, started = key or secrets.token_bytes(KEY_BYTES), time.monotonic()
    notify = progress or (lambda _: None)

    def plan(reader: Connection, schema: Schema) -> Mapping[str, Reading]:
        rules, subset = policy.resolve(schema), checked(reader, schema, policy.where)
        refuse_misfits(reader, schema, rules, policy.fakes)
        refuse_unknown_paths(reader, schema, rules, subset)
        redactor = Redactor(_known_people(reader, schema, rules, policy.fakes, notify))
        return {
            name: _reading(
                table, rules[name], subset, Changer(table, rules[name], key, redactor, policy.fakes)
            )
            for name, table in schema.tables.items()
        }

    rows = copy(source, target, plan, notify)
    fingerprint = blake2b(key, digest_size=4, person=b"labkit print").hexdigest()
    faker = importlib.metadata.version("faker")
    return Obscured(rows, policy.digest, fingerprint, faker, round(time.monotonic() - started, 2))


def subset(
    source: str, target: str, where: Mapping[str, str], *, progress: Callable[[str], None] | None = None
) -> dict[str, int]:
    """Copy some of a database's rows into an empty one, with all that they refer to; return rows by table.

    source and target are libpq URLs. where gives a condition in SQL for some of the tables. A row stays if
    its table's condition holds and each row that it refers to stays. Nothing is obscured. progress gets a
    sentence for each step; None reports nothing.

    :raises LabError: when a condition or its table is wrong, the tables refer to each other in a cycle, the
        target is not empty, or a connection is lost. The target is then as empty as before.
    """

    def plan(reader: Connection, schema: Schema) -> Mapping[str, Reading]:
        cut = checked(reader, schema, where)
        return {name: _reading(table, _all_kept(table), cut, None) for name, table in schema.tables.items()}

    return copy(source, target, plan, progress or (lambda _: None))


def _all_kept(table: Table) -> dict[str, Rule]:
    return {column.name: Rule("keep") for column in table.columns.values() if not column.generated}


def _reading(table: Table, rules: Mapping[str, Rule], cut: Subset, changer: Changer | None) -> Reading:
    dropped = cut.dropped(table.name, ROW)
    columns = [_expression(table, name, rule, dropped.get(name)) for name, rule in rules.items()]
    if changer and changer.is_needed:
        columns += [sql.Identifier(ROW, name.removeprefix(EXTRA)) for name in changer.columns[len(rules) :]]
    query = sql.SQL("SELECT {} FROM {} AS {}").format(
        sql.SQL(", ").join(columns), sql.SQL(cut.source(table.name)), sql.Identifier(ROW)
    )
    return Reading(query, tuple(rules), changer if changer and changer.is_needed else None)


def _expression(table: Table, name: str, rule: Rule, kept: str | None) -> sql.Composable:
    """Return what is read for a column: itself, NULL, or what PostgreSQL makes less exact.

    kept is a condition in SQL under which a reference is kept in a subset; None keeps it always.
    """
    column, kind = sql.Identifier(ROW, name), table.columns[name].type
    read: sql.Composable = column
    if rule.kind == "null":
        read = sql.SQL("NULL")
    elif rule.kind == "generalize" and rule.argument is not None:
        read = generalized(column, kind, rule.argument)
    return sql.SQL("CASE WHEN {} THEN {} END").format(sql.SQL(kept), read) if kept else read


def _known_people(source: Connection, schema: Schema, rules: Rules, fakes: Fakes, notify: Progress) -> Forms:
    """Return the people whose names are redacted; nobody when there is no free text to redact."""
    forms = Forms(parts=True)
    parts = (part for columns in rules.values() for rule in columns.values() for part in rule.parts)
    if not any(part.kind == "redact" for part in parts):
        return forms
    notify("gathering names and addresses to redact in free text")
    named = identifying(schema, rules)
    for table, columns in rules.items():
        # Numbers and e-mail addresses are removed anyhow, whoever has them.
        kinds = {column: kind for column, kind in named[table].items() if kind != VALUE}
        for column, rule in columns.items():
            of_text = family(schema.tables[table].columns[column].type) == TEXT
            if column not in kinds and rule.kind == "fake" and of_text and fakes.kind(rule).has_words:
                kinds[column] = WORDS
        gather(source, schema, {table: kinds}, forms)
    return forms
