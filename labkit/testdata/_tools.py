"""PostgreSQL's own tools from labkit's image, so that they have the version of its server."""

import re
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from labkit.engine import SERVERS, Engine
from labkit.errors import LabError

# A subscription would connect the copy to the server that production's data comes from. The password comes as
# a file: a variable or an argument could be read by whoever may inspect containers or list processes.
GIVEN = "/tmp/labkit"  # noqa: S108 - in a container of its own
DUMP = """\
umask 077
mkdir /tmp/labkit && for file in $GIVEN; do cat "/tmp/given/$file" > "/tmp/labkit/$file"; done
dump() {
  pg_dump --dbname="$WHERE" --snapshot="$SNAPSHOT" --schema-only --no-owner --no-privileges \\
    --no-publications --no-subscriptions --encoding=UTF8 --lock-wait-timeout=10000 \\
    --section="$1-data" --file="/tmp/$1.sql"
}
dump pre &
dump post && wait $!
"""
LONGEST_S = 300.0

FILES = ("sslcert", "sslkey", "sslrootcert", "sslcrl")
"""Parameters of libpq that name a file of this machine."""

RESTRICT = re.compile(r"^\\restrict (\w+)\n", re.MULTILINE)


def dump_schema(conninfo: str, snapshot: str) -> tuple[str, str]:
    """Return a database's schema in a snapshot as SQL: the part before the rows, and the part after.

    Keys, indexes and triggers come after the rows, so that making them also tests that the rows are complete.

    :raises LabError: when pg_dump cannot read the schema.
    """
    paths = ("/tmp/pre.sql", "/tmp/post.sql")  # noqa: S108 - in a container of its own
    where, files = _carried(conninfo)
    done = Engine.find().run(
        SERVERS,
        ["sh", "-c", DUMP],
        files={f"/tmp/given/{name}": content for name, content in files.items()},  # noqa: S108 - as above
        environment={"WHERE": where, "SNAPSHOT": snapshot, "GIVEN": " ".join(files)},
        network="host",
        collect=paths,
        timeout_s=LONGEST_S,
    )
    if not done.ok:
        next_step = "give a URL that the engine's machine reaches, of a user who may read all tables"
        raise LabError("pg_dump reads the schema", done.output.strip()[-500:], next_step)
    before, after = (statements(done.files[path].decode()) for path in paths)
    return before, after


def _carried(conninfo: str) -> tuple[str, dict[str, bytes]]:
    """Return a connection's parameters without a secret, and the files by name that they refer to."""
    parts = {name: str(value) for name, value in conninfo_to_dict(conninfo).items() if name != "sslpassword"}
    files = {name: Path(parts[name]).read_bytes() for name in FILES if Path(parts.get(name, "")).is_file()}
    parts |= {name: f"{GIVEN}/{name}" for name in files}
    if password := parts.pop("password", None):
        files["pgpass"] = ("*:*:*:*:" + re.sub(r"([\\:])", r"\\\1", password) + "\n").encode()
        parts["passfile"] = f"{GIVEN}/pgpass"
    return make_conninfo("", **parts), files


def statements(script: str) -> str:
    r"""Return a dump without the two lines of it that only psql understands: \restrict and \unrestrict.

    Both have one random word. A line of the schema's own texts that begins so has another one.
    """
    begin = RESTRICT.search(script)
    if not begin:
        return script
    script = script[: begin.start()] + script[begin.end() :]
    before, _, after = script.rpartition(f"\\unrestrict {begin[1]}\n")
    return before + after
