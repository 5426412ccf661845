"""The first lab in a real browser, done as a learner does it: by what the screen says."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from browser import TOKEN, browser, free_port
from playwright.sync_api import Locator, Page, expect

from labkit import Environment, Workspace
from labkit.artifacts import Kind

pytestmark = [pytest.mark.browser, pytest.mark.engine, pytest.mark.timeout(900)]

PREDICTIONS = {
    "How often is the image of the cart built": "once",
    "Which stage will take longest": "production",
    "How far does it get": "stops in integration",
    "Which stage stops the change": "integration",
    "and no staging: what happens to it": "integration stops it",
}
SOLUTION = """cart.write_text(cart.read_text().replace("MOST_OF_ONE = 12", "MOST_OF_ONE = 24"))
!git -C {workspace.shop} commit --quiet --all --message "Sell at most 24 of one product"
pipeline.run(workspace).state
"""
CELL_S = 240
LONGEST = 60
SCREENSHOTS = os.environ.get("LABKIT_SCREENSHOTS")
"""A folder for pictures of the way through the lab; without it none are taken."""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Run `labkit lab` on a new folder, without a browser of its own, and return its address."""
    port, root = free_port(), tmp_path / "workspace"
    command = [sys.executable, "-m", "labkit", "lab", str(root), "--port", str(port), "--no-browser"]
    own = {"JUPYTER_TOKEN": TOKEN} | {
        f"JUPYTER{name}_DIR": str(tmp_path / name.strip("_").lower())
        for name in ("_CONFIG", "_RUNTIME", "LAB_SETTINGS", "LAB_WORKSPACES")
    }
    quiet = {name: value for name, value in os.environ.items() if name != "LABKIT_UNATTENDED"}
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(command, env=quiet | own, stdout=log, stderr=log)
        try:
            yield _await_server(server, port, tmp_path / "log")
        finally:
            server.send_signal(signal.SIGINT)
            server.send_signal(signal.SIGTERM)
            server.wait()
            Environment.clean_up_all(Workspace.open(root))


def _await_server(server: subprocess.Popen[bytes], port: int, log: Path) -> str:
    url = f"http://127.0.0.1:{port}"
    for _ in range(600):
        assert server.poll() is None, log.read_text()
        try:
            with urlopen(f"{url}/api"):  # noqa: S310 - our own server
                return f"{url}/?token={TOKEN}"
        except URLError:
            time.sleep(0.1)
    raise AssertionError(log.read_text())


def picture(page: Page, name: str) -> None:
    """Take a picture when pictures are wanted."""
    if SCREENSHOTS:
        page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png")


def active(page: Page) -> Locator:
    """Return the cell that the next Shift+Enter runs."""
    return page.locator(".jp-Notebook .jp-Cell.jp-mod-active")


def predict(page: Page, cell: Locator) -> None:
    """Choose and record, when a cell asks for a prediction."""
    for question, answer in PREDICTIONS.items():
        if cell.get_by_text(question).count() and cell.get_by_role("button", name="Record").count():
            cell.get_by_text(answer, exact=True).click()
            cell.get_by_role("button", name="Record").click()
            expect(cell.get_by_text("✓ recorded")).to_be_visible()
            picture(page, f"predicted-{answer.replace(' ', '-')}")
            cell.get_by_text(question).last.click()
            run_cell(page)  # the form took the focus; running its cell again goes on to the next
            return


def run_cell(page: Page) -> Locator:
    """Run the active cell and wait for its end; return it."""
    cell = page.locator(f"[data-labkit-step='{mark(page)}']")
    page.keyboard.press("Shift+Enter")
    if cell.locator(".jp-InputPrompt").count():
        expect(cell.get_by_text("[*]:")).to_have_count(0, timeout=CELL_S * 1000)
    return cell


def mark(page: Page) -> str:
    """Give the active cell a name, because the next one becomes active when it runs."""
    name = f"step-{time.monotonic_ns()}"
    active(page).evaluate("(cell, name) => cell.setAttribute('data-labkit-step', name)", name)
    return name


def test_a_learner_finishes_the_first_lab(address: str, tmp_path: Path) -> None:
    """`labkit lab` opens the first lab; what the screen says is enough to finish it."""
    with browser() as chromium:
        page = chromium.new_page(viewport={"width": 1400, "height": 1000})
        open_lab(page, address)
        page.keyboard.press("Escape")
        finished = solve(page)
        picture(page, "finished")
    assert finished
    workspace = Workspace.open(tmp_path / "workspace")
    passed = {
        fact.predicate["check"]: fact.predicate["passed"]
        for fact in workspace.artifacts.history(kind=Kind.CHECKED)
    }
    assert passed == {"at most 24": True, "clean-up": True}
    assert Environment.list(workspace) == []


def open_lab(page: Page, address: str) -> None:
    """Open the address and begin with the first cell; load again when the browser dropped a request.

    Chromium drops what it is loading when a network interface comes or goes, as each container's does.
    """
    for _ in range(5):
        page.goto(address)
        heading = page.get_by_role("heading", name="One change to production")
        expect(heading).to_be_visible(timeout=60_000)
        try:
            expect(page.get_by_text("| Idle")).to_be_visible(timeout=30_000)
        except AssertionError:
            continue
        heading.click()
        return
    pytest.fail("JupyterLab did not load whole in five attempts")


def solve(page: Page) -> bool:
    """Go through the cells to the last one; return whether the check said that all public checks passed."""
    checked = False
    for step in range(LONGEST):
        if active(page).get_by_text("# yours to write").count():
            active(page).get_by_text("# yours to write").click()
            page.keyboard.press("Control+A")
            page.keyboard.insert_text(SOLUTION)
        cell = run_cell(page)
        predict(page, cell)
        picture(page, f"step-{step:02}")
        checked = checked or bool(cell.get_by_text("4 of 4 public checks passed; 2 more when graded").count())
        if cell.get_by_text("the whole record verifies").count():
            return checked
    return False
