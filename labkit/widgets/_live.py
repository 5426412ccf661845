"""What all live widgets have: traits, three views, a thread that follows, and a snapshot that stays."""

import threading
import time
import weakref
from html import escape
from typing import Any, Self

import ipywidgets
import traitlets
from IPython.display import display

from labkit.widgets._picture import Picture, scrolling
from labkit.widgets._snapshot import LIVE, LeavesSnapshot

SNAPSHOT_S = 2.0
"""A snapshot is renewed at most this often; the last one always shows what was seen last."""


class LiveViews(LeavesSnapshot, ipywidgets.VBox, ipywidgets.ValueWidget):  # type: ignore[misc] # ipywidgets ships no types
    """A picture, its tables and its code as tabs, of something that changes.

    A thread reads it until it is over, or `close` is called; observers run in that thread. In a `with`
    statement it is shown while the block runs, and closed afterwards. What is read can be observed
    (`observe`) and linked (`dlink`), but not set. `value` is `state` under the name that ipywidgets'
    `interactive` and `interactive_output` ask for.
    """

    PAUSE_S = 0.5

    state = traitlets.Dict(read_only=True, help="each part that is shown → its state in a word")
    running = traitlets.Bool(default_value=False, read_only=True, help="whether it is not over yet")

    def __init__(self, code: str, *above: ipywidgets.Widget) -> None:
        """Take the code that gives the same facts, and the controls that stand above the views."""
        self._code = code
        self._reading, self._drawing = threading.RLock(), threading.RLock()
        self._ended, self._left_at = threading.Event(), 0.0
        self._faults: dict[str, str] = {}
        self._picture, self._table, self._error = (ipywidgets.HTML() for _ in range(3))
        views = (self._picture, self._table, ipywidgets.HTML(Picture("", (), code).code_html))
        tabs = ipywidgets.Tab(views, titles=("Picture", "Table", "Code"))
        super().__init__([*above, tabs, self._error])
        self.add_class(LIVE)

    # What a kind of live widget does itself

    def _read(self) -> None:
        """Read, and set the traits when something changed; one that is told of changes does not read."""

    def _draw(self) -> Picture:
        """Return the picture of what the traits say."""
        raise NotImplementedError

    # What all do

    @property
    def snapshot(self) -> Picture:
        """What is shown now, as display data that needs no kernel."""
        return self._draw()

    def refresh(self) -> None:
        """Read now, and show what has changed."""
        with self._reading:  # of two readers at once, the one that read earlier could be the last to set
            self._read()

    def close(self) -> None:
        """Read a last time, and take the widget away; its snapshot stays where it was displayed."""
        if self.comm is None:
            return
        if not self._ended.is_set():
            self.look()
        self._ended.set()
        self._leave_snapshot()
        _close_within(self)
        super().close()

    def __enter__(self) -> Self:
        """Show it below the cell that runs."""
        display(self)  # type: ignore[no-untyped-call] # IPython has no types for it
        return self

    def __exit__(self, *_: object) -> None:
        """Close it; its snapshot stays."""
        self.close()

    def _set(self, **traits: object) -> None:
        """Set traits that others may only read, all of them even if an observer fails, and show them."""
        for name, value in traits.items():
            try:
                self.set_trait(name, value)
            except Exception as fault:  # noqa: BLE001 - an observer may raise anything
                self._report("an observer failed", fault)
        self._show()

    @traitlets.observe("state")
    def _follow_state(self, change: Any) -> None:  # noqa: ANN401 - traitlets' own kind of dictionary
        self.value = change.new

    def _show(self) -> None:
        """Show what the traits say. The browser gets a message only when something changed."""
        with self._drawing:
            picture = self._draw()
            tables = scrolling(picture.tables_html)
            for view, html in ((self._picture, picture.svg_html), (self._table, tables)):
                if view.value != html:
                    view.value = html

    def _follow(self) -> None:
        """Read now, and then again and again in a thread of its own."""
        self.refresh()
        self._show()
        arguments = weakref.ref(self), self._ended, self.PAUSE_S
        threading.Thread(target=_follow, args=arguments, daemon=True, name="labkit-widget").start()

    def _report(self, what: str, fault: Exception | None) -> None:
        """Show below the views what failed; None takes back what was shown of it."""
        self._faults[what] = f"<pre>{escape(f'{what}: {fault}')}</pre>" if fault else ""
        html = "".join(self._faults.values())
        if self._error.value != html:
            self._error.value = html

    def _end(self) -> None:
        """Read no more; what was shown last stays."""
        self._ended.set()

    def look(self) -> None:
        """Refresh, and show beneath the views why that was not possible."""
        failure = None
        try:
            self.refresh()
        except Exception as fault:  # noqa: BLE001 - nobody waits for this thread, and the next look may succeed
            failure = fault
        self._report("this could not be looked at", failure)
        if self._ended.is_set() or time.monotonic() > self._left_at + SNAPSHOT_S:
            self._leave_snapshot()

    # What stays in a notebook without its kernel

    def _without_kernel(self) -> str:
        return self.snapshot._repr_html_()

    def _leave_snapshot(self) -> None:
        """Renew the snapshot; what another thread begins to send is sent first."""
        with self._drawing:
            self._left_at = time.monotonic()
            super()._leave_snapshot()

    def __repr__(self) -> str:
        """Return the text alternative: the tables as text, for where no widget can be shown."""
        return repr(self.snapshot)


class SelectableViews(LiveViews):
    """Live views of which one part can be selected: its frame is thick, and the tables are of it alone."""

    selected = traitlets.Unicode(
        default_value=None,
        allow_none=True,
        help="the part that is selected, one of those in state; None is none",
    )

    def __init__(self, what: str, code: str, *above: ipywidgets.Widget) -> None:
        """Take the word for a part, the code, and the controls that stand above the views."""
        self.selection = ipywidgets.Dropdown(options=[("all", "")], description=what)
        self.selection.observe(self._select, "value")
        super().__init__(code, *above, self.selection)

    def _select(self, change: Any) -> None:  # noqa: ANN401 - traitlets' own kind of dictionary
        self.selected = change.new or None

    @traitlets.validate("selected")
    def _known(self, proposal: Any) -> str | None:  # noqa: ANN401 - as above
        name: str | None = proposal.value
        if name is not None and name not in self.state:
            known = f"one of {', '.join(self.state)}, or None" if self.state else "None, while state is empty"
            message = f"expected: {known}; seen: {name!r}"
            raise traitlets.TraitError(message)
        return name

    @traitlets.observe("selected")
    def _mark(self, _: object) -> None:
        self.selection.value = self.selected or ""
        self._show()

    @traitlets.observe("state")
    def _offer(self, _: object) -> None:
        """Offer the parts that there are now; one that is gone is selected no more."""
        options = [("all", ""), *((name, name) for name in self.state)]
        if options == list(self.selection.options):
            return
        # New options make ipywidgets select the first of them, which nobody chose.
        self.selection.unobserve(self._select, "value")
        self.selection.options = options
        if self.selected not in self.state:
            self.selected = None
        self.selection.value = self.selected or ""
        self.selection.observe(self._select, "value")


def _follow(view: weakref.ref[LiveViews], ended: threading.Event, pause_s: float) -> None:
    """Look again and again until the widget has ended, or nobody holds it any more."""
    while not ended.wait(pause_s):
        followed = view()
        if followed is None:
            return
        followed.look()
        del followed


def _close_within(widget: ipywidgets.Widget) -> None:
    """Close all widgets inside of one; ipywidgets keeps each of them alive until it is closed."""
    for child in getattr(widget, "children", ()):
        _close_within(child)
        child.close()
