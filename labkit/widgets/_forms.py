"""Forms that ask a learner to choose, to give a number or to write, and to press Record."""

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import ipywidgets
from IPython import get_ipython
from IPython.display import display

OnRecord = Callable[[str], None]
LINES = 6


def show(*things: object) -> None:
    """Show things below the cell that runs."""
    display(*things)  # type: ignore[no-untyped-call]  # IPython has no types for it


def rephrase_errors(
    kinds: tuple[type[Exception], ...], rephrase: Callable[[Exception], Exception | None]
) -> None:
    """Show a notebook's errors of some kinds in other words, wherever rephrase returns an error with these.

    Outside of a notebook there is nothing to show them in, and nothing is done.
    """
    if (shell := get_ipython()) is None:
        return

    def show(shell: Any, _: object, error: Exception, __: object, tb_offset: int | None = None) -> None:  # noqa: ANN401 - IPython's shell has no types
        shown = rephrase(error) or error
        shell.showtraceback((type(shown), shown, shown.__traceback__), tb_offset=tb_offset)

    shell.set_custom_exc(kinds, show)


def choice_form(
    question: str, options: Sequence[str], recorded: str | None, on_record: OnRecord
) -> ipywidgets.VBox:
    """Return a question with radio buttons and Record; recorded None means that it is not answered yet."""
    choice = ipywidgets.RadioButtons(
        options=list(options), value=recorded, tooltip=question, layout={"width": "auto"}
    )
    return _form(question, choice, recorded, on_record)


def number_form(question: str, recorded: str | None, on_record: OnRecord) -> ipywidgets.VBox:
    """Return a question with a field for a number of zero or more, and Record; recorded as in choice_form."""
    field = ipywidgets.BoundedFloatText(
        value=float(recorded or 0), min=0, max=1e9, step=1, tooltip=question, layout={"width": "160px"}
    )
    return _form(question, field, recorded, on_record)


def text_form(question: str, recorded: str | None, on_record: OnRecord) -> ipywidgets.VBox:
    """Return a question with some lines to write in, and Record; recorded as in choice_form."""
    layout = {"width": "min(100%, 640px)"}
    field = ipywidgets.Textarea(value=recorded or "", rows=LINES, tooltip=question, layout=layout)
    return _form(question, field, recorded, on_record)


def _form(
    question: str,
    field: Any,  # noqa: ANN401 - any value widget
    recorded: str | None,
    on_record: OnRecord,
) -> ipywidgets.VBox:
    button = ipywidgets.Button(description="Record", button_style="primary", tooltip=f"Record: {question}")
    state = ipywidgets.HTML(layout={"margin": "0 0 0 8px"})

    def close() -> None:
        """Take no other answer. The button stays enabled: if disabled, it would lose the keyboard's focus."""
        field.disabled, button.description, button.button_style = True, "Answered", ""
        state.value = "✓ recorded"

    def press(_: object) -> None:
        answer = field.value
        if field.disabled:
            return
        if not isinstance(answer, float) and not (answer or "").strip():
            state.value = "choose or write an answer first"
            return
        on_record(f"{answer:g}" if isinstance(answer, float) else answer)
        close()

    button.on_click(press)
    if recorded is not None:
        close()
    title = ipywidgets.HTML(f"<strong>{escape(question)}</strong>")
    return ipywidgets.VBox([title, field, ipywidgets.HBox([button, state])])
