"""Reads the schema of a PostgreSQL database from its own catalogue."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from labkit.testdata._schema import Column, Demand, ForeignKey, Schema, Table, View, name_of

# What belongs to an extension comes with the extension.
OWN = """
n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid
                AND e.deptype = 'e')
"""

# A domain stands for the type under it, and is NOT NULL where one on the way is. A type of an extension has
# its bare name, whatever schema the extension lies in. Types of the user's own making are told by their sort.
COLUMNS = f"""
WITH RECURSIVE domains (oid, base, modifier, required) AS (
    SELECT oid, typbasetype, typtypmod, typnotnull FROM pg_type WHERE typtype = 'd'
    UNION ALL
    SELECT d.oid, t.typbasetype, t.typtypmod, d.required OR t.typnotnull
      FROM domains d JOIN pg_type t ON t.oid = d.base AND t.typtype = 'd'
), types AS (
    SELECT t.oid, coalesce(d.base, t.oid) AS base, d.modifier, coalesce(d.required, false) AS required,
           CASE b.typtype WHEN 'e' THEN 'enum' WHEN 'c' THEN 'composite' WHEN 'r' THEN 'range'
                WHEN 'm' THEN 'range' END AS sort,
           CASE WHEN EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_type'::regclass
                             AND e.objid = b.oid AND e.deptype = 'e')
                THEN b.typname::text END AS of_extension,
           CASE WHEN b.typcategory = 'A' AND b.typlen = -1 THEN b.typelem END AS element
      FROM pg_type t LEFT JOIN domains d ON d.oid = t.oid AND NOT EXISTS
           (SELECT FROM pg_type n WHERE n.oid = d.base AND n.typtype = 'd')
      JOIN pg_type b ON b.oid = coalesce(d.base, t.oid)
)
SELECT n.nspname, c.relname, a.attname,
       CASE WHEN e.oid IS NULL
            THEN coalesce(t.sort, t.of_extension, format_type(t.base, coalesce(t.modifier, a.atttypmod)))
            ELSE coalesce(e.sort, e.of_extension,
                          format_type(e.base, coalesce(e.modifier, t.modifier, a.atttypmod))) || '[]' END,
       NOT (a.attnotnull OR t.required), a.attgenerated <> '', format_type(a.atttypid, a.atttypmod),
       CASE WHEN a.attgenerated <> '' THEN pg_get_expr(f.adbin, f.adrelid) END
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN types t ON t.oid = a.atttypid LEFT JOIN types e ON e.oid = t.element
  LEFT JOIN pg_attrdef f ON f.adrelid = c.oid AND f.adnum = a.attnum
 WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND {OWN}
 ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C", a.attnum
"""  # noqa: S608 - a constant

# Indexes that forbid rows. One of a partition alone is told as one of its table; a partition's part of the
# table's own index is left out. The column of PostgreSQL 15 is read so that older servers lack it quietly.
KEYS = f"""
SELECT n.nspname, c.relname, i.indexrelid::regclass::text, i.indisprimary, i.indisunique, o.relispartition,
       pg_get_expr(i.indpred, i.indrelid), coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false),
       ARRAY(SELECT a.attname::text FROM unnest(i.indkey) WITH ORDINALITY AS k (number, place)
               LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number AND k.number > 0
              WHERE k.place <= i.indnkeyatts ORDER BY k.place),
       ARRAY(SELECT pg_get_indexdef(i.indexrelid, place, false)
               FROM generate_series(1, i.indnkeyatts::integer) AS place)
  FROM pg_index i JOIN pg_class o ON o.oid = i.indrelid
  JOIN pg_class c ON c.oid = coalesce(pg_partition_root(o.oid), o.oid)
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE (i.indisunique OR i.indisexclusion) AND o.relkind IN ('r', 'p') AND {OWN}
   AND NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = i.indexrelid)
 ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C", i.indexrelid
"""  # noqa: S608 - a constant

# A key of a partition, or to one, is told as one of, or to, the table that it is a part of.
FOREIGN_KEYS = f"""
SELECT n.nspname, c.relname, m.nspname, r.relname, o.conname,
       (SELECT array_agg(a.attname ORDER BY k.place)
          FROM unnest(o.conkey) WITH ORDINALITY AS k (number, place)
          JOIN pg_attribute a ON a.attrelid = o.conrelid AND a.attnum = k.number),
       (SELECT array_agg(a.attname ORDER BY k.place)
          FROM unnest(o.confkey) WITH ORDINALITY AS k (number, place)
          JOIN pg_attribute a ON a.attrelid = o.confrelid AND a.attnum = k.number)
  FROM pg_constraint o
  JOIN pg_class c ON c.oid = coalesce(pg_partition_root(o.conrelid), o.conrelid)
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_class r ON r.oid = coalesce(pg_partition_root(o.confrelid), o.confrelid)
  JOIN pg_namespace m ON m.oid = r.relnamespace
 WHERE o.contype = 'f' AND o.conparentid = 0 AND {OWN}
 ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C", o.conname COLLATE "C"
"""  # noqa: S608 - a constant

VIEWS = f"""
SELECT n.nspname, c.relname, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('v', 'm') AND {OWN}
 ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"
"""  # noqa: S608 - a constant

# What an expression names, without what it quotes.
LITERAL = re.compile(r"'(?:[^']|'')*'")
IDENTIFIER = re.compile(r'"((?:[^"]|"")+)"|([\w$]+)')
FOLDED = re.compile(r'\(*(?:lower|upper|btrim)\(\(?("(?:[^"]|"")+"|[\w$]+)\)?(?:::text)?\)\)*')
"""An expression under which values stay different that differ in more than case and outer spaces."""

NULL_TEST = re.compile(r'("(?:[^"]|"")+"|[\w$]+) IS (?:NOT )?NULL')
WHOLE = ("smallint", "integer", "bigint")


def read_schema(connection: psycopg.Connection[Any]) -> Schema:
    """Read the tables, keys and views that a database has beside PostgreSQL's own and its extensions'."""
    columns: dict[tuple[str, str], dict[str, Column]] = {}
    computed: dict[tuple[str, str], dict[str, str]] = {}
    for schema, relation, *column, expression in connection.execute(COLUMNS):
        own = columns.setdefault((schema, relation), {})
        if column[0] is not None:  # a table may have no column
            own[column[0]] = Column(*column)
        if expression:
            computed.setdefault((schema, relation), {})[column[0]] = expression
    keys: dict[tuple[str, str], list[_Index]] = {}
    for schema, relation, *index in connection.execute(KEYS):
        keys.setdefault((schema, relation), []).append(_Index(*index))
    tables = {
        name_of(*place): _table(place, own, keys.get(place, []), computed.get(place, {}))
        for place, own in columns.items()
    }
    # Two partitions can have a key each that are one key of their table.
    foreign = dict.fromkeys(
        ForeignKey(name, name_of(schema, table), tuple(from_), name_of(to_schema, to), tuple(to_columns))
        for schema, table, to_schema, to, name, from_, to_columns in connection.execute(FOREIGN_KEYS)
    )
    held = [key for key in foreign if key.table in tables and key.to in tables]
    views = [View(name_of(schema, name), kind == "m") for schema, name, kind in connection.execute(VIEWS)]
    return Schema(_shared(tables, held), held, views)


@dataclass(frozen=True)
class _Index:
    """An index that forbids rows, as the catalogue has it; a column's name is None for an expression."""

    name: str
    primary: bool
    unique: bool
    of_partition: bool
    predicate: str | None
    nulls_equal: bool
    columns: list[str | None]
    expressions: list[str]

    @property
    def key(self) -> tuple[str, ...] | None:
        """The columns, if values of them are unique in the whole table."""
        plain = tuple(name for name in self.columns if name is not None)
        whole = self.unique and not self.of_partition and self.predicate is None
        return plain if whole and len(plain) == len(self.columns) else None


def _table(
    place: tuple[str, str], columns: Mapping[str, Column], indexes: list[_Index], computed: Mapping[str, str]
) -> Table:
    unique = [index.key for index in indexes if index.key]
    primary = next((index.key for index in indexes if index.primary and index.key), ())
    demands = [
        _demand(index, columns, computed)
        for index in indexes
        if index.key is None or index.nulls_equal or set(index.key) & set(computed)
    ]
    return Table(*place, columns, primary, tuple(unique), tuple(demands))


def _demand(index: _Index, columns: Mapping[str, Column], computed: Mapping[str, str]) -> Demand:
    """Return what an index demands; a computed column counts as its expression."""
    apart: list[str] = []
    kept: list[str] = []
    for name, expression in zip(index.columns, index.expressions, strict=True):
        of_name = computed.get(name, None if index.unique else expression) if name else expression
        folded = FOLDED.fullmatch(of_name) if of_name and index.unique else None
        if of_name is None:
            apart.append(str(name))
        elif folded:
            apart += _named(folded[1], columns)
        else:
            kept += _named(of_name, columns)
    predicate = index.predicate or ""
    kept += _named(NULL_TEST.sub("", predicate), columns)
    filled = [*_named(predicate, columns), *(apart if index.nulls_equal else ())]
    return Demand(index.name, *(tuple(dict.fromkeys(names)) for names in (apart, kept, filled)))


def _named(expression: str, columns: Collection[str]) -> list[str]:
    """Return the columns that an expression names, and perhaps some whose name it has for another thing."""
    names = IDENTIFIER.findall(LITERAL.sub("", expression))
    words = {quoted.replace('""', '"') or bare for quoted, bare in names}
    return [name for name in columns if name in words]


def _shared(tables: Mapping[str, Table], keys: Sequence[ForeignKey]) -> dict[str, Table]:
    """Return the tables, with the narrowest type of each group of columns that refer to each other."""
    group = {(name, column): {(name, column)} for name, table in tables.items() for column in table.columns}
    for key in keys:
        for own, to in zip(key.columns, key.to_columns, strict=True):
            joined = group[key.table, own] | group[key.to, to]
            group |= dict.fromkeys(joined, joined)

    def narrow(name: str, column: Column) -> Column:
        types = {tables[table].columns[other].type for table, other in group[name, column.name]}
        return replace(column, shared=min(sorted(types), key=_room)) if len(types) > 1 else column

    return {
        name: replace(table, columns={key: narrow(name, own) for key, own in table.columns.items()})
        for name, table in tables.items()
    }


def _room(column_type: str) -> float:
    """Return how much a type takes, to compare the types of one sort: characters, or a place in WHOLE."""
    if column_type in WHOLE:
        return WHOLE.index(column_type)
    length = re.search(r"\((\d+)\)$", column_type)
    return int(length[1]) if length else 1 if column_type == "character" else float("inf")
