"""Checks that the record is whole: each row is compared with its signature, its place and its copies."""

import hashlib
from collections import defaultdict
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, exists, select
from sqlalchemy.exc import DBAPIError

from labkit.artifacts._fact import Fact
from labkit.artifacts._key import PublicKey
from labkit.artifacts._note import Head
from labkit.artifacts._tables import columns, fact_table, reference_rows, reference_table

START = "0" * 64
"""What the first fact is chained to."""

CHUNK = 500

Values = tuple[Any, ...]
"""A row of references as plain values, which compare faster than rows do."""

DAMAGED = "the file is damaged"
CUT_OFF = (
    "cut off, with all after it: the git note vouches for {} facts. "
    "A copied file needs the file of the same name with -wal too"
)


@dataclass(frozen=True)
class Verification:
    """Whether the record is whole.

    facts is how many rows, from the first on, are as they were recorded. row is the first that is not:
    changed, moved or lost; None when all are well, or when what is wrong is in no row. problem says what is
    wrong, "" when nothing is. noted is the last row that the git note vouches for, None without a note.
    unknown says what could not be looked at, so that ok does not cover it.
    """

    ok: bool
    facts: int
    row: int | None
    problem: str
    noted: int | None = None
    unknown: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the answer as JSON data."""
        return asdict(self)


def chained(previous: str, fact_id: int, payload: str, signature: str) -> str:
    """Return a fact's hash: SHA-256 over the previous fact's hash and all that is kept of this one."""
    return hashlib.sha256(f"{previous}\n{fact_id}\n{payload}\n{signature}".encode()).hexdigest()


def check(connection: Connection, key: PublicKey, noted: Head | None) -> Verification:
    """Read all rows in order and stop at the first wrong one; noted is the note's head, None without one.

    Afterwards come the indexes, which every question is answered from, and the references to no fact.
    """
    vouched, unknown = noted.id if noted else None, _unknown(connection, noted)

    def wrong(facts: int, row: int | None, problem: str) -> Verification:
        return Verification(ok=False, facts=facts, row=row, problem=problem, noted=vouched, unknown=unknown)

    head = Head(0, START)
    try:
        with closing(_rows(connection)) as rows:
            for row, kept in rows:
                if problem := next(_problems(row, kept, head, key, noted), ""):
                    return wrong(head.id, min(row["id"], head.id + 1), problem)
                head = Head(row["id"], row["hash"])
        orphan, problem = _beside_the_facts(connection)
    except DBAPIError as fault:
        if connection.dialect.name != "sqlite":
            raise
        return wrong(head.id, None, f"{DAMAGED}: {fault.orig}")
    if noted and noted.id > head.id:
        return wrong(head.id, head.id + 1, CUT_OFF.format(noted.id))
    if problem:
        return wrong(head.id, orphan, problem)
    return Verification(ok=True, facts=head.id, row=None, problem="", noted=vouched, unknown=unknown)


def _unknown(connection: Connection, noted: Head | None) -> tuple[str, ...]:
    """Return what cannot be looked at here."""
    note = () if noted else ("there is no git note, so facts cut off at the end would not be seen",)
    if connection.dialect.name == "sqlite":
        return note
    return (*note, "the indexes of a database server were not looked at")


def _beside_the_facts(connection: Connection) -> tuple[int | None, str]:
    """Return what is wrong beside the facts, and the row that it is about, None without one."""
    fact = reference_table.c.fact
    orphans = select(fact).where(~exists().where(fact_table.c.id == fact)).order_by(fact).limit(1)
    orphan = connection.scalar(orphans)
    if orphan is not None:
        return orphan, "references of a fact that is not there: nobody signed them"
    return None, _damage(connection)


def _damage(connection: Connection) -> str:
    """Return what SQLite finds wrong with its file: an index that lacks a row answers questions wrongly."""
    if connection.dialect.name != "sqlite":
        return ""
    verdict = connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar()
    return "" if verdict == "ok" else f"{DAMAGED}: {verdict}"


def _problems(
    row: RowMapping, kept: list[Values], head: Head, key: PublicKey, noted: Head | None
) -> Iterator[str]:
    """Yield what is wrong with the row after head. Only the first one counts: others follow from it."""
    if row["id"] > head.id + 1:
        yield "deleted"
    if not key.signed(row["payload"], row["signature"]):
        yield "payload or signature changed after it was signed"
    fact = Fact.read(row["payload"])
    if fact.id != row["id"]:
        yield f"moved: it was recorded as row {fact.id}"
    if row["hash"] != chained(head.hash, fact.id, row["payload"], row["signature"]):
        yield "hash changed"
    yield from _changed_copies(row, kept, fact)
    if noted and noted.id == fact.id and noted.hash != row["hash"]:
        yield "written anew: it is not the fact that the git note vouches for"


def _changed_copies(row: RowMapping, kept: list[Values], fact: Fact) -> Iterator[str]:
    """Yield where the searchable copies of a fact differ from its payload."""
    for name, signed in columns(fact).items():
        if row[name] != signed:
            yield f"column {name} changed to {row[name]!r}; the signed payload says {signed!r}"
    if kept != [tuple(row.values()) for row in reference_rows(fact)]:
        yield "references changed; the signed payload says others"


def _rows(connection: Connection) -> Generator[tuple[RowMapping, list[Values]]]:
    """Yield each fact's row with the rows of its references, in order."""
    in_order = select(fact_table).order_by(fact_table.c.id)
    with connection.execute(in_order, execution_options={"yield_per": CHUNK}) as facts:
        for chunk in facts.mappings().partitions():
            kept = _references(connection, chunk[0]["id"], chunk[-1]["id"])
            for row in chunk:
                yield row, kept[row["id"]]


def _references(connection: Connection, first: int, last: int) -> dict[int, list[Values]]:
    """Return the rows of references by their fact, of the facts from first to last."""
    place = reference_table.c
    theirs = (
        select(reference_table).where(place.fact.between(first, last)).order_by(place.fact, place.position)
    )
    kept: dict[int, list[Values]] = defaultdict(list)
    for row in connection.execute(theirs):
        kept[row.fact].append(tuple(row))
    return kept
