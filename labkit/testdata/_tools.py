"""PostgreSQL's own tools, those of labkit's image, so that they are of its server's version."""

from labkit.engine import SERVERS, Engine
from labkit.errors import LabError

# A subscription would connect the copy to where production's data comes from.
DUMP = """\
dump() {
  pg_dump --dbname="$URL" --snapshot="$SNAPSHOT" --schema-only --no-owner --no-privileges --no-publications \\
    --no-subscriptions --section="$1-data" --file="/tmp/$1.sql"
}
dump pre &
dump post && wait $!
"""
LONGEST_S = 300.0


def dump_schema(url: str, snapshot: str) -> tuple[str, str]:
    """Return a database's schema in a snapshot as SQL: what comes before the rows, and what comes after.

    Keys, indexes and triggers come after, so that making them is at the same time the test that the rows are
    whole.

    :raises LabError: when pg_dump cannot read it.
    """
    paths = ("/tmp/pre.sql", "/tmp/post.sql")  # noqa: S108 - in a container of its own
    done = Engine.find().run(
        SERVERS,
        ["sh", "-c", DUMP],
        environment={"URL": url, "SNAPSHOT": snapshot},
        network="host",
        collect=paths,
        timeout_s=LONGEST_S,
    )
    if not done.ok:
        mend = "give a URL that is reached from the engine's machine, with the right to read all tables"
        raise LabError("pg_dump reads the schema", done.output.strip()[-500:], mend)
    before, after = (_statements(done.files[path].decode()) for path in paths)
    return before, after


def _statements(script: str) -> str:
    """Return a dump without the lines that are for psql alone."""
    return "\n".join(line for line in script.splitlines() if not line.startswith("\\"))
