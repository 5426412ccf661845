from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import Lab, browser, lab, wait_for_idle
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect
from test_jupyter import begin_run, environment, record

from labkit.artifacts import Kind
from labkit.engine import Engine, Label
from labkit.workspace import Workspace

pytestmark = [pytest.mark.browser, pytest.mark.engine]
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
HANDLED = (
    "status of 409",  # the panel tells the reason
    "ERR_NETWORK_CHANGED",  # containers of others start; the panel asks again
    "Failed to fetch",  # JupyterLab's own words for the same, or for a page that closes while it loads
)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Start a browser."""
    with browser() as started:
        yield started


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """Return a new page that fails the test when it logs an error."""
    faults: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error" and not any(handled in message.text for handled in HANDLED):
            faults.append(message.text)

    page = chromium.new_page()
    page.on("console", note)
    page.on("pageerror", lambda error: faults.append(str(error)))
    yield page
    seen = [*faults]  # what a page that is closed cannot fetch any more is no fault
    page.close()
    assert seen == []


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Return a new workspace; its database is closed in the end."""
    made = Workspace.create(tmp_path_factory.mktemp("workspace"))
    yield made
    made.artifacts.close()


@pytest.fixture(scope="module")
def server(workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Run JupyterLab on the workspace."""
    with lab(workspace.root, tmp_path_factory.mktemp("server")) as running:
        yield running


def panel(server: Lab, page: Page, path: str = "") -> Locator:
    """Open JupyterLab, on a file when path names one, and its panel."""
    server.open(page, path)
    page.get_by_role("tab", name="Pipeline", exact=True).click()
    opened = page.get_by_role("region", name="Pipeline", exact=True)
    expect(opened).to_be_visible()
    return opened


def assert_accessible(page: Page) -> None:
    """Assert that axe finds nothing wrong with the panel, in the light and in the dark theme."""
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        change = "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})"
        page.evaluate(change, theme)
        expect(page.locator(f"body[data-jp-theme-name='{theme}']")).to_be_attached()
        report = Axe().run(page, context="#labkit-panel")
        assert report.violations_count == 0, report.generate_report()


def test_an_empty_workspace_shows_the_next_step(page: Page, tmp_path: Path) -> None:
    """An empty panel says what to do; no other host gets a request, and no news from JupyterLab appears."""
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    with lab(Workspace.create(tmp_path / "new").root, tmp_path) as server:
        opened = panel(server, page)
        expect(opened).to_contain_text("labkit environment create --stage integration")
        expect(opened).to_contain_text("labkit pipeline run")
        assert_accessible(page)
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(page.get_by_text("news", exact=False)).to_have_count(0)
        page.close()  # before its server ends, which it would tell as an error
    assert [url for url in addresses if not url.startswith((server.url, "data:", "blob:"))] == []


def test_what_is_made_elsewhere_shows_without_a_reload(page: Page, workspace: Workspace, server: Lab) -> None:
    """Containers started and facts recorded by another process show as they happen, and go as they go."""
    opened = panel(server, page)
    expect(opened.get_by_text("No environment is alive")).to_be_visible()
    with environment(workspace, "staging", containers=2) as name:
        seen = opened.get_by_role("listitem").filter(has_text=name)
        expect(seen).to_contain_text("2 containers")
        expect(seen).to_contain_text("held by this workspace")
    expect(seen).to_have_count(0)
    begin_run(workspace, "run-seen")
    stages = opened.get_by_role("list", name="Stages of run run-seen").get_by_role("listitem")
    expect(stages).to_have_text(
        [r"developmentpassed1.5 s", "integrationrunning", "stagingnot started", "productionnot started"]
    )


def test_an_environment_is_cleaned_up_by_keyboard(page: Page, workspace: Workspace, server: Lab) -> None:
    """The button works by keyboard, says what it did, leaves nothing, and the focus stays in the panel."""
    opened = panel(server, page)
    with environment(workspace, "integration") as name:
        opened.get_by_role("button", name=f"Clean up {name}").press("Enter")
        expect(opened.get_by_role("status")).to_have_text(f"{name} is cleaned up")
        expect(opened.get_by_role("listitem").filter(has_text=name)).to_have_count(0)
        expect(opened.get_by_role("heading", name="Environments")).to_be_focused()
        assert Engine.find().owned({Label.ENVIRONMENT: name}) == []


def test_production_is_removed_only_after_a_confirmation(
    page: Page, workspace: Workspace, server: Lab
) -> None:
    """Production's button asks first; Cancel leaves everything as it is."""
    opened = panel(server, page)
    with environment(workspace, "production") as name:
        button = opened.get_by_role("button", name=f"Clean up {name}")
        question = page.get_by_role("dialog").filter(has_text=f"Clean up {name}?")
        button.click()
        question.get_by_role("button", name="Cancel").click()
        expect(question).to_have_count(0)
        assert Engine.find().owned({Label.ENVIRONMENT: name})
        button.click()
        question.get_by_role("button", name="Clean up").click()
        expect(button).to_have_count(0)
        assert Engine.find().owned({Label.ENVIRONMENT: name}) == []


def test_a_waiting_run_is_approved_by_its_button(page: Page, workspace: Workspace, server: Lab) -> None:
    """A run that waits says so and has a button; who pressed it is recorded. All of it passes axe."""
    opened = panel(server, page)
    begin_run(workspace, "run-to-approve", state="waiting")
    with environment(workspace, "staging"), environment(workspace, "production"):
        expect(opened.get_by_text("waiting for approval")).to_be_visible()
        assert_accessible(page)
    opened.get_by_role("button", name="Approve run run-to-approve for production").click()
    expect(opened.get_by_role("status")).to_contain_text("run-to-approve is approved")
    assert workspace.artifacts.history(kind=Kind.APPROVED, run="run-to-approve")


def test_a_refused_request_shows_why(page: Page, workspace: Workspace, server: Lab) -> None:
    """What cannot be done any more is answered with expected, seen and next, until it is dismissed."""
    opened = panel(server, page)
    begin_run(workspace, "run-approved-elsewhere", state="waiting")
    approve = opened.get_by_role("button", name="Approve run run-approved-elsewhere for production")
    expect(approve).to_be_visible()
    stale = server.request("GET", "labkit/state")[1]
    page.route("**/labkit/state*", lambda route: route.fulfill(json=stale))
    record(workspace, "run-approved-elsewhere", Kind.STAGE_STARTED, "integration", state="running")
    approve.click()
    problem = opened.get_by_role("alert")
    expect(problem).to_contain_text("is running")
    problem.get_by_role("button", name="Dismiss").click()
    expect(problem).to_have_count(0)


def test_the_holder_is_named_from_where_the_learner_stands(
    page: Page, workspace: Workspace, server: Lab
) -> None:
    """What a kernel made is held by "this notebook" in front of it, and goes only after a confirmation."""
    code = f"""
from labkit.engine import BASE, Engine, Owner
labels = {{"labkit.workspace": "{workspace.id}", "labkit.environment": "held", "labkit.stage": "staging",
          "labkit.owner": str(Owner.process())}}
Engine.find().client.containers.create(BASE, ["true"], labels=labels)
"""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)], metadata=KERNEL)
    nbformat.write(notebook, workspace.root / "mine.ipynb")
    opened = panel(server, page, "mine.ipynb")
    wait_for_idle(page)
    page.evaluate("void window.jupyterapp.commands.execute('notebook:run-all-cells')")
    seen = opened.get_by_role("listitem").filter(has_text="held")
    expect(seen).to_contain_text("held by this notebook", timeout=30_000)
    opened.get_by_role("button", name="Clean up held").click()
    question = page.get_by_role("dialog").filter(has_text="It is held by this notebook")
    question.get_by_role("button", name="Cancel").click()
    expect(seen).to_have_count(1)
    page.evaluate("void window.jupyterapp.commands.execute('launcher:create')")
    expect(seen).to_contain_text("held by mine.ipynb")
    page.evaluate("void window.jupyterapp.commands.execute('kernelmenu:shutdown')")
    Engine.find().remove({Label.ENVIRONMENT: "held"})


def test_without_an_engine_the_panel_says_what_to_do(
    page: Page, workspace: Workspace, tmp_path: Path
) -> None:
    """In place of the environments stands how to bring the engine back; the runs are still there."""
    begin_run(workspace, "run-before")
    with lab(workspace.root, tmp_path, {"DOCKER_HOST": f"unix://{tmp_path}/no.sock"}) as server:
        opened = panel(server, page)
        expect(opened.get_by_role("alert")).to_contain_text("unset DOCKER_HOST")
        expect(opened.get_by_role("list", name="Last runs")).to_be_visible()
        assert_accessible(page)
        page.close()


def test_arrow_keys_choose_an_answer(page: Page, workspace: Workspace, server: Lab) -> None:
    """They stay in the question, go round, and Record takes what they chose."""
    code = "from labkit import widgets\nwidgets.choice_form('Which?', ['a', 'b', 'c'], None, print)"
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(code) for _ in range(2)], metadata=KERNEL
    )
    nbformat.write(notebook, workspace.root / "asks.ipynb")
    server.open(page, "asks.ipynb")
    wait_for_idle(page)
    page.evaluate("void window.jupyterapp.commands.execute('notebook:run-all-cells')")
    form = page.locator(".jp-CodeCell").first
    choices = form.get_by_role("radio")
    choices.nth(1).click()
    for key, chosen in (("ArrowDown", 2), ("ArrowRight", 0), ("ArrowUp", 2), ("ArrowLeft", 1)):
        page.keyboard.press(key)
        expect(choices.nth(chosen)).to_be_checked()
        expect(choices.nth(chosen)).to_be_focused()
    form.get_by_role("button", name="Record").click()
    expect(form).to_contain_text("✓ recorded")
    expect(form.locator(".jp-OutputArea")).to_contain_text("b")
