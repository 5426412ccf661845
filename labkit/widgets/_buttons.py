"""Buttons whose work leaves the kernel free."""

import threading
from collections.abc import Callable
from html import escape
from typing import Any

import ipywidgets


def working_button(label: str, icon: str, action: Callable[[], object], message: ipywidgets.HTML) -> Any:  # noqa: ANN401 - ipywidgets has no types
    """Return a button that begins an action when it is pressed; see begin."""
    button = ipywidgets.Button(description=label, icon=icon, layout={"width": "auto"})
    button.on_click(lambda _: begin(action, message))
    return button


def begin(action: Callable[[], object], message: ipywidgets.HTML) -> None:
    """Start an action in a thread of its own; its error is shown in message, where the learner looks."""

    def work() -> None:
        try:
            action()
        except Exception as fault:  # noqa: BLE001 - nobody waits for this thread
            message.value = f"<pre>{escape(str(fault))}</pre>"

    threading.Thread(target=work, daemon=True, name="labkit-button").start()


def allow(button: ipywidgets.Button, reason: str) -> None:
    """Enable a button; with a reason, disable it and give the reason as its tooltip."""
    if (button.disabled, button.tooltip or "") != (bool(reason), reason):
        button.disabled, button.tooltip = bool(reason), reason
