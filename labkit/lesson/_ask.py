"""Two questions of a notebook: what does a service answer, and what does a call raise."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from labkit.errors import LabError

TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Answer:
    """What a service answered: the HTTP status, the body (JSON is read), the service's version."""

    status: int
    body: Any
    version: str


def ask(url: str, body: object = None) -> Answer:
    """Send one request and return the answer: a GET, or a POST when there is a body (it is sent as JSON).

    Raises LabError when nobody answers within ten seconds.
    """
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})  # noqa: S310 - a service's own address
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:  # noqa: S310 - as above
            return _answer(response.status, response.read(), response.headers)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return _answer(refusal.code, refusal.read(), refusal.headers)
    except OSError as fault:
        raise LabError(
            f"an answer from {url}", str(fault), "is its environment alive? labkit environment list"
        ) from fault


def _answer(status: int, content: bytes, headers: Any) -> Answer:  # noqa: ANN401 - an email.message.Message
    text = content.decode(errors="replace")
    body = json.loads(text) if "json" in headers.get("Content-Type", "") else text
    return Answer(status, body, headers.get("X-Labkit-Version", ""))


def raised(call: Callable[..., object], *arguments: object) -> str:
    """Return the name of the error that a call lets out, or "nothing". Ctrl-C goes through."""
    try:
        call(*arguments)
    except KeyboardInterrupt:
        raise
    except BaseException as fault:  # noqa: BLE001 - which error comes out is the question
        return type(fault).__name__
    return "nothing"
