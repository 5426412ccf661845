"""A finished picture with its tables and its code: plain display data, which needs no kernel to be shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from labkit.widgets._table import Table

NAMESPACE = '<svg xmlns="http://www.w3.org/2000/svg" '
"""How an SVG begins that stands alone; one inside of HTML needs no namespace."""


@dataclass(frozen=True)
class Picture:
    """A picture as SVG, the same facts as tables, and the code that gives them.

    Notebooks keep it as HTML, in which the keyboard opens table and code; other programs take the SVG or the
    text.
    """

    svg: str
    tables: Sequence[Table]
    code: str

    @property
    def svg_html(self) -> str:
        """The picture as HTML; where it does not fit it scrolls, so that its words stay readable."""
        return scrolling(self.svg)

    @property
    def tables_html(self) -> str:
        """The tables as HTML."""
        return "".join(table._repr_html_() for table in self.tables)

    @property
    def code_html(self) -> str:
        """The code as HTML."""
        return f"<pre style='margin:4px'>{escape(self.code)}</pre>"

    def _repr_html_(self) -> str:
        folded = (("Table", self.tables_html), ("Code", self.code_html))
        details = (f"<details><summary>{name}</summary>{html}</details>" for name, html in folded)
        return self.svg_html + "".join(details)

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        """Return what is shown: HTML where that can be, else the SVG, else the text."""
        svg = self.svg.replace("<svg ", NAMESPACE, 1)
        return {"text/plain": repr(self), "text/html": self._repr_html_(), "image/svg+xml": svg}

    def __repr__(self) -> str:
        """Return the text alternative: the tables as text."""
        return "\n\n".join(map(repr, self.tables))


def scrolling(html: str) -> str:
    """Return a part of a page that scrolls where it does not fit, by the keyboard too."""
    return f'<div style="overflow-x:auto" tabindex="0">{html}</div>'
