"""A class's submissions through their labs' checks: a map over an executor, each result in the gradebook.

A submission is graded once for one content, lab, set of checks and image. A batch that was stopped goes on
where it was. What is the grader's own fault is no score, and is tried again by the next batch.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

from labkit.artifacts import Kind
from labkit.engine import GRADER, recipe_digests
from labkit.errors import LabError
from labkit.grading._exercises import Exercise, SolvedLab, same
from labkit.grading._gradebook import Gradebook
from labkit.grading._lab_run import Tried, try_out
from labkit.grading._names import CodeCell
from labkit.grading._notebook import Refused
from labkit.grading._result import LABKIT, LEARNER, Result, Row, State
from labkit.grading._submission import Submission, handed_in, read_class
from labkit.workspace import course, labs

CHUNK = 50
"""How many submissions one run of a lab tries."""

AHEAD = 64
"""How many jobs may wait, so that memory does not grow with the class."""


class Verdict(NamedTuple):
    """What came of one exercise: its rows, or why there are none and whose fault that is."""

    rows: Sequence[Row] = ()
    reason: str = ""
    state: State = State.GRADED
    whose: str = ""


@dataclass(frozen=True)
class Job:
    """Submissions of one lab that one run of the lab tries."""

    lab: SolvedLab
    submissions: Sequence[Submission]
    fresh: bool

    def results(self) -> list[Result]:
        """Grade them.

        :raises LabError: when the lab itself does not run here, or its own solution does not pass a check.
        """
        verdicts = defaultdict[str, list[Verdict]](list)
        answers = {one.learner: [CodeCell(*cell) for cell in one.cells] for one in self.submissions}
        seconds = defaultdict[str, float](float)
        for tried in try_out(self.lab, answers, fresh=self.fresh):
            verdicts[tried.learner].append(_judged(tried.exercise, tried))
            seconds[tried.learner] += tried.seconds
        for one in self.submissions:
            for exercise in self.lab.exercises:
                if not exercise.answered(one.source(exercise.solution.id)):
                    verdicts[one.learner].append(Verdict(_rows(exercise, [])))
                elif not exercise.is_tried:
                    verdicts[one.learner].append(_from_record(one, exercise))
        return [
            _result(one, verdicts[one.learner], _digests(self.lab), seconds[one.learner])
            for one in self.submissions
        ]


def solved_labs(root: Path | None = None) -> list[SolvedLab]:
    """Return the solved labs of a course, by which submissions are graded; root None is labkit's own.

    :raises LabError: when the course has learner copies only, as an installed labkit does.
    """
    root = root or course()
    found = [SolvedLab.read(root / lab.path) for lab in labs(root)]
    if not any(lab.exercises for lab in found):
        next_step = "grade with the labkit of a checkout: it has the solutions and the hidden tests"
        raise LabError("solved labs", f"learner copies in {root}", next_step)
    return found


def grade(
    folder: Path,
    labs: Sequence[SolvedLab],
    gradebook: Gradebook,
    executor: Executor,
    *,
    fresh: bool = True,
) -> Iterator[Result]:
    """Grade a folder with one folder a learner; yield each result once it is in the gradebook.

    A submission that needs no grading any more is left out. A lab that does not work here keeps no other lab
    from its end: the error comes last.

    :raises LabError: when the folder cannot be read, a lab does not run, or its own solution fails a check.
    """
    waiting: dict[Future[list[Result]], Job] = {}
    faults: dict[str, LabError] = {}
    try:
        for one in _jobs(folder, {lab.slug: lab for lab in labs}, gradebook, fresh=fresh):
            if isinstance(one, Result):
                gradebook.record(one)
                yield one
            elif one.lab.slug not in faults:
                waiting[executor.submit(one.results)] = one
                if len(waiting) == AHEAD:
                    yield from _next_done(waiting, gradebook, faults)
        while waiting:
            yield from _next_done(waiting, gradebook, faults)
    finally:
        for future in waiting:
            future.cancel()
    for fault in faults.values():
        raise fault


def _next_done(
    waiting: dict[Future[list[Result]], Job], gradebook: Gradebook, faults: dict[str, LabError]
) -> Iterator[Result]:
    """Record and yield the results of the next jobs that end; they wait no more.

    The error of one stands in faults by its lab's slug, and the lab's jobs that have not begun are cancelled.
    """
    for future in wait(waiting, return_when=FIRST_COMPLETED).done:
        job = waiting.pop(future)
        if future.cancelled():
            continue
        try:
            results = future.result()
        except LabError as fault:
            faults.setdefault(job.lab.slug, fault)
            for other, its in waiting.items():
                if its.lab is job.lab:
                    other.cancel()
            continue
        for result in results:
            gradebook.record(result)
            yield result


def _jobs(
    folder: Path, labs: Mapping[str, SolvedLab], gradebook: Gradebook, *, fresh: bool
) -> Iterator[Job | Result]:
    """Yield what is to grade, some submissions of one lab at a time, and what cannot be graded at once."""
    chunks = defaultdict[str, list[Submission]](list)
    for one in read_class(folder, labs):
        if isinstance(one, Result):
            yield one
            continue
        lab = labs[one.lab]
        if gradebook.known({**_digests(lab), "submission": one.digest}):
            continue
        if one.public_key and (reason := gradebook.keep_key(one.learner, one.public_key)):
            yield _result(
                one, [Verdict(reason=reason, state=State.NEEDS_A_PERSON, whose=LEARNER)], _digests(lab)
            )
            continue
        chunks[one.lab].append(one)
        if len(chunks[one.lab]) == CHUNK:
            yield Job(lab, chunks.pop(one.lab), fresh)
    for slug, left in chunks.items():
        yield Job(labs[slug], left, fresh)


def _digests(lab: SolvedLab) -> dict[str, str]:
    """Return the digests of what a lab's submissions are graded by."""
    checks = "\n".join(one.check.source for one in lab.exercises)
    return {"lab": lab.digest, "checks": hashlib.sha256(checks.encode()).hexdigest(), "image": _image()}


@cache
def _image() -> str:
    return recipe_digests()[GRADER]


def _rows(exercise: Exercise, passed: Sequence[bool]) -> list[Row]:
    """Return a row for each line of a check; what it did not come to has not passed.

    A learner's record has the rows that a learner sees: where it judges, the hidden ones count for nobody.
    """
    places = [place for place, secret in enumerate(exercise.hidden) if exercise.is_tried or not secret]
    return [
        Row(
            check=exercise.name,
            number=place + 1,
            passed=number < len(passed) and passed[number],
            points=1.0,
            hidden=exercise.hidden[place],
            hint=exercise.hints[place],
        )
        for number, place in enumerate(places)
    ]


def _judged(exercise: Exercise, tried: Tried) -> Verdict:
    """Return the verdict on an answer that ran in the sandbox."""
    if tried.fault:
        return Verdict(reason=f"{exercise.name}: {tried.fault}", state=State.NOT_GRADED, whose=LABKIT)
    rows = _rows(exercise, [row["passed"] for row in tried.rows])
    if tried.asked and not all(row.passed for row in rows):
        names = ", ".join(tried.asked)
        reason = f"{exercise.name}: the answer uses what the grader does not hand over: {names}"
        return Verdict(reason=reason, state=State.NEEDS_A_PERSON)
    return Verdict(rows)


def _from_record(submission: Submission, exercise: Exercise) -> Verdict:
    """Return the verdict on what a learner did in their own workspace: the newest check in their record.

    The record proves that its facts are as the learner's key signed them. So a person looks where the check's
    cell, or the rows in the record, are not those of the lab.
    """
    if submission.artifacts is None or not submission.public_key:
        reason = f"{exercise.name}: it is judged by the learner's record, and none was handed in"
        return Verdict(reason=reason, state=State.NEEDS_A_PERSON, whose=LEARNER)
    if not same(submission.source(exercise.check.id), exercise.check):
        reason = f"{exercise.name}: the cell of its check is not the one that was given out"
        return Verdict(reason=reason, state=State.NEEDS_A_PERSON, whose=LEARNER)
    try:
        told = _told(submission.artifacts, submission.lab, exercise)
    except (Refused, LabError, TypeError, AttributeError, KeyError, ValueError) as fault:
        reason = f"{exercise.name}: its rows in the record cannot be read: {type(fault).__name__}"
        return Verdict(reason=reason, state=State.NEEDS_A_PERSON, whose=LEARNER)
    return Verdict(_rows(exercise, told))


def _told(artifacts: Path, lab: str, exercise: Exercise) -> list[bool]:
    """Return for each public row of the newest check in a record whether it passed; [] when there is none.

    :raises ValueError: when the rows are not those of the check.
    """
    with handed_in(artifacts) as database:
        facts = [fact for fact in database.history(Kind.CHECKED) if fact.subject.name == f"lab/{lab}"]
        rows = [fact.predicate["rows"] for fact in facts if fact.predicate.get("check") == exercise.name]
    if not rows:
        return []
    hints = [hint for hint, secret in zip(exercise.hints, exercise.hidden, strict=True) if not secret]
    passed = [row["passed"] is True for row in rows[-1]]
    if all(passed):
        told = [row["hint"] for row in rows[-1]]
        if len(told) != len(hints) or any(
            hint not in {"", said} for hint, said in zip(hints, told, strict=True)
        ):
            raise ValueError("rows of another check")
    return passed


def _result(
    one: Submission, verdicts: Sequence[Verdict], digests: Mapping[str, str], seconds: float = 0.0
) -> Result:
    """Return one learner's result: its rows, or the first reason why there are none."""
    known = {**digests, "submission": one.digest}
    whole = Result(one.learner, one.lab, State.GRADED, answers=one.answers, seconds=seconds, digests=known)
    for state in (State.NOT_GRADED, State.NEEDS_A_PERSON):
        for verdict in verdicts:
            if verdict.state is state:
                return replace(whole, state=state, reason=verdict.reason, whose=verdict.whose)
    return replace(whole, rows=tuple(row for verdict in verdicts for row in verdict.rows))
