"""Pictures, their text alternatives and the traits of live widgets: what they say, and that they follow."""

import gc
import threading
import time
import urllib.error
import urllib.request
import weakref
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ipywidgets
import nbformat
import pytest
import traitlets
from nbclient import NotebookClient

from labkit import Environment, widgets
from labkit.artifacts import Kind, Subject
from labkit.engine import Owner
from labkit.errors import LabError
from labkit.widgets._drawing import FILLS
from labkit.widgets._environment import FILL, INK, TROUBLE
from labkit.widgets._request import draw as draw_request
from labkit.widgets._request import spans_of
from labkit.workspace import Workspace

STAGES = ["development", "integration", "staging", "production"]
AA = 4.5
"""Contrast that text needs (WCAG 2.2, 1.4.3)."""


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """Return a fresh workspace."""
    workspace = Workspace.create(tmp_path / "workspace")
    yield workspace
    Environment.clean_up_all(workspace)
    workspace.artifacts.close()


@pytest.fixture
def board(workspace: Workspace) -> Iterator[widgets.PipelineBoard]:
    """Return the board of the newest run."""
    board = widgets.PipelineBoard(workspace)
    yield board
    board.close()


def record(workspace: Workspace, kind: Kind, stage: str | None = None, **predicate: Any) -> None:
    """Record a fact of run r1 as the pipeline does."""
    subject = Subject("shop", "gitCommit:" + "ab" * 20)
    workspace.artifacts.record(kind, subject, stage=stage, run="r1", by="ada", **predicate)


def begin(workspace: Workspace) -> None:
    """Record that run r1 began, by a process that lives."""
    line = "Sell <b>at most</b> 12 & no more"
    owner = str(Owner.process())
    record(workspace, Kind.RUN_STARTED, commit="ab" * 20, subject_line=line, stages=STAGES, owner=owner)
    record(workspace, Kind.STAGE_STARTED, "development", state="running", trigger="commit")


def gate(workspace: Workspace, outcome: str) -> None:
    """Record an answer of the gate unit."""
    finding = {"rule": "test_total", "message": "1 is not 2", "severity": "error"}
    findings = [finding] if outcome == "fail" else []
    record(
        workspace,
        Kind.TESTED,
        "development",
        check="unit",
        outcome=outcome,
        findings=findings,
        tool="pytest",
        tool_version="9",
        seconds=1.5,
        evidence={"module": outcome},
    )


def end(workspace: Workspace) -> None:
    """Record that run r1 stopped in development."""
    reason = "development: gate unit failed"
    record(workspace, Kind.STAGE_FINISHED, "development", state="failed", seconds=2.5, reason=reason)
    record(workspace, Kind.RUN_FINISHED, state="failed", seconds=2.6, reason=reason)


def eventually(true: Callable[[], bool]) -> bool:
    """Return whether something becomes true within ten seconds."""
    deadline = time.monotonic() + 10
    while not true() and time.monotonic() < deadline:
        time.sleep(0.02)
    return true()


def followers() -> set[threading.Thread]:
    """Return the threads that follow something for a live widget."""
    return {thread for thread in threading.enumerate() if thread.name == "labkit-widget"}


def svg(view: Any) -> ET.Element:
    """Return the picture of a widget; a picture that is no XML fails here."""
    picture = view if isinstance(view, widgets.Picture) else view.snapshot
    return ET.fromstring(picture.svg)  # noqa: S314 - our own picture


def words(view: Any) -> list[str]:
    """Return the words of a picture."""
    return [element.text or "" for element in svg(view).iter("text")]


def test_without_a_run_the_board_says_what_to_do(board: widgets.PipelineBoard) -> None:
    """An empty workspace shows a sentence, not an empty picture."""
    assert words(board) == ["No run yet. Commit a change, then run the pipeline."]


def test_the_board_follows_a_run(workspace: Workspace, board: widgets.PipelineBoard) -> None:
    """What is recorded shows by itself: stages with state and seconds, gates, and why the run stopped."""
    begin(workspace)
    assert eventually(lambda: "▶ running" in words(board))
    assert words(board).count("○ not started") == 3
    gate(workspace, "fail")
    end(workspace)
    assert eventually(lambda: any(line.startswith("stopped because: development") for line in words(board)))
    assert "✗ unit: fail" in words(board)
    assert "✗ failed 2 s" in words(board)


def test_a_gate_asked_several_times_is_one_box_with_its_worst_answer(
    workspace: Workspace, board: widgets.PipelineBoard
) -> None:
    """Three modules with one red one make one red box that says three."""
    begin(workspace)
    for outcome in ("pass", "fail", "accepted"):
        gate(workspace, outcome)
    board.refresh()
    assert "✗ unit ×3: fail" in words(board)


def test_a_picture_has_a_name_and_text_alternatives(
    workspace: Workspace, board: widgets.PipelineBoard
) -> None:
    """A screen reader gets the picture's facts in its name; the table and the code are a tab away."""
    begin(workspace)
    gate(workspace, "pass")
    board.refresh()
    picture = svg(board)
    assert picture.get("role") == "img"
    assert "development running" in (picture.get("aria-label") or "")
    assert picture[0].tag == "title"
    tabs = next(child for child in board.children if isinstance(child, ipywidgets.Tab))
    assert tabs.children[0].value == board.snapshot.svg_html
    assert tabs.titles == ("Picture", "Table", "Code")
    assert '<th scope="row"' in tabs.children[1].value
    assert "pipeline.run(workspace)" in tabs.children[2].value
    assert "unit" in repr(board)


def test_what_a_learner_wrote_is_text_and_not_markup(
    workspace: Workspace, board: widgets.PipelineBoard
) -> None:
    """A commit message with tags in it is shown as it was written."""
    begin(workspace)
    board.refresh()
    assert any("Sell <b>at most</b> 12 & no more" in line for line in words(board))


def test_a_board_of_one_run_ends_with_the_run(workspace: Workspace) -> None:
    """No thread stays behind a run that is over."""
    before = followers()
    begin(workspace)
    board = widgets.PipelineBoard(workspace, "r1")
    assert board.running
    assert followers() > before
    end(workspace)
    assert eventually(lambda: followers() <= before)
    assert not board.running


def test_a_closed_board_leaves_nothing(workspace: Workspace) -> None:
    """Closing a widget ends its thread, closes the widgets inside of it, and lets go of it."""
    threads, inner = followers(), set(ipywidgets.Widget.get_manager_state()["state"])
    board = widgets.PipelineBoard(workspace)
    assert followers() > threads
    held = weakref.ref(board)
    board.close()
    del board
    assert eventually(lambda: followers() <= threads)
    gc.collect()
    assert held() is None
    left = ipywidgets.Widget.get_manager_state()["state"]
    names = {state["model_name"] for key, state in left.items() if key not in inner}
    assert {name for name in names if not name.endswith(("LayoutModel", "StyleModel"))} == set()


def test_what_changes_can_be_observed(workspace: Workspace, board: widgets.PipelineBoard) -> None:
    """Each new fact comes as a change of the traits, in the words of the database."""
    states: list[dict[str, str]] = []
    runs: list[bool] = []
    board.observe(lambda change: states.append(change.new), "state")
    board.observe(lambda change: runs.append(change.new), "running")
    begin(workspace)
    assert eventually(lambda: runs == [True])
    end(workspace)
    assert eventually(lambda: runs == [True, False])
    assert [state["development"] for state in states][-1] == "failed"
    assert board.run
    assert board.run.state == "failed"


def test_an_observer_that_fails_makes_no_trait_lie(
    workspace: Workspace, board: widgets.PipelineBoard
) -> None:
    """What follows the observed trait is set all the same, and the fault stands below the views."""

    def fail(_: object) -> None:
        message = "observed <too much>"
        raise ValueError(message)

    board.observe(fail, "run")
    begin(workspace)
    assert eventually(lambda: board.running)
    assert board.state["development"] == "running"
    assert "an observer failed: observed &lt;too much&gt;" in board.children[-1].value


def test_what_is_read_cannot_be_set(board: widgets.PipelineBoard) -> None:
    """A state that somebody made up would be a lie."""
    with pytest.raises(traitlets.TraitError):
        board.running = True
    with pytest.raises(traitlets.TraitError):
        board.state = {"production": "passed"}


def test_selecting_by_code_is_selecting_by_hand(workspace: Workspace, board: widgets.PipelineBoard) -> None:
    """The trait and the list are one: a thick frame, a table of one stage; a stage that is not is refused."""
    with pytest.raises(traitlets.TraitError, match="None, while state is empty"):
        board.selected = "development"
    begin(workspace)
    gate(workspace, "pass")
    board.refresh()
    board.selected = "development"
    assert board.selection.value == "development"
    assert "development is selected" in board.snapshot.svg
    assert [row[0] for row in board.snapshot.tables[0].rows] == ["development"]
    board.selection.value = "staging"
    assert board.selected == "staging"
    assert board.snapshot.tables[1].rows == []
    with pytest.raises(traitlets.TraitError, match="development, integration"):
        board.selected = "nowhere"
    board.selection.value = ""
    assert len(board.snapshot.tables[0].rows) == len(STAGES)


def test_live_widgets_link_with_each_other_and_with_those_of_ipywidgets(workspace: Workspace) -> None:
    """Two boards select together, a light goes with a run, and `interactive_output` follows a board."""
    begin(workspace)
    one, other = widgets.PipelineBoard(workspace), widgets.PipelineBoard(workspace, "r1")
    light, seen = ipywidgets.Valid(), list[str]()

    def see(stage: str, stages: dict[str, str]) -> None:
        seen.append(f"{stage} {stages['development']}")

    ipywidgets.link((one, "selected"), (other, "selected"))
    ipywidgets.dlink((one, "running"), (light, "value"))
    ipywidgets.interactive_output(see, {"stage": one.selection, "stages": one})
    assert light.value
    other.selected = "production"
    assert one.selection.value == "production"
    end(workspace)
    assert eventually(lambda: not light.value)
    assert seen == [" running", "production running", "production failed"]
    one.close()
    other.close()


SAVED = """
from labkit import widgets
board = widgets.PipelineBoard()
print(board.state, board, sep="\\n")
board
---
from labkit import Workspace
from labkit.artifacts import Kind, Subject
facts = dict(commit="ab", stages=["development"], owner="m/1/1/1", subject_line="it was seen")
shop = Subject("shop", "gitCommit:" + "ab" * 20)
Workspace.open().artifacts.record(Kind.RUN_STARTED, shop, run="r2", by="ada", **facts)
---
board.close()
"""


def test_a_saved_notebook_keeps_what_was_seen_and_a_new_kernel_tells_the_same(workspace: Workspace) -> None:
    """Beside the widget, which needs its kernel, stands HTML that is renewed until the widget is closed."""
    begin(workspace)
    gate(workspace, "fail")
    end(workspace)
    board = widgets.PipelineBoard(workspace)
    expected = f"{board.state}\n{board!r}\n"
    board.close()
    cells = [nbformat.v4.new_code_cell(source) for source in SAVED.split("---")]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, resources={"metadata": {"path": str(workspace.root)}}).execute()
    printed, live, snapshot = cells[0].outputs
    assert printed.text == expected
    assert "application/vnd.jupyter.widget-view+json" in live.data
    assert set(snapshot.data) == {"text/html"}
    assert "it was seen" in snapshot.data["text/html"]


def test_what_is_finished_is_display_data() -> None:
    """A picture needs no model in a browser: it is HTML, an SVG that stands alone, and text."""
    before = set(ipywidgets.Widget.get_manager_state()["state"])
    table = widgets.Table(("who",), [("cart <1>",)])
    data = widgets.Picture('<svg role="img"><text>cart</text></svg>', [table], "a < b")._repr_mimebundle_()
    assert set(data) == {"text/html", "image/svg+xml", "text/plain"}
    assert "<details><summary>Table</summary>" in data["text/html"]
    assert "cart &lt;1&gt;" in data["text/html"]
    assert "a &lt; b" in data["text/html"]
    assert ET.fromstring(data["image/svg+xml"]).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314 - our own
    assert data["text/plain"] == repr(table)
    assert set(ipywidgets.Widget.get_manager_state()["state"]) == before


def luminance(colour: str) -> float:
    """Return the relative luminance of #rrggbb (WCAG 2.2)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize(
    ("fill", "ink"),
    {(fill, ink) for _, fill, ink in FILLS.values()}
    | {(fill, INK) for fill in FILL.values()}
    | {(fill, ink) for _, fill, ink in TROUBLE.values()},
)
def test_words_can_be_read_on_their_box(fill: str, ink: str) -> None:
    """Every pair of colours has the contrast that text needs."""
    light, dark = sorted((luminance(fill), luminance(ink)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= AA


def test_each_state_has_a_sign_of_its_own_kind() -> None:
    """Good, bad, running and waiting are told apart without colour."""
    signs = {state: sign for state, (sign, _, _) in FILLS.items()}
    assert (
        len({signs[state] for state in ("passed", "failed", "running", "waiting", "not run", "not started")})
        == 6
    )


def test_the_run_button_starts_once_at_a_time_and_says_what_failed() -> None:
    """While it runs it cannot be pressed; an error is its three lines, beside the button."""
    go = threading.Event()

    def start() -> None:
        go.wait(10)
        raise LabError("a commit", "<nothing>", "commit")

    form = widgets.run_button("Run", "run()", start)
    button, message = form.children
    button.click()
    assert button.disabled
    go.set()
    assert eventually(lambda: "&lt;nothing&gt;" in message.value)
    assert eventually(lambda: not button.disabled)


def test_running_the_pipeline_by_button_is_the_same_as_by_code(workspace: Workspace) -> None:
    """A dirty working tree is refused beside the button, in the words of `pipeline.run`."""
    (workspace.shop / "cart" / "service.py").write_text("changed = True\n")
    button, message = widgets.run(workspace).children
    assert "pipeline.run(workspace)" in message.value
    button.click()
    assert eventually(lambda: "expected:" in message.value)


def test_a_question_is_text_and_names_its_field() -> None:
    """A question may hold a sign of markup, and the field carries it for a screen reader."""
    title, field, _ = widgets.text_form("Is 1 < 2?", None, lambda _: None).children
    assert title.value == "<strong>Is 1 &lt; 2?</strong>"
    assert field.tooltip == "Is 1 < 2?"


@pytest.mark.engine
def test_the_environment_view_shows_what_is_there(workspace: Workspace) -> None:
    """Picture and table name every container of a live environment; one that went is gone."""
    with Environment.create(workspace.system, "integration", workspace=workspace) as environment:
        view = widgets.EnvironmentView(environment)
        for element in ("balancer", "database", "cart-1", "catalog-1", "storefront-1"):
            assert element in words(view)
            assert element in repr(view)
        assert "load balancer, running" in words(view)
        assert view.running
        assert view.state["cart-1"] == "running"
        view.selected = "database"
        assert [row[0] for row in view.snapshot.tables[0].rows] == ["database"]
        view.selected = "cart-1"
        environment.remove_instance(environment.instances("cart")[0])
        view.refresh()
        assert "cart-1" not in words(view)
        assert not view.selection.value


@pytest.mark.engine
def test_the_environment_view_follows_what_happens_until_the_clean_up(workspace: Workspace) -> None:
    """Faults show by themselves, with a word and a sign; so does an element that is missing, and the end."""
    before = followers()
    with Environment.create(workspace.system, "integration", workspace=workspace) as environment:
        view = widgets.EnvironmentView(environment)
        (cart,) = environment.instances("cart")
        cart.slow(300)
        assert eventually(lambda: "UP, +300 ms, 0 req." in words(view))
        assert "…" in words(view)
        cart.disconnect()
        assert eventually(lambda: any(line.endswith(", disconnected") for line in words(view)))
        assert "✗" in words(view)
        environment.element("database").remove()
        assert eventually(lambda: "PostgreSQL, missing" in words(view))
        assert "missing" in repr(view)
    assert eventually(lambda: words(view)[0].endswith(": 0 containers"))
    assert not view.running
    assert eventually(lambda: followers() <= before)


@pytest.mark.engine
def test_a_request_shows_who_worked_on_it_and_how_long(workspace: Workspace) -> None:
    """A bar for each service that it came by, the one that was asked first on top; a failure has its sign."""
    with Environment.create(workspace.system, "integration", workspace=workspace) as environment:
        with urllib.request.urlopen(f"{environment.url}/products") as answer:  # noqa: S310 - our own service
            view = widgets.request(environment, answer.headers["x-request-id"])
        shown = words(view)
        assert shown.index("storefront-1") < shown.index("catalog-1")
        assert "✓ GET /products 200" in shown
        environment.instances("catalog")[0].kill()
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{environment.url}/products")  # noqa: S310 - our own service
        view = widgets.request(environment, refused.value.headers["x-request-id"])
        refused.value.close()
        assert "✗ GET /products 503" in words(view)
        assert "✗ GET /products 503 for catalog" in words(view)
        assert "503" in repr(view)


def test_a_request_that_no_log_knows_says_so() -> None:
    """An id with a slip of the pen makes a sentence, not an empty picture."""
    assert "no log knows it" in draw_request("abd", [])


def test_spans_stand_in_the_order_in_which_they_were_begun() -> None:
    """A line is written at the end of the work; what took longer began earlier, to the millisecond."""
    line = {"method": "GET", "path": "/a", "status": 200}
    lines: list[dict[str, Any]] = [
        {**line, "instance": "inner", "time": "2026-01-01T00:00:01.090Z", "ms": 50},
        {**line, "instance": "outer", "time": "2026-01-01T00:00:01.100123456Z", "ms": 100},
        {"instance": "talks", "time": "2026-01-01T00:00:01.100Z", "message": "by the way"},
    ]
    spans = [(span.instance, round(span.start_ms), span.ms) for span in spans_of(lines)]
    assert spans == [("outer", 0, 100), ("inner", 40, 50)]


def test_a_link_opens_a_tab_of_its_own_and_tells_its_address_as_text() -> None:
    """A live user's way into an environment; what stands in the words is text, never markup."""
    link = widgets.link("http://127.0.0.1:8001", "Shop <now>")
    assert 'href="http://127.0.0.1:8001" target="_blank"' in link._repr_html_()
    assert "Shop &lt;now&gt;" in link._repr_html_()
    assert repr(link) == "Shop <now>: http://127.0.0.1:8001"
