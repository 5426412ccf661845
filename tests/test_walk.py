"""Labs in a real browser, worked through from the first cell to the last."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from browser import TOKEN, browser
from learner import HEIGHT, WIDTH, Learner, jupyter

from labkit import Environment, Workspace
from labkit.artifacts import Kind
from labkit.grading._release import HIDDEN
from labkit.workspace import course

pytestmark = [pytest.mark.browser, pytest.mark.engine, pytest.mark.timeout(900)]

LABS = os.environ.get("LABKIT_WALK", "create-use-clean-up").split(",")
"""Which labs, by slug: one, because a lab takes minutes here. All of them: LABKIT_WALK=all."""


def chosen() -> list[Path]:
    """Return the solved notebooks to walk through."""
    every = {path.stem[3:]: path for path in sorted(course().glob("labs/[0-9]*/*.ipynb"))}
    return [*every.values()] if LABS == ["all"] else [every[slug] for slug in LABS]


def solution(cell: dict[str, Any]) -> str | None:
    """Return a cell as a learner who knows the answer writes it; None for a cell without an exercise."""
    source = HIDDEN.sub("", "".join(cell["source"]))
    if "### BEGIN SOLUTION" not in source:
        return None
    return re.sub(r"^[ \t]*### (BEGIN|END) SOLUTION\n?", "", source, flags=re.MULTILINE)


@pytest.mark.parametrize("path", chosen(), ids=lambda path: path.stem[3:])
def test_a_learner_works_through_a_lab(path: Path, tmp_path: Path) -> None:
    """`labkit lab` opens the map; its link to a lab, and what the screen says, are enough to finish the lab.

    Every question is answered, every exercise solved, every check passes, and nothing is left.
    """
    cells = json.loads(path.read_bytes())["cells"]
    title = "".join(cells[0]["source"]).splitlines()[0].lstrip("# ")
    with jupyter(tmp_path / "my workspace", tmp_path) as url, browser() as chromium:
        page = chromium.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        learner = Learner(page)
        learner.open(f"{url}/?token={TOKEN}", "The labs")
        learner.follow(title)
        screen = learner.work(len(cells), [text for cell in cells if (text := solution(cell))])
    assert "Traceback" not in screen
    assert "✗ not yet" not in screen
    workspace = Workspace.open(tmp_path / "my workspace")
    facts = workspace.artifacts.history(kind=Kind.CHECKED)
    checks = {fact.predicate["check"]: fact.predicate["passed"] for fact in facts}
    assert checks.pop("clean-up")
    assert checks
    assert all(checks.values())
    kinds = (Kind.PREDICTED, Kind.REFLECTED)
    answered = {fact.predicate["name"] for kind in kinds for fact in workspace.artifacts.history(kind=kind)}
    source = "".join(line for cell in cells for line in cell["source"])
    assert len(answered) >= sum(source.count(verb) for verb in ("lab.predict(", "lab.reflect("))
    assert Environment.list(workspace) == []
    workspace.artifacts.close()
