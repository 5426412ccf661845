"""The first lab in a real browser, done as a learner does it: by what the screen says."""

from pathlib import Path

import pytest
from browser import TOKEN, browser
from learner import HEIGHT, WIDTH, Learner, jupyter

from labkit import Environment, Workspace
from labkit.artifacts import Kind

pytestmark = [pytest.mark.browser, pytest.mark.engine, pytest.mark.timeout(900)]

PREDICTIONS = {
    "How often is the image of the cart built": "once",
    "Which stage will take longest": "production",
    "How often does it notice the fault": "nearly always",
    "How far does it get": "stops in integration",
    "Which stage stops the change": "integration",
    "and no staging: what happens to it": "integration stops it",
    "How much shorter is its way": "a tenth to a half",
}
READ = """met = {"at most 12", "slow, no staging", "back, no staging"}
slow_seconds = (served[2].at - served[1].at).total_seconds()
"""
SOLUTION = """cart.write_text(cart.read_text().replace("MOST_OF_ONE = 12", "MOST_OF_ONE = 24"))
!git -C "{workspace.shop}" commit --quiet --all --message "Sell at most 24 of one product"
pipeline.run(workspace).state
"""
CELLS = 57


def answer(question: str) -> str | None:
    """Return what the learner predicts."""
    return next(text for start, text in PREDICTIONS.items() if start in question)


def test_a_learner_finishes_the_first_lab(tmp_path: Path) -> None:
    """`labkit lab` opens the map; its first link, and what the screen says, are enough to finish the lab."""
    with jupyter(tmp_path / "my workspace", tmp_path) as url, browser() as chromium:
        page = chromium.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        learner = Learner(page, answer)
        learner.open(f"{url}/?token={TOKEN}", "The labs")
        learner.follow("One change to production")
        screen = learner.work(CELLS, [READ, SOLUTION])
    assert "2 of 2 public checks passed; 1 more when graded" in screen
    assert "5 of 5 public checks passed; 2 more when graded" in screen
    assert "the whole record verifies" in screen
    workspace = Workspace.open(tmp_path / "my workspace")
    passed = {
        fact.predicate["check"]: fact.predicate["passed"]
        for fact in workspace.artifacts.history(kind=Kind.CHECKED)
    }
    assert passed == {"the record": True, "at most 24": True, "clean-up": True}
    assert len(workspace.artifacts.history(kind=Kind.PREDICTED)) == len(PREDICTIONS)
    assert Environment.list(workspace) == []
    workspace.artifacts.close()
