"""What stays in a notebook without its kernel: beside each live widget, HTML of what it showed last."""

import uuid
from typing import Any

from IPython.display import display, update_display

LIVE, SNAPSHOT = "labkit-live", "labkit-snapshot"

OUTPUT = ".jp-OutputArea-child"
VIEW = ".jp-OutputArea-output:not([data-mime-type])"
"""The output of a widget: JupyterLab names the type of every other one."""

# A snapshot hides beside its live widget; without a kernel, JupyterLab has an error in the widget's place.
STYLE = f"""<style>
{OUTPUT}:has(.{LIVE}) + {OUTPUT}:has(.{SNAPSHOT}) {{ display: none }}
{OUTPUT}:has(> {VIEW}):not(:has(.{LIVE})):has(+ {OUTPUT} .{SNAPSHOT}) {{ display: none }}
</style>"""


class LeavesSnapshot:
    """What a widget of the class LIVE is besides: it is displayed with a snapshot below it."""

    comm: Any
    _repr_mimebundle_: Any
    _display_id = _left = ""

    def _without_kernel(self) -> str:
        """Return what is shown now, as HTML that needs no kernel."""
        raise NotImplementedError

    def _ipython_display_(self) -> None:
        """Display the widget, and below it its snapshot, hidden as long as the widget is there."""
        if self.comm is not None:
            bundle = self._repr_mimebundle_() | {"text/plain": repr(self)}
            display(bundle, raw=True)  # type: ignore[no-untyped-call] # IPython has no types for it
        self._display_id, self._left = self._display_id or uuid.uuid4().hex, self._snapshot_html()
        display({"text/html": self._left}, raw=True, display_id=self._display_id)  # type: ignore[no-untyped-call] # as above

    def _leave_snapshot(self) -> None:
        """Renew the snapshot, wherever it is displayed."""
        if self._display_id and (html := self._snapshot_html()) != self._left:
            self._left = html
            update_display({"text/html": html}, raw=True, display_id=self._display_id)  # type: ignore[no-untyped-call] # as above

    def _snapshot_html(self) -> str:
        return f'{STYLE}<div class="{SNAPSHOT}">{self._without_kernel()}</div>'
