"""Widgets and texts in JupyterLab, on the smallest screen and in both themes, before axe.

With LABKIT_SCREENSHOTS, the name of a folder, each of them is also photographed there.
"""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import Lab, browser, lab, wait_for_idle
from playwright.sync_api import Page, ViewportSize, expect

from labkit import Environment, widgets
from labkit.grading import learner_notebooks
from labkit.workspace import Workspace

pytestmark = [pytest.mark.browser, pytest.mark.engine, pytest.mark.timeout(300)]

THEMES = ("JupyterLab Dark", "JupyterLab Light")
SMALL = ViewportSize(width=1024, height=700)
"""A projector, or a small laptop."""
LEVELS = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]
NOTEBOOK = ".jp-NotebookPanel:not(.lm-mod-hidden)"
CONTEXT = {"include": [[f"{NOTEBOOK} .jp-OutputArea"], [f"{NOTEBOOK} .jp-MarkdownOutput"]]}
"""All that labkit shows: texts and outputs, and not JupyterLab's own editors."""
NOT_SHOWN = {"show", "refuse_cells", "rephrase_errors"}
"""Public names of the room widgets that show nothing of their own."""

GALLERY = (
    """
from labkit import lesson, widgets
lab = lesson.open("create-use-clean-up")
workspace = lab.workspace""",
    "widgets.PipelineBoard(workspace)",
    "widgets.Picture(widgets.PipelineBoard(workspace).snapshot.svg, [], 'code')",
    'widgets.show(widgets.run(workspace), widgets.run_button("Start", "start()", print))',
    'widgets.choice_form("Which one?", ["this", "that"], None, print)',
    'widgets.choice_form("Which one?", ["this", "that"], "this", print)',
    'widgets.text_form("Why?", None, print)',
    'widgets.text_form("Why?", "Because.", print, afterwards="<p>One good answer.</p>")',
    """
rows = [("says why", True, None), ("names a price", False, True)]
widgets.RubricForm(iter([widgets.AnswerToJudge("Why?", "Because.", "An answer.", rows, print)]))""",
    'widgets.collapsible(["Look first.", "Then leap."])',
    'widgets.show(widgets.note("A sentence."), widgets.link("http://localhost", "A link"))',
    'widgets.show(widgets.page("labs/index.ipynb", "All labs"))',
    'widgets.Table(("what", "is"), [("a", 1), ("b", 2)], "a table")',
    'lab.reflect("share-one", "Would you share one?")',
    'lab.compare(lab.predict("size", "How many?", ["3", "4"]), "4", "seen: 4", "It grew.")',
    'with lab.check("sums"):\n    assert 1 + 1 == 2, "add"\n    assert 1 + 1 == 3, "add again"',
)

CONTAINERS = (
    """
from labkit import Environment, deployment, lesson, load, testdata, widgets
workspace = lesson.open("rolling-upgrade").workspace
images = {name: deployment.image_of(workspace, name, "v1") for name in workspace.system.services}
toggled = deployment.image_of(workspace, "cart", "toggled")
environment = Environment.create(workspace.system, "staging", images=images, workspace=workspace)
fleet = deployment.Fleet(environment, "cart")""",
    """
asks = load.Request("POST", "/items", {"sku": "A100", "quantity": 2})
running = load.apply(load.Load({asks: 1}, 10, None), environment.urls["cart"])
done = deployment.rolling(fleet, toggled)
widgets.rollout(done, running.snapshot())""",
    'board = widgets.DeploymentBoard(fleet, {"v1": images["cart"], "toggled": toggled}, load=running)\nboard',
    "toggles = widgets.ToggleBoard(fleet, load=running)\ntoggles",
    "view = widgets.EnvironmentView(environment)\nview",
    "widgets.service_graph(environment, last_s=20)",
    """
answer = lesson.ask(f"{environment.url}/products")
widgets.request(environment, answer.request_id)""",
    """
source, target = environment.database.beside("source").url, environment.database.beside("target").url
testdata.generate(source, customers=200, seed=1)
widgets.survey(testdata.survey(source))""",
    """
testdata.subset(source, target, {})
progress = widgets.AuditProgress(source, target)
progress""",
    "widgets.audit(testdata.audit(source, target))",
    'print("all of it", "is shown")',
)
"""What needs containers, on those of one environment."""

FAULTS = """outputs => {
  const wide = outputs.getBoundingClientRect();
  const seen = node => node.getClientRects().length && getComputedStyle(node).visibility !== 'hidden';
  const controls = [...outputs.querySelectorAll('button, select, input, textarea, summary, a, [role=tab]')];
  return controls.filter(seen).flatMap(node => {
    const box = node.getBoundingClientRect(), words = node.outerHTML.slice(0, 120);
    const off = box.left < wide.left - 1 || box.right > wide.right + 1;
    const group = node.closest('[role=tablist], [role=radiogroup], .widget-radio');
    return [...(off ? ['off the screen: ' + words] : []),
            ...(node.tabIndex < 0 && !group ? ['no keyboard: ' + words] : [])];
  });
}"""
"""What is wrong with the controls in a cell's outputs: beyond their edge, or out of the keyboard's reach."""


def write_notebook(path: Path, sources: Sequence[str]) -> None:
    """Write a notebook with a code cell for each source."""
    cell: dict[str, Any] = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": []}
    cells = [{**cell, "id": f"c{at}", "source": source.strip()} for at, source in enumerate(sources)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    path.write_text(json.dumps({"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}))


def test_every_widget_is_in_the_gallery() -> None:
    """What the room widgets shows stands in one of both galleries: a new widget is looked at too."""
    source = "\n".join(GALLERY + CONTAINERS)
    shown = [name for name in widgets.__all__ if name not in NOT_SHOWN]
    assert [name for name in shown if f"widgets.{name}(" not in source] == []


@pytest.fixture
def page() -> Iterator[Page]:
    """Return a page of the smallest screen."""
    with browser() as chromium:
        yield chromium.new_page(viewport=SMALL)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Lab]:
    """Run JupyterLab on a new workspace with the gallery; clean up what its kernels made."""
    workspace = Workspace.create(tmp_path / "workspace", notebooks=learner_notebooks())
    write_notebook(workspace.root / "gallery.ipynb", GALLERY)
    write_notebook(workspace.root / "containers.ipynb", CONTAINERS)
    # JupyterLab takes what is out of sight out of the page, where axe would not see it.
    settings = tmp_path / "settings" / "@jupyterlab" / "notebook-extension" / "tracker.jupyterlab-settings"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps({"windowingMode": "none"}))
    with lab(workspace.root, tmp_path, {"LABKIT_UNATTENDED": "1"}) as running:
        yield running
    Environment.clean_up_all(workspace)
    workspace.artifacts.close()


def faults_of(page: Page, name: str) -> Iterator[str]:
    """Yield what is wrong with the notebook in front, in each theme and each view of its widgets."""
    change = "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})"
    for theme in THEMES:
        page.evaluate(change, theme)
        page.locator(f"body[data-jp-theme-name='{theme}']").wait_for(state="attached")
        for view in ("Code", "Table", "Picture"):
            for tab in page.locator(NOTEBOOK).get_by_role("tab", name=view, exact=True).all():
                tab.click()
            report = Axe().run(page, CONTEXT, {"runOnly": LEVELS})
            where = f"{name}, {view}, {theme}"
            for one in report.response["violations"]:
                yield from (f"{where}: {one['id']}: {node['html'][:200]}" for node in one["nodes"])
            for outputs in page.locator(f"{NOTEBOOK} .jp-OutputArea").all():
                yield from (f"{where}: {fault}" for fault in outputs.evaluate(FAULTS))
            take_pictures(page, f"{name}-{view}-{theme.rpartition(' ')[2].lower()}")


def take_pictures(page: Page, name: str) -> None:
    """Take a picture of each cell, when there is a folder for them."""
    if folder := os.environ.get("LABKIT_SCREENSHOTS"):
        for at, cell in enumerate(page.locator(f"{NOTEBOOK} .jp-Cell").all()):
            cell.screenshot(path=Path(folder) / f"{name}-{at:02}.png")


@pytest.mark.parametrize(
    ("path", "shows"),
    [
        ("gallery.ipynb", "1 of 2 public checks passed"),
        ("containers.ipynb", "all of it is shown"),
        ("labs/index.ipynb", "next: One change to production"),
        ("labs/glossary.ipynb", "acknowledgement"),
    ],
)
def test_axe_finds_nothing_and_every_control_can_be_reached(
    page: Page, server: Lab, path: str, shows: str
) -> None:
    """No violation of WCAG 2.2 A and AA, no control beyond the edge or out of the keyboard's reach."""
    server.open(page, path)
    if path != "labs/glossary.ipynb":
        wait_for_idle(page)
        page.evaluate("void window.jupyterapp.commands.execute('notebook:run-all-cells')")
    expect(page.locator(NOTEBOOK).get_by_text(shows).last).to_be_attached(timeout=240_000)
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert [*faults_of(page, Path(path).stem)] == []
