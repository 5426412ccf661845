"""A learner at a real browser: opens a lab as `labkit lab` shows it, and goes by what the screen says."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from browser import TOKEN, free_port
from playwright.sync_api import Locator, Page, expect

from labkit import Environment, Workspace

CELL_S = 240
YOURS = "# yours to write"
ERRORS = "[data-mime-type='application/vnd.jupyter.stderr']"
FOLDED = ".jp-InputPlaceholder"
WIDGET = "[data-mime-type='application/vnd.jupyter.widget-view+json']"
SHOWN = ".widget-vbox button, table, details"
"""What a folded cell with a widget shows: a form, the rows of a check, or hints."""
RAN = """cell => {
  const cells = window.jupyterapp.shell.currentWidget.content.widgets;
  const model = cells.find(one => one.node === cell).model;
  return model.type !== 'code' || (model.executionCount !== null && model.executionState === 'idle');
}"""
"""Whether a cell has run to its end: a folded one has no prompt that tells it."""
SCREENSHOTS = os.environ.get("LABKIT_SCREENSHOTS")
"""A folder for pictures of the way through a lab; without it none are taken."""
THEME = os.environ.get("LABKIT_THEME", "JupyterLab Light")
WIDTH, HEIGHT = map(int, os.environ.get("LABKIT_SCREEN", "1400x1000").split("x"))
"""The screen on which a lab is worked through."""


@contextmanager
def jupyter(root: Path, scratch: Path) -> Iterator[str]:
    """Run `labkit lab` on a new folder, with no browser, and give its address without the token."""
    port = free_port()
    command = [sys.executable, "-m", "labkit", "lab", str(root), "--port", str(port), "--no-browser"]
    own = {"JUPYTER_TOKEN": TOKEN} | {
        f"JUPYTER{name}_DIR": str(scratch / name.strip("_").lower())
        for name in ("_CONFIG", "_RUNTIME", "LAB_SETTINGS", "LAB_WORKSPACES")
    }
    (scratch / "config").mkdir()
    exposed = {"LabApp": {"expose_app_in_browser": True}}
    (scratch / "config" / "jupyter_lab_config.json").write_text(json.dumps(exposed), encoding="utf-8")
    chosen = scratch / "lab_settings" / "@jupyterlab" / "apputils-extension" / "themes.jupyterlab-settings"
    chosen.parent.mkdir(parents=True)
    chosen.write_text(json.dumps({"theme": THEME}), encoding="utf-8")
    quiet = {name: value for name, value in os.environ.items() if name != "LABKIT_UNATTENDED"}
    with (scratch / "log").open("w") as log:
        server = subprocess.Popen(command, env=quiet | own, stdout=log, stderr=log)
        try:
            yield _await_server(server, port, scratch / "log")
        finally:
            server.send_signal(signal.SIGINT)
            server.send_signal(signal.SIGTERM)
            server.wait()
            workspace = Workspace.open(root)
            Environment.clean_up_all(workspace)
            workspace.artifacts.close()


def _await_server(server: subprocess.Popen[bytes], port: int, log: Path) -> str:
    url = f"http://127.0.0.1:{port}"
    for _ in range(600):
        assert server.poll() is None, log.read_text()
        try:
            with urlopen(f"{url}/api"):  # noqa: S310 - our own server
                return url
        except URLError:
            time.sleep(0.1)
    raise AssertionError(log.read_text())


class Learner:
    """Goes through the notebook in front, cell by cell, with Shift+Enter."""

    def __init__(self, page: Page) -> None:
        """Take a page."""
        self._page, self._step, self._name = page, 0, ""

    def open(self, address: str, heading: str) -> None:
        """Open an address and begin with the first cell; load again when the browser dropped a request.

        Chromium drops what it is loading when a network interface comes or goes, as each container's does.
        """
        for _ in range(5):
            self._page.goto(address)
            if self._begins(heading):
                return
        raise AssertionError("JupyterLab did not load whole in five attempts")

    def follow(self, link: str) -> None:
        """Click a link to another lab, which has the lab's title, and begin with its first cell."""
        self._page.get_by_role("link", name=link, exact=True).first.click()
        assert self._begins(link)

    def _begins(self, heading: str) -> bool:
        """Select the first cell of the notebook with this heading; return whether both came up."""
        title = self._page.get_by_role("heading", name=heading, exact=True).last
        try:
            expect(title).to_be_visible(timeout=30_000)
            expect(self._page.get_by_text("| Idle")).to_be_visible(timeout=30_000)
        except AssertionError:
            return False
        self._name = heading
        title.click()
        self._page.keyboard.press("Escape")
        return True

    def work(self, cells: int, solutions: Sequence[str]) -> str:
        """Run so many cells, fill in the solutions in order, answer every question; return the texts."""
        rest, texts = list(solutions), []
        for _ in range(cells):
            if self._active.get_by_text(YOURS).count():
                self._write(rest.pop(0))
            cell = self._run()
            if asks(cell):
                self._answer(cell)
                cell = self._run()  # the form took the focus; running its cell again goes on to the next
            assert not cell.locator(ERRORS).count(), cell.inner_text()
            texts.append(cell.inner_text())
            self._picture()
        assert not rest, "not every exercise was met"
        return "\n".join(texts)

    @property
    def _active(self) -> Locator:
        """The cell that the next Shift+Enter runs."""
        return self._page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Cell.jp-mod-active")

    def _write(self, source: str) -> None:
        self._active.get_by_text(YOURS).click()
        self._page.keyboard.press("Control+A")
        self._page.keyboard.insert_text(source)

    def _run(self) -> Locator:
        """Run the active cell and wait for its end; return it, though the next one is active by then."""
        self._step += 1
        name = f"step-{self._step}"
        self._active.evaluate("(cell, name) => cell.setAttribute('data-labkit-step', name)", name)
        cell = self._page.locator(f"[data-labkit-step='{name}']")
        self._page.keyboard.press("Shift+Enter")
        self._page.wait_for_function(RAN, arg=cell.element_handle(), timeout=CELL_S * 1000)
        return cell

    def _answer(self, cell: Locator) -> None:
        """Answer every question of a cell; then make the cell active again."""
        for form in cell.locator(".widget-vbox").all():
            options, lines = form.get_by_role("radio"), form.get_by_role("textbox")
            if options.count():
                options.first.click()  # their order is the learner's own: some predict right, some wrong
            elif lines.count():
                lines.first.fill("I would measure it first.")
            form.get_by_role("button", name="Record").click()
            expect(form.get_by_text("✓ recorded")).to_be_visible()
        self._picture()
        cell.locator(".widget-vbox strong").last.click()

    def _picture(self) -> None:
        if SCREENSHOTS:
            name = self._name.replace("/", "-")  # A/B testing
            self._page.screenshot(path=Path(SCREENSHOTS) / f"{name}-{self._step:02}.png")


def asks(cell: Locator) -> bool:
    """Return whether a folded cell asks for an answer; wait for its widgets, which take a moment."""
    if not cell.locator(FOLDED).count():
        return False
    if cell.locator(WIDGET).count():
        expect(cell.locator(SHOWN).first).to_be_visible()
    return cell.get_by_role("button", name="Record", exact=True).count() > 0
