"""A class's submissions through their labs' checks: a map over an executor, each result in the gradebook.

A submission is graded once for one content, lab, set of checks and image. A batch that was stopped goes on where
it was. What is the grader's own fault is no score, and is tried again by the next batch.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from labkit.artifacts import Kind
from labkit.errors import LabError
from labkit.grading._exercises import Exercise, SolvedLab
from labkit.grading._gradebook import Gradebook
from labkit.grading._lab_run import Tried, try_out
from labkit.grading._names import CodeCell
from labkit.grading._release import YOURS
from labkit.grading._result import LABKIT, LEARNER, Result, Row, State
from labkit.grading._submission import Submission, handed_in, read_class

CHUNK = 50
"""How many submissions one run of a lab tries."""

Tell = Callable[[Result], None]


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
    digests: Mapping[str, str]
    fresh: bool

    def results(self) -> list[Result]:
        """Grade them.

        :raises LabError: when the lab itself does not run here, or its own solution does not pass a check.
        """
        verdicts = defaultdict[str, list[Verdict]](list)
        answers = {one.learner: [CodeCell(*cell) for cell in one.cells] for one in self.submissions}
        seconds = defaultdict[str, float](float)
        for tried in try_out(self.lab, answers, fresh=self.fresh):
            exercise = next(one for one in self.lab.exercises if one.check.id == tried.check)
            verdicts[tried.learner].append(_judged(exercise, tried))
            seconds[tried.learner] += tried.seconds
        for one in self.submissions:
            recorded = [exercise for exercise in self.lab.exercises if exercise.recorded]
            verdicts[one.learner] += [_from_record(one, exercise) for exercise in recorded]
        return [
            _result(one, verdicts[one.learner], self.digests, seconds[one.learner])
            for one in self.submissions
        ]


def grade(
    folder: Path,
    labs: Sequence[SolvedLab],
    gradebook: Gradebook,
    executor: Executor,
    *,
    image: str,
    fresh: bool = True,
    tell: Tell = lambda _result: None,
) -> None:
    """Grade a folder with one folder a learner; every result goes into the gradebook.

    image is the digest of the sandbox's image. tell hears of each result, also of one that needs no grading.

    :raises LabError: when the folder cannot be read, a lab does not run here, or its own solution fails a check.
    """
    waiting: set[Future[list[Result]]] = set()
    try:
        for job in _jobs(folder, {lab.slug: lab for lab in labs}, gradebook, image, fresh, tell):
            waiting.add(executor.submit(Job.results, job))
            if len(waiting) >= _ahead(executor):
                waiting = _record(waiting, gradebook, tell)
        while waiting:
            waiting = _record(waiting, gradebook, tell)
    finally:
        for one in waiting:
            one.cancel()


def _ahead(executor: Executor) -> int:
    """Return how many jobs may wait, so that memory does not grow with the class."""
    return 2 * int(getattr(executor, "_max_workers", 8))


def _record(
    waiting: set[Future[list[Result]]], gradebook: Gradebook, tell: Tell
) -> set[Future[list[Result]]]:
    done, left = wait(waiting, return_when=FIRST_COMPLETED)
    for result in (result for one in done for result in one.result()):
        gradebook.record(result)
        tell(result)
    return left


def _jobs(
    folder: Path, labs: Mapping[str, SolvedLab], gradebook: Gradebook, image: str, fresh: bool, tell: Tell
) -> Iterator[Job]:
    """Yield what is to grade, a chunk at a time; what needs no grading goes straight to the gradebook."""
    open_jobs = defaultdict[str, list[Submission]](list)
    for one in read_class(folder, labs):
        if isinstance(one, Result):
            gradebook.record(one)
            tell(one)
            continue
        digests = _digests(labs[one.lab], image) | {"submission": one.digest}
        if gradebook.known(digests):
            continue
        if one.public_key and (reason := gradebook.keep_key(one.learner, one.public_key)):
            refused = Result(
                one.learner,
                one.lab,
                State.NEEDS_A_PERSON,
                reason,
                LEARNER,
                answers=one.answers,
                digests=digests,
            )
            gradebook.record(refused)
            tell(refused)
            continue
        open_jobs[one.lab].append(one)
        if len(open_jobs[one.lab]) == CHUNK:
            yield Job(labs[one.lab], open_jobs.pop(one.lab), _digests(labs[one.lab], image), fresh)
    for slug, left in open_jobs.items():
        yield Job(labs[slug], left, _digests(labs[slug], image), fresh)


def _digests(lab: SolvedLab, image: str) -> dict[str, str]:
    checks = "\n".join(one.check.source for one in lab.exercises)
    return {"lab": lab.digest, "checks": hashlib.sha256(checks.encode()).hexdigest(), "image": image}


def _judged(exercise: Exercise, tried: Tried) -> Verdict:
    """Return the verdict on an answer that ran in the sandbox."""
    rows = [
        Row(exercise.name, number, row["passed"], 1.0, hidden, row["hint"])
        for number, (row, hidden) in enumerate(zip(tried.rows, exercise.hidden, strict=False), start=1)
    ]
    if tried.fault:
        return Verdict(reason=f"{exercise.name}: {tried.fault}", state=State.NOT_GRADED, whose=LABKIT)
    rows += [
        Row(exercise.name, number, False, 1.0, hidden, "")
        for number, hidden in list(enumerate(exercise.hidden, start=1))[len(rows) :]
    ]
    if tried.asked and not all(row.passed for row in rows):
        names = ", ".join(tried.asked)
        reason = f"{exercise.name}: the answer uses what the grader does not hand over: {names}"
        return Verdict(reason=reason, state=State.NEEDS_A_PERSON)
    return Verdict(rows)


def _from_record(submission: Submission, exercise: Exercise) -> Verdict:
    """Return the verdict on what a learner did in their own workspace: the newest check in their record."""
    hidden = exercise.hidden
    public = [number for number, secret in enumerate(hidden, start=1) if not secret]
    source = submission.source(exercise.solution.id)
    if source is None or YOURS in source:
        return Verdict([Row(exercise.name, number, False, 1.0, False, "") for number in public])
    if submission.artifacts is None or not submission.public_key:
        reason = f"{exercise.name}: it is judged by the learner's record, and none was handed in"
        return Verdict(reason=reason, state=State.NEEDS_A_PERSON, whose=LEARNER)
    with handed_in(submission.artifacts) as database:
        facts = [
            fact
            for fact in database.history(Kind.CHECKED)
            if fact.subject.name == f"lab/{submission.lab}" and fact.predicate.get("check") == exercise.name
        ]
    told = facts[-1].predicate.get("rows", []) if facts else []
    passed = [bool(row.get("passed")) for row in told] if len(told) == len(public) else [False] * len(public)
    return Verdict(
        [Row(exercise.name, number, one, 1.0, False, "") for number, one in zip(public, passed, strict=True)]
    )


def _result(
    one: Submission, verdicts: Sequence[Verdict], digests: Mapping[str, str], seconds: float
) -> Result:
    """Return one learner's result: its rows, or the first reason why there are none."""
    known = {**digests, "submission": one.digest}
    whole = Result(one.learner, one.lab, State.GRADED, answers=one.answers, seconds=seconds, digests=known)
    for state in (State.NOT_GRADED, State.NEEDS_A_PERSON):
        for verdict in verdicts:
            if verdict.state is state:
                return replace(whole, state=state, reason=verdict.reason, whose=verdict.whose)
    return replace(whole, rows=tuple(row for verdict in verdicts for row in verdict.rows))
