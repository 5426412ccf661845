"""Tries rules on a database before anything is written.

Made values are tried by the types and checks of their columns, the paths of JSON by all documents.
"""

from collections import Counter
from collections.abc import Iterator

import psycopg
from psycopg import sql

from labkit.errors import LabError
from labkit.testdata._array import as_element
from labkit.testdata._copy import Connection
from labkit.testdata._document import refused, without_rule
from labkit.testdata._fakes import SAMPLE, TRIED, Fakes
from labkit.testdata._json import Paths, Steps
from labkit.testdata._policy import Rules
from labkit.testdata._rows import blocks, read_rows
from labkit.testdata._rule import TEXT, Rule, element, family, width
from labkit.testdata._schema import Column, Schema, Table
from labkit.testdata._subset import Subset

# A check of one column can be tried; one of several depends on values of a row.
CHECKS = """
SELECT a.attname, o.conname, pg_get_expr(o.conbin, o.conrelid)
  FROM pg_constraint o JOIN pg_attribute a ON a.attrelid = o.conrelid AND a.attnum = o.conkey[1]
 WHERE o.contype = 'c' AND cardinality(o.conkey) = 1 AND o.conrelid = %s::regclass
"""
CODE = "0123456789abcdef"


def refuse_misfits(source: Connection, schema: Schema, rules: Rules, fakes: Fakes) -> None:
    """Raise LabError when values that a rule makes do not fit a column's type, domain or check."""
    for name, table in schema.tables.items():
        made = {
            column: values
            for column, rule in rules[name].items()
            if (values := _made(rule, table.columns[column], fakes))
        }
        if made:
            _try(source, table, made)


def _made(rule: Rule, column: Column, fakes: Fakes) -> list[str]:
    """Return some values that a rule would make; [] for a rule that makes none out of nothing."""
    most = width(column.narrowest)
    texts: list[str] = []
    if rule.kind == "fake":
        texts = fakes.make(rule, SAMPLE[:TRIED], most).drop_nulls().to_list()
    elif rule.kind == "pseudonymize" and family(element(column.type)) == TEXT:
        texts = [CODE[:most]]
    return texts if element(column.type) == column.type else [f"{{{as_element(text)}}}" for text in texts]


def _try(source: Connection, table: Table, made: dict[str, list[str]]) -> None:
    name = sql.Identifier(table.schema, table.relation).as_string()
    checks = list(source.execute(CHECKS, [name]))
    for column, values in made.items():
        own = table.columns[column]
        demands = [(check, condition) for of, check, condition in checks if of == column]
        if family(element(own.type)) == TEXT and own.declared == own.type and not demands:
            continue  # a text takes every text
        typed = sql.SQL("(SELECT made::{} AS {} FROM unnest({}::text[]) AS made) AS tried").format(
            sql.SQL(own.declared), sql.Identifier(column), sql.Literal(values)
        )
        for check, condition in [(f"the type {own.declared}", "true"), *demands]:
            # Of "true" alone PostgreSQL would not make the values.
            query = sql.SQL("SELECT bool_and(({}) AND {} IS NOT NULL) FROM {}").format(
                sql.SQL(condition), sql.Identifier(column), typed
            )
            if not _holds(source, query):
                seen = f"values such as {values[0][:40]!r}, which {check} does not take"
                next_step = f"choose another rule for {table.name}.{column}"
                raise LabError(f"a rule that fits {table.name}.{column}", seen, next_step)


def _holds(source: Connection, query: sql.Composed) -> bool:
    try:
        with source.transaction():
            row = source.execute(query).fetchone()
    except psycopg.Error:
        return False
    return bool(row and row[0])


def refuse_unknown_paths(source: Connection, schema: Schema, rules: Rules, cut: Subset) -> None:
    """Raise LabError when a document has a value at a path for which there is no rule."""
    for name in schema.tables:
        for column, rule in rules[name].items():
            if rule.kind == "json":
                paths, missing = Paths(rule.paths), Counter[Steps]()
                for documents in _documents(source, cut.source(name), column):
                    missing += without_rule(paths, documents)
                if missing:
                    raise refused(name, column, missing)


def _documents(source: Connection, table: str, column: str) -> Iterator[list[str]]:
    query = sql.SQL(
        "COPY (SELECT {0} FROM {1} AS copied WHERE {0} IS NOT NULL) TO STDOUT (FORMAT csv)"
    ).format(sql.Identifier(column), sql.SQL(table))
    with source.cursor() as cursor, cursor.copy(query) as rows:
        for block in blocks(rows):
            yield read_rows(block, [column], table)[column].to_list()
