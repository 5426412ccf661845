"""The model answer and the rows of a discussion question's rubric, shown after the learner's own answer."""

import tomllib
from collections.abc import Mapping
from html import escape
from typing import Any

from labkit.workspace import course


def model_answer(slug: str, name: str) -> str:
    """Return a question's model answer and what counts in an answer, as HTML; "" when it has no rubric."""
    for path in course().glob("labs/[0-9]*/rubric.toml"):
        if question := tomllib.loads(path.read_text(encoding="utf-8")).get(slug, {}).get(name):
            return _html(question)
    return ""


def _html(question: Mapping[str, Any]) -> str:
    rows = "".join(f"<li>{escape(row['asks'])}{_mark(row)}</li>" for row in question["rows"])
    answer = (
        f"<p>{escape(question['model_answer'].strip())}</p><p>An answer counts when it</p><ul>{rows}</ul>"
    )
    return f"<details open><summary>One good answer</summary>{answer}</details>"


def _mark(row: Mapping[str, Any]) -> str:
    """Say whether a row is needed, and whether it asks for figures of the learner's own record."""
    figures = ", with figures of your own run" if row.get("figure") else ""
    return f" (needed{figures})" if row["mandatory"] else ""
