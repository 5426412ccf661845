"""The button that runs the pipeline, beside the one line of code that does the same."""

import threading
from collections.abc import Callable
from html import escape

import ipywidgets

from labkit import pipeline
from labkit.workspace import Workspace


def run(workspace: Workspace | None = None) -> ipywidgets.HBox:
    """Return a button that takes the newest commit through the pipeline; None is the workspace around."""
    chosen = workspace or Workspace.open()
    return run_button("Run the pipeline", "pipeline.run(workspace)", lambda: pipeline.run(chosen))


def run_button(label: str, code: str, start: Callable[[], object]) -> ipywidgets.HBox:
    """Return a button that calls start, one call at a time; what fails is said beside it."""
    button = ipywidgets.Button(
        description=label, button_style="primary", icon="play", tooltip=code, layout={"width": "auto"}
    )
    words = ipywidgets.HTML(_code(code))

    def press(_: object) -> None:
        button.disabled = True
        threading.Thread(target=work, daemon=True, name="labkit-button").start()

    def work() -> None:
        words.value = f"{_code(code)} runs"
        try:
            start()
            words.value = f"{_code(code)} ended"
        except Exception as fault:  # noqa: BLE001 - shown to the learner, in the place where they look
            words.value = f"<pre>{escape(str(fault))}</pre>"
        finally:
            button.disabled = False

    button.on_click(press)
    return ipywidgets.HBox([button, words])


def _code(code: str) -> str:
    return f"<code>{escape(code)}</code>"
