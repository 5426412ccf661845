"""Two questions of a notebook: what does a service answer, and what does a call raise."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Any

from labkit.errors import LabError

TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Answer:
    """What a service answered: the HTTP status, the body (JSON is read), and who it was.

    version and instance are those of the service that answered, "" when the balancer answered for it.
    request_id is the request's name in every log. ms is how long the answer took, in milliseconds.
    """

    status: int
    body: Any
    version: str
    instance: str
    request_id: str
    ms: float


def ask(url: str, body: object = None, headers: Mapping[str, str] | None = None) -> Answer:
    """Send one request and return the answer: a GET, or a POST when there is a body (it is sent as JSON).

    headers are sent beside the usual ones.

    Raises LabError when nobody answers within ten seconds.
    """
    began = time.monotonic()
    data = None if body is None else json.dumps(body).encode()
    sent = {"Content-Type": "application/json", **(headers or {})}
    request = urllib.request.Request(url, data, sent)  # noqa: S310 - a service's own address
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:  # noqa: S310 - as above
            return _answer(response.status, response.read(), response.headers, began)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return _answer(refusal.code, refusal.read(), refusal.headers, began)
    except OSError as fault:
        raise LabError(
            f"an answer from {url}", str(fault), "is its environment alive? labkit environment list"
        ) from fault


def _answer(status: int, content: bytes, headers: Message, began: float) -> Answer:
    text = content.decode(errors="replace")
    return Answer(
        status=status,
        body=json.loads(text) if "json" in headers.get("Content-Type", "") else text,
        version=headers.get("X-Labkit-Version", ""),
        instance=headers.get("X-Labkit-Instance", ""),
        request_id=headers.get("X-Request-Id", ""),
        ms=round((time.monotonic() - began) * 1000, 1),
    )


def raised(call: Callable[..., object], *arguments: object) -> str:
    """Return the name of the error that a call lets out, or "nothing". Ctrl-C goes through."""
    try:
        call(*arguments)
    except KeyboardInterrupt:
        raise
    except BaseException as fault:  # noqa: BLE001 - which error comes out is the question
        return type(fault).__name__
    return "nothing"
