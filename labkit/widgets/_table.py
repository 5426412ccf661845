"""A table that reads well in a notebook, in a terminal and to a screen reader."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

STYLE = "border-collapse:collapse;margin:4px 0;color:var(--jp-ui-font-color1,#222);font-size:13px"
EDGE = "border-bottom:1px solid var(--jp-border-color2,#ccc)"
CAPTION = "text-align:left;min-width:32em;font-weight:600"
"""A long caption wraps, but not to the width of a narrow table."""
SHORT = 20
"""The name of a row, of at most so many characters, stays on one line."""
CELL = f"text-align:left;vertical-align:top;padding:3px 14px 3px 0;{EDGE}"


@dataclass(frozen=True)
class Table:
    """Rows under columns, with a caption; it renders itself as HTML and as text. A cell may be a link."""

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    caption: str = ""

    def _repr_html_(self) -> str:
        """Return a real HTML table: caption, column headers with scope, row headers in the first column."""
        head = "".join(f'<th scope="col" style="{CELL}">{escape(name)}</th>' for name in self.columns)
        body = "".join(f"<tr>{self._row(row)}</tr>" for row in self.rows)
        caption = f'<caption style="{CAPTION}">{escape(self.caption)}</caption>' if self.caption else ""
        return f'<table style="{STYLE}">{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'

    @staticmethod
    def _row(row: Sequence[object]) -> str:
        first, *rest = (cell.html if isinstance(cell, _Text) else escape(str(cell)) for cell in row)
        whole = ";white-space:nowrap" if len(str(row[0])) <= SHORT else ""
        return f'<th scope="row" style="{CELL};font-weight:500{whole}">{first}</th>' + "".join(
            f'<td style="{CELL}">{cell}</td>' for cell in rest
        )

    def __repr__(self) -> str:
        """Return the table as aligned text."""
        grid = [list(self.columns), *([str(cell) for cell in row] for row in self.rows)]
        widths = [max(len(row[at]) for row in grid) for at in range(len(self.columns))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in grid
        ]
        return "\n".join([self.caption, *lines] if self.caption else lines)


@dataclass(frozen=True)
class _Text:
    """A text as HTML, and its text alternative."""

    html: str
    text: str

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.text


def note(words: str) -> _Text:
    """Return a sentence that renders itself as a paragraph or as text."""
    return _Text(f'<p style="margin:2px 0">{escape(words)}</p>', words)


def link(url: str, words: str) -> _Text:
    """Return a link that opens in a new tab, so that the learner is a live user of an environment."""
    anchor = f'<a href="{escape(url)}" target="_blank" rel="noopener">{escape(words)}</a>'
    return _Text(f'<p style="margin:2px 0">{anchor}</p>', f"{words}: {url}")


def page(path: str, words: str) -> _Text:
    """Return a link to a file of the workspace, relative to the notebook, that JupyterLab opens itself."""
    return _Text(f'<a href="{escape(path)}">{escape(words)}</a>', words)


def collapsible(steps: Sequence[str]) -> _Text:
    """Return collapsible hints, each inside the one before, so that a learner opens only those needed."""
    html = ""
    for number, step in reversed(list(enumerate(steps, 1))):
        title = f"Hint {number} of {len(steps)}"
        html = f"<details><summary>{title}</summary><p>{escape(step)}</p>{html}</details>"
    return _Text(html, "\n".join(f"hint {number}: {step}" for number, step in enumerate(steps, 1)))
