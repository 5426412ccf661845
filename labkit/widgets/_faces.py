"""The three faces of a widget: picture, table, code, as tabs that the keyboard reaches."""

import threading
from html import escape

import ipywidgets

from labkit.widgets._table import Table


class Faces(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets ships no types
    """A picture with its table twin and its code twin; `update` changes all that is live."""

    def __init__(self, title: str, code: str) -> None:
        self._title, self._picture, self._table = title, ipywidgets.HTML(), ipywidgets.HTML()
        self._text = title
        twin = ipywidgets.HTML(f"<pre style='margin:4px'>{escape(code)}</pre>")
        tabs = ipywidgets.Tab([self._picture, self._table, twin], titles=("Picture", "Table", "Code"))
        super().__init__([tabs])

    def update(self, svg: str, *tables: Table) -> None:
        """Show a new picture and new tables."""
        self._text = "\n\n".join(map(repr, tables))
        self._picture.value = f'<div style="overflow-x:auto">{svg}</div>'
        self._table.value = "".join(table._repr_html_() for table in tables)

    def __repr__(self) -> str:
        """Return the table twin as text, for where no widget can be shown."""
        return self._text


class Following(Faces):
    """Faces of something that changes: `look` is called again and again, until it calls `end`, or close."""

    PAUSE_S = 0.5

    def __init__(self, title: str, code: str) -> None:
        super().__init__(title, code)
        self._ended, self._trouble = threading.Event(), ipywidgets.HTML()
        self.children = (*self.children, self._trouble)  # type: ignore[has-type] # ipywidgets ships no types

    def look(self) -> None:
        """Show what has changed since the last look."""
        raise NotImplementedError

    def follow(self) -> None:
        """Begin to look."""
        threading.Thread(target=self._follow, daemon=True, name="labkit-widget").start()

    def end(self) -> None:
        """Look no more."""
        self._ended.set()

    def close(self) -> None:
        """Look no more and take the widget away."""
        self.end()
        super().close()

    def _follow(self) -> None:
        while not self._ended.wait(self.PAUSE_S):
            try:
                self.look()
                told = ""
            except Exception as fault:  # noqa: BLE001 - a thread has nobody else to tell; the next look may do
                told = f"<pre>this could not be looked at: {escape(str(fault))}</pre>"
            if self._trouble.value != told:
                self._trouble.value = told
