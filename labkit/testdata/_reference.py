"""Whether every reference of a test database leads to a row."""

from psycopg import sql

from labkit.testdata._copy import Connection
from labkit.testdata._schema import ForeignKey, Schema
from labkit.testdata._subset import joined, quoted

UNPROVEN = "SELECT conname FROM pg_constraint WHERE contype = 'f' AND NOT convalidated"


def foreign_keys(target: Connection, schema: Schema, copied: Schema) -> dict[str, bool]:
    """Return for each foreign key of the source, by table and name, whether it holds in the target.

    A key that PostgreSQL enforces in the target holds. For any other key all rows are read.
    """
    unproven = {name for (name,) in target.execute(UNPROVEN)}
    enforced = {key for key in copied.foreign_keys if key.name not in unproven}
    return {
        f"{key.table}.{key.name}": key in enforced or _holds(target, schema, key)
        for key in schema.foreign_keys
    }


def _holds(target: Connection, schema: Schema, key: ForeignKey) -> bool:
    there = " AND ".join(sql.Identifier("child", name).as_string() + " IS NOT NULL" for name in key.columns)
    lost = (
        f"SELECT NOT EXISTS (SELECT FROM {quoted(schema, key.table)} AS child WHERE {there} AND NOT EXISTS "  # noqa: S608 - quoted names of the catalogue
        f"(SELECT FROM {quoted(schema, key.to)} AS parent WHERE {joined(key, 'child', 'parent')}))"
    )
    row = target.execute(sql.SQL(lost)).fetchone()
    return bool(row and row[0])
