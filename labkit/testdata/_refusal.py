"""What cannot be copied, said before a row is read: with what was expected, what was seen, and what to do."""

from psycopg import sql

from labkit.errors import LabError
from labkit.testdata._rows import Connection
from labkit.testdata._schema import Schema

OLDEST, NEWEST = 12, 15
"""PostgreSQL's major versions that can be read: from the first with generated columns to that of pg_dump in
labkit's image."""

# A foreign table leads to where the real data is; the rows of a child would be read with its parent's too.
ODD = """
SELECT c.oid::regclass::text FROM pg_class c
 WHERE c.relkind = 'f' OR c.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid)
"""

READABLE = """
SELECT c.oid::regclass::text, quote_ident(n.nspname), has_schema_privilege(n.oid, 'USAGE'),
       CASE c.relkind WHEN 'S' THEN has_sequence_privilege(c.oid, 'SELECT')
            ELSE has_table_privilege(c.oid, 'SELECT') END,
       c.relkind <> 'S' AND row_security_active(c.oid), c.relkind = 'S'
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = ANY (%s) AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
   AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid
                   AND e.deptype = 'e')
 ORDER BY 1
"""

CATALOGS = (
    "pg_class", "pg_type", "pg_proc", "pg_namespace", "pg_extension", "pg_operator", "pg_collation",
    "pg_conversion", "pg_cast", "pg_opclass", "pg_opfamily", "pg_ts_config", "pg_ts_dict", "pg_event_trigger",
    "pg_language", "pg_foreign_data_wrapper", "pg_foreign_server", "pg_publication", "pg_am",
)  # fmt: skip
# PostgreSQL itself and its first databases have the object numbers below 16384 (FirstNormalObjectId).
OBJECTS = "SELECT DISTINCT type, identity FROM ({}) AS made, pg_identify_object(catalog, oid, 0) LIMIT 5"
MADE = "SELECT '{0}'::regclass::oid AS catalog, oid FROM {0} WHERE oid >= 16384"
LARGE = "SELECT 'pg_largeobject'::regclass::oid, oid FROM pg_largeobject_metadata"


def refuse_version(version: int) -> None:
    """Raise LabError for a server that cannot be read; version is the server's number, such as 150020."""
    major = version // 10_000
    if OLDEST <= major <= NEWEST:
        return
    seen = f"PostgreSQL {major}.{version % 10_000}"
    next_step = f"copy the data into a server of version {NEWEST} first, and give that one"
    raise LabError(
        f"a server of PostgreSQL {OLDEST} to {NEWEST}, the version of pg_dump here", seen, next_step
    )


def refuse_unreadable(source: Connection, *, sequences: bool = False) -> None:
    """Raise LabError unless the role may read every row of every table, and with sequences, those too."""
    kinds = ["r", "p", "S"] if sequences else ["r", "p"]
    user = sql.Identifier(source.info.user).as_string()
    grants: list[str] = []
    hidden: list[str] = []
    names: list[str] = []
    for name, schema, reached, granted, is_cut, is_sequence in source.execute(READABLE, [kinds]):
        if not reached:
            grants.append(f"GRANT USAGE ON SCHEMA {schema} TO {user}")
        if not granted:
            grants.append(f"GRANT SELECT ON {'SEQUENCE ' * is_sequence}{name} TO {user}")
        if not (reached and granted):
            names.append(name)
        elif is_cut:
            hidden.append(name)
    if names:
        next_step = "let their owner run: " + "; ".join(dict.fromkeys(grants))
        expected = f"a role that may read every table{' and sequence' * sequences}"
        raise LabError(expected, f"{user} may not read {', '.join(names)}", next_step)
    if hidden:
        seen = f"policies on rows hide rows of {', '.join(hidden)} from {user}"
        next_step = f"let a superuser run: ALTER ROLE {user} BYPASSRLS, or give the URL of such a role"
        raise LabError("a role that sees every row", seen, next_step)


def refuse_odd(source: Connection) -> None:
    """Raise LabError for tables that do not hold rows of their own."""
    if odd := [name for (name,) in source.execute(ODD)]:
        seen = f"foreign tables, or parents of others: {', '.join(odd)}"
        raise LabError("tables that hold their own rows", seen, "drop them in a copy of the source first")


def refuse_bare(source: Connection, schema: Schema) -> None:
    """Raise LabError for rows without a stored value, of which a copy would know nothing."""
    for table in schema.tables.values():
        if all(column.generated for column in table.columns.values()):
            query = sql.SQL("SELECT FROM {} LIMIT 1").format(sql.Identifier(table.schema, table.relation))
            if source.execute(query).rowcount:
                next_step = f"give {table.name} a column, or empty it, in a copy of the source first"
                raise LabError("rows with a value that is stored", f"rows of {table.name}", next_step)


def refuse_filled(target: Connection, place: str) -> None:
    """Raise LabError unless a database has no object at all; place is what may be printed of its URL."""
    made = " UNION ALL ".join([*(MADE.format(catalog) for catalog in CATALOGS), LARGE])
    if objects := target.execute(OBJECTS.format(made).encode()).fetchall():
        seen = ", ".join(f"{kind} {name}" for kind, name in objects)
        next_step = "give a new one: createdb --template=template0 NAME"
        raise LabError(f"an empty database at {place}", seen, next_step)


def refuse_other_target(source: Connection, target: Connection, place: str) -> None:
    """Raise LabError for a target that cannot hold what the source has: its letters, or its extensions."""
    before, after = (connection.info.parameter_status("server_encoding") for connection in (source, target))
    if after not in {before, "UTF8"}:
        next_step = "give a new one: createdb --template=template0 --encoding=UTF8 NAME"
        fitting = " or ".join(dict.fromkeys([str(before), "UTF8"]))
        raise LabError(f"a target in the encoding {fitting}", f"{after} at {place}", next_step)
    needed = [name for (name,) in source.execute("SELECT extname FROM pg_extension ORDER BY 1")]
    there = {name for (name,) in target.execute("SELECT name FROM pg_available_extensions")}
    if missing := [name for name in needed if name not in there]:
        next_step = f"install {', '.join(missing)} on the target's server, or drop it in a copy of the source"
        raise LabError(
            "a target's server with the source's extensions", f"no {', '.join(missing)}", next_step
        )
