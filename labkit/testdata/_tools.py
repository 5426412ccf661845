"""PostgreSQL's own tools, those of labkit's image, so that they are of its server's version."""

from labkit.engine import SERVERS, Engine
from labkit.errors import LabError

DUMP = """\
pg_dump --dbname="$URL" --schema-only --no-owner --no-privileges --section=pre-data --file=/tmp/pre.sql &
pg_dump --dbname="$URL" --schema-only --no-owner --no-privileges --section=post-data --file=/tmp/post.sql \
  && wait $!
"""
LONGEST_S = 300.0


def dump_schema(url: str) -> tuple[str, str]:
    """Return a database's schema as SQL: what comes before the rows, and what comes after them.

    Keys, indexes and triggers come after, so that making them is at the same time the test that the rows are
    whole.

    :raises LabError: when pg_dump cannot read it.
    """
    paths = ("/tmp/pre.sql", "/tmp/post.sql")  # noqa: S108 - in a container of its own
    done = Engine.find().run(
        SERVERS,
        ["sh", "-c", DUMP],
        environment={"URL": url},
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
