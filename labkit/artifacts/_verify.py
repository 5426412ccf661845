"""Is the record whole? Every row is held against its signature, its place in the chain and its searchable copies."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, select

from labkit.artifacts._fact import Fact
from labkit.artifacts._key import SigningKey
from labkit.artifacts._note import Head
from labkit.artifacts._tables import columns, facts, reference_rows, references

START = "0" * 64
"""What the first fact is chained to."""

CHUNK = 500


@dataclass(frozen=True)
class Verification:
    """Whether the record is whole.

    facts is how many rows were read. row is the first row that was changed, moved or lost, or None. problem says what
    is wrong with it, "" when all is well. noted is the last row that the git note vouches for, None without a note.
    """

    ok: bool
    facts: int
    row: int | None
    problem: str
    noted: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the answer as JSON data."""
        return asdict(self)


def chained(previous: str, fact_id: int, payload: str, signature: str) -> str:
    """Return a fact's hash: SHA-256 over the previous fact's hash and all that is kept of this one."""
    return hashlib.sha256(f"{previous}\n{fact_id}\n{payload}\n{signature}".encode()).hexdigest()


def check(connection: Connection, key: SigningKey, noted: Head | None) -> Verification:
    """Read all rows in order; stop at the first that is wrong."""
    previous, last = START, 0
    note_id = noted.id if noted else None
    for row, kept in _rows(connection):
        problem = _problem(row, kept, previous, last + 1, key)
        if not problem and noted and noted.id == row.id and noted.hash != row.hash:
            problem = "it is not the fact that the git note vouches for"
        if problem:
            lost = row.id > last + 1
            return Verification(
                ok=False, facts=last, row=last + 1 if lost else row.id, problem=problem, noted=note_id
            )
        previous, last = row.hash, row.id
    if noted and noted.id > last:
        problem = f"it and all after it were cut off: the git note vouches for {noted.id} facts"
        return Verification(ok=False, facts=last, row=last + 1, problem=problem, noted=note_id)
    return Verification(ok=True, facts=last, row=None, problem="", noted=note_id)


def _problem(row: Row[Any], kept: list[dict[str, Any]], previous: str, expected: int, key: SigningKey) -> str:
    """Return what is wrong with a row, "" when nothing is."""
    if row.id > expected:
        return "it was deleted"
    if not key.signed(row.payload, row.signature):
        return "its payload or its signature was changed after it was signed"
    fact = Fact.read(row.payload)
    if fact.id != row.id:
        return f"it was recorded as row {fact.id} and moved here"
    if chained(previous, row.id, row.payload, row.signature) != row.hash:
        return "its hash was changed"
    said = columns(fact)
    changed = [name for name in said if said[name] != row._mapping[name]]
    if changed:
        return f"its column {changed[0]} was changed: the signed payload says {said[changed[0]]!r}"
    if kept != reference_rows(fact):
        return "its references were changed: the signed payload says others"
    return ""


def _rows(connection: Connection) -> Iterator[tuple[Row[Any], list[dict[str, Any]]]]:
    """Yield each fact's row with the rows of its references, in order."""
    last = None
    while True:
        after = facts.c.id > last if last is not None else True
        chunk = connection.execute(select(facts).where(after).order_by(facts.c.id).limit(CHUNK)).all()
        if not chunk:
            return
        kept = defaultdict(list)
        between = references.c.fact.between(chunk[0].id, chunk[-1].id)
        for found in connection.execute(
            select(references).where(between).order_by(references.c.fact, references.c.position)
        ):
            kept[found.fact].append(dict(found._mapping))
        for row in chunk:
            yield row, kept[row.id]
        last = chunk[-1].id
