"""Ends a container as its program expects: by its stop signal and, after a grace time, by SIGKILL.

Source: Docker Engine API, /containers/{id}/kill and /wait; Dockerfile reference, STOPSIGNAL; signal(7).
"""

import signal
from http import HTTPStatus

import requests.exceptions
from docker import APIClient
from docker.errors import APIError

KILLED_S = 10.0
"""How long the engine may take to see that a killed container has ended, in seconds."""

BY_SIGNAL = 128
"""A process that a signal ended has this exit code, with the signal's number added."""


def finish(api: APIClient, container: str, within_s: float) -> str:
    """Send the container's stop signal, and kill it when it has not ended within within_s seconds.

    Return what is worth a word about its end, "" when it ended as it was asked to.

    :raises NotFound: when the container is gone.
    """
    details = api.inspect_container(container)
    state, name = details["State"], _name(details["Config"].get("StopSignal") or "SIGTERM")
    before = f"had ended before, with exit code {state['ExitCode']}"
    if state["Restarting"] or not state["Running"]:
        return before
    if state["Paused"]:  # no signal but SIGKILL arrives there
        _send(api, container, "SIGKILL")
        return f"was paused, which no {name} reaches: killed at once"
    if not _send(api, container, name):
        return before
    code = _exit_code(api, container, within_s)
    if code is None:
        _send(api, container, "SIGKILL")
        code = _exit_code(api, container, KILLED_S)
        if code in {None, BY_SIGNAL + signal.SIGKILL}:  # else it had ended, and the engine was late to notice
            return f"did not end on {name}, killed after {within_s:g} s"
    return "" if code in {0, BY_SIGNAL + _number(name)} else f"ended on {name} with exit code {code}"


def _exit_code(api: APIClient, container: str, within_s: float) -> int | None:
    """Return a container's exit code once it has ended; None when it has not within within_s seconds."""
    try:
        return int(api.wait(container, timeout=within_s)["StatusCode"])
    except requests.exceptions.RequestException:  # the answer did not come in time
        return None


def _send(api: APIClient, container: str, name: str) -> bool:
    """Send a signal; return whether the container ran."""
    try:
        api.kill(container, name)
    except APIError as problem:
        if problem.status_code != HTTPStatus.CONFLICT:
            raise
        return False
    return True


def _name(written: str) -> str:
    """Return a signal's name in full: an image may have QUIT, or 3, for SIGQUIT."""
    if written.isdigit():
        known = {number.value: number.name for number in signal.Signals}
        return known.get(int(written), written)
    return written if written.startswith("SIG") else f"SIG{written}"


def _number(name: str) -> int:
    """Return the number of a signal, 0 for one that has no number of its own here."""
    return int(name) if name.isdigit() else getattr(signal, name, 0)
