"""Forms that ask a learner to choose or to write, and to press Record."""

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import ipywidgets
from IPython.display import display

from labkit.widgets._snapshot import LIVE, LeavesSnapshot

OnRecord = Callable[[str], None]
LINES = 6


def show(*things: object) -> None:
    """Show things below the cell that runs."""
    display(*things)  # type: ignore[no-untyped-call]  # IPython has no types for it


class Form(LeavesSnapshot, ipywidgets.VBox):  # type: ignore[misc] # ipywidgets ships no types
    """A question with a field for the answer and Record; without a kernel, what was recorded stays.

    recorded None means that it is not answered yet. on_record gets the answer. afterwards is HTML that is
    shown once the answer is recorded.
    """

    children: Any

    def __init__(
        self,
        question: str,
        field: Any,  # noqa: ANN401 - any value widget
        recorded: str | None,
        on_record: OnRecord,
        afterwards: str = "",
    ) -> None:
        """Lay out the form; it is closed when an answer is recorded already."""
        self._question, self._field = question, field
        self._on_record, self._afterwards = on_record, afterwards
        self._button = ipywidgets.Button(
            description="Record", button_style="primary", tooltip=f"Record: {question}"
        )
        self._state = ipywidgets.HTML(layout={"margin": "0 0 0 8px"})
        title = ipywidgets.HTML(f"<strong>{escape(question)}</strong>")
        super().__init__([title, field, ipywidgets.HBox([self._button, self._state])])
        self.add_class(LIVE)
        self._button.on_click(self._press)
        if recorded is not None:
            self._close()

    def _close(self) -> None:
        """Take no other answer. The button stays enabled: if disabled, it would lose the keyboard's focus."""
        self._field.disabled, self._button.description, self._button.button_style = True, "Answered", ""
        self._state.value = "✓ recorded"
        if self._afterwards:
            self.children = (*self.children, ipywidgets.HTML(self._afterwards))
        self._leave_snapshot()

    def _press(self, _: object) -> None:
        answer = self._field.value
        if self._field.disabled:
            return
        if not (answer or "").strip():
            self._state.value = "choose or write an answer first"
            return
        self._on_record(answer)
        self._close()

    def _without_kernel(self) -> str:
        answered = f"✓ recorded: {escape(self._field.value)}" if self._field.disabled else "not answered yet"
        later = self._afterwards if self._field.disabled else ""
        return f"<p><strong>{escape(self._question)}</strong><br>{answered}</p>{later}"


def choice_form(question: str, options: Sequence[str], recorded: str | None, on_record: OnRecord) -> Form:
    """Return a question with radio buttons and Record; recorded None means that it is not answered yet."""
    choice = ipywidgets.RadioButtons(
        options=list(options), value=recorded, tooltip=question, layout={"width": "auto"}
    )
    return Form(question, choice, recorded, on_record)


def text_form(
    question: str, recorded: str | None, on_record: OnRecord, lines: int = LINES, afterwards: str = ""
) -> Form:
    """Return a question with some lines to write in, and Record; recorded as in choice_form.

    afterwards is HTML that is shown once the answer is recorded.
    """
    layout = {"width": "min(100% - 4px, 640px)"}  # 2px on each side are ipywidgets' margin
    field = ipywidgets.Textarea(value=recorded or "", rows=lines, tooltip=question, layout=layout)
    return Form(question, field, recorded, on_record, afterwards)
