"""The tables, columns, keys and views of a PostgreSQL database, read from its own catalogue."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import Any

import psycopg

DEFAULT = "public"

COLUMNS = """
SELECT n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull,
       a.attgenerated <> ''
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p') AND NOT c.relispartition
   AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
 ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C", a.attnum
"""

# Unique indexes, with or without a constraint. One over an expression or over some rows proves nothing about
# a column.
KEYS = """
SELECT n.nspname, c.relname, i.indisprimary,
       (SELECT array_agg(a.attname ORDER BY k.place)
          FROM unnest(i.indkey) WITH ORDINALITY AS k (number, place)
          JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
         WHERE k.place <= i.indnkeyatts)
  FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE i.indisunique AND i.indexprs IS NULL AND i.indpred IS NULL AND c.relkind IN ('r', 'p')
   AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
 ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C", i.indexrelid
"""

FOREIGN_KEYS = """
SELECT n.nspname, c.relname, m.nspname, r.relname, o.conname,
       (SELECT array_agg(a.attname ORDER BY k.place)
          FROM unnest(o.conkey) WITH ORDINALITY AS k (number, place)
          JOIN pg_attribute a ON a.attrelid = o.conrelid AND a.attnum = k.number),
       (SELECT array_agg(a.attname ORDER BY k.place)
          FROM unnest(o.confkey) WITH ORDINALITY AS k (number, place)
          JOIN pg_attribute a ON a.attrelid = o.confrelid AND a.attnum = k.number)
  FROM pg_constraint o
  JOIN pg_class c ON c.oid = o.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_class r ON r.oid = o.confrelid JOIN pg_namespace m ON m.oid = r.relnamespace
 WHERE o.contype = 'f' AND o.conparentid = 0
 ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C", o.conname COLLATE "C"
"""

VIEWS = """
SELECT n.nspname, c.relname, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('v', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
 ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"
"""


@dataclass(frozen=True)
class Column:
    """A column: its type as PostgreSQL writes it ("character varying(20)"); generated ones are computed."""

    name: str
    type: str
    nullable: bool
    generated: bool


@dataclass(frozen=True)
class Table:
    """A table: its schema, its name in that schema (relation), its columns by name, and its keys.

    primary_key is () when there is none; unique lists every unique key, the primary key too.
    """

    schema: str
    relation: str
    columns: Mapping[str, Column]
    primary_key: tuple[str, ...]
    unique: tuple[tuple[str, ...], ...]

    @property
    def name(self) -> str:
        """The name in policies and reports: "orders", or "schema.orders" outside of public."""
        return name_of(self.schema, self.relation)


@dataclass(frozen=True)
class ForeignKey:
    """Columns of a table that refer to as many columns of another, or of itself; tables by their names."""

    name: str
    table: str
    columns: tuple[str, ...]
    to: str
    to_columns: tuple[str, ...]


@dataclass(frozen=True)
class View:
    """A view; a materialized one keeps rows of its own."""

    name: str
    materialized: bool


@dataclass(frozen=True)
class Schema:
    """All of a database's tables by name, its foreign keys and its views."""

    tables: Mapping[str, Table]
    foreign_keys: Sequence[ForeignKey]
    views: Sequence[View]

    @property
    def order(self) -> list[str]:
        """The tables, each after those that it refers to, as far as cycles allow."""
        return list(TopologicalSorter(self._without_cycles[0]).static_order())

    @property
    def cycles(self) -> list[list[str]]:
        """Cycles of foreign keys, each as the tables on its way; [] when there is none.

        A table that refers to itself is not a cycle here: it does not prevent an order of the tables.
        """
        return self._without_cycles[1]

    @cached_property
    def _without_cycles(self) -> tuple[dict[str, set[str]], list[list[str]]]:
        """Return each table's parents without one reference of each cycle, and the cycles."""
        graph: dict[str, set[str]] = {name: set() for name in self.tables}
        for key in self.foreign_keys:
            graph[key.table] |= {key.to} - {key.table}
        cycles: list[list[str]] = []
        while True:
            try:
                TopologicalSorter(graph).prepare()
            except CycleError as error:
                # Each name of the way is a parent of the next; the last one is the first again.
                parent, child, *_ = way = error.args[1]
                graph[child].remove(parent)
                cycles.append(way[:-1])
            else:
                return graph, cycles

    def parents(self, table: str) -> list[ForeignKey]:
        """Return the foreign keys of a table."""
        return [key for key in self.foreign_keys if key.table == table]


def name_of(schema: str, relation: str) -> str:
    """Return what a table is called: "orders", or "schema.orders" outside of public."""
    return relation if schema == DEFAULT else f"{schema}.{relation}"


def read_schema(connection: psycopg.Connection[Any]) -> Schema:
    """Read the tables, keys and views that a database has beside PostgreSQL's own."""
    columns: dict[tuple[str, str], dict[str, Column]] = {}
    for schema, relation, *column in connection.execute(COLUMNS):
        columns.setdefault((schema, relation), {})[column[0]] = Column(*column)
    keys: dict[tuple[str, str], list[tuple[bool, tuple[str, ...]]]] = {}
    for schema, relation, primary, names in connection.execute(KEYS):
        keys.setdefault((schema, relation), []).append((primary, tuple(names)))
    tables = [
        Table(
            schema=place[0],
            relation=place[1],
            columns=own,
            primary_key=next((names for primary, names in keys.get(place, ()) if primary), ()),
            unique=tuple(names for _, names in keys.get(place, ())),
        )
        for place, own in columns.items()
    ]
    foreign = [
        ForeignKey(name, name_of(schema, table), tuple(from_), name_of(to_schema, to), tuple(to_columns))
        for schema, table, to_schema, to, name, from_, to_columns in connection.execute(FOREIGN_KEYS)
    ]
    views = [View(name_of(schema, name), kind == "m") for schema, name, kind in connection.execute(VIEWS)]
    return Schema({table.name: table for table in tables}, foreign, views)
