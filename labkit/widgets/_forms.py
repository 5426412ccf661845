"""Forms that ask a learner to choose or to write, and to press Record."""

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import ipywidgets
from IPython.display import display

OnRecord = Callable[[str], None]
LINES = 6


def show(*things: object) -> None:
    """Show things below the cell that runs."""
    display(*things)  # type: ignore[no-untyped-call]  # IPython has no types for it


def choice_form(
    question: str, options: Sequence[str], recorded: str | None, on_record: OnRecord
) -> ipywidgets.VBox:
    """Return a question with radio buttons and Record; recorded None means that it is not answered yet."""
    choice = ipywidgets.RadioButtons(
        options=list(options), value=recorded, tooltip=question, layout={"width": "auto"}
    )
    return _form(question, choice, recorded, on_record)


def text_form(
    question: str, recorded: str | None, on_record: OnRecord, lines: int = LINES, afterwards: str = ""
) -> ipywidgets.VBox:
    """Return a question with some lines to write in, and Record; recorded as in choice_form.

    afterwards is HTML that is shown once the answer is recorded.
    """
    layout = {"width": "min(100% - 4px, 640px)"}  # 2px on each side are ipywidgets' margin
    field = ipywidgets.Textarea(value=recorded or "", rows=lines, tooltip=question, layout=layout)
    return _form(question, field, recorded, on_record, afterwards)


def _form(
    question: str,
    field: Any,  # noqa: ANN401 - any value widget
    recorded: str | None,
    on_record: OnRecord,
    afterwards: str = "",
) -> ipywidgets.VBox:
    button = ipywidgets.Button(description="Record", button_style="primary", tooltip=f"Record: {question}")
    state = ipywidgets.HTML(layout={"margin": "0 0 0 8px"})
    title = ipywidgets.HTML(f"<strong>{escape(question)}</strong>")
    form = ipywidgets.VBox([title, field, ipywidgets.HBox([button, state])])

    def close() -> None:
        """Take no other answer. The button stays enabled: if disabled, it would lose the keyboard's focus."""
        field.disabled, button.description, button.button_style = True, "Answered", ""
        state.value = "✓ recorded"
        if afterwards:
            form.children = (*form.children, ipywidgets.HTML(afterwards))

    def press(_: object) -> None:
        answer = field.value
        if field.disabled:
            return
        if not (answer or "").strip():
            state.value = "choose or write an answer first"
            return
        on_record(answer)
        close()

    button.on_click(press)
    if recorded is not None:
        close()
    return form
