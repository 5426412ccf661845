"""The artifact database: append facts, ask about them, check them."""

import getpass
import os
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, Engine, insert, select

from labkit.artifacts._fact import Fact, Kind, Reference, Subject
from labkit.artifacts._key import SigningKey
from labkit.artifacts._note import Head, Note
from labkit.artifacts._questions import Place, Running, deployed, places_of, went_into
from labkit.artifacts._tables import claim, columns, connect, facts, reference_rows, references, url_of
from labkit.artifacts._verify import START, Verification, chained, check
from labkit.errors import LabError


class ArtifactDatabase:
    """All facts of one workspace. Several threads and processes may record and ask at once."""

    def __init__(self, engine: Engine, key: SigningKey, notes: Path | None) -> None:
        """Take a connected engine, the signing key and the git repository for the note; `open` finds them."""
        self._engine = engine
        self._key = key
        self._note = Note(notes, self._has) if notes else None

    @classmethod
    def open(cls, location: Path | str, *, key: Path | None = None, notes: Path | None = None) -> Self:
        """Open a database, making it when it is not there.

        location is the path of a SQLite file or a database URL. key is where the signing key is kept; None keeps it
        beside the SQLite file, as `.key`. It is made with the database, and never again. notes is a git repository
        that gets the chain's head as a note; None writes none, and then a cut-off tail is not found.

        Raises a LabError when the file is no database, or when its key is missing although it has facts.
        """
        url = url_of(location)
        if key is None:
            if url.get_backend_name() != "sqlite" or not url.database:
                raise LabError(
                    "key=, the path of the signing key", "none", "name a file that all writers share"
                )
            key = Path(url.database).with_suffix(".key")
        engine = connect(url)
        if not key.exists():
            with engine.connect() as connection:
                if _head(connection).id:
                    raise LabError(
                        f"the signing key {key}", "facts, but no key", "put the key back where it was"
                    )
            return cls(engine, SigningKey.create(key), notes)
        return cls(engine, SigningKey.load(key), notes)

    def close(self) -> None:
        """Write what is due into the git note and let go of the connections."""
        if self._note:
            self._note.flush()
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def record(
        self,
        kind: Kind | str,
        subject: Subject,
        /,
        *,
        stage: str | None = None,
        service: str | None = None,
        environment: str | None = None,
        run: str | None = None,
        by: str | None = None,
        references: Iterable[Reference] = (),
        **predicate: Any,  # noqa: ANN401 - JSON data
    ) -> Fact:
        """Append one fact and return it. It is on the disk when this returns.

        by None is the user's name. predicate is JSON data as the kind asks for; TypeError when it is none. Raises a
        LabError for an unknown kind, and for a deployment of a subject without a digest.
        """
        kind = Kind.of(kind)
        if kind in {Kind.SERVICE_DEPLOYED, Kind.SERVICE_UPGRADED} and not subject.digest:
            raise LabError(
                "an image's digest", f"none for {subject.name}", "give Subject(name, digest) the image's id"
            )
        words = {
            "stage": stage,
            "service": service,
            "environment": environment,
            "run": run,
            "by": by or _user(),
        }
        gathered = tuple(references)
        with self._engine.execution_options(labkit_append=True).begin() as connection:
            claim(connection)
            head = _head(connection)
            at = datetime.now(UTC)
            fact = Fact(head.id + 1, at, kind, subject, **words, references=gathered, predicate=predicate)
            head = _append(connection, head, fact.payload(), self._key)
        if self._note:
            self._note.write_soon(head)
        return fact

    def what_runs(self, service: str, stage: str = "production") -> Running | None:
        """Return what runs as a service in a stage and all that went into it; None when nothing does."""
        with self._engine.connect() as connection:
            row = connection.execute(deployed(stage, service)).first()
            if row is None:
                return None
            fact = Fact.read(row.payload)
            by_role: dict[str, list[Reference]] = defaultdict(list)
            for role, uri, digest in connection.execute(went_into(fact.subject.digest)):
                by_role[role].append(Reference(role, uri, digest))
        return Running(fact, fact.subject, dict(by_role))

    def where_is(self, uri: str) -> list[Place]:
        """Return where something runs now: the services with an image that has this uri in it."""
        with self._engine.connect() as connection:
            return [
                Place(row.stage, row.environment, row.service, Subject(row.name, row.digest))
                for row in connection.execute(places_of(uri))
            ]

    def history(
        self,
        *,
        kind: Kind | str | None = None,
        run: str | None = None,
        environment: str | None = None,
        stage: str | None = None,
        after: int = 0,
        limit: int | None = None,
    ) -> list[Fact]:
        """Return what happened, oldest first.

        None does not ask. after is the id of the last fact not wanted. limit keeps the newest ones only.
        """
        asked = {"kind": kind and Kind.of(kind), "run": run, "environment": environment, "stage": stage}
        query = select(facts.c.payload).where(facts.c.id > after).order_by(facts.c.id.desc()).limit(limit)
        for name, value in asked.items():
            if value is not None:
                query = query.where(facts.c[name] == value)
        with self._engine.connect() as connection:
            return [Fact.read(payload) for payload in connection.scalars(query)][::-1]

    def subscribe(self, after: int = 0, poll_s: float = 0.1) -> Iterator[Fact]:
        """Yield each fact after the one with this id, whoever records it, without end; `close()` ends it."""
        while True:
            for fact in self.history(after=after):
                after = fact.id
                yield fact
            time.sleep(poll_s)

    def verify(self) -> Verification:
        """Check all signatures, the chain and the searchable copies; name the first row that is wrong."""
        noted = None
        if self._note:
            self._note.flush()
            # Before the rows: the database may grow meanwhile, and must never seem to be behind.
            noted = self._note.read()
        with self._engine.connect() as connection:
            return check(connection, self._key, noted)

    def _has(self, head: Head) -> bool:
        with self._engine.connect() as connection:
            return connection.scalar(select(facts.c.hash).where(facts.c.id == head.id)) == head.hash


def _head(connection: Connection) -> Head:
    """Return the last fact's id and hash."""
    row = connection.execute(select(facts.c.id, facts.c.hash).order_by(facts.c.id.desc()).limit(1)).first()
    return Head(row.id, row.hash) if row else Head(0, START)


def _append(connection: Connection, head: Head, payload: str, key: SigningKey) -> Head:
    """Sign a payload, chain it to the head, write it with its references; return the new head."""
    fact = Fact.read(payload)
    signature = key.sign(payload)
    new = Head(fact.id, chained(head.hash, fact.id, payload, signature))
    connection.execute(
        insert(facts).values(payload=payload, signature=signature, hash=new.hash, **columns(fact))
    )
    rows = reference_rows(fact)
    if rows:
        connection.execute(insert(references), rows)
    return new


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number that has no name
        return f"user {os.getuid()}"
