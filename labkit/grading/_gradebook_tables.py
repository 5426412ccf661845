"""The tables of the gradebook, and how a result becomes rows and comes back."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    Text,
    insert,
    select,
)

import labkit
from labkit.grading._notebook import text
from labkit.grading._result import LABKIT, Result, Row, State
from labkit.grading._submission import digest_of

DIGESTS = ("submission", "lab", "checks", "image")
"""What a result depends on; each has a column NAME_digest."""

metadata = MetaData()

attempt_table = Table(
    "attempt",
    metadata,
    Column("id", Integer, primary_key=True),
    # The same for two records of one result; null for what is to be graded again.
    Column("key", String, unique=True),
    Column("learner", String, nullable=False),
    Column("lab", String, nullable=False),
    Column("state", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("whose", String, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("at", String, nullable=False),
    Column("labkit", String, nullable=False),
    *(Column(f"{name}_digest", String, nullable=False) for name in DIGESTS),
    Index("attempt_learner", "learner", "lab", "id"),
    Index("attempt_submission", "submission_digest"),
)

row_table = Table(
    "check_row",
    metadata,
    Column("attempt", ForeignKey("attempt.id"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("check", String, nullable=False),
    Column("number", Integer, nullable=False),
    Column("passed", Boolean, nullable=False),
    Column("points", Float, nullable=False),
    Column("hidden", Boolean, nullable=False),
    Column("hint", Text, nullable=False),
)

answer_table = Table(
    "answer",
    metadata,
    Column("attempt", ForeignKey("attempt.id"), primary_key=True),
    Column("name", String, primary_key=True),
    Column("text", Text, nullable=False),
    # Orders the answers to a question without telling whose they are.
    Column("place", String, nullable=False),
    Index("answer_place", "name", "place"),
)

key_table = Table(
    "learner_key",
    metadata,
    Column("learner", String, primary_key=True),
    Column("public_key", String, nullable=False, index=True),
    Column("at", String, nullable=False),
)

decision_table = Table(
    "decision",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("lab", String, nullable=False),
    Column("question", String, nullable=False),
    Column("learner", String, nullable=False),
    Column("answer", String, nullable=False),  # the SHA-256 of what was judged
    Column("asks", Text, nullable=False),  # the row of the rubric, by its words
    Column("verdict", Boolean),
    Column("comment", Text, nullable=False),
    Column("by", String, nullable=False),
    Column("at", String, nullable=False),
    Index("decision_learner", "learner", "lab", "question", "id"),
)


@dataclass(frozen=True)
class Attempt:
    """A result as the gradebook has it. id counts up, at is in UTC, labkit is the version that graded it."""

    id: int
    at: datetime
    labkit: str
    result: Result


def now() -> str:
    """Return the time as the tables have it."""
    return datetime.now(UTC).isoformat()


def key_of(result: Result) -> str | None:
    """Return what is the same for two records of one result; None for what is to be graded again."""
    if result.whose == LABKIT and result.state is not State.GRADED:
        return None
    return digest_of([result.learner, result.lab, result.state, result.reason, dict(result.digests)])


def add(connection: Connection, result: Result, key: str | None) -> None:
    """Add a result with its rows and answers."""
    values = {
        **{name: text(getattr(result, name)) for name in ("learner", "lab", "reason", "whose")},
        **{f"{name}_digest": result.digests.get(name, "") for name in DIGESTS},
        "key": key,
        "state": result.state.value,
        "seconds": result.seconds,
        "at": now(),
        "labkit": labkit.__version__,
    }
    number = connection.scalar(insert(attempt_table).returning(attempt_table.c.id), values)
    rows = [
        {"attempt": number, "position": at, **vars(row), "hint": text(row.hint)}
        for at, row in enumerate(result.rows)
    ]
    answers = [
        {
            "attempt": number,
            "name": text(name),
            "text": text(words),
            "place": digest_of([result.learner, words]),
        }
        for name, words in result.answers.items()
    ]
    for table, made in ((row_table, rows), (answer_table, answers)):
        if made:
            connection.execute(insert(table), made)


def attempts_of(connection: Connection, chosen: Select[Any]) -> list[Attempt]:
    """Return the chosen attempts with their rows and answers."""
    attempts = connection.execute(chosen).mappings().all()
    rows, answers = _parts(connection, [one["id"] for one in attempts])
    return [
        Attempt(
            one["id"],
            datetime.fromisoformat(one["at"]),
            one["labkit"],
            Result(
                **{name: one[name] for name in ("learner", "lab", "reason", "whose", "seconds")},
                state=State(one["state"]),
                rows=tuple(rows[one["id"]]),
                answers=answers[one["id"]],
                digests={name: one[f"{name}_digest"] for name in DIGESTS if one[f"{name}_digest"]},
            ),
        )
        for one in attempts
    ]


def _parts(
    connection: Connection, attempts: Iterable[int]
) -> tuple[defaultdict[int, list[Row]], defaultdict[int, dict[str, str]]]:
    """Return the rows and the answers of attempts, by attempt."""
    rows: defaultdict[int, list[Row]] = defaultdict(list)
    answers: defaultdict[int, dict[str, str]] = defaultdict(dict)
    of, numbers = row_table.c, [*attempts]
    in_order = select(row_table).where(of.attempt.in_(numbers)).order_by(of.attempt, of.position)
    for one in connection.execute(in_order):
        rows[one.attempt].append(Row(one.check, one.number, one.passed, one.points, one.hidden, one.hint))
    for one in connection.execute(select(answer_table).where(answer_table.c.attempt.in_(numbers))):
        answers[one.attempt][one.name] = one.text
    return rows, answers
