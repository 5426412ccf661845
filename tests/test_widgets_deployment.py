"""The deployment board: what it shows and what its controls do, on real carts and in a real browser."""

import json
import os
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import traitlets
from axe_playwright_python.sync_playwright import Axe
from browser import TOKEN, browser
from carts import TOTALS, N, is_whole, version
from learner import Learner, jupyter
from playwright.sync_api import Locator, Page, expect

from labkit import Environment, Workspace, widgets
from labkit.deployment import Deployment, Fleet, Step, StepState, image_of
from labkit.load import Histogram, Load, Measurement, RunningLoad, Tally, apply
from labkit.load._measurement import Key, Recent
from labkit.toggles import ToggleStore
from labkit.widgets._deployment_drawing import draw, tables
from labkit.widgets._deployment_state import BoardState, InstanceReading
from labkit.widgets._toggle_board import TogglesState
from labkit.widgets._toggle_board import draw as toggle_picture
from labkit.widgets._toggle_board import tables as toggle_tables

pytest_plugins = ["fleets"]
PATIENCE_S = 60.0


def soon(condition: Callable[[], object]) -> bool:
    """Wait until a condition holds; return whether it came to hold."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def serving(fleet: Fleet) -> set[str]:
    """Return the versions that take requests."""
    return {instance.version for instance in fleet.instances if instance.state == "UP"}


def is_shown(view: widgets.DeploymentBoard, words: str) -> bool:
    """Return whether the board shows these words."""
    return words in repr(view)


@pytest.fixture
def state() -> BoardState:
    """Return a state in which there is something of everything."""
    instances = [
        InstanceReading("cart-1", "v1", "UP", 3),
        InstanceReading("cart-2", "v2", "DRAIN", 0, failing=0.1, slowed_ms=30),
    ]
    answers = {
        Key(0, "v1", "POST /totals"): Tally(90, 0, Histogram({1000: 90})),
        Key(0, "v2", "POST /totals"): Tally(10, 2, Histogram({9000: 10})),
    }
    recent = [
        Recent(version="v2" if mark else "v1", failed=mark == "failed", mixed=mark == "mixed")
        for mark in ("", "failed", "mixed")
    ]
    measured = Measurement(tallies=answers, recent=tuple(recent))
    toggles = {"basket_discount": "off, 1/2 ready"}
    return BoardState(
        "carts",
        "progressing",
        instances,
        measured,
        toggles=toggles,
        evidence=(30.0, 100.0),
        events=("1.0 s cart-2 ready",),
        selected="cart-2",
    )


def test_the_picture_says_in_words_and_signs_what_it_says_in_colours(state: BoardState) -> None:
    """It is sound XML with a name; failed answers are crossed, and the table tells the same."""
    svg = draw(state)
    words = " ".join(element.text or "" for element in ET.fromstring(svg).iter())  # noqa: S314 - our own
    for expected in (
        "cart-2",
        "b: v2, DRAIN",
        "10% fail, +30 ms",
        "v2: 20.0% failed, ✗ over the objective",
        "v1: 0.0% failed, ✓ within",
        "evidence against the new version: 30.0; it is rolled back at 100",
        "toggle basket_discount: off, 1/2 ready",
        "1.0 s cart-2 ready",
    ):
        assert expected in words
    assert (words.count("✗"), words.count("≠")) == (3, 2)
    texts = "\n".join(map(repr, tables(state)))
    for expected in (
        "cart-2",
        "10% fail, +30 ms",
        "90%",
        "30.0 of 100",
        "off, 1/2 ready",
        "cart-2 ready",
        "v2       mixed",
    ):
        assert expected in texts


def test_nothing_measured_is_shown_as_nothing() -> None:
    """Without a load, toggles or evidence, the board is the instances alone."""
    svg = draw(BoardState("carts", "degraded", [InstanceReading("cart-1", "v1", "paused")]))
    assert "stalled" in svg
    assert "evidence" not in svg


def test_a_rollout_and_its_answers_stand_on_one_axis() -> None:
    """A second of the load is drawn where it was in the deployment; the answers by second are a table too."""
    steps = (
        Step(2.0, "cart-2", "cart:v2", StepState.IN_BALANCER),
        Step(4.0, "cart-1", "cart:v1", StepState.REMOVED),
    )
    done = Deployment("cart", "cart:v1", "cart:v2", 4.0, steps, began=1000.0)
    answers = {Key(1, "v1", "GET /"): Tally(9, 0), Key(4, "v2", "GET /"): Tally(8, 1)}
    shown = widgets.rollout(done, Measurement(seconds=5.0, began=999.0, tallies=answers))
    assert "0 to 1  v1       9" in repr(shown)
    assert "3 to 4  v2       8        1" in repr(shown)
    boxes = [dict(box.attrib) for box in ET.fromstring(shown.svg).iter() if box.tag.endswith("rect")]  # noqa: S314 - our own
    serves, answered = (next(box for box in boxes if box["fill"] == fill) for fill in ("#d3f1dc", "#b3261e"))
    per_second = float(answered["width"]) + 2
    assert float(answered["x"]) - 1 == pytest.approx(float(serves["x"]) + per_second, abs=0.01)


@contextmanager
def shown_board(
    fleet: Fleet, images: dict[str, str]
) -> Iterator[tuple[widgets.DeploymentBoard, RunningLoad]]:
    """Show the board of a fleet under load, with version and faults that a test sets."""
    with apply(Load(TOTALS, 60, None), fleet.environment.urls["cart"]) as load:
        board = widgets.DeploymentBoard(fleet, images, load=load)
        yield board, load
        board.close()


def goes_on_judging(board: widgets.DeploymentBoard) -> bool:
    """Return whether the evidence counts what customers get now."""
    evidence = board.controls.evidence
    assert evidence
    counted = evidence._old.trials
    return soon(lambda: evidence._old.trials > counted)


@pytest.mark.engine
@pytest.mark.timeout(300)
def test_the_controls_do_what_their_code_says(fleet: Fleet, old: str, new: str) -> None:
    """Deploy, pause, resume; a version that is made to fail is rolled back on evidence."""
    both = {version(image): image for image in (old, new)}
    with shown_board(fleet, both) as (board, load):
        statuses: list[str] = []
        board.observe(lambda change: statuses.append(change.new), "status")
        board.version = version(new)
        assert board.controls.version.value == version(new)
        assert f'rolling(fleet, images["{version(new)}"], surge=1' in board.controls.code.value.replace(
            "&quot;", '"'
        )
        board.controls.buttons["Deploy"].click()
        assert soon(lambda: version(new) in fleet.versions)
        board.controls.buttons["Pause"].click()
        assert soon(lambda: board.status == "paused")
        assert board.running
        assert board.controls.buttons["Pause"].description == "Resume"
        assert goes_on_judging(board)
        board.controls.buttons["Pause"].click()
        assert soon(lambda: is_whole(fleet, {version(new): N}))
        assert soon(lambda: "deployed" in repr(board))
        assert soon(lambda: not board.running)
        assert "progressing" in statuses
        assert board.state == dict.fromkeys((instance.name for instance in fleet.instances), "UP")

        board.controls.version.value, board.strategy, board.controls.errors.value = (
            version(old),
            "canary",
            0.5,
        )
        assert "fail(0.5)" in board.controls.code.value
        board.controls.buttons["Deploy"].click()
        assert soon(lambda: "rolled back" in repr(board))
        assert soon(lambda: is_whole(fleet, {version(new): N}))
        assert load.snapshot().failed
        assert not fleet.environment.balancer.failing()  # what serves is not the version that is chosen


@pytest.mark.engine
def test_the_selected_instance_is_stalled_and_woken(fleet: Fleet, images: dict[str, str]) -> None:
    """What the button does next is the engine's state, so a board after a kernel's restart says it too."""
    with shown_board(fleet, images) as (board, _):
        stalled = board.selected = fleet.instances[-1].name
        board.controls.buttons["Stall an instance"].click()
        assert soon(lambda: fleet.states[stalled] == "paused")
        assert soon(lambda: board.controls.buttons["Stall an instance"].description == f"Wake {stalled}")
        again = widgets.DeploymentBoard(fleet, images)  # as after a restart of the kernel
        assert again.state == board.state
        assert again.controls.buttons["Stall an instance"].description == f"Wake {stalled}"
        again.close()
        board.controls.buttons["Stall an instance"].click()
        assert soon(lambda: set(fleet.states.values()) == {"UP"})


@pytest.mark.engine
@pytest.mark.timeout(300)
def test_hands_promote_and_roll_back(fleet: Fleet, old: str, new: str) -> None:
    """A promotion ends the watch of a canary, blue/green goes back by hand; each press is shown as code."""
    both = {version(image): image for image in (old, new)}
    with shown_board(fleet, both) as (board, load):
        board.controls.version.value, board.controls.strategy.value = version(new), "canary"
        board.controls.buttons["Deploy"].click()
        assert soon(lambda: version(new) in fleet.versions)
        board.controls.buttons["Promote"].click()
        assert soon(lambda: "deployed" in repr(board))
        assert is_whole(fleet, {version(new): N})

        board.controls.version.value, board.controls.strategy.value = version(old), "blue/green"
        board.controls.buttons["Deploy"].click()
        assert soon(lambda: serving(fleet) == {version(old)})
        assert soon(lambda: board.controls.events[-1].split()[2:] == ["deployed"])
        board.controls.buttons["Roll back"].click()
        assert soon(lambda: serving(fleet) == {version(new)})
        for code in ("control.promote()", "deployment.blue_green(fleet", "deployment.roll_back(fleet)"):
            assert soon(partial(is_shown, board, f"you: {code}"))
        assert soon(lambda: is_whole(fleet, {version(new): N}))
        assert not load.snapshot().failed


@pytest.mark.engine
def test_a_stopped_store_is_shown_and_can_be_started_again(
    workspace: Workspace, images: dict[str, str]
) -> None:
    """Stop etcd pauses the real coordinator; the board says that it does not answer, until it does again."""
    with Environment.create(workspace.system, "staging", workspace=workspace) as staging:
        store = ToggleStore(staging.coordinator)
        store.set("basket_discount", on=False)
        board = widgets.DeploymentBoard(Fleet(staging, "cart"), images, store=store)
        assert soon(lambda: "toggle basket_discount" in repr(board))
        board.controls.buttons["Stop etcd"].click()
        assert soon(lambda: "does not answer" in repr(board))
        assert board.controls.buttons["Stop etcd"].description == "Start etcd"
        board.controls.buttons["Stop etcd"].click()
        assert soon(lambda: "does not answer" not in repr(board))
        board.close()


@pytest.mark.engine
def test_the_toggle_board_tells_that_etcd_is_silent_and_reads_on_when_it_answers(
    workspace: Workspace,
) -> None:
    """Views and buttons say what is missing; nothing ends but with the environment."""
    with Environment.create(workspace.system, "staging", workspace=workspace) as staging:
        board = widgets.ToggleBoard(Fleet(staging, "cart"))
        staging.element("coordinator").kill()
        assert soon(lambda: "coordinator" in board._error.value)
        board.buttons["Switch on"].click()
        assert soon(lambda: "the coordinator answers" in board.message.value)
        staging.element("coordinator").start()
        assert soon(lambda: not board._error.value)
        assert not board._ended.is_set()
    assert soon(board._ended.is_set)
    board.close()


@pytest.mark.engine
def test_toggles_are_switched_and_removed_by_buttons(workspace: Workspace) -> None:
    """A switch reaches every instance or none; the board says how many are ready, and why a button rests."""
    toggled = {"cart": image_of(workspace, "cart", "toggled")}
    services = {name: image_of(workspace, name, "v1") for name in workspace.system.services} | toggled
    with Environment.create(workspace.system, "staging", images=services, workspace=workspace) as staging:
        board = widgets.ToggleBoard(Fleet(staging, "cart"))
        assert board.buttons["Switch off"].tooltip == "it is off"
        assert board.buttons["Remove"].tooltip == "nobody has set it"
        board.buttons["Switch on"].click()
        assert soon(lambda: board.state == {"basket_discount": "on"})
        assert soon(lambda: not board.buttons["Remove"].disabled)
        frozen = staging.instances("cart")[0]
        frozen.pause()
        board.buttons["Switch off"].click()
        assert soon(lambda: board.ready == "2/3 ready")
        board.buttons["Switch on"].click()
        assert soon(lambda: "wait until it has ended" in board.message.value)
        frozen.resume()
        assert soon(lambda: board.state == {"basket_discount": "off"})
        board.buttons["Remove"].click()
        assert soon(lambda: board.buttons["Remove"].disabled)
        assert 'you: store.remove("basket_discount")' in repr(board)
        board.close()


def test_the_toggle_board_says_in_words_and_signs_what_it_says_in_colours() -> None:
    """Its picture is sound XML; the table tells the same."""
    ready = {"fast": {"cart-1": True, "cart-2": False}}
    state = TogglesState("cart", {"fast": "on"}, ready, Tally(90, 1), ("you: switch",))
    svg, texts = toggle_picture(state, "fast"), "\n".join(map(repr, toggle_tables(state)))
    words = " ".join(element.text or "" for element in ET.fromstring(svg).iter())  # noqa: S314 - our own
    for expected in ("✓ fast: on 1/2 ready", "✓ cart-1", "○ cart-2", "90 answers, 1 of them failed"):
        assert expected in words
    for expected in ("fast    on  1/2 ready", "cart-2    fast    no", "you: switch"):
        assert expected in texts


@pytest.mark.engine
def test_a_refusal_is_shown_below_the_controls(fleet: Fleet, images: dict[str, str], old: str) -> None:
    """The learner reads it where they look, with its next step."""
    board = widgets.DeploymentBoard(fleet, images)
    board.version, board.surge = version(old), 0
    assert board.controls.surge.value == 0
    with pytest.raises(traitlets.TraitError, match="v9"):
        board.version = "v9"
    with pytest.raises(traitlets.TraitError):
        board.surge = 99
    assert (board.version, board.controls.surge.value) == (version(old), 0)
    board.controls.buttons["Deploy"].click()
    assert soon(lambda: "surge" in board.controls.message.value)
    board.close()


THEMES = {"light": ("#ffffff", "#212121"), "dark": ("#111111", "#ffffff")}
"""Theme of JupyterLab → what is behind a picture, and the colour of its words."""


@pytest.mark.browser
def test_axe_finds_nothing_wrong_with_pictures_and_tables_in_either_theme(state: BoardState) -> None:
    """WCAG 2.2, levels A and AA: boards, a roll-out, and their tables."""
    ready = {"fast": {"cart-1": True, "cart-2": False}}
    toggles = TogglesState("cart", {"fast": "on"}, ready, Tally(90, 1), ("you: switch",))
    steps = (Step(2.0, "cart-2", "cart:v2", StepState.IN_BALANCER),)
    done = Deployment("cart", "cart:v1", "cart:v2", 4.0, steps, began=0.0)
    pictures = [
        widgets.Picture(draw(state), tables(state), "code"),
        widgets.Picture(toggle_picture(toggles, "fast"), toggle_tables(toggles), "code"),
        widgets.rollout(done, Measurement(began=0.0, tallies={Key(1, "v1", "GET /"): Tally(9, 2)})),
    ]
    parts = "".join(picture._repr_html_().replace("<details>", "<details open>") for picture in pictures)
    with browser() as chromium:
        page = chromium.new_page()
        for behind, words in THEMES.values():
            style = f"body{{background:{behind};color:{words};--jp-ui-font-color1:{words}}}"
            page.set_content(
                f"<html lang='en'><title>t</title><style>{style}</style><main>{parts}</main></html>"
            )
            report = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]})
            assert report.violations_count == 0, report.generate_report()


NOTEBOOK = """
from labkit import Environment, Workspace, deployment, load, toggles, widgets
workspace = Workspace.open()
images = {tag: deployment.image_of(workspace, "cart", tag) for tag in ("v1", "v2")}
environment = Environment.create(workspace.system, "staging", workspace=workspace)
fleet = deployment.Fleet(environment, "cart")
deployment.blue_green(fleet, images["v1"])
store = toggles.ToggleStore(environment.coordinator)
store.set("basket_discount", on=False)
cart = {"lines": [{"sku": "A100", "quantity": 2, "price_cents": 702}]}
mix = {load.Request("POST", "/totals", {"cart": cart}): 1}
running = load.apply(load.Load(mix, 60, None), environment.urls["cart"])
widgets.DeploymentBoard(fleet, images, load=running, store=store)
"""


def take_picture(page: Page, name: str) -> None:
    """Take a picture of the page, when there is a folder for it."""
    if folder := os.environ.get("LABKIT_SCREENSHOTS"):
        page.screenshot(path=f"{folder}/{name}.png")


def reopen_without_kernel(learner: Learner, page: Page, url: str) -> Locator:
    """Save the notebook of the board, end its kernel, and open it again; return the snapshot in it."""
    snapshot = page.locator(".labkit-snapshot")
    expect(snapshot.locator("text", has_text="s deployed")).to_have_count(1)
    expect(snapshot).to_be_hidden()
    page.keyboard.press("Control+S")
    expect(page.locator(".jp-mod-dirty")).to_have_count(0)
    token = {"Authorization": f"token {TOKEN}"}
    (session,) = page.request.get(f"{url}/api/sessions", headers=token).json()
    page.request.delete(f"{url}/api/sessions/{session['id']}", headers=token)
    learner.open(f"{url}/lab/tree/board.ipynb?reset&token={TOKEN}", "Board")
    return snapshot


@pytest.mark.browser
@pytest.mark.engine
@pytest.mark.timeout(300)
def test_a_learner_deploys_by_mouse_and_keyboard(tmp_path: Path) -> None:
    """Deploy version 2 by keyboard, and read in the picture what runs; it is there without its kernel too."""
    with jupyter(tmp_path / "workspace", tmp_path) as url, browser() as chromium:
        title = {"cell_type": "markdown", "id": "title", "metadata": {}, "source": "# Board"}
        code = {"cell_type": "code", "id": "code", "metadata": {}, "source": NOTEBOOK.strip()}
        cells = [title, {**code, "execution_count": None, "outputs": []}]
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
        notebook = {"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
        (tmp_path / "workspace" / "board.ipynb").write_text(json.dumps(notebook))
        page = chromium.new_page(viewport={"width": 1300, "height": 1300})
        learner = Learner(page)
        learner.open(f"{url}/lab/tree/board.ipynb?token={TOKEN}", "Board")
        learner.work(2, [])
        board = page.locator(".labkit-live svg[role=img]")
        board.wait_for()
        choice = page.locator(".labkit-live select").first
        choice.focus()
        choice.select_option("v2")
        expect(page.get_by_role("button", name="Deploy")).to_be_enabled()
        page.get_by_role("button", name="Deploy").press("Enter")
        page.locator(".labkit-live").get_by_text("toggle basket_discount: off").wait_for()
        expect(board.locator("text", has_text="v2, UP")).to_have_count(3, timeout=60_000)
        expect(board.locator("text", has_text="s deployed")).to_have_count(1)
        take_picture(page, "deployment-board")
        snapshot = reopen_without_kernel(learner, page, url)
        expect(snapshot.locator("text", has_text="v2, UP")).to_have_count(3, timeout=60_000)
        expect(snapshot).to_be_visible()
        expect(page.get_by_text("Loading widget")).to_be_hidden()
        take_picture(page, "deployment-board-without-kernel")
    assert Workspace.open(tmp_path / "workspace").artifacts.verify()
