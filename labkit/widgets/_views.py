"""The three views of a widget: picture, table and code, as tabs that the keyboard reaches."""

import threading
from html import escape

import ipywidgets

from labkit.widgets._table import Table


class Views(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets ships no types
    """A picture, the same facts as tables, and the code that gives them; `update` changes the former two."""

    def __init__(self, title: str, code: str) -> None:
        self._picture, self._table = ipywidgets.HTML(), ipywidgets.HTML()
        self._text = title
        code_view = ipywidgets.HTML(f"<pre style='margin:4px'>{escape(code)}</pre>")
        tabs = ipywidgets.Tab([self._picture, self._table, code_view], titles=("Picture", "Table", "Code"))
        super().__init__([tabs])

    def update(self, svg: str, *tables: Table) -> None:
        """Show a new picture and new tables."""
        self._text = "\n\n".join(map(repr, tables))
        self._picture.value = f'<div style="overflow-x:auto">{svg}</div>'
        self._table.value = "".join(table._repr_html_() for table in tables)

    def __repr__(self) -> str:
        """Return the text alternative: the tables as text, for where no widget can be shown."""
        return self._text


class LiveViews(Views):
    """Views of something that changes: `look` is called again and again, until `end` or `close` is called."""

    PAUSE_S = 0.5

    def __init__(self, title: str, code: str) -> None:
        super().__init__(title, code)
        self._ended, self._error = threading.Event(), ipywidgets.HTML()
        self.children = (*self.children, self._error)  # type: ignore[has-type] # ipywidgets ships no types

    def look(self) -> None:
        """Show what has changed since the last look."""
        raise NotImplementedError

    def follow(self) -> None:
        """Begin to look, in a thread of its own."""
        threading.Thread(target=self._follow, daemon=True, name="labkit-widget").start()

    def end(self) -> None:
        """Look no more; what was shown last stays."""
        self._ended.set()

    def close(self) -> None:
        """Look no more and take the widget away."""
        self.end()
        super().close()

    def _follow(self) -> None:
        while not self._ended.wait(self.PAUSE_S):
            try:
                self.look()
                message = ""
            except Exception as fault:  # noqa: BLE001 - nobody waits for this thread, and the next look may succeed
                message = f"<pre>this could not be looked at: {escape(str(fault))}</pre>"
            # Each assignment sends a message to the browser, even when nothing changes.
            if self._error.value != message:
                self._error.value = message
