"""The artifact database: append facts, ask about them, check them."""

import getpass
import os
import time
import weakref
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, Engine, Row, delete, insert, select

from labkit._sql import appending, connect, reading, url_of
from labkit.artifacts._fact import Fact, Kind, Reference, Subject
from labkit.artifacts._key import SigningKey
from labkit.artifacts._note import Head, Note
from labkit.artifacts._package_query import PackageQuery
from labkit.artifacts._questions import Place, RunningService, deployed, images_of, references_of, went_into
from labkit.artifacts._tables import columns, fact_table, metadata, reference_rows, reference_table
from labkit.artifacts._verify import START, Verification, chained, check
from labkit.errors import LabError

Guard = Callable[[Sequence[Fact]], object]
"""Gets the facts of a run, oldest first, and raises when one more must not be recorded."""


class ArtifactDatabase:
    """All facts of one workspace. Threads and processes may record and ask at once.

    Its connections stay open until `close`, until nobody refers to it any more, or until the program ends.
    Nothing is lost when it is never closed. After `close` it may be used again: it opens new connections.
    """

    def __init__(self, engine: Engine, key: SigningKey, notes: Path | None = None) -> None:
        """Take a connected engine, the signing key and the repository for the note; `open` finds them."""
        self._engine = engine
        self._key = key
        self._note = Note(notes, self._has) if notes else None
        # The pool keeps connections open between two questions. A notebook never closes its database, and
        # from Python 3.13 on a SQLite connection that is dropped while it is open is a ResourceWarning.
        weakref.finalize(self, engine.dispose)

    @classmethod
    def open(cls, location: Path | str, *, key: Path | None = None, notes: Path | None = None) -> Self:
        """Open a database; make it when it is not there.

        location is the path of a SQLite file or a database URL. key is the file of the signing key. With None
        it lies beside the SQLite file, with the suffix `.key`. The key is made with the database and never
        again; its public half lies beside it, with the suffix `.pub`. notes is a git repository that gets the
        chain's head as the note `labkit`. With None, verify cannot find out that the last facts were deleted.

        :raises LabError: when there is no such database, or when it has facts but its key is missing.
        """
        url = url_of(location)
        if key is None:
            if url.get_backend_name() != "sqlite" or not url.database:
                raise LabError("the signing key's file as key=", "none", "name a file that all writers share")
            key = Path(url.database).with_suffix(".key")
        engine = connect(url, "an artifact database", metadata)
        try:
            return cls(engine, _key_of(engine, key), notes)
        except BaseException:  # also Ctrl-C: nobody else knows these connections
            engine.dispose()
            raise

    def close(self) -> None:
        """Write the head that is due into the git note, and close all connections."""
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
        guard: Guard | None = None,
        **predicate: Any,  # noqa: ANN401 - JSON data
    ) -> Fact:
        """Append one fact and return it as it was written; it is on the disk then.

        stage, service, environment and run are None where the fact belongs to none. by names who did it, with
        None the user. predicate is the JSON data that the kind asks for. guard gets the facts of the same
        run, oldest first, and raises what refuses this one: nobody records between its look and the append.

        :raises LabError: when the kind is unknown, or a deployment has no stage, service or image digest.
        :raises TypeError: when the predicate is no JSON data.
        """
        kind = Kind.of(kind)
        findable = stage and service and subject.digest
        if kind in {Kind.SERVICE_DEPLOYED, Kind.SERVICE_UPGRADED} and not findable:
            seen = f"stage {stage!r}, service {service!r}, image {subject}"
            raise LabError("a deployment's stage, service and image digest", seen, "name all three")
        who, inputs = by or _user(), tuple(references)  # before the lock: an iterable may ask this database
        with appending(self._engine) as connection:
            if guard is not None:
                of_run = select(fact_table.c.payload).where(fact_table.c.run == run).order_by(fact_table.c.id)
                guard([Fact.read(payload) for payload in connection.scalars(of_run)])
            head, at = _head(connection), datetime.now(UTC)
            where = (stage, service, environment, run)
            draft = Fact(head.id + 1, at, kind, subject, *where, who, inputs, predicate)
            fact, head = _append(connection, head, draft.payload(), self._key)
        if self._note:
            self._note.write_soon(head)
        return fact

    def what_runs(self, service: str, stage: str = "production") -> RunningService | None:
        """Return what runs as a service in a stage and all that went into it; None when nothing does."""
        with reading(self._engine) as connection:
            row = connection.execute(deployed(stage, service)).first()
            if row is None:
                return None
            fact = Fact.read(row.payload)
            image, *beside = images_of(connection, row)
            rows = references_of(connection, [image.digest])[image.digest]
        return RunningService(fact, image, went_into(rows, fact.id), tuple(beside))

    def where_is(self, text: str) -> list[Place]:
        """Return where something runs now: the deployed images that have it in them, and as which version.

        text is a package URL or a name. Without a version it means all versions; the qualifiers and the
        namespace of a package URL may be left out, and names are compared as their kind of package does. A
        name means a package of any type, a base image, a parameter, or whatever is recorded by it.

        :raises LabError: when the text is neither a package URL nor a name.
        """
        query = PackageQuery.parse(text)
        now = self._now()
        uris = query.among({row.uri for _, _, rows in now for row in rows})
        places = []
        for deployment, image, rows in now:
            inside = chain(*went_into(rows, deployment.id).values())
            if references := tuple(reference for reference in inside if reference.uri in uris):
                where = (deployment.stage, deployment.environment, deployment.service)
                places.append(Place(*where, image, references))
        return places

    def nearest(self, text: str) -> list[str]:
        """Return what runs now and has a name much like this one, without versions; [] when nothing has.

        :raises LabError: as where_is.
        """
        query = PackageQuery.parse(text)
        return query.nearest({row.uri for _, _, rows in self._now() for row in rows})

    def _now(self) -> list[tuple[Row[Any], Subject, list[Row[Any]]]]:
        """Return each deployment, with each image that runs for it, and all that went into that image."""
        with reading(self._engine) as connection:
            deployments = connection.execute(deployed()).all()
            now = [(row, image) for row in deployments for image in images_of(connection, row)]
            rows = references_of(connection, (image.digest for _, image in now))
        return [(row, image, rows[image.digest]) for row, image in now]

    def history(
        self,
        *,
        kind: Kind | str | None = None,
        run: str | None = None,
        environment: str | None = None,
        stage: str | None = None,
        digest: str | None = None,
        after: int = 0,
        limit: int | None = None,
    ) -> list[Fact]:
        """Return what happened, oldest first.

        None asks for all. digest is the subject's. after is a fact's id: only later facts are returned. limit
        keeps only the newest.

        :raises LabError: when there is no such kind.
        """
        filters = {
            "kind": None if kind is None else Kind.of(kind).value,
            "run": run,
            "environment": environment,
            "stage": stage,
            "digest": None if digest is None else Subject("", digest).digest,
        }
        conditions = [fact_table.c[name] == value for name, value in filters.items() if value is not None]
        newest_first = select(fact_table.c.payload).where(fact_table.c.id > after, *conditions)
        newest_first = newest_first.order_by(fact_table.c.id.desc()).limit(limit)
        with reading(self._engine) as connection:
            return [Fact.read(payload) for payload in connection.scalars(newest_first)][::-1]

    def subscribe(self, after: int = 0, poll_s: float = 0.1) -> Generator[Fact]:
        """Yield each fact after the one with this id, whoever records it.

        It asks every poll_s seconds, and never ends by itself: the generator's own `close()` ends it.
        """
        while True:
            for fact in self.history(after=after):
                after = fact.id
                yield fact
            time.sleep(poll_s)

    def verify(self) -> Verification:
        """Check every signature, the chain and the searchable copies; name the first row that is wrong."""
        noted = None
        if self._note:
            self._note.flush()
            noted = self._note.read()  # before the rows, because the database may grow meanwhile
        with reading(self._engine) as connection:
            return check(connection, self._key.public, noted)

    def _has(self, head: Head) -> bool:
        with reading(self._engine) as connection:
            recorded = connection.scalar(select(fact_table.c.hash).where(fact_table.c.id == head.id))
        return recorded == head.hash


def _key_of(engine: Engine, file: Path) -> SigningKey:
    """Read the key, or make it while there is nothing yet that it should have signed."""
    if file.exists():
        return _published(SigningKey.load(file), file)
    with reading(engine) as connection:
        head = _head(connection)
    if head.id:
        seen = f"no such file, but {head.id} signed facts"
        raise LabError(f"the signing key {file}", seen, "copy the key back to that place")
    return _published(SigningKey.create(file), file)


def _published(key: SigningKey, file: Path) -> SigningKey:
    """Write the public key beside the key, for whoever gets a copy of the database; what is there stays."""
    with (
        suppress(FileExistsError, PermissionError),
        file.with_suffix(".pub").open("x", encoding="utf-8") as pub,
    ):
        pub.write(f"{key.public.text}\n")
    return key


def _head(connection: Connection) -> Head:
    """Return the last fact's id and hash."""
    newest_first = select(fact_table.c.id, fact_table.c.hash).order_by(fact_table.c.id.desc())
    row = connection.execute(newest_first.limit(1)).first()
    return Head(row.id, row.hash) if row else Head(0, START)


def _append(connection: Connection, head: Head, payload: str, key: SigningKey) -> tuple[Fact, Head]:
    """Sign a payload, chain it to the head and write it with its references. Return fact and new head."""
    fact, signature = Fact.read(payload), key.sign(payload)
    head = Head(fact.id, chained(head.hash, fact.id, payload, signature))
    row = {"payload": payload, "signature": signature, "hash": head.hash}
    connection.execute(insert(fact_table), row | columns(fact))
    # What refers to a fact that is not there was signed by nobody: it may not stop the next fact.
    connection.execute(delete(reference_table).where(reference_table.c.fact == fact.id))
    if fact.references:
        connection.execute(insert(reference_table), reference_rows(fact))
    return fact, head


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number that has no name
        return f"user {os.getuid()}"
