"""Surveys a database: what it holds, which columns look personal, and a first policy to decide on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl
from psycopg import sql

from labkit.testdata._array import elements
from labkit.testdata._copy import Connection, reading
from labkit.testdata._document import suggest_inside
from labkit.testdata._refusal import refuse_version
from labkit.testdata._rule import TEXT, Rule, comment, element, family, toml_key
from labkit.testdata._schema import Column, ForeignKey, Schema, Table
from labkit.testdata._suggest import KEEP, Confidence, Proposal, suggest
from labkit.testdata.kinds import KINDS

SAMPLE, LONGEST = 500, 10_000
"""Rows of a table that are read, and characters of a value."""

EMAIL = Rule("fake", "email")
PERSONAL = {"fake", "format_preserving", "unissued", "date_shift", "generalize", "redact", "null", "json"}


@dataclass(frozen=True)
class Surveyed:
    """A column, the rule that is proposed for it, the reason, and how sure the proposal is.

    rule is None where no rule is both safe and possible: a person has to decide. inherits names the column
    that this one refers to ("customers.id"), and whose rule it has; None when it refers to none. inside are
    the proposals for the values of JSON, by path.
    """

    table: str
    column: str
    type: str
    rule: Rule | None
    reason: str
    confidence: Confidence
    inherits: str | None
    inside: Mapping[str, Proposal] = field(default_factory=dict)

    @property
    def is_personal(self) -> bool:
        """Return whether the column looks personal, by the rule that is proposed."""
        return self.rule is None or self.rule.kind in PERSONAL

    @property
    def is_unclear(self) -> bool:
        """Return whether the column can hold anything: free text, JSON, and what is of an unknown kind."""
        of_anything = self.rule is None or self.rule.kind in {"redact", "json"}
        return not self.inherits and (of_anything or self.confidence == "low")

    @property
    def proposal(self) -> Proposal:
        """The rule with its reason."""
        return Proposal(self.rule, self.reason, self.confidence)


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
            own = [column for column in self.columns if column.table == table]
            lines += ["", f"[{toml_key(table)}]"]
            for column in own:
                if column.inherits:
                    lines.append(
                        comment(f"# {column.column}: same rule as {column.inherits}, to which it refers")
                    )
                elif not column.inside:
                    lines.append(column.proposal.toml(column.column))
            for column in own:
                if column.inside:
                    lines += ["", f"[{toml_key(table)}.{toml_key(column.column)}.json]"]
                    lines += [proposal.toml(path) for path, proposal in column.inside.items()]
        return "\n".join(lines) + "\n"

    def to_json(self) -> list[dict[str, Any]]:
        """Return the columns as JSON data, each rule as it is written in a policy; null where none fits."""
        return [
            {
                **vars(column),
                "rule": column.rule and column.rule.toml(),
                "inside": {path: own.rule and own.rule.toml() for path, own in column.inside.items()},
            }
            for column in self.columns
        ]


def survey(url: str) -> Survey:
    """Read a database's schema and some values of each column, and propose a rule for each column.

    url is libpq's. Nothing is written, and the survey holds no value of the database.

    :raises LabError: when the database cannot be reached, is of a version that cannot be copied, or the role
        may not read a table.
    """
    with reading(url) as (source, schema):
        refuse_version(source.info.server_version)
        columns = [column for table in schema.tables.values() for column in _table(source, schema, table)]
    views = [view.name for view in schema.views]
    return Survey(schema.tables, columns, schema.foreign_keys, schema.order, schema.cycles, views)


def _table(source: Connection, schema: Schema, table: Table) -> list[Surveyed]:
    copied = [column for column in table.columns.values() if not column.generated]
    keys = {name for key in table.unique for name in key}
    keys |= {name for demand in table.demands for name in (*demand.apart, *demand.kept)}
    sample = _sample(source, table, copied)
    inherits = {
        own: f"{key.to}.{to}"
        for key in schema.parents(table.name)
        for own, to in zip(key.columns, key.to_columns, strict=True)
        if (key.to, to) != (table.name, own)
    }
    columns = [_column(table, column, sample[column.name], keys, inherits) for column in copied]
    return _as_one_person(columns, keys, table)


def _column(
    table: Table, column: Column, values: pl.Series, keys: set[str], inherits: Mapping[str, str]
) -> Surveyed:
    inside: Mapping[str, Proposal] = {}
    proposal = suggest(column, key=column.name in keys, values=_elements(column, values))
    kept = next((demand.index for demand in table.demands if column.name in demand.kept), None)
    if kept and proposal.rule != KEEP:
        proposal = Proposal(None, f"{proposal.reason}, but the index {kept} needs it", "low")
    if column.type in {"json", "jsonb"} and not kept and len(values.drop_nulls()):
        inside = suggest_inside(values.drop_nulls().to_list())
        rules = {path: own.rule or Rule("null") for path, own in inside.items()}
        proposal = Proposal(Rule("json", paths=rules), "a rule for each path", "low")
    return Surveyed(
        table.name,
        column.name,
        column.declared or column.type,
        proposal.rule,
        proposal.reason,
        proposal.confidence,
        inherits.get(column.name),
        inside,
    )


def _elements(column: Column, values: pl.Series) -> pl.Series:
    """Return a column's values, or those that stand in its arrays."""
    if element(column.type) == column.type:
        return values
    texts = [text for array in values.drop_nulls() for *_, text in elements(array)]
    return pl.Series(column.name, texts, dtype=pl.String)


def _as_one_person(columns: list[Surveyed], keys: set[str], table: Table) -> list[Surveyed]:
    """Let the made-up values of a row belong to one person: by its e-mail address, if each row has one.

    A second name in a row is another person's, and values of a key have to stay different.
    """
    emails = [
        column.column
        for column in columns
        if column.rule == EMAIL
        and not table.columns[column.column].nullable
        and family(table.columns[column.column].type) == TEXT
    ]
    if len(emails) != 1:
        return columns
    # From the last column to the first, so that the first column of each kind remains.
    first = {
        column.rule.argument: column.column
        for column in reversed(columns)
        if column.rule
        and column.rule.kind == "fake"
        and column.rule.argument in KINDS
        and not table.columns[column.column].type.endswith("[]")
    }
    tied = set(first.values()) - keys - {emails[0]}
    return [
        replace(column, rule=replace(column.rule, by=emails[0]))
        if column.rule and column.column in tied
        else column
        for column in columns
    ]


def _sample(source: Connection, table: Table, columns: Sequence[Column]) -> pl.DataFrame:
    names = dict.fromkeys((column.name for column in columns), pl.String)
    if not names:
        return pl.DataFrame()
    texts = [sql.SQL("left({}::text, {})").format(sql.Identifier(name), LONGEST) for name in names]
    query = sql.SQL("SELECT {} FROM {} LIMIT {}").format(
        sql.SQL(", ").join(texts), sql.Identifier(table.schema, table.relation), sql.Literal(SAMPLE)
    )
    return pl.DataFrame(source.execute(query).fetchall(), schema=names, orient="row")
