"""The button that runs the pipeline, beside the line of code that does the same."""

from collections.abc import Callable
from html import escape

import ipywidgets

from labkit import pipeline
from labkit.widgets._buttons import begin
from labkit.workspace import Workspace


def run(workspace: Workspace | None = None) -> ipywidgets.HBox:
    """Return a button that runs the newest commit through the pipeline.

    workspace None is the one around the working folder.
    """
    chosen = workspace or Workspace.open()
    return run_button("Run the pipeline", "pipeline.run(workspace)", lambda: pipeline.run(chosen))


def run_button(label: str, code: str, start: Callable[[], object]) -> ipywidgets.HBox:
    """Return a button that calls start, one call at a time; an error is shown beside it."""
    button = ipywidgets.Button(
        description=label, button_style="primary", icon="play", tooltip=code, layout={"width": "auto"}
    )
    message = ipywidgets.HTML(_code(code))

    def press(_: object) -> None:
        button.disabled = True
        begin(work, message)

    def work() -> None:
        message.value = f"{_code(code)} runs"
        try:
            start()
            message.value = f"{_code(code)} ended"
        finally:
            button.disabled = False

    button.on_click(press)
    return ipywidgets.HBox([button, message])


def _code(code: str) -> str:
    return f"<code>{escape(code)}</code>"
