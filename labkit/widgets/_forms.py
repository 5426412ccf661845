"""Forms that ask a learner: choose or type, then press Record."""

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets
from IPython.display import display


def show(*things: object) -> None:
    """Show things below the cell that runs."""
    display(*things)  # type: ignore[no-untyped-call]


def choice_form(
    question: str, options: Sequence[str], recorded: str | None, on_record: Callable[[str], None]
) -> ipywidgets.VBox:
    """Return a question with radio buttons and Record; recorded None means not yet answered."""
    choice = ipywidgets.RadioButtons(options=list(options), value=recorded, layout={"width": "auto"})
    return _form(question, choice, recorded, on_record)


def text_form(
    question: str, recorded: str | None, on_record: Callable[[str], None], *, lines: int = 1
) -> ipywidgets.VBox:
    """Return a question with a field to type in and Record; more than one line gives a text area."""
    kind = ipywidgets.Text if lines == 1 else ipywidgets.Textarea
    field = (
        kind(value=recorded or "", rows=lines, layout={"width": "min(100%, 640px)"})
        if lines > 1
        else kind(value=recorded or "")
    )
    return _form(question, field, recorded, on_record)


def _form(
    question: str,
    field: Any,  # noqa: ANN401 - any value widget
    recorded: str | None,
    on_record: Callable[[str], None],
) -> ipywidgets.VBox:
    button = ipywidgets.Button(description="Record", button_style="primary", tooltip=f"Record: {question}")
    state = ipywidgets.HTML(layout={"margin": "0 0 0 8px"})

    def close(answer: str) -> None:
        field.disabled = button.disabled = True
        state.value = "✓ recorded"
        field.value = answer

    def press(_: object) -> None:
        if not field.value:
            state.value = "choose or write an answer first"
            return
        on_record(str(field.value))
        close(field.value)

    button.on_click(press)
    if recorded is not None:
        close(recorded)
    title = ipywidgets.HTML(f"<strong>{question}</strong>")
    return ipywidgets.VBox([title, field, ipywidgets.HBox([button, state])])
