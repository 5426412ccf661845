"""The gradebook: every attempt with its points, row by row, and what people decided. Nothing of that is lost.

It is a SQLite file, or a PostgreSQL database by URL. Graders may write to one gradebook at the same time: a
result is there as a whole or not at all, and once.
"""

import hashlib
import weakref
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, Engine, Select, delete, func, insert, literal, or_, select, tuple_, update

from labkit._sql import appending, connect, reading, url_of
from labkit.errors import LabError
from labkit.grading._gradebook_tables import (
    DIGESTS,
    Attempt,
    add,
    answer_table,
    attempt_table,
    attempts_of,
    decision_table,
    key_of,
    key_table,
    metadata,
    now,
)
from labkit.grading._result import Result, State
from labkit.grading._rubric import Question
from labkit.workspace import user

CHUNK = 200
"""How many attempts are in memory at once."""

OTHER_KEY = "the key of the artifact database is another one than at the first hand-in"


@dataclass(frozen=True)
class Answer:
    """What a learner wrote to a question, with the decision on each row by the row's words.

    place orders answers without telling whose they are. comment is the last one that a person made.
    """

    learner: str
    place: str
    text: str
    decisions: Mapping[str, bool | None]
    comment: str


class Gradebook:
    """All results of a class. It stays usable after `close`: it opens new connections."""

    def __init__(self, engine: Engine) -> None:
        """Take a connected engine; `open` makes it."""
        self._engine = engine
        weakref.finalize(self, engine.dispose)

    @classmethod
    def open(cls, location: Path | str) -> Self:
        """Open a gradebook by the path of a SQLite file or a database URL; make it when it is not there.

        :raises LabError: when there is no such database, or it cannot be written.
        """
        return cls(connect(url_of(location), "a gradebook", metadata))

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Results

    def record(self, result: Result) -> bool:
        """Add a result as one more attempt, and return whether it is new.

        A result that is there already, as when a second grader had the same submission, is not added again.
        One that labkit is to blame for always is, because the submission is graded again.

        :raises LabError: when the gradebook cannot be written; then nothing of the result is in it.
        """
        key = key_of(result)
        with appending(self._engine) as connection:
            known = select(attempt_table.c.id).where(attempt_table.c.key == key)
            if key is not None and connection.scalar(known) is not None:
                return False
            add(connection, result, key)
        return True

    def known(self, digests: Mapping[str, str]) -> bool:
        """Return whether a submission with these digests needs no grading any more.

        :raises LabError: when the gradebook cannot be read.
        """
        of = attempt_table.c
        same = [of[f"{name}_digest"] == digests.get(name, "") for name in DIGESTS]
        with reading(self._engine) as connection:
            found = select(of.id).where(*same, of.key.is_not(None)).limit(1)
            return connection.scalar(found) is not None

    def attempts(self, learner: str, lab: str) -> list[Attempt]:
        """Return all attempts of a learner at a lab, oldest first."""
        of = attempt_table.c
        chosen = select(attempt_table).where(of.learner == learner, of.lab == lab).order_by(of.id)
        with reading(self._engine) as connection:
            return attempts_of(connection, chosen)

    def latest(self, lab: str | None = None) -> Iterator[Attempt]:
        """Yield the newest attempt of each learner at each lab, by learner and lab; lab None is all labs.

        What names no lab counts until the learner hands in something else. Only a few attempts are in memory
        at once, however many there are, and no transaction stays open between them.
        """
        of = attempt_table.c
        newest = select(func.max(of.id)).group_by(of.learner, of.lab)
        newest_of_all = select(func.max(of.id)).group_by(of.learner)
        in_order = (
            select(attempt_table)
            .where(of.id.in_(newest), or_(of.lab != "", of.id.in_(newest_of_all)))
            .order_by(of.learner, of.lab)
            .limit(CHUNK)
        )
        if lab is not None:
            in_order = in_order.where(or_(of.lab == lab, of.lab == ""))
        chosen = in_order
        while True:
            with reading(self._engine) as connection:
                attempts = attempts_of(connection, chosen)
            yield from attempts
            if len(attempts) < CHUNK:
                return
            last = attempts[-1].result
            after = tuple_(literal(last.learner), literal(last.lab))
            chosen = in_order.where(tuple_(of.learner, of.lab) > after)

    # Keys

    def key(self, learner: str) -> str | None:
        """Return the public key of a learner's first hand-in; None before it."""
        with reading(self._engine) as connection:
            return connection.scalar(select(key_table.c.public_key).where(key_table.c.learner == learner))

    def keep_key(self, learner: str, public_key: str) -> str:
        """Keep a learner's key when it is the first; return why a person has to look, "" when all is well.

        :raises LabError: when the gradebook cannot be written.
        """
        of = key_table.c
        with appending(self._engine) as connection:
            kept = connection.scalar(select(of.public_key).where(of.learner == learner))
            others = select(of.learner).where(of.public_key == public_key, of.learner != learner)
            if connection.scalar(others.limit(1)) is not None:
                return "the key of the artifact database is one that another learner has handed in"
            if kept is None:
                row = {"learner": learner, "public_key": public_key, "at": now()}
                connection.execute(insert(key_table), row)
            elif kept != public_key:
                return OTHER_KEY
        return ""

    def forget_key(self, learner: str) -> None:
        """Let a learner hand in with another key, as from a new workspace: the next one that comes is kept.

        What waited because of its key is graded again.

        :raises LabError: when no key of the learner is kept, or the gradebook cannot be written.
        """
        of = attempt_table.c
        waiting = (
            (of.learner == learner) & (of.state == State.NEEDS_A_PERSON.value) & (of.reason == OTHER_KEY)
        )
        with appending(self._engine) as connection:
            if not connection.execute(delete(key_table).where(key_table.c.learner == learner)).rowcount:
                next_step = "see the learners in `labkit grades export`"
                raise LabError("a learner whose key is kept", f"no key of {learner!r}", next_step)
            connection.execute(update(attempt_table).where(waiting).values(key=None))

    # Decisions of people

    def decide(
        self,
        question: Question,
        answer: Answer,
        decisions: Mapping[str, bool | None],
        *,
        comment: str = "",
        by: str | None = None,
    ) -> None:
        """Record what a person decided on rows of the rubric, by the rows' words; None takes a decision back.

        It belongs to the text that was judged: when the learner hands in another, that one is undecided. by
        None is the user.

        :raises LabError: when the gradebook cannot be written.
        """
        judged: dict[str, str | bool | None] = {
            "lab": question.lab,
            "question": question.name,
            "learner": answer.learner,
            "answer": _digest(answer.text),
            "comment": comment,
            "by": by or user(),
            "at": now(),
        }
        rows = [judged | {"asks": asks, "verdict": verdict} for asks, verdict in decisions.items()]
        if rows:
            with appending(self._engine) as connection:
                connection.execute(insert(decision_table), rows)

    def answers(self, question: Question) -> Iterator[Answer]:
        """Yield each learner's newest answer to a question, in an order that does not follow the names."""
        in_order = _answers(question).order_by(answer_table.c.place).limit(CHUNK)
        chosen = in_order
        while True:
            with reading(self._engine) as connection:
                rows = connection.execute(chosen).all()
                decided = _decisions(connection, question, [row.learner for row in rows])
            for row in rows:
                decisions, comment = decided[row.learner, _digest(row.text)]
                yield Answer(row.learner, row.place, row.text, decisions, comment)
            if len(rows) < CHUNK:
                return
            chosen = in_order.where(answer_table.c.place > rows[-1].place)

    def decisions(self, question: Question, learner: str, answer: str) -> tuple[dict[str, bool | None], str]:
        """Return what was decided last on each row of one answer, and the last comment, "" without one."""
        with reading(self._engine) as connection:
            return _decisions(connection, question, [learner])[learner, _digest(answer)]


def _answers(question: Question) -> Select[Any]:
    """Select each learner's answer to a question, of the newest attempt at its lab."""
    of = attempt_table.c
    newest = select(func.max(of.id)).where(of.lab == question.lab).group_by(of.learner)
    return (
        select(of.learner, answer_table.c.place, answer_table.c.text)
        .join(attempt_table, of.id == answer_table.c.attempt)
        .where(of.id.in_(newest), answer_table.c.name == question.name)
    )


def _decisions(
    connection: Connection, question: Question, learners: Iterable[str]
) -> defaultdict[tuple[str, str], tuple[dict[str, bool | None], str]]:
    """Return the decisions and the comment by learner and answer; what came last counts."""
    of = decision_table.c
    theirs = select(decision_table).where(
        of.lab == question.lab, of.question == question.name, of.learner.in_([*learners])
    )
    found: defaultdict[tuple[str, str], tuple[dict[str, bool | None], str]] = defaultdict(lambda: ({}, ""))
    for row in connection.execute(theirs.order_by(of.id)):
        decisions, comment = found[row.learner, row.answer]
        found[row.learner, row.answer] = ({**decisions, row.asks: row.verdict}, row.comment or comment)
    return found


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
