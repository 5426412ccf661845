"""PostgreSQL as an element: connections, its own tools in its container, and the container as an image.

Source: PostgreSQL 15, "The pg_hba.conf File", "Password Authentication", "Single-User Mode" of postgres.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from secrets import token_urlsafe
from typing import Any

import psycopg

from labkit.containers import SECRET, Answers, Deadline, Element, Namespace, NotReady
from labkit.engine import SERVERS
from labkit.errors import LabError
from labkit.postgres._url import DatabaseUrl

PORT = 5432
MAINTENANCE = "postgres"
"""The database that every server has; from a connection to it the others are created and dropped."""

CONNECT_S = 5
ANSWER_S = 2
FOLDER = "/var/lib/postgresql"
LOCK = 0x6C61626B69740001
"""The number of the advisory lock under which one snapshot or restore runs at a time."""

LOCK_S = 60.0
"""How long a snapshot waits for another one to end, in seconds."""


SET_PASSWORD_AND_RUN = f"""\
printf '%s\\n' 'local all all trust' 'host all all all scram-sha-256' > "$PGDATA/pg_hba.conf"
echo "ALTER ROLE postgres PASSWORD '${SECRET}'" |
  postgres --single -c shared_buffers=1MB -c log_checkpoints=off postgres > /dev/null
unset {SECRET}
exec postgres
"""
"""Without a connection, so that nobody gets in before the password is set. Its own tools use no network."""


class Postgres(Element):
    """A PostgreSQL server that never waits for the disk (fsync is off).

    From the network it lets nobody in without a password. That of the superuser postgres is its secret.
    """

    role = "database"
    capabilities = ()
    make_secret = staticmethod(token_urlsafe)

    def __init__(self, namespace: Namespace, name: str = "database") -> None:
        run = ["sh", "-c", SET_PASSWORD_AND_RUN]
        super().__init__(namespace, name, SERVERS, command=run, ports=[PORT], user="postgres")
        self.waiting_for(Answers("answers SQL", lambda _: self._answers()))

    def url(self, database: str = MAINTENANCE) -> DatabaseUrl:
        """Return where one of its databases is reached from this machine, as a libpq URL.

        :raises NoAnswer: when it does not run.
        """
        self.reload()  # it may have been restarted: its port is another one then
        where = f"{self.namespace.engine.host}:{self.get_exposed_port(PORT)}"
        return DatabaseUrl(f"postgresql://postgres:{self.secret}@{where}/{database}")

    def connect(self, database: str = MAINTENANCE, **settings: Any) -> psycopg.Connection[Any]:  # noqa: ANN401 - psycopg's own
        """Return a new connection to one of its databases; settings are psycopg's.

        :raises NoAnswer: when the server does not answer: it was paused, killed or removed.
        :raises psycopg.OperationalError: when it answers and refuses.
        """
        try:
            return self._connect(database, **settings)
        except psycopg.OperationalError as problem:
            self.reload()  # a restarted server has another port
            if self.state == "running":
                return self._connect(database, **settings)
            raise self.no_answer(str(problem).strip()) from problem

    def _connect(self, database: str, **settings: Any) -> psycopg.Connection[Any]:  # noqa: ANN401 - psycopg's own
        where = {"host": self.namespace.engine.host, "port": self.get_exposed_port(PORT)}
        where |= {"user": "postgres", "password": self.secret}
        common = {"dbname": database, "connect_timeout": CONNECT_S, "application_name": "labkit"}
        return psycopg.connect(**{**common, **where, **settings})

    def _answers(self) -> bool:
        try:
            with self._connect(MAINTENANCE, connect_timeout=ANSWER_S) as connection:
                return connection.execute("SELECT true").fetchone() is not None
        except psycopg.OperationalError as problem:
            raise ConnectionError(str(problem).strip()) from problem

    @contextmanager
    def session(self) -> Iterator[psycopg.Connection[Any]]:
        """Give a connection in which databases can be created and dropped.

        :raises NoAnswer: when the server ends within the block, as when it is killed during a restore.
        """
        with self.connect(autocommit=True) as connection:
            try:
                yield connection
            except psycopg.OperationalError as problem:
                if connection.broken:
                    raise self.no_answer(str(problem).strip()) from problem
                raise

    @contextmanager
    def exclusive(self, deadline_s: float = LOCK_S) -> Iterator[psycopg.Connection[Any]]:
        """Give a session during which nobody else takes a snapshot or restores.

        :raises NotReady: when somebody else has not finished after deadline_s seconds.
        """
        with self.session() as connection:

            def locked() -> bool:
                row = connection.execute("SELECT pg_try_advisory_lock(%s)", [LOCK]).fetchone()
                return bool(row and row[0])

            # Polled, because a wait inside PostgreSQL would not end on Ctrl-C.
            if Deadline(deadline_s, self.namespace.stop).until(locked) is not None:
                expected = f"other snapshots and restores in {self.name} end within {deadline_s:g} s"
                next_step = "end the process that takes one, or wait for it, then try again"
                raise NotReady(expected, "one is still under way", next_step)
            yield connection

    def tool(self, *command: str) -> None:
        """Run one of PostgreSQL's tools in the server's container, as the server's user.

        :raises LabError: when it fails; with its output.
        """
        self.reload()  # a restore in another process may have put another container in its place
        done = self.execute(command)
        if not done.ok:
            next_step = "correct what it says; environment.logs('database') has the server's side"
            raise LabError(f"{command[0]} succeeds in {self.name}", done.output.strip(), next_step)

    def fresh_path(self) -> str:
        """Return an unused path in its container, in a folder where the server may write."""
        return f"{FOLDER}/{uuid.uuid4().hex[:8]}"

    # ---- the whole container as a state ----

    def to_image(self) -> str:
        """Make an image of the container as it is and return its id; see Element.to_image."""
        self.reload()  # a restore in another process may have put another container in its place
        return super().to_image()

    def replace(self, image: str) -> None:
        """Replace its container by one of this image, and return when that one answers."""
        self.reload()
        self.namespace.secret(self.name)  # known from now on, because the container that keeps it goes
        self.stop()
        before, self.image = self.image, image
        try:
            self.start()
        finally:
            self.image = before
