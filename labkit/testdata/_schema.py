"""The tables, columns, keys and views of a PostgreSQL database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from graphlib import CycleError, TopologicalSorter

DEFAULT = "public"

RESERVED = {"subset", "forget_key", "locale", "providers"}
"""Words of a policy's top level: a table of public that is called so is written with its schema."""


@dataclass(frozen=True)
class Column:
    """A column; generated ones are computed.

    type is what rules have to know: PostgreSQL's own type ("character varying(20)", "text[]") under a domain,
    the bare name of an extension's type ("citext"), or "enum", "composite", "range".
    declared is the type as it is written in the schema ("ext.citext"); "" when it is not known.
    shared is the narrowest type among the columns that refer to each other with this one: what is made has to
    fit into all of them. None when all have one type.
    """

    name: str
    type: str
    nullable: bool
    generated: bool
    declared: str = field(default="", compare=False)
    shared: str | None = field(default=None, compare=False)

    @property
    def narrowest(self) -> str:
        """The type into which a made value has to fit."""
        return self.shared or self.type


@dataclass(frozen=True)
class Demand:
    """What an index demands of the rules of its columns, beside the unique keys of `Table.unique`.

    apart: columns whose different values have to stay different.
    kept: columns that have to stay as they are, because the index has an expression of them.
    filled: columns of which it matters whether they are NULL.
    """

    index: str
    apart: tuple[str, ...]
    kept: tuple[str, ...]
    filled: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table: its schema, its name in that schema (relation), its columns by name, and its keys.

    primary_key is () when there is none; unique lists every unique key, the primary key too. demands are
    those of the other indexes: on expressions, on some rows, on one partition, of exclusion constraints.
    """

    schema: str
    relation: str
    columns: Mapping[str, Column]
    primary_key: tuple[str, ...]
    unique: tuple[tuple[str, ...], ...]
    demands: tuple[Demand, ...] = ()

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
    """Return what a table is called: "orders", or "schema.orders" outside of public.

    A part with a dot or a quote in it stands in quotes, so that every table has a name of its own.
    """
    if schema == DEFAULT and relation not in RESERVED:
        return _part(relation)
    return f"{_part(schema)}.{_part(relation)}"


def _part(name: str) -> str:
    return '"' + name.replace('"', '""') + '"' if set(name) & {".", '"'} else name
