"""The gradebook: attempts are kept, nothing is lost or doubled, decisions count by the rubric."""

import signal
import sqlite3
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from gradebooks import DIGESTS, LAB, NAMES, ROWS, result

from labkit.errors import LabError
from labkit.grading._gradebook import Answer, Gradebook
from labkit.grading._result import LABKIT, LEARNER, Result, State
from labkit.grading._rubric import Question, RubricRow, questions

pytest_plugins = ["postgres"]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.engine)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return where an empty gradebook is: a SQLite file or a PostgreSQL database."""
    if request.param == "sqlite":
        return str(tmp_path / "gradebook.db")
    make: Callable[[], str] = request.getfixturevalue("fresh")
    return make()


@pytest.fixture
def book(url: str) -> Iterator[Gradebook]:
    """Return an empty gradebook."""
    with Gradebook.open(url) as book:
        yield book


def test_a_result_comes_back_as_it_was(book: Gradebook, url: str) -> None:
    """Points row by row, answers, time and digests are in the gradebook, also when it is opened anew."""
    assert book.record(result())
    with Gradebook.open(url) as again:
        (attempt,) = again.latest()
    assert attempt.result == result()
    assert (attempt.result.points, attempt.result.possible) == (1.0, 3.5)
    assert attempt.at.tzinfo is not None


def test_names_of_all_kinds_come_back(book: Gradebook) -> None:
    """Commas, quotes, umlauts, line ends and what looks like SQL or a formula are only names."""
    for name in NAMES:
        assert book.record(result(name))
    assert sorted(attempt.result.learner for attempt in book.latest()) == sorted(NAMES)
    for name in NAMES:
        assert [attempt.result.learner for attempt in book.attempts(name, LAB)] == [name]


def test_what_no_database_can_hold_is_replaced(book: Gradebook) -> None:
    """NUL and half a character, as a learner's value may bring them into a hint, stop nobody."""
    rows = (replace(ROWS[0], hint="seen \0\ud800"),)
    book.record(result(rows=rows, answers={"Q3": "a\0b"}, reason="\udcff"))
    (attempt,) = book.latest()
    assert attempt.result.rows[0].hint == "seen \ufffd\ufffd"
    assert attempt.result.answers == {"Q3": "a\ufffdb"}


def test_attempts_are_kept_and_the_newest_counts(book: Gradebook) -> None:
    """Handing in again adds an attempt; none is ever overwritten."""
    second = result(rows=(replace(ROWS[0], passed=False),), digests=DIGESTS | {"submission": "sha256:second"})
    assert book.record(result())
    assert book.record(second)
    assert [attempt.result for attempt in book.attempts("ada", LAB)] == [result(), second]
    assert [attempt.result for attempt in book.latest()] == [second]


def test_the_same_result_is_recorded_once(book: Gradebook) -> None:
    """Who comes second adds nothing."""
    assert book.record(result())
    assert not book.record(replace(result(), seconds=9.0))
    assert len(book.attempts("ada", LAB)) == 1


def test_what_is_known_is_known_by_all_four_digests(book: Gradebook) -> None:
    """Another lab, other checks or another image make a submission unknown again."""
    digests = result().digests
    assert not book.known(digests)
    book.record(result())
    assert book.known(digests)
    assert not any(book.known({**digests, name: "sha256:other"}) for name in digests)


def test_a_fault_of_labkits_is_graded_again_and_never_hides_that_it_was(book: Gradebook) -> None:
    """What labkit is to blame for is not known, and may fail twice with the same words."""
    fault = result(state=State.NOT_GRADED, reason="the engine died", whose=LABKIT, rows=(), answers={})
    assert book.record(fault)
    assert book.record(fault)
    assert not book.known(fault.digests)
    assert book.record(result())
    assert book.known(fault.digests)
    states = [attempt.result.state for attempt in book.attempts("ada", LAB)]
    assert states == [State.NOT_GRADED, State.NOT_GRADED, State.GRADED]


def test_what_names_no_lab_counts_until_something_else_is_handed_in(book: Gradebook) -> None:
    """A folder without a notebook is listed, and no longer when there is one."""
    book.record(Result("ada", "", State.NOT_GRADED, "there is no notebook", LEARNER))
    assert [attempt.result.lab for attempt in book.latest()] == [""]
    assert [attempt.result.lab for attempt in book.latest(LAB)] == [""]
    book.record(result())
    assert [attempt.result.lab for attempt in book.latest()] == [LAB]


def test_the_newest_are_listed_page_by_page(book: Gradebook, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many attempts there are, each learner and lab comes once, in order."""
    monkeypatch.setattr("labkit.grading._gradebook.CHUNK", 3)
    wanted = [(f"learner {number}", lab) for number in range(4) for lab in ("a", "b")]
    for learner, lab in reversed(wanted):
        book.record(result(learner, lab))
    assert [(one.result.learner, one.result.lab) for one in book.latest()] == wanted
    assert [one.result.learner for one in book.latest("b")] == [
        learner for learner, lab in wanted if lab == "b"
    ]


def test_a_gradebook_may_be_written_while_it_is_listed(
    book: Gradebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A listing that somebody reads slowly keeps no grader waiting."""
    monkeypatch.setattr("labkit.grading._gradebook.CHUNK", 1)
    for name in "abc":
        book.record(result(name))
    listed = []
    for attempt in book.latest():
        listed.append(attempt.result.learner)
        book.record(result("!" + attempt.result.learner))
    assert listed == [*"abc"]


# Keys


def test_the_key_of_the_first_hand_in_is_kept(book: Gradebook) -> None:
    """A changed key, and the key of somebody else, need a person; neither is kept, and nobody is named."""
    assert book.key("ada") is None
    assert book.keep_key("ada", "aa") == ""
    assert book.keep_key("ada", "aa") == ""
    assert "another one than at the first" in book.keep_key("ada", "bb")
    assert book.key("ada") == "aa"
    reason = book.keep_key("bob", "aa")
    assert "another learner" in reason
    assert "ada" not in reason
    assert book.key("bob") is None


def test_a_person_lets_another_key_count(book: Gradebook) -> None:
    """What waited because of the key is graded again, and nothing else is; a typing error is told."""
    digests = dict.fromkeys(DIGESTS, "1")
    book.keep_key("ada", "aa")
    reason = book.keep_key("ada", "bb")
    waits = replace(result("ada"), state=State.NEEDS_A_PERSON, reason=reason, rows=(), digests=digests)
    other = replace(result("bob"), digests=dict.fromkeys(DIGESTS, "2"))
    for one in (waits, other):
        book.record(one)
    assert book.known(digests)
    book.forget_key("ada")
    assert (book.known(digests), book.known(other.digests)) == (False, True)
    assert (book.keep_key("ada", "bb"), book.key("ada")) == ("", "bb")
    assert [attempt.result.reason for attempt in book.attempts("ada", waits.lab)] == [reason]
    with pytest.raises(LabError, match="no key of 'adda'"):
        book.forget_key("adda")


# What people decide


QUESTION = Question(
    LAB,
    "Q3",
    (RubricRow("quotes a figure", mandatory=True), RubricRow("names a cost", mandatory=False)),
    1,
    "…",
)


def answer(book: Gradebook, learner: str = "ada", question: Question = QUESTION) -> Answer:
    """Return a learner's answer."""
    return next(one for one in book.answers(question) if one.learner == learner)


def test_decisions_are_kept_by_row_and_the_last_one_counts(book: Gradebook) -> None:
    """Yes, no and undecided again, with a comment that stays until there is another."""
    book.record(result())
    assert answer(book).decisions == {}
    book.decide(
        QUESTION, answer(book), {"quotes a figure": True, "names a cost": False}, comment="well", by="eve"
    )
    book.decide(QUESTION, answer(book), {"names a cost": None})
    decided = answer(book)
    assert decided.decisions == {"quotes a figure": True, "names a cost": None}
    assert decided.comment == "well"
    assert book.decisions(QUESTION, "ada", "5 of 50") == (decided.decisions, "well")


def test_who_decided_what_and_when_stays(book: Gradebook, url: str) -> None:
    """Each decision is a row of its own, also one that was taken back."""
    book.record(result())
    for verdict in (True, None, False):
        book.decide(QUESTION, answer(book), {"quotes a figure": verdict}, by="eve")
    if "://" not in url:
        with sqlite3.connect(url) as connection:
            kept = connection.execute(
                "SELECT verdict, by, at LIKE '20%' FROM decision ORDER BY id"
            ).fetchall()
        connection.close()
        assert kept == [(1, "eve", 1), (None, "eve", 1), (0, "eve", 1)]


def test_a_decision_is_about_the_answer_that_was_judged(book: Gradebook) -> None:
    """Another answer is undecided, and the old answer handed in again has its decision."""
    book.record(result())
    book.decide(QUESTION, answer(book), {"quotes a figure": True})
    book.record(result(answers={"Q3": "other"}, digests=DIGESTS | {"submission": "sha256:2"}))
    assert answer(book).decisions == {}
    book.record(result(digests=DIGESTS | {"submission": "sha256:3"}))
    assert answer(book).decisions == {"quotes a figure": True}


def test_points_follow_a_changed_rubric(book: Gradebook) -> None:
    """A row with new words is undecided, one that is gone has no points, and what is enough is looked up."""
    book.record(result())
    book.decide(QUESTION, answer(book), {"quotes a figure": True, "names a cost": True})
    decided = answer(book).decisions
    mark = QUESTION.mark(decided)
    assert (mark.points, mark.possible, mark.undecided, mark.passed) == (2, 2, 0, True)
    new = RubricRow("quotes two figures", mandatory=True)
    mark = replace(QUESTION, rows=(new, QUESTION.rows[1])).mark(decided)
    assert (mark.points, mark.possible, mark.undecided, mark.passed) == (1, 2, 1, False)
    mark = replace(QUESTION, rows=QUESTION.rows[1:], enough=2).mark(decided)
    assert (mark.points, mark.possible, mark.undecided, mark.passed) == (1, 1, 0, False)


def test_an_answer_passes_with_enough_rows_and_all_mandatory_ones() -> None:
    """A mandatory row that does not hold cannot be made up for."""
    assert not QUESTION.mark({"quotes a figure": False, "names a cost": True}).passed
    assert QUESTION.mark({"quotes a figure": True, "names a cost": False}).passed


def test_answers_come_in_an_order_that_does_not_follow_the_names(
    book: Gradebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every learner's newest answer comes once, page by page, and not by name."""
    monkeypatch.setattr("labkit.grading._gradebook.CHUNK", 7)
    names = [f"learner {number:02}" for number in range(30)]
    for name in names:
        book.record(result(name))
    listed = [one.learner for one in book.answers(QUESTION)]
    assert sorted(listed) == names
    assert listed not in (names, names[::-1])


def test_the_courses_own_rubrics_are_read() -> None:
    """Each question of the course has rows with words of their own, of which some are mandatory."""
    found = {(question.lab, question.name): question for question in questions()}
    question = found[LAB, "Q3"]
    assert any(row.mandatory for row in question.rows)
    for one in found.values():
        assert len({row.asks for row in one.rows}) == len(one.rows) >= one.enough


# Two graders, a killed one, a full disk


WRITE = """
import sys
from labkit.grading._gradebook import Gradebook
from labkit.grading._result import Result, Row, State
book, first, last = Gradebook.open(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
for number in range(first, last):
    rows = tuple(Row("check", at, at % 2 == 0, 1.0, False, "hint") for at in range(20))
    digests = {name: f"{name} {number}" for name in ("submission", "lab", "checks", "image")}
    book.record(Result(f"learner {number}", "canary", State.GRADED, rows=rows, seconds=1.0, digests=digests))
    print(number, flush=True)
"""


def grader(url: str, first: int, last: int) -> subprocess.Popen[str]:
    """Start a process that records results of learners by number."""
    command = [sys.executable, "-c", WRITE, url, str(first), str(last)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_graders_of_one_class_double_nothing(url: str) -> None:
    """Two processes that record the same results at once leave each result once, with all its rows."""
    graders = [grader(url, 0, 40) for _ in range(2)]
    for one in graders:
        _, errors = one.communicate(timeout=100)
        assert one.returncode == 0, errors
    with Gradebook.open(url) as book:
        attempts = [*book.latest()]
        assert sorted(attempt.result.learner for attempt in attempts) == sorted(
            f"learner {n}" for n in range(40)
        )
        assert {len(attempt.result.rows) for attempt in attempts} == {20}
        assert all(len(book.attempts(f"learner {number}", LAB)) == 1 for number in range(40))


def test_a_killed_grader_loses_and_doubles_nothing(url: str) -> None:
    """After kill -9 in mid-batch, what was recorded is there as a whole; the next grader adds the rest."""
    victim = grader(url, 0, 10_000)
    assert victim.stdout
    done = [int(victim.stdout.readline()) for _ in range(10)]
    victim.send_signal(signal.SIGKILL)
    done += [int(line) for line in victim.communicate()[0].splitlines() if line.strip()]
    with Gradebook.open(url) as book:
        numbers = [int(attempt.result.learner.split()[1]) for attempt in book.latest()]
        assert len(numbers) in (len(done), len(done) + 1)  # the last one may have been recorded, but not told
        assert sorted(numbers)[: len(done)] == done
    again = grader(url, 0, max(numbers) + 3)
    again.communicate(timeout=100)
    assert again.returncode == 0
    with Gradebook.open(url) as book:
        attempts = [*book.latest()]
        assert len(attempts) == max(numbers) + 3
        assert {len(attempt.result.rows) for attempt in attempts} == {20}


def test_a_full_disk_is_told_and_loses_nothing(tmp_path: Path) -> None:
    """Where a result does not fit, an error says so; what was there stays, and later it fits."""
    file = tmp_path / "gradebook.db"
    with Gradebook.open(file) as book:
        book.record(result("first"))
    code = f"""
import resource, signal
from labkit.errors import LabError
from labkit.grading._gradebook import Gradebook
from labkit.grading._result import Result, State
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
book = Gradebook.open({str(file)!r})
answers = {{"Q3": "x" * 1_000_000}}
try:
    book.record(Result("second", "canary", State.GRADED, answers=answers))
except LabError as fault:
    print(fault.next_step)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "disk has room" in done.stdout
    with Gradebook.open(file) as book:
        assert [attempt.result.learner for attempt in book.latest()] == ["first"]
        assert book.record(result("second"))
    with sqlite3.connect(file) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_listing_a_large_class_takes_no_more_memory_than_a_small_one(tmp_path: Path) -> None:
    """Ten times as many attempts are listed in the same memory."""
    most = {}
    for count in (500, 5_000):
        file = tmp_path / f"{count}.db"
        with Gradebook.open(file) as book:
            book.record(result("0", answers={"Q3": "x" * 1000}))
        multiply(file, count)
        with Gradebook.open(file) as book:
            next(book.latest())  # what SQLAlchemy caches
            tracemalloc.start()
            assert sum(1 for _ in book.latest()) == count
            assert sum(1 for _ in book.answers(QUESTION)) == count
            most[count] = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
    assert most[5_000] < 1.2 * most[500]


def multiply(file: Path, count: int) -> None:
    """Copy the one attempt of a gradebook, for learners by number."""
    numbers = "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
    with sqlite3.connect(file) as connection:
        for table, own in (("attempt", "id"), ("check_row", "attempt"), ("answer", "attempt")):
            names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            changed = {own: "i", "key": "'k' || i", "learner": "'learner ' || i", "place": "place || i"}
            values = ", ".join(changed.get(name, f'"{name}"') for name in names)
            copy = f"{numbers} INSERT INTO {table} SELECT {values} FROM {table}, n"  # noqa: S608 - our names
            connection.execute(copy, [count])
    connection.close()


def test_a_gradebook_is_nobody_elses(tmp_path: Path) -> None:
    """The file of a gradebook is readable by its owner alone."""
    with Gradebook.open(tmp_path / "gradebook.db"):
        assert (tmp_path / "gradebook.db").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("place", ["nowhere/gradebook.db", "."])
def test_a_place_where_no_gradebook_can_be_is_an_error(place: str, tmp_path: Path) -> None:
    """The error names the gradebook."""
    with pytest.raises(LabError, match="a gradebook at"):
        Gradebook.open(tmp_path / place)


def test_another_programs_file_stays_as_it_is(tmp_path: Path) -> None:
    """A file that is no database is an error."""
    file = tmp_path / "gradebook.db"
    file.write_text("my grades " * 1000)
    with pytest.raises(LabError, match="not a database"):
        Gradebook.open(file)
    assert file.read_text().startswith("my grades")
