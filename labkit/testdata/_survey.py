"""Surveys a database: what it holds, which columns look personal, and a first policy to decide on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl
from psycopg import sql

from labkit.testdata._copy import Connection, reading
from labkit.testdata._rule import JSON, TEXT, Rule, family
from labkit.testdata._schema import Column, ForeignKey, Schema, Table
from labkit.testdata._suggest import suggest

SAMPLE = 500
"""Rows of a table that are read."""

MOST = 0.5
"""More than this share of a column's values has to fit a pattern for the column to count as that."""

WORDS = 3.0
"""A text of more words than this on average is free text."""

EMAIL = Rule("fake", "email")
LOOKS = (
    (r"^[^\s@]+@[^\s@]+\.[^\s@]+$", EMAIL, "its values look like e-mail addresses"),
    (
        r"^\d{3}-\d{2}-\d{4}$",
        Rule("format_preserving", "###-##-####"),
        "its values look like social security numbers",
    ),
    (r"^\+?[\d ().\-/]{9,20}$", Rule("fake", "phone_number"), "its values look like telephone numbers"),
    (r"^\d{1,3}(\.\d{1,3}){3}$", Rule("fake", "ipv4"), "its values look like internet addresses"),
    (r"^https?://", Rule("fake", "url"), "its values look like web addresses"),
)
PERSONAL = {"fake", "format_preserving", "unissued", "date_shift", "generalize", "redact", "null"}


@dataclass(frozen=True)
class Surveyed:
    """A column, the rule that is proposed for it, and the reason.

    inherits names the column that this one refers to ("customers.id"), and whose rule it has; None when it
    refers to none.
    """

    table: str
    column: str
    type: str
    rule: Rule
    reason: str
    inherits: str | None

    @property
    def is_personal(self) -> bool:
        """Return whether the column looks personal, by the rule that is proposed."""
        return self.rule.kind in PERSONAL

    @property
    def is_unclear(self) -> bool:
        """Return whether the column can hold anything: free text, JSON, and texts of an unknown kind."""
        kept = self.rule.kind == "keep" and family(self.type) == TEXT
        return not self.inherits and (kept or self.rule.kind == "redact" or family(self.type) == JSON)


@dataclass(frozen=True)
class Survey:
    """The tables, columns, keys and views of a database, with a proposal for each column.

    tables: each table's columns, types and keys by its name.
    columns: the columns that a copy has, table by table.
    order: the tables, each after those that it refers to.
    cycles: tables that refer to each other in a circle, each as the tables on its way.
    views: the names of the views.
    """

    tables: Mapping[str, Table]
    columns: Sequence[Surveyed]
    foreign_keys: Sequence[ForeignKey]
    order: Sequence[str]
    cycles: Sequence[Sequence[str]]
    views: Sequence[str]

    def policy(self) -> str:
        """Return a first policy in TOML, every column with its reason: to be read, and decided on."""
        lines = ["# Each column has a proposal. Read it, decide, and take the comment away."]
        for table in self.order:
            lines += ["", f'["{table}"]' if "." in table else f"[{table}]"]
            for column in (column for column in self.columns if column.table == table):
                if column.inherits:
                    lines.append(f"# {column.column}: same rule as {column.inherits}, to which it refers")
                else:
                    lines.append(f"{column.column} = {column.rule.toml()}  # {column.reason}")
        return "\n".join(lines) + "\n"


def survey(url: str) -> Survey:
    """Read a database's schema and some values of each column, and propose a rule for each column.

    url is libpq's. Nothing is written, and the survey holds no value of the database.

    :raises LabError: when the database cannot be reached.
    """
    with reading(url) as (source, schema):
        columns = [column for table in schema.tables.values() for column in _table(source, schema, table)]
    views = [view.name for view in schema.views]
    return Survey(schema.tables, columns, schema.foreign_keys, schema.order, schema.cycles, views)


def _table(source: Connection, schema: Schema, table: Table) -> list[Surveyed]:
    copied = [column for column in table.columns.values() if not column.generated]
    keys = {name for key in table.unique for name in key}
    sample = _sample(source, table, copied)
    inherits = {
        own: f"{key.to}.{to}"
        for key in schema.parents(table.name)
        for own, to in zip(key.columns, key.to_columns, strict=True)
        if (key.to, to) != (table.name, own)
    }
    columns = []
    for column in copied:
        rule, reason = suggest(column, key=column.name in keys)
        if rule.kind == "keep" and family(column.type) == TEXT:
            rule, reason = _by_values(sample[column.name], rule, reason)
        columns.append(
            Surveyed(table.name, column.name, column.type, rule, reason, inherits.get(column.name))
        )
    return _as_one_person(columns, keys, table)


def _as_one_person(columns: list[Surveyed], keys: set[str], table: Table) -> list[Surveyed]:
    """Let the made-up values of a row belong to one person: by its e-mail address, if each row has one.

    A second name in a row is another person's, and values of a key have to stay different.
    """
    emails = [
        column.column
        for column in columns
        if column.rule == EMAIL and not table.columns[column.column].nullable
    ]
    if len(emails) != 1:
        return columns
    # From the last column to the first, so that the first column of each kind remains.
    first = {
        column.rule.argument: column.column for column in reversed(columns) if column.rule.kind == "fake"
    }
    tied = set(first.values()) - keys - {emails[0]}
    return [
        replace(column, rule=replace(column.rule, by=emails[0])) if column.column in tied else column
        for column in columns
    ]


def _sample(source: Connection, table: Table, columns: Sequence[Column]) -> pl.DataFrame:
    texts = [sql.SQL("{}::text").format(sql.Identifier(column.name)) for column in columns]
    query = sql.SQL("SELECT {} FROM {} LIMIT {}").format(
        sql.SQL(", ").join(texts), sql.Identifier(table.schema, table.relation), sql.Literal(SAMPLE)
    )
    names = dict.fromkeys((column.name for column in columns), pl.String)
    return pl.DataFrame(source.execute(query).fetchall(), schema=names, orient="row")


def _by_values(values: pl.Series, rule: Rule, reason: str) -> tuple[Rule, str]:
    """Return the rule that a column's values suggest and the reason; without one, what was given."""
    texts = values.drop_nulls()
    texts = texts.filter(texts != "")
    if texts.is_empty():
        return rule, reason
    for pattern, other, why in LOOKS:
        if texts.str.contains(pattern).sum() > MOST * len(texts):
            return other, why
    if float(texts.str.count_matches(r"\S+").sum()) > WORDS * len(texts):
        return Rule("redact"), "its values are long texts: decide"
    return rule, reason
