"""Surveys a database: what is in it, what of it is personal by its look, and a first policy to decide on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl
from psycopg import sql

from labkit.testdata._copy import Connection, reading
from labkit.testdata._rule import JSON, TEXT, Rule, family
from labkit.testdata._schema import Column, ForeignKey, Schema, Table
from labkit.testdata._suggest import suggest

SAMPLE = 500
"""Rows of a table that are looked at."""

MOST = 0.5
"""Share of a column's values that have to look like something for the column to count as it."""

WORDS = 3.0
"""A text of more words than this on average is free text."""

EMAIL = Rule("fake", "email")
LOOKS = (
    (r"^[^\s@]+@[^\s@]+\.[^\s@]+$", EMAIL, "its values look like e-mail addresses"),
    (r"^\d{3}-\d{2}-\d{4}$", Rule("digits", "###-##-####"), "its values look like social security numbers"),
    (r"^\+?[\d ().\-/]{9,20}$", Rule("fake", "phone"), "its values look like telephone numbers"),
    (r"^\d{1,3}(\.\d{1,3}){3}$", Rule("fake", "ip"), "its values look like internet addresses"),
    (r"^https?://", Rule("fake", "url"), "its values look like web addresses"),
)
PERSONAL = {"fake", "digits", "never", "shift", "round", "scrub", "null"}


@dataclass(frozen=True)
class Surveyed:
    """A column, the rule that it speaks for, and why.

    inherits is the column that it refers to ("customers.id"), whose rule it has; None when it refers to none.
    """

    table: str
    column: str
    type: str
    rule: Rule
    reason: str
    inherits: str | None

    @property
    def is_personal(self) -> bool:
        """Tell whether it looks as if it said something about a person."""
        return self.rule.kind in PERSONAL

    @property
    def is_unclear(self) -> bool:
        """Tell whether it can hold anything: free text, JSON, and texts that do not say what they are."""
        kept = self.rule.kind == "keep" and family(self.type) == TEXT
        return not self.inherits and (kept or self.rule.kind == "scrub" or family(self.type) == JSON)


@dataclass(frozen=True)
class Survey:
    """What was found. order lists the tables, each after those that it refers to; cycles names the loops.

    tables holds each table's columns, types and keys by its name.
    """

    tables: Mapping[str, Table]
    columns: Sequence[Surveyed]
    foreign_keys: Sequence[ForeignKey]
    order: Sequence[str]
    cycles: Sequence[Sequence[str]]
    views: Sequence[str]

    def policy(self) -> str:
        """Return a first policy in TOML, every column with its reason: to be read, and decided on."""
        lines = ["# Every column is here with a proposal. Read each, decide, and take the comment away."]
        for table in self.order:
            lines += ["", f'["{table}"]' if "." in table else f"[{table}]"]
            for it in (it for it in self.columns if it.table == table):
                if it.inherits:
                    lines.append(f"# {it.column}: as {it.inherits}, to which it refers")
                else:
                    lines.append(f"{it.column} = {it.rule.toml()}  # {it.reason}")
        return "\n".join(lines) + "\n"


def survey(url: str) -> Survey:
    """Look at a database's schema and at some values of each column; nothing is written, no value is told.

    :raises LabError: when the database cannot be reached.
    """
    with reading(url) as (source, schema):
        columns = [it for table in schema.tables.values() for it in _table(source, schema, table)]
    views = [view.name for view in schema.views]
    return Survey(schema.tables, columns, schema.foreign_keys, schema.order, schema.cycles, views)


def _table(source: Connection, schema: Schema, table: Table) -> list[Surveyed]:
    copied = [column for column in table.columns.values() if not column.generated]
    keys = {name for key in table.unique for name in key}
    sample = _sample(source, table, copied)
    refers = {
        own: f"{key.to}.{to}"
        for key in schema.parents(table.name)
        for own, to in zip(key.columns, key.to_columns, strict=True)
        if (key.to, to) != (table.name, own)
    }
    found = []
    for column in copied:
        rule, reason = suggest(column, key=column.name in keys)
        if rule.kind == "keep" and family(column.type) == TEXT:
            rule, reason = _looks(sample[column.name], rule, reason)
        found.append(Surveyed(table.name, column.name, column.type, rule, reason, refers.get(column.name)))
    return _as_one_person(found, keys, table)


def _as_one_person(found: list[Surveyed], keys: set[str], table: Table) -> list[Surveyed]:
    """Let what is made up of a row agree with its e-mail address, if each has one: one name, one address.

    A second name of a row is another person's, and keys have to stay different.
    """
    emails = [it.column for it in found if it.rule == EMAIL and not table.columns[it.column].nullable]
    if len(emails) != 1:
        return found
    first = {it.rule.argument: it.column for it in reversed(found) if it.rule.kind == "fake"}
    mine = set(first.values()) - keys - {emails[0]}
    return [replace(it, rule=replace(it.rule, by=emails[0])) if it.column in mine else it for it in found]


def _sample(source: Connection, table: Table, columns: Sequence[Column]) -> pl.DataFrame:
    texts = [sql.SQL("{}::text").format(sql.Identifier(column.name)) for column in columns]
    query = sql.SQL("SELECT {} FROM {} LIMIT {}").format(
        sql.SQL(", ").join(texts), sql.Identifier(table.schema, table.relation), sql.Literal(SAMPLE)
    )
    names = dict.fromkeys((column.name for column in columns), pl.String)
    return pl.DataFrame(source.execute(query).fetchall(), schema=names, orient="row")


def _looks(values: pl.Series, rule: Rule, reason: str) -> tuple[Rule, str]:
    """Return the rule that a column's values speak for, else the one given."""
    told = values.drop_nulls()
    told = told.filter(told != "")
    if told.is_empty():
        return rule, reason
    for pattern, other, why in LOOKS:
        if told.str.contains(pattern).sum() > MOST * len(told):
            return other, why
    if float(told.str.count_matches(r"\S+").sum()) > WORDS * len(told):
        return Rule("scrub"), "free text by its length: decide"
    return rule, reason
