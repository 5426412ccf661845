"""The pipeline board in a real browser: how soon an event is in the picture, and how the page grows.

Runs begin one after the other, as the pipeline records them; the page itself notes when it shows which.
"""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from playwright.sync_api import Page

sys.path.insert(0, str(Path(__file__).parents[1]))
from browser import Lab, browser, lab, wait_for_idle

from labkit.artifacts import Kind, Subject
from labkit.engine import Owner
from labkit.workspace import Workspace

EVENTS, GAP_S = 60, 0.45
"""Single events, each seen before the next; the gap is no multiple of the board's own pace."""
UPDATES, WITHIN_S = 10_000, 300
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
CODE = "from labkit import widgets\nboard = widgets.PipelineBoard()\nboard"
WATCH = """() => {
  window.shown = {};
  new MutationObserver(() => {
    for (const picture of document.querySelectorAll('.labkit-live svg')) {
      const run = /run (e\\d+) /.exec(picture.textContent);
      if (run) window.shown[run[1]] ??= Date.now() / 1000;
    }
  }).observe(document.body, {subtree: true, childList: true});
}"""


def begin(workspace: Workspace, run: str) -> float:
    """Record that a run began; return the moment at which it stood in the artifact database."""
    subject = Subject("shop", "gitCommit:" + "ab" * 20)
    workspace.artifacts.record(
        Kind.RUN_STARTED,
        subject,
        run=run,
        by="ada",
        owner=str(Owner.process()),
        commit="ab" * 20,
        subject_line="Sell at most 12",
        stages=["development", "production"],
    )
    return time.time()


def open_board(workspace: Workspace, page: Page, running: Lab) -> None:
    """Open a notebook that shows the board, and let the page note which run it shows."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CODE)], metadata=KERNEL)
    nbformat.write(notebook, workspace.root / "board.ipynb")
    running.open(page, "board.ipynb")
    wait_for_idle(page)
    page.evaluate("void window.jupyterapp.commands.execute('notebook:run-all-cells')")
    page.locator(".labkit-live svg").first.wait_for(timeout=60_000)
    page.evaluate(WATCH)


def used(page: Page) -> float:
    """Return the megabytes of the page's own objects, after what nobody holds any more was collected."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    bytes_used = session.send("Runtime.getHeapUsage")["usedSize"]
    session.detach()
    return float(bytes_used) / 1e6


def latency(workspace: Workspace, page: Page) -> None:
    """Print how long single events take from the artifact database to the picture."""
    recorded = {}
    for number in range(EVENTS):
        recorded[f"e{number}"] = begin(workspace, f"e{number}")
        time.sleep(GAP_S)
    page.wait_for_function(f"window.shown['e{EVENTS - 1}']", timeout=30_000)
    shown = page.evaluate("window.shown")
    took = sorted(1e3 * (shown[run] - at) for run, at in recorded.items() if run in shown)
    figures = {"median_ms": round(statistics.median(took)), "worst_ms": round(took[-1])}
    print(json.dumps({"figure": "event to picture", "events": len(took), **figures}), flush=True)


def growth(workspace: Workspace, page: Page) -> None:
    """Print by how much the page grows while a board follows many events."""
    before, began = used(page), time.monotonic()
    for number in range(UPDATES):
        begin(workspace, f"e{EVENTS + number}")
        time.sleep(max(0.0, began + (number + 1) * WITHIN_S / UPDATES - time.monotonic()))
    seconds = time.monotonic() - began
    page.wait_for_function(f"window.shown['e{EVENTS + UPDATES - 1}']", timeout=60_000)
    pictures = page.evaluate("Object.keys(window.shown).length")
    page.evaluate("window.shown = {}")
    figures = {"events": UPDATES, "pictures": pictures, "seconds": round(seconds)}
    grown = round(used(page) - before, 1)
    print(json.dumps({"figure": "growth of the page", **figures, "megabytes": grown}), flush=True)


def main() -> None:
    """Print each figure as one JSON line."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.create(Path(folder) / "workspace")
        variables = {"LABKIT_WORKSPACE": str(workspace.root)}
        with lab(workspace.root, Path(folder), variables) as running, browser() as chromium:
            page = chromium.new_page(viewport={"width": 1024, "height": 700})
            open_board(workspace, page, running)
            latency(workspace, page)
            growth(workspace, page)
        workspace.artifacts.close()


if __name__ == "__main__":
    main()
