"""What a learner meets: predictions first, checks as rows, hints instead of tracebacks."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from labkit import lesson, widgets
from labkit.artifacts import Kind
from labkit.engine import Engine, Label
from labkit.errors import LabError
from labkit.lesson._rubric import model_answer
from labkit.workspace import Workspace


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the list of everything that a notebook would show."""
    things: list[Any] = []
    monkeypatch.setattr(widgets, "show", lambda *new: things.extend(new))
    return things


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown: list[Any]) -> Iterator[lesson.Lab]:
    """Return an open lab in a fresh workspace, with a learner in front of it."""
    monkeypatch.delenv("LABKIT_UNATTENDED", raising=False)
    workspace = Workspace.create(tmp_path / "workspace")
    monkeypatch.setenv("LABKIT_WORKSPACE", str(workspace.root))
    lab = lesson.open("a-lab")
    shown.clear()
    yield lab
    lab.workspace.artifacts.close()


def form_parts(form: Any) -> tuple[Any, Any]:
    """Return the field and the Record button of a form."""
    return form.children[1], form.children[2].children[0]


def test_a_question_and_its_answer_stay_without_a_kernel(
    lab: lesson.Lab, shown: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below the form, HTML says what was asked and recorded, from the moment of Record on."""
    sent: list[str] = []
    for name in ("display", "update_display"):
        monkeypatch.setattr(
            f"labkit.widgets._snapshot.{name}", lambda bundle, **_: sent.append(bundle.get("text/html", ""))
        )
    lab.reflect("r", "Why <so>?")
    form = shown[0]
    form._ipython_display_()
    assert "Why &lt;so&gt;?" in sent[-1]
    assert "not answered yet" in sent[-1]
    field, button = form_parts(form)
    field.value = "1 < 2"
    button.click()
    assert "✓ recorded: 1 &lt; 2" in sent[-1]


def test_what_was_measured_is_found_by_a_new_kernel(lab: lesson.Lab) -> None:
    """Figures are in the record, of one kind of one lab; the newest of a name counts, and none is told."""
    seen = lab.measured("wrong carts")
    assert (dict(seen), "toggle" in seen, seen.get("toggle")) == ({}, False, None)
    with pytest.raises(lesson.NotMeasured, match=r"nothing yet[\s\S]*run the cell .* \"toggle\""):
        seen["toggle"]
    for name, carts in [("rolling", 7), ("toggle", 5), ("rolling", 3)]:
        seen[name] = {"2700": carts}
    lab.measured("other")["rolling"] = None
    lesson.open("another-lab").measured("wrong carts")["rolling"] = None
    later = lesson.open("a-lab").measured("wrong carts")
    assert [*later.items()] == [("rolling", {"2700": 3}), ("toggle", {"2700": 5})]
    assert len(later) == 2


def test_running_before_predicting_is_answered_with_the_question(lab: lesson.Lab) -> None:
    """A prediction that was not recorded cannot be used, and the error says to press Record."""
    guess = lab.predict("n", "How many?", ["1", "2"], default="1")
    with pytest.raises(LabError, match="press Record"):
        _ = guess.value


def test_a_prediction_is_recorded_by_the_button_and_shown_again_as_it_was(
    lab: lesson.Lab, shown: list[Any]
) -> None:
    """Record writes the choice into the artifact database; opened again, the form shows it and is closed."""
    guess = lab.predict("n", "How many?", ["1", "2"], default="1")
    field, button = form_parts(shown[0])
    field.value = "2"
    button.click()
    assert guess.value == "2"
    lab.predict("n", "How many?", ["1", "2"], default="1")
    field, button = form_parts(shown[1])
    assert (field.value, field.disabled, button.description) == ("2", True, "Answered")
    button.click()
    assert len(lab.workspace.artifacts.history(kind=Kind.PREDICTED)) == 1


def test_record_without_a_choice_records_nothing(lab: lesson.Lab, shown: list[Any]) -> None:
    """Pressing Record before choosing asks for a choice."""
    lab.predict("n", "How many?", ["1", "2"], default="1")
    form_parts(shown[0])[1].click()
    assert lab.workspace.artifacts.history(kind=Kind.PREDICTED) == []


def test_unattended_the_default_is_recorded(lab: lesson.Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody is there, a prediction takes its default, so that CI can run the notebook."""
    monkeypatch.setenv("LABKIT_UNATTENDED", "1")
    assert lab.predict("n", "How many?", ["1", "2"], default="2").value == "2"


def test_each_assert_is_a_row_and_one_that_fails_does_not_hide_the_others(
    lab: lesson.Lab, shown: list[Any]
) -> None:
    """A failed check shows expected, seen and hint of every assert, and its error shows no traceback."""
    answer = 41
    with pytest.raises(lesson.CheckFailed) as failed, lab.check("answer"):
        assert answer == 42, "one more"
        assert answer > 40, "more than forty"
        assert nothing == 1, "make it first"  # type: ignore[name-defined]  # noqa: F821 - that is the point
    first, second, third = failed.value.rows
    assert (first.passed, first.expected, first.seen, first.hint) == (False, "42", "41", "one more")
    assert second.passed
    assert (third.passed, "nothing" in third.seen, third.hint) == (False, True, "make it first")
    assert "1 of 3 public checks passed" in repr(shown[0])
    assert failed.value._render_traceback_()[-1].endswith("one more")


def test_a_passed_check_is_recorded_and_tells_how_many_more_are_run_when_graded(
    lab: lesson.Lab, shown: list[Any]
) -> None:
    """Passing the public checks is recorded, without hiding that there are more."""
    with lab.check("answer"):
        assert 1 + 1 == 2, "add"
        # 2 more checks run when graded
    assert "more when graded" in repr(shown[0])
    fact = lab.workspace.artifacts.history(kind=Kind.CHECKED)[-1]
    assert (fact.subject.name, fact.predicate["check"], fact.predicate["passed"]) == (
        "lab/a-lab",
        "answer",
        True,
    )


@pytest.mark.parametrize("right", [42, 41])
def test_what_a_checks_block_binds_cannot_be_looked_up_afterwards(
    lab: lesson.Lab, right: int, tmp_path: Path
) -> None:
    """The names of a cell's block are gone or as before, passed or not; those of the cell above it stay."""
    cell = tmp_path / "cell.py"
    cell.write_text(
        "seen = 1\nwith lab.check('answer'):\n"
        "    right, seen = 42, 2\n    def truth(): return right\n"
        "    assert answer == truth(), 'one more'\n"
    )
    names: dict[str, Any] = {"lab": lab, "answer": right}
    with pytest.raises(lesson.CheckFailed) if right == 41 else nullcontext():
        exec(compile(cell.read_text(), str(cell), "exec"), names)  # noqa: S102 - a cell of a notebook
    assert (names["seen"], names["answer"]) == (1, right)
    assert not {"right", "truth"} & names.keys()


def test_an_error_beside_the_asserts_fails_the_check(lab: lesson.Lab) -> None:
    """A block that does not run to its end is no pass."""
    with pytest.raises(lesson.CheckFailed, match="do not"), lab.check("answer"):
        int("no number")
        assert True, "never reached"


def test_an_error_of_labkit_in_a_check_shows_its_next_step(lab: lesson.Lab) -> None:
    """An error for users keeps its three parts in the row, so that the learner reads the way out."""
    with pytest.raises(lesson.CheckFailed, match="spell it so") as failed, lab.check("answer"):
        assert int("1") == 1, "held before"
        int_of("no number")
        assert int("2") == 3, "comes after"
    row = failed.value.rows[1]
    assert (row.expected, row.seen, row.hint) == ("a number", "no number", "spell it so")
    assert [row.hint for row in failed.value.rows] == ["held before", "spell it so"]


def test_an_answer_that_is_not_written_is_one_row_with_a_hint(lab: lesson.Lab) -> None:
    """What comes of nothing says so once, without a row for each assert that stands on it."""

    def answer() -> Any: ...  # yours to write

    with pytest.raises(lesson.CheckFailed, match="write your answer first") as failed, lab.check("answer"):
        first, *_ = answer()
        assert first == 1, "one"
        assert first < 2, "below two"
    assert len(failed.value.rows) == 1


def int_of(text: str) -> None:
    """Refuse a text as labkit does."""
    raise LabError("a number", text, "spell it so")


def test_a_passed_assert_is_not_run_again_and_a_failed_one_stays_failed(lab: lesson.Lab) -> None:
    """A passed assert runs once, as it may change something; a failed one fails though it passes later."""
    calls: list[int] = []

    def count() -> int:
        calls.append(1)
        return len(calls)

    with lab.check("once"):
        assert count() == 1, "the first"
        assert count() < 3, "the second"
    assert len(calls) == 2
    with pytest.raises(lesson.CheckFailed) as failed, lab.check("wavers"):
        assert count() == 4, "right only when asked again"
    assert not failed.value.rows[0].passed


def test_an_assert_inside_a_loop_gives_its_hint(lab: lesson.Lab) -> None:
    """What fails deeper in the block is a row too."""
    with pytest.raises(lesson.CheckFailed, match="even ones only"), lab.check("loop"):
        for number in (2, 3):
            assert number % 2 == 0, "even ones only"


def test_stopping_a_check_stops_it(lab: lesson.Lab) -> None:
    """Ctrl-C is not taken for a failed check."""
    with pytest.raises(KeyboardInterrupt), lab.check("answer"):
        raise KeyboardInterrupt


def test_compare_says_whether_the_prediction_came_true_and_why(
    lab: lesson.Lab, shown: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The verdict is in the option's own words; its explanation is that of the option that came true."""
    monkeypatch.setenv("LABKIT_UNATTENDED", "1")
    guess = lab.predict("n", "How many?", ["1", "2"], default="2")
    shown.clear()
    why = {"1": "one was left out", "2": "both were there"}
    lab.compare(guess, 2, "2 of 2", why)
    assert ("✓ came true" in repr(shown[0]), repr(shown[1])) == (True, "both were there")
    assert len(shown) == 2
    shown.clear()
    monkeypatch.delenv("LABKIT_UNATTENDED")
    lab.compare(guess, 1, "1 of 2", why)
    assert ("✗ came out otherwise" in repr(shown[0]), repr(shown[1])) == (True, "one was left out")
    _, field, row = shown[2].children
    field.value = "the zeroth"
    row.children[0].click()
    (overlooked,) = lab.workspace.artifacts.history(kind=Kind.REFLECTED)
    assert overlooked.predicate["name"] == "n-overlooked"
    with pytest.raises(LabError, match="one of the options"):
        lab.compare(guess, 3)


def test_a_silent_service_is_a_hint() -> None:
    """Nobody who answers is told in three lines."""
    with pytest.raises(LabError, match="labkit environment list"):
        lesson.ask("http://127.0.0.1:9/")


def test_options_are_shuffled_for_each_learner_but_a_scale_keeps_its_order(
    lab: lesson.Lab, shown: list[Any]
) -> None:
    """The order of an answer tells nothing, is the same when asked again, and numbers rise."""
    words = [f"because of {letter}" for letter in "abcdefgh"]
    for options in (words, words, ["less", "as much", "up to 3 times"]):
        lab.predict("why" if options == words else "share", "Why?", options)
    first, again, scale = (form_parts(form)[0].options for form in shown)
    assert sorted(first) == words
    assert list(first) != words
    assert again == first
    assert list(scale) == ["less", "as much", "up to 3 times"]


def test_a_measured_number_is_the_option_of_the_first_limit_that_holds_it() -> None:
    """A limit belongs to its own option, and what is over all limits to the last."""
    limits = {0: "none", 0.03: "few", 1: "many"}
    assert [lesson.up_to(share, limits) for share in (0, 0.03, 0.04, 2)] == ["none", "few", "many", "many"]


def test_after_a_reflection_the_model_answer_is_shown(lab: lesson.Lab, shown: list[Any]) -> None:
    """The answer comes only when the learner's own is recorded, and again when the lab is reopened."""
    lab = lesson.Lab("rolling-upgrade", lab.workspace, None)
    lab.reflect("Q12", "Which one next?")
    form = shown[0]
    assert len(form.children) == 3
    form.children[1].value = "the idle one"
    form.children[2].children[0].click()
    assert "One good answer" in form.children[3].value
    lab.reflect("Q12", "Which one next?")
    assert "An answer counts when it" in shown[1].children[3].value


def test_a_row_that_asks_for_figures_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A learner reads which rows are needed, and which ask for figures of their own run."""
    rubric = tmp_path / "labs" / "1-part" / "rubric.toml"
    rubric.parent.mkdir(parents=True)
    rows = ('asks="a", mandatory=true, figure=true', 'asks="b", mandatory=true', 'asks="c", mandatory=false')
    text = f"[a-lab.why]\nmodel_answer = 'x'\nrows = [{{{'}, {'.join(rows)}}}]"
    rubric.write_text(text)
    monkeypatch.setattr("labkit.lesson._rubric.course", lambda: tmp_path)
    answer = model_answer("a-lab", "why")
    assert "<li>a (needed, with figures of your own run)</li><li>b (needed)</li><li>c</li>" in answer


def test_each_hint_opens_inside_the_one_before(lab: lesson.Lab, shown: list[Any]) -> None:
    """The second hint is found only inside the first."""
    lab.hint("look left", "look right")
    html = shown[0]._repr_html_()
    assert (
        html.index("look left")
        < html.index("Hint 2 of 2")
        < html.index("look right")
        < html.index("</details>")
    )


def test_the_index_tells_how_far_the_learner_is(
    lab: lesson.Lab, shown: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lab is done with a passed check and an answered question; the first that is not comes next."""
    folder = lab.workspace.root / "labs" / "1-part"
    folder.mkdir(parents=True)
    for name in ("01-one", "02-two"):
        cells = [nbformat.v4.new_markdown_cell(f"# Lab {name[3:]}")]
        minutes = {"read": 5, "run": 6, "exercise": 9}
        exercises = [{"kind": "find", "level": 2}, {"kind": "write", "level": 3}]
        metadata = {"labkit": {"id": name[3:], "rows": ["O1"], "minutes": minutes, "exercises": exercises}}
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), folder / f"{name}.ipynb")
    (folder / "03-broken.ipynb").write_text("{")
    monkeypatch.setenv("LABKIT_UNATTENDED", "1")
    one = lesson.Lab("one", lab.workspace, None)
    with one.check("answer"):
        assert 1 + 1 == 2, "add"
    one.reflect("why", "Why?")
    shown.clear()
    lesson.index()
    rows = [(str(row[0]), row[1], row[4]) for row in shown[0].rows]
    assert rows == [("Lab one", 20, "✓ done"), ("Lab two", 20, "")]
    assert shown[0].rows[0][3] == "find the fault, level 2 of 3; write code, level 3 of 3"
    assert 'href="1-part/01-one.ipynb"' in shown[0]._repr_html_()
    assert repr(shown[1]) == "next: Lab two"


def executed(cells: list[str], path: Path | None = None, **variables: str) -> list[Any]:
    """Run cells in a kernel of their own, errors included; return the outputs of each."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata["labkit"] = {"id": "a-lab"}
    if path:
        nbformat.write(notebook, path)
    client = NotebookClient(notebook, timeout=60, kernel_name="python3", allow_errors=True)
    client.execute(env=os.environ | variables)
    return [cell.outputs for cell in notebook.cells]


def told(outputs: Any) -> str:
    """Return the texts of a cell's errors."""
    return "\n".join("\n".join(output.get("traceback", [])) for output in outputs)


def test_nothing_runs_while_a_prediction_is_open(tmp_path: Path) -> None:
    """The cell after an open question is refused with the question; more questions and help still run."""
    workspace = Workspace.create(tmp_path / "workspace")
    workspace.artifacts.close()
    cells = [
        "from labkit import lesson\nlab = lesson.open('a-lab')",
        "guess = lab.predict('n', 'How many?', ['1', '2'])",
        "ran = True",
        "lab.hint('count them')",
        "lesson.open('a-lab')",
        "'ran' in globals()",
    ]
    *_, refused, _, _, after = executed(cells, LABKIT_WORKSPACE=str(workspace.root), LABKIT_UNATTENDED="")
    assert "your prediction first: How many?" in told(refused)
    assert "Traceback" not in told(refused)
    assert after[0]["data"]["text/plain"] == "False"


CHECKED = """\
from labkit.lesson._check import CheckBlock
with CheckBlock("it", lambda name, rows, more: print(rows[0].hint)):
    assert result == 1, "one is asked for"
"""


def test_a_name_that_another_cell_makes_is_a_hint_also_before_the_set_up(tmp_path: Path) -> None:
    """A new kernel names the cell to run; a name that no cell makes, or none of a lab, stays Python's."""
    path = tmp_path / "a-lab.ipynb"
    cells = [
        "result + 1",
        "%load_ext labkit._kernel\ndef helper():\n    inner = 1",
        "result + 1",
        "inner",
        "if False:\n    result = 1",
        CHECKED,
    ]
    raw, _, hint, none, _, row = executed(cells, path, JPY_SESSION_NAME=str(path))
    del raw  # the extension may be installed in the environment of the tests, or not
    assert "run the cell that begins with «if False:»" in told(hint)
    assert "Traceback" not in told(hint)
    assert "NameError" in told(none)
    assert "run the cell that begins with «if False:»" in row[0].text


RYUK = """\
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
testcontainers_config.ryuk_disabled = False
testcontainers_config.ryuk_image = "labkit/no-such-ryuk:1"
DockerContainer("labkit/python:1").start()
"""


@pytest.mark.engine
def test_a_container_that_cannot_have_ryuk_tells_how_to_do_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a lab, testcontainers' own start offline is no traceback; other errors stay as they are."""
    workspace = Workspace.create(tmp_path / "workspace")
    workspace.artifacts.close()
    monkeypatch.setenv("LABKIT_WORKSPACE", str(workspace.root))
    cells = [
        "from labkit import lesson\nlab = lesson.open('a-lab')",
        RYUK,
        "import docker\ndocker.from_env().images.get('nobody/has:1')",
    ]
    outputs = executed(cells)
    names = [output.get("ename", "") for cell in outputs for output in cell]
    texts = [told(cell) for cell in outputs]
    assert [name for name in names if name] == ["LabError", "ImageNotFound"]
    assert "TESTCONTAINERS_RYUK_DISABLED" in "".join(texts)
    assert "images.get" in "".join(texts)


KILLED = """\
import os, signal
from labkit import Environment
from labkit.engine import Owner
from labkit.lesson import RunWorkspace
from labkit.workspace import Workspace
workspace = Workspace.open(RunWorkspace().root)
owner = Owner.workspace(workspace.id)
Environment.create(workspace.system, "development", module="cart", owner=owner, workspace=workspace)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.engine
def test_what_a_killed_run_leaves_goes_with_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folder and what its workspace owned are gone; the folder of a run that lives stays."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    subprocess.run([sys.executable, "-c", KILLED], env=os.environ | {"TMPDIR": str(tmp_path)}, check=False)
    (folder,) = tmp_path.glob("labkit-labs-*")
    identity = (folder / "my workspace" / ".labkit" / "id").read_text().strip()
    assert Engine.find().owned({Label.WORKSPACE: identity})
    living = lesson.RunWorkspace()
    for one in tmp_path.glob("labkit-labs-*"):
        os.utime(one, (0, 0))
    lesson.RunWorkspace().close()
    assert not Engine.find().owned({Label.WORKSPACE: identity})
    assert (folder.exists(), living.root.exists()) == (False, True)
    living.close()
    assert [*tmp_path.glob("labkit-labs-*")] == []
