"""One SHA-256 over everything in a database that a test could change."""

from hashlib import sha256
from typing import Any

import psycopg
from psycopg import sql

# The text of a value depends on these settings, so they are fixed: the fingerprint is the same for everybody.
SETTINGS = """
SET LOCAL datestyle = 'ISO, YMD'; SET LOCAL intervalstyle = 'iso_8601'; SET LOCAL timezone = 'UTC';
SET LOCAL bytea_output = 'hex'; SET LOCAL extra_float_digits = 1; SET LOCAL search_path = pg_catalog;
"""

OURS = sql.SQL(
    """n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'"""
)

# Each line describes one thing of the schema; object numbers and physical order are left out.
SCHEMA = sql.SQL("""
SELECT string_agg(line, E'\\n' ORDER BY line COLLATE "C") FROM (
  SELECT format('column %I.%I.%I %s %s %s %s', n.nspname, c.relname, a.attname,
                format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
                pg_get_expr(d.adbin, d.adrelid)) AS line
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
   WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND {ours}
  UNION ALL SELECT format('constraint %I.%I %s', n.nspname, o.conname, pg_get_constraintdef(o.oid))
    FROM pg_constraint o JOIN pg_namespace n ON n.oid = o.connamespace WHERE {ours}
  UNION ALL SELECT format('index %s', pg_get_indexdef(c.oid))
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('i', 'I') AND {ours}
  UNION ALL SELECT format('view %I.%I %s', n.nspname, c.relname, pg_get_viewdef(c.oid))
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('v', 'm') AND {ours}
  UNION ALL SELECT format('function %s', pg_get_functiondef(p.oid))
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.prokind IN ('f', 'p') AND {ours}
  UNION ALL SELECT format('trigger %s', pg_get_triggerdef(t.oid))
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE NOT t.tgisinternal AND {ours}
  UNION ALL SELECT format('enum %I.%I %s', n.nspname, t.typname, string_agg(e.enumlabel, ',' ORDER BY
  e.enumsortorder))
    FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid JOIN pg_namespace n ON n.oid = t.typnamespace
   WHERE {ours} GROUP BY n.nspname, t.typname
  UNION ALL SELECT format('sequence %I.%I %s', s.schemaname, s.sequencename, s.last_value) FROM pg_sequences s
) AS lines
""").format(ours=OURS)

TABLES = sql.SQL("""
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'm') AND {ours} ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"
""").format(ours=OURS)

# Each row is hashed and the hashes are sorted: the order of the rows does not matter, and a sort moves only
# 32 bytes a row.
ROWS = sql.SQL("""
SELECT count(*), sha256(coalesce(string_agg(hash, ''::bytea ORDER BY hash), ''::bytea))
  FROM (SELECT sha256(convert_to(t::text, 'UTF8')) AS hash FROM {table} AS t) AS hashes
""")


def fingerprint(connection: psycopg.Connection[Any]) -> str:
    """Return "sha256:…" over schema, sequences and all rows of all tables, read in one snapshot."""
    whole = sha256()
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        connection.execute(SETTINGS)
        whole.update(str(_row(connection, SCHEMA)[0]).encode())
        for table in connection.execute(TABLES).fetchall():
            rows, content = _row(connection, ROWS.format(table=sql.Identifier(*table)))
            whole.update(f"\n{table[0]}.{table[1]} {rows} ".encode() + content)
    return f"sha256:{whole.hexdigest()}"


def _row(connection: psycopg.Connection[Any], query: sql.Composed) -> tuple[Any, ...]:
    row = connection.execute(query).fetchone()
    return tuple(row or ())
