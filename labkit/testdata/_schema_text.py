"""The text of a database's schema: names, comments, and whatever constants stand in its definitions."""

import re

import polars as pl

from labkit.testdata._copy import Connection
from labkit.testdata._ordinary import ordinary
from labkit.testdata._reading import plain

LOOKS = {
    "an e-mail address": r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+",
    "a telephone number": r"\+\d[\d ().\-]{7,}\d|\(\d{3}\) ?\d{3}[-. ]\d{4}|\b\d{3}[-. ]\d{3}[-. ]\d{4}\b",
    "a social security number": r"\b\d{3}-\d{2}-\d{4}\b",
}
"""What a value that names somebody looks like, where no column has it."""

# Source: RFC 2142, "Mailbox names for common services, roles and functions", and RFC 2606.
NOBODYS = (
    r"(?i)^(?:info|marketing|sales|support|abuse|noc|security|postmaster|hostmaster|usenet|news|webmaster|www|"
    r"uucp|ftp|no-?reply|admin|contact|help|office|service)@|@(?:[\w-]+\.)*(?:example|test|invalid|localhost)\b"
)
LITERAL, NAME = r"'((?:[^']|'')*)'", r"\b([^\W\d_]+)(?= ([^\W\d_]+)\b)"
SAID = {"label", "comment", "security label"}
"""Texts that people wrote as they are; in the others, they wrote what stands in quotes."""

# What belongs to PostgreSQL or to an extension says nothing about people.
OWN = """
WITH extended AS (
    SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
), own AS (
    SELECT oid FROM pg_namespace
     WHERE nspname NOT IN ('pg_catalog', 'information_schema') AND nspname !~ '^pg_(toast|temp)'
), relations AS (
    SELECT c.oid, relname, relkind, reloptions, relpartbound
      FROM pg_class c JOIN own ON own.oid = relnamespace
     WHERE ('pg_class'::regclass, c.oid) NOT IN (SELECT * FROM extended)
), functions AS (
    SELECT p.* FROM pg_proc p JOIN own ON own.oid = pronamespace
     WHERE ('pg_proc'::regclass, p.oid) NOT IN (SELECT * FROM extended)
), types AS (
    SELECT t.* FROM pg_type t JOIN own ON own.oid = typnamespace
     WHERE ('pg_type'::regclass, t.oid) NOT IN (SELECT * FROM extended)
)
"""

TEXTS = """
SELECT 'name', relname::text, relname::text FROM relations
UNION ALL
SELECT 'name of a column', relname, attname
  FROM pg_attribute JOIN relations r ON r.oid = attrelid WHERE attnum > 0 AND NOT attisdropped
UNION ALL
SELECT 'options', relname, array_to_string(reloptions, ' ') FROM relations
UNION ALL
SELECT 'bounds', relname, pg_get_expr(relpartbound, oid) FROM relations
UNION ALL
SELECT 'default', relname || '.' || attname, pg_get_expr(adbin, adrelid)
  FROM pg_attrdef d JOIN relations r ON r.oid = adrelid
  JOIN pg_attribute a ON a.attrelid = adrelid AND attnum = adnum
UNION ALL
SELECT 'constraint', coalesce(relname, typname), conname || ' ' || pg_get_constraintdef(o.oid)
  FROM pg_constraint o LEFT JOIN relations r ON r.oid = conrelid LEFT JOIN types t ON t.oid = contypid
 WHERE relname IS NOT NULL OR typname IS NOT NULL
UNION ALL
SELECT 'definition', relname, pg_get_viewdef(oid) FROM relations WHERE relkind IN ('v', 'm')
UNION ALL
SELECT 'index', relname, pg_get_indexdef(indexrelid) FROM pg_index JOIN relations r ON r.oid = indrelid
UNION ALL
SELECT 'trigger', relname, pg_get_triggerdef(g.oid)
  FROM pg_trigger g JOIN relations r ON r.oid = tgrelid WHERE NOT tgisinternal
UNION ALL
SELECT 'rule', relname, pg_get_ruledef(w.oid)
  FROM pg_rewrite w JOIN relations r ON r.oid = ev_class WHERE rulename <> '_RETURN'
UNION ALL
SELECT 'policy', relname,
       concat_ws(' ', polname, pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
  FROM pg_policy JOIN relations r ON r.oid = polrelid
UNION ALL
SELECT 'statistics', stxname, pg_get_statisticsobjdef(s.oid)
  FROM pg_statistic_ext s JOIN own ON own.oid = stxnamespace
UNION ALL
SELECT 'definition', proname, CASE prokind WHEN 'a' THEN proname ELSE pg_get_functiondef(oid) END
  FROM functions
UNION ALL
SELECT 'name', typname, typname FROM types
UNION ALL
SELECT 'default', typname, typdefault FROM types
UNION ALL
SELECT 'label', typname, enumlabel FROM pg_enum JOIN types t ON t.oid = enumtypid
UNION ALL
SELECT 'name', nspname, nspname FROM pg_namespace JOIN own USING (oid)
UNION ALL
SELECT 'name', collname, collname FROM pg_collation JOIN own ON own.oid = collnamespace
UNION ALL
SELECT 'options', dictname, concat_ws(' ', dictname, dictinitoption)
  FROM pg_ts_dict JOIN own ON own.oid = dictnamespace
UNION ALL
SELECT 'name', cfgname, cfgname FROM pg_ts_config JOIN own ON own.oid = cfgnamespace
UNION ALL
SELECT 'options', srvname, concat_ws(' ', srvname, array_to_string(srvoptions, ' ')) FROM pg_foreign_server
UNION ALL
SELECT 'name', pubname, pubname FROM pg_publication
UNION ALL
SELECT 'name', evtname, evtname FROM pg_event_trigger
UNION ALL
SELECT 'settings', datname, array_to_string(setconfig, ' ')
  FROM pg_db_role_setting JOIN pg_database d ON d.oid = setdatabase WHERE datname = current_database()
UNION ALL
SELECT 'comment', o.identity, description
  FROM pg_description d, pg_identify_object(classoid, d.objoid, d.objsubid) o
 WHERE d.objoid >= 16384 AND (classoid, d.objoid) NOT IN (SELECT * FROM extended)
UNION ALL
SELECT 'comment', datname, shobj_description(oid, 'pg_database')
  FROM pg_database WHERE datname = current_database()
UNION ALL
SELECT 'security label', o.identity, label
  FROM pg_seclabel l, pg_identify_object(classoid, l.objoid, objsubid) o
"""


def schema_texts(connection: Connection) -> list[tuple[str, str, str]]:
    """Return the texts of a schema: what each is, the name of the object that it belongs to, and the text."""
    rows = connection.execute(OWN + TEXTS)
    return [(what, name, text) for what, name, text in rows if text]


def looks_personal(texts: pl.Series) -> dict[int, str]:
    """Return what a text seems to hold, by the number of the text."""
    return {
        row: looks
        for looks, pattern in LOOKS.items()
        for row, found in enumerate(texts.str.extract_all(pattern).to_list())
        if any(not re.search(NOBODYS, value) for value in found)
    }


def may_name(texts: list[tuple[str, str, str]]) -> list[int]:
    """Return the numbers of texts with two words beside each other that look like a name."""
    named = []
    for row, (what, _, text) in enumerate(texts):
        said = [text] if what in SAID else re.findall(LITERAL, text)
        pairs = [pair for part in said for pair in re.findall(NAME, part) if all(map(str.istitle, pair))]
        if any(not ordinary(plain(pl.Series(pair))).any() for pair in pairs):
            named.append(row)
    return named


def large_objects(connection: Connection) -> dict[str, str]:
    """Return an entry for what no query of tables reads: large objects; {} when there are none."""
    row = connection.execute("SELECT count(*) FROM pg_largeobject_metadata").fetchone()
    return {"large objects": f"{row[0]} of them"} if row and row[0] else {}
