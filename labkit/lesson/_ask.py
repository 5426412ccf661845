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
class Response:
    """What a service answered: the HTTP status, the body (JSON is parsed), and which instance answered.

    version and instance are those of the service that answered, "" when the balancer answered in its place.
    request_id identifies the request in every log. ms is how long the answer took, in milliseconds.
    """

    status: int
    body: Any
    version: str
    instance: str
    request_id: str
    ms: float


def ask(url: str, body: object = None, headers: Mapping[str, str] | None = None) -> Response:
    """Send one request and return the response: a GET without a body, else a POST.

    body is sent as JSON; None sends none. headers are sent besides the usual ones; None adds none.

    :raises LabError: when nobody answers within ten seconds.
    """
    began = time.monotonic()
    data = None if body is None else json.dumps(body).encode()
    sent = {"Content-Type": "application/json", **(headers or {})}
    request = urllib.request.Request(url, data, sent)  # noqa: S310 - a service's own address
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:  # noqa: S310 - a service's own address
            return _response(response.status, response.read(), response.headers, began)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return _response(refusal.code, refusal.read(), refusal.headers, began)
    except OSError as fault:
        next_step = "labkit environment list shows what is alive; run the cell that creates it again"
        raise LabError(f"an answer from {url}", str(fault), next_step) from fault


def _response(status: int, content: bytes, headers: Message, began: float) -> Response:
    text = content.decode(errors="replace")
    return Response(
        status=status,
        body=json.loads(text) if "json" in headers.get("Content-Type", "") else text,
        version=headers.get("X-Labkit-Version", ""),
        instance=headers.get("X-Labkit-Instance", ""),
        request_id=headers.get("X-Request-Id", ""),
        ms=round((time.monotonic() - began) * 1000, 1),
    )


def raised(call: Callable[..., object], *arguments: object) -> str:
    """Return the name of the error that a call raises, "nothing" when it raises none.

    :raises KeyboardInterrupt: when the learner presses Ctrl-C.
    """
    try:
        call(*arguments)
    except KeyboardInterrupt:
        raise
    except BaseException as fault:  # noqa: BLE001 - which error comes out is the question
        return type(fault).__name__
    return "nothing"
