"""Feedback, CSV and `labkit grades`: all of a submission is text, and nothing hidden is told."""

import csv
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import browser
from click.testing import CliRunner
from click.testing import Result as Invocation
from gradebooks import LAB, NAMES, ROWS, result

from labkit.cli import labkit as commands
from labkit.errors import LabError
from labkit.grading import (
    COLUMNS,
    Gradebook,
    Question,
    Result,
    Row,
    State,
    answers_to_judge,
    grades,
    questions,
    to_csv,
    write_feedback,
)
from labkit.grading._feedback import file_name, shown
from labkit.widgets import RubricForm

QUESTION = next(question for question in questions() if (question.lab, question.name) == (LAB, "Q3"))
HOSTILE = [
    "<script>document.title='owned'</script>",
    "</title></style><img src=x onerror=\"document.title='owned'\">",
    '"><svg onload="document.title=\'owned\'"><a href="javascript:1">',
    "</blockquote></table>-->]]><iframe srcdoc='<script>1</script>'>",
    "&lt;b&gt; &amp; **bold** [link](javascript:alert(1))",
    "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x1b[2J \x9b31m \x00 \x08",
    "\u202egnp.exe\u2066",
    '=HYPERLINK("http://evil")',
]


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Gradebook]:
    """Return an empty gradebook."""
    with Gradebook.open(tmp_path / "gradebook.db") as book:
        yield book


def pages(book: Gradebook, folder: Path) -> dict[str, str]:
    """Return the page of each learner."""
    return {learner: path.read_text(encoding="utf-8") for learner, path in write_feedback(book, folder)}


class Elements(HTMLParser):
    """Collects what is an element, and what is text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep an element's name and attributes."""
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        """Keep a text."""
        self.words.append(data)


def test_a_page_has_all_points_and_the_public_rows(book: Gradebook, tmp_path: Path) -> None:
    """The learner reads the state, the points of each check, and what counts."""
    book.record(result())
    page = Elements(pages(book, tmp_path)["ada"])
    text = " ".join(" ".join(page.words).split())
    assert "price: 1 of 3.5 points" in text
    assert "✓ passed one less 1 of 1" in text
    assert "✓ graded" in text


def test_of_a_hidden_row_only_the_verdict_is_told(book: Gradebook, tmp_path: Path) -> None:
    """Neither the sentence of a hidden check nor anything of its source is on the page."""
    book.record(result())
    page = pages(book, tmp_path)["ada"]
    assert "never below zero" not in page
    assert re.search(r"✗ not passed.*a check that runs only when graded.*0 of 2\.5", page)


@pytest.mark.parametrize("text", HOSTILE)
def test_everything_of_a_submission_is_text(text: str, book: Gradebook, tmp_path: Path) -> None:
    """As name, hint, check, answer, reason or comment, nothing becomes an element or an attribute."""
    book.record(result("ada"))
    (plain,) = pages(book, tmp_path / "plain").values()
    rows = tuple(replace(row, hint=text, check=text) for row in ROWS)
    hostile = result(f"{text} name", rows=rows, answers={"Q3": text, text: text})
    book.record(hostile)
    answer = next(one for one in book.answers(QUESTION) if one.text != "5 of 50")
    book.decide(QUESTION, answer, {QUESTION.rows[0].asks: True}, comment=text, by="eve")
    other = result(f"{text} other", state=State.NEEDS_A_PERSON, reason=text, rows=(), lab=text)
    book.record(other)
    made = pages(book, tmp_path / "hostile")
    assert len(made) == 3
    for learner, page in made.items():
        elements = Elements(page)
        assert {*elements.tags} <= {*Elements(plain).tags, "div", "p"}
        assert not {name for name, _ in elements.attributes} & {"onload", "onerror", "href", "src", "srcdoc"}
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", page), learner


def test_colours_of_a_terminal_are_left_out_and_characters_of_all_scripts_stay() -> None:
    """What commands a terminal goes, and what people write stays."""
    assert shown("\x1b[1;31mred\x1b[0m\x1b]8;;http://x\x07 link") == "red link"
    assert shown("Müller 张伟 🦉👩‍🔬 \t\n") == "Müller 张伟 🦉👩‍🔬 \t\n"
    assert shown("a\x00\x1b") == "a\ufffd\ufffd"


def test_what_is_not_graded_is_never_0_points(book: Gradebook, tmp_path: Path) -> None:
    """The page gives the reason, says that there are no points yet, and whose fault it is."""
    book.record(Result("ada", LAB, State.NOT_GRADED, "the engine died", "labkit"))
    page = pages(book, tmp_path)["ada"]
    assert "the engine died" in page
    assert "not the same as 0 points" in page
    assert "not yours" in page
    assert not re.search(r"\b0 of", page)


def test_the_discussion_shows_the_rubric_and_what_was_decided(book: Gradebook, tmp_path: Path) -> None:
    """Undecided rows are told as such; then each row has its verdict, with the comment."""
    book.record(result())
    assert "○ not decided yet" in pages(book, tmp_path)["ada"]
    (answer,) = book.answers(QUESTION)
    verdicts = {row.asks: number < 2 for number, row in enumerate(QUESTION.rows)}
    book.decide(QUESTION, answer, verdicts, comment="more figures")
    page = pages(book, tmp_path)["ada"]
    assert (page.count("✓ yes"), page.count("✗ no<")) == (2, len(verdicts) - 2)
    assert f"2 of {len(verdicts)} rows" in page
    assert "Comment: more figures" in page


def test_each_learner_has_a_page_of_their_own_with_a_name_for_every_system(
    book: Gradebook, tmp_path: Path
) -> None:
    """Names that differ only in signs or case do not share a file; no name leaves the folder."""
    names = [*NAMES, "Ada", "ada", "ADA", "../../etc/passwd", "a/b", "x" * 300, ".", "con", "  "]
    for name in names:
        book.record(result(name))
    folder = tmp_path / "feedback"
    made = dict(write_feedback(book, folder))
    assert {*made} == {*names}
    files = [path.name for path in made.values()]
    assert len({name.casefold() for name in files}) == len(names)
    assert all(re.fullmatch(r"[\w.-]{1,80}\.html", name) for name in files)
    assert {path.parent for path in made.values()} == {folder}
    assert sorted(path.name for path in folder.iterdir()) == sorted(files)


def test_a_page_is_private_and_follows_no_link(book: Gradebook, tmp_path: Path) -> None:
    """Nobody else may read a page, and a link in its place is replaced, not followed."""
    book.record(result())
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / file_name("ada")).symlink_to(victim)
    ((_, page),) = write_feedback(book, tmp_path / "pages")
    assert victim.read_text() == "mine"
    assert page.stat().st_mode & 0o777 == 0o600


def test_a_folder_that_cannot_be_written_is_an_error(book: Gradebook, tmp_path: Path) -> None:
    """The error names the page."""
    book.record(result())
    (tmp_path / "file").write_text("")
    with pytest.raises(LabError, match=r"ada-.*\.html"):
        list(write_feedback(book, tmp_path / "file"))


# In a browser


def sample(book: Gradebook) -> None:
    """Record a learner with all that a page can show."""
    words = (
        HOSTILE[0]
        + "\nIn my run 4 requests failed, and 11 of 50 customers met the broken canary.\n"
        + "x" * 300
    )
    long = Row("find the share", 3, passed=True, points=1.0, hidden=False, hint="a hint of many words " * 12)
    name = HOSTILE[1] + " Änne Müller"
    book.record(result(name, rows=(*ROWS, long), answers={"Q3": words}))
    (answer,) = book.answers(QUESTION)
    asks = [row.asks for row in QUESTION.rows]
    book.decide(QUESTION, answer, {asks[0]: True, asks[1]: False}, comment="more figures", by="eve")
    book.record(
        result(name, "blue-green", state=State.NOT_GRADED, reason="the engine died", whose="labkit", rows=())
    )
    book.record(result(name, "feature-toggles", state=State.NEEDS_A_PERSON, reason="two notebooks", rows=()))


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_wrong_and_nothing_runs(theme: str, book: Gradebook, tmp_path: Path) -> None:
    """WCAG 2.2, A and AA, in both themes; the narrow page does not scroll sideways; no script runs."""
    sample(book)
    ((_, path),) = write_feedback(book, tmp_path / "feedback")
    with browser() as chromium:
        page = chromium.new_page(color_scheme=theme)  # type: ignore[arg-type] # one of playwright's words
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        report = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]})
        assert report.violations_count == 0, report.generate_report()
        assert page.title().startswith("Feedback for </title>")
        assert page.evaluate("getComputedStyle(document.querySelector('main')).maxWidth") != "none"
        assert asked == [path.as_uri()]
        if folder := os.environ.get("LABKIT_SCREENSHOTS"):
            page.screenshot(path=f"{folder}/feedback-{theme}.png", full_page=True)
        page.set_viewport_size({"width": 360, "height": 700})
        if folder:
            page.screenshot(path=f"{folder}/feedback-{theme}-narrow.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


# CSV


def read_back(text: str) -> list[dict[str, str]]:
    """Read CSV as another program does."""
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_each_learner_and_lab_is_a_line_with_points(book: Gradebook) -> None:
    """Points, state, reason and what is undecided are columns; a number is a number."""
    book.record(result())
    book.record(Result("bob", LAB, State.NOT_GRADED, "no notebook", "learner"))
    lines = list(grades(book))
    assert [tuple(line) for line in lines] == [COLUMNS, COLUMNS]
    ada, bob = read_back(to_csv(lines))
    assert (ada["learner"], ada["state"], ada["points"], ada["possible"]) == ("ada", "graded", "1.0", "3.5")
    assert (ada["manual_points"], ada["undecided"]) == ("", str(len(QUESTION.rows)))
    assert (bob["points"], bob["possible"], bob["reason"], bob["whose"]) == ("", "", "no notebook", "learner")


def test_manual_points_are_there_when_every_row_is_decided(book: Gradebook) -> None:
    """A missing answer has 0 of its rows; a decided one has its points, also after the rubric has changed."""
    book.record(result())
    book.record(result("bob", answers={}))
    (answer,) = book.answers(QUESTION)
    book.decide(QUESTION, answer, {row.asks: True for row in QUESTION.rows})
    ada, bob = grades(book, LAB)
    assert (ada["manual_points"], ada["undecided"]) == (len(QUESTION.rows), 0)
    assert (bob["manual_points"], bob["manual_possible"], bob["undecided"]) == (0, len(QUESTION.rows), 0)
    shorter: Question = replace(QUESTION, rows=QUESTION.rows[1:])
    ada, _ = grades(book, LAB, [shorter])
    assert ada["manual_points"] == len(QUESTION.rows) - 1


def test_names_come_back_from_csv_and_none_is_a_formula(book: Gradebook) -> None:
    """Every name survives, but for the ' before what a spreadsheet would calculate."""
    names = [*NAMES, "\t=1+1", "a;=1+1", "＝1+1", "\r\n@SUM(1)", "'quoted'"]
    for name in names:
        book.record(result(name))
    cells = [line["learner"] for line in read_back(to_csv(grades(book)))]
    assert sorted(cell.replace("'", "") for cell in cells) == sorted(name.replace("'", "") for name in names)
    for cell in cells:
        for part in re.split(r"[;\t\r\n]", cell):
            assert not part.startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠")), cell


# The command line


def call(folder: Path, *arguments: str, typed: str = "") -> Invocation:
    """Run `labkit grades …` in a folder, in this process, with what is typed as its input."""
    with pytest.MonkeyPatch.context() as place:
        place.chdir(folder)
        return CliRunner().invoke(commands, ["grades", *arguments], input=typed)


def test_a_shell_gets_csv_and_an_error_without_a_traceback(book: Gradebook, tmp_path: Path) -> None:
    """As a child process: UTF-8 on standard output, whatever the locale; a mistyped gradebook is told."""
    book.record(result("Müller, Änne"))
    command = [sys.executable, "-m", "labkit", "grades", "export", "--gradebook"]
    variables = os.environ | {"LC_ALL": "C"}
    done = subprocess.run(
        [*command, str(tmp_path / "gradebook.db")], capture_output=True, check=True, env=variables
    )
    assert read_back(done.stdout.decode("utf-8"))[0]["learner"] == "Müller, Änne"
    wrong = subprocess.run([*command, "gradbook.db"], capture_output=True, check=False, text=True)
    assert (wrong.returncode, "no file gradbook.db" in wrong.stderr) == (1, True)
    assert "Traceback" not in wrong.stderr


def test_export_and_feedback_as_an_instructor_calls_them(book: Gradebook, tmp_path: Path) -> None:
    """CSV on standard output and in a file, JSON, and a page for each learner."""
    book.record(result("Müller, Änne"))
    done = call(tmp_path, "export")
    assert read_back(done.stdout)[0]["learner"] == "Müller, Änne"
    assert call(tmp_path, "export", "--to", "out/grades.csv").exit_code == 0
    assert (tmp_path / "out" / "grades.csv").read_bytes().decode() == done.stdout_bytes.decode()
    (line,) = json.loads(call(tmp_path, "export", "--json").stdout)
    assert (line["points"], line["manual_points"]) == (1.0, None)
    assert json.loads(call(tmp_path, "export", "--lab", "blue-green", "--json").stdout) == []
    (page,) = json.loads(call(tmp_path, "feedback", "--json").stdout)
    assert (tmp_path / page["page"]).is_file()
    assert page["learner"] == "Müller, Änne"
    assert "Müller" in call(tmp_path, "feedback").stdout


def test_a_new_key_is_let_in_by_the_learner_s_name(book: Gradebook, tmp_path: Path) -> None:
    """The kept key goes, and the next step is a command that can be typed."""
    book.keep_key("Müller, Änne", "aa")
    done = call(tmp_path, "new-key", "Müller, Änne")
    assert "labkit grade FOLDER --gradebook gradebook.db" in done.stdout
    assert book.key("Müller, Änne") is None
    assert isinstance(call(tmp_path, "new-key", "Müller, Änne").exception, LabError)


@pytest.mark.parametrize("command", ["export", "feedback", "next"])
def test_a_mistyped_gradebook_is_told_and_not_made(command: str, tmp_path: Path) -> None:
    """No empty gradebook comes out of a mistyped name."""
    done = call(tmp_path, command, "--gradebook", "gradbook.db")
    assert isinstance(done.exception, LabError)
    assert done.exception.seen == "no file gradbook.db"
    assert list(tmp_path.iterdir()) == []


def test_rows_are_decided_in_the_terminal(book: Gradebook, tmp_path: Path) -> None:
    """One question across all learners: numbers decide, mistakes are asked again, each decision is kept."""
    for name in ("ada", "bob", "eve"):
        book.record(result(name, answers={"Q3": f"{HOSTILE[5]} [bold]what they wrote[/bold]"}))
    done = call(tmp_path, "next", f"{LAB}.Q3", typed="1 99\nall\nc well said\n1, 3\n\nq\n")
    assert done.exit_code == 0, done.output
    assert done.stdout.count("--- answer\n") == 3
    assert done.stdout.count("not understood") == 2
    assert "[bold]what they wrote[/bold]" in done.stdout
    assert "\x1b" not in done.stdout
    assert not re.search(r"\b(ada|bob|eve)\b", done.stdout)
    decided = [one for one in book.answers(QUESTION) if one.decisions]
    held = {row.asks for number, row in enumerate(QUESTION.rows, 1) if number in (1, 3)}
    assert [one.comment for one in decided] == ["well said"]
    assert {asks for asks, yes in decided[0].decisions.items() if yes} == held
    assert {*decided[0].decisions} == {row.asks for row in QUESTION.rows}
    done = call(tmp_path, "next", typed="0\n1\n")
    assert done.stdout.count("--- answer\n") == 2
    assert "no answer is left to decide" in done.stdout
    assert call(tmp_path, "next").stdout.strip() == "no answer is left to decide"


def test_the_next_undecided_answer_as_json(book: Gradebook, tmp_path: Path) -> None:
    """With --json nothing is asked: the next answer is printed without a name, or null."""
    assert json.loads(call(tmp_path, "next", "--json").stdout) is None
    book.record(result())
    shown_next = json.loads(call(tmp_path, "next", "--json").stdout)
    assert (shown_next["lab"], shown_next["question"], shown_next["answer"]) == (LAB, "Q3", "5 of 50")
    assert [row["decision"] for row in shown_next["rows"]] == [None] * len(QUESTION.rows)


def test_an_unknown_question_is_wrong_usage(book: Gradebook, tmp_path: Path) -> None:
    """The questions that have a rubric are named."""
    book.record(result())
    done = call(tmp_path, "next", "canary.Q99")
    assert done.exit_code == 2
    assert "canary.Q3" in done.stderr


# The form of the notebook


def test_rows_are_decided_in_the_form(book: Gradebook) -> None:
    """Typed numbers tick rows, Record keeps them and shows the next answer, Later keeps nothing."""
    for name in ("ada", "bob", "eve"):
        book.record(result(name, answers={"Q3": f"<b>{name}</b> wrote"}))
    form = RubricForm(answers_to_judge(book, f"{LAB}.Q3"))
    assert "&lt;b&gt;" in form.shown.value
    form.numbers.value = "1 99"
    form.recorder.click()
    assert "no row 99" in form.state.value
    assert not any(one.decisions for one in book.answers(QUESTION))
    form.numbers.value, form.comment.value = "1, 3", "well said"
    form.recorder.click()
    first, *_ = book.answers(QUESTION)
    assert [asks for asks, yes in first.decisions.items() if yes] == [
        QUESTION.rows[0].asks,
        QUESTION.rows[2].asks,
    ]
    assert (len(first.decisions), first.comment) == (len(QUESTION.rows), "well said")
    form.later.click()
    form.recorder.click()
    assert [bool(one.decisions) for one in book.answers(QUESTION)] == [True, False, True]
    assert "No answer is left" in form.title.value
    form.recorder.click()
    form.close()


def test_the_form_of_an_unknown_question_is_an_error(book: Gradebook) -> None:
    """The questions that have a rubric are named."""
    with pytest.raises(LabError, match=r"canary\.Q3"):
        answers_to_judge(book, "canary.Q99")


def test_what_cannot_be_recorded_is_told_and_the_answer_stays(book: Gradebook) -> None:
    """The form says why, and shows the same answer again."""
    book.record(result())

    def refuse(_decisions: object, _comment: str) -> None:
        raise LabError("a gradebook", "the disk is <full>", "make room")

    (answer,) = answers_to_judge(book)
    form = RubricForm(iter([replace(answer, record=refuse)]))
    form.recorder.click()
    assert "the disk is &lt;full&gt;" in form.state.value
    assert "5 of 50" in form.shown.value
    form.close()
