"""Which rows of a table stay: a row stays if its own condition holds and everything it refers to stays."""

from collections.abc import Mapping
from typing import Any

import psycopg

from labkit.errors import LabError
from labkit.testdata._schema import ForeignKey, Schema


class Subset:
    """The conditions in SQL that cut a database down, so that every reference still leads to a row."""

    def __init__(self, schema: Schema, where: Mapping[str, str]) -> None:
        """Take a condition for some of the tables.

        :raises LabError: when the subset concerns tables of a cycle, or a table that refers to itself by
            columns that are NOT NULL.
        """
        self._schema, self._where = schema, where
        for cycle in schema.cycles:
            if any(self._concerns(table, ()) for table in cycle):
                way = " → ".join([*cycle, cycle[0]])
                next_step = "take these tables whole, or drop one of the foreign keys in a copy first"
                raise LabError("a subset of tables without a cycle of references", way, next_step)
        for key in schema.foreign_keys:
            columns = schema.tables[key.table].columns
            must = key.table == key.to and not all(columns[name].nullable for name in key.columns)
            if must and self._concerns(key.table, ()):
                seen = f"{key.table} ({', '.join(key.columns)}) refers to {key.table} and is NOT NULL"
                next_step = f"leave {key.table} and the tables that it refers to out of the conditions"
                raise LabError("references to the own table that may be NULL in a subset", seen, next_step)

    def source(self, table: str) -> str:
        """Return SQL for a FROM clause that gives the rows of a table that stay: the table, or a query."""
        rows = self._rows(table, 0)
        return f"({rows})" if rows else quoted(self._schema, table)

    def dropped(self, table: str, name: str) -> Mapping[str, str]:
        """Return by column the condition in SQL under which a reference of a table to itself is kept.

        name is the name of the table's rows in the query. Such a reference becomes NULL where the row that it
        refers to does not stay.
        """
        rows = self._rows(table, 0)
        return {
            column: f"EXISTS (SELECT FROM ({rows}) AS other WHERE {joined(key, name, 'other')})"
            for key in self._schema.parents(table)
            if key.to == table and rows
            for column in key.columns
        }

    def _concerns(self, table: str, seen: tuple[str, ...]) -> bool:
        if table in self._where:
            return True
        parents = {key.to for key in self._schema.parents(table)} - {table, *seen}
        return any(self._concerns(parent, (*seen, table)) for parent in parents)

    def _rows(self, table: str, depth: int) -> str | None:
        """Return a query for the rows of a table that stay; None when all stay.

        depth counts the queries around this one, so that each has names of its own.
        """
        if not self._concerns(table, ()):
            return None
        own, child = f"t{depth}", f"t{depth + 1}"
        rows, conditions = quoted(self._schema, table), []
        if table in self._where:
            # A query of its own, so that the condition may name columns with the table's name or without.
            rows = f"(SELECT * FROM {rows} WHERE ({self._where[table]}))"  # noqa: S608 - the user's own SQL
        for key in self._schema.parents(table):
            if key.to != table and (those := self._rows(key.to, depth + 1)):
                nulls = " OR ".join(f"{own}.{identifier(column)} IS NULL" for column in key.columns)
                match = f"EXISTS (SELECT FROM ({those}) AS {child} WHERE {joined(key, own, child)})"
                conditions.append(f"({nulls} OR {match})")
        stays = " AND ".join(conditions) or "true"
        return f"SELECT * FROM {rows} AS {own} WHERE {stays}"  # noqa: S608 - the user's own SQL


def checked(reader: psycopg.Connection[Any], schema: Schema, where: Mapping[str, str]) -> Subset:
    """Return the subset that conditions make.

    :raises LabError: when a table is not in the database, PostgreSQL refuses a condition, or tables refer to
        each other in a way that a subset cannot keep.
    """
    if unknown := [name for name in where if name not in schema.tables]:
        known = f"tables of the database: {', '.join(schema.tables)}"
        raise LabError(known, ", ".join(unknown), "name one of them")
    for table, condition in where.items():
        try:
            reader.execute(f"SELECT FROM {quoted(schema, table)} WHERE ({condition}) LIMIT 0".encode())
        except psycopg.Error as problem:
            expected = f"a condition in SQL over the columns of {table}"
            raise LabError(expected, str(problem).strip(), f"correct it: {condition}") from problem
    return Subset(schema, where)


def joined(key: ForeignKey, child: str, parent: str) -> str:
    """Return the condition in SQL under which a row, child, refers to another, parent."""
    pairs = zip(key.columns, key.to_columns, strict=True)
    return " AND ".join(f"{parent}.{identifier(to)} = {child}.{identifier(own)}" for own, to in pairs)


def quoted(schema: Schema, table: str) -> str:
    """Return a table's name with its schema, quoted for SQL."""
    own = schema.tables[table]
    return f"{identifier(own.schema)}.{identifier(own.relation)}"


def identifier(name: str) -> str:
    """Return a name quoted for SQL."""
    return '"' + name.replace('"', '""') + '"'
