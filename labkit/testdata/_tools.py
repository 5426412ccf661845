"""PostgreSQL's own tools from labkit's image, so that they have the version of its server."""

import re

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from labkit.engine import SERVERS, Engine
from labkit.errors import LabError

# A subscription would connect the copy to the server that production's data comes from.
DUMP = """\
chmod 600 "$PGPASSFILE"
dump() {
  pg_dump --dbname="$URL" --snapshot="$SNAPSHOT" --schema-only --no-owner --no-privileges --no-publications \\
    --no-subscriptions --section="$1-data" --file="/tmp/$1.sql"
}
dump pre &
dump post && wait $!
"""
LONGEST_S = 300.0
PASSWORDS = "/tmp/pgpass"  # noqa: S108 - in a container of its own


def dump_schema(url: str, snapshot: str) -> tuple[str, str]:
    """Return a database's schema in a snapshot as SQL: the part before the rows, and the part after.

    Keys, indexes and triggers come after the rows, so that making them also tests that the rows are complete.

    :raises LabError: when pg_dump cannot read the schema.
    """
    parts = conninfo_to_dict(url)
    # In a file, because an argument stands in the list of processes, and a variable in the engine's records.
    password = re.sub(r"([\\:])", r"\\\1", str(parts.pop("password", "")))
    paths = ("/tmp/pre.sql", "/tmp/post.sql")  # noqa: S108 - in a container of its own
    done = Engine.find().run(
        SERVERS,
        ["sh", "-c", DUMP],
        files={PASSWORDS: f"*:*:*:*:{password}\n".encode()},
        environment={
            "URL": make_conninfo("", **parts),
            "SNAPSHOT": snapshot,
            "PGPASSFILE": PASSWORDS,
        },
        network="host",
        collect=paths,
        timeout_s=LONGEST_S,
    )
    if not done.ok:
        next_step = "give a URL that the engine's machine reaches, of a user who may read all tables"
        raise LabError("pg_dump reads the schema", done.output.strip()[-500:], next_step)
    before, after = (_statements(done.files[path].decode()) for path in paths)
    return before, after


def _statements(script: str) -> str:
    """Return a dump without the lines that only psql understands."""
    return "\n".join(line for line in script.splitlines() if not line.startswith("\\"))
