"""A customer who sends several requests, one after the other, each with data from the last answer."""

import json
from dataclasses import dataclass
from typing import Any

from labkit.errors import LabError
from labkit.load._request import Request

BROKEN_OFF = "broken off"
"""The outcome of a session of which a request failed, so that no further one was sent."""


@dataclass(frozen=True)
class Session:
    """The requests of one customer: each is sent pause_s seconds after the answer to the one before it.

    carry names the field of the next body that takes the whole JSON answer, "" for none: with carry "cart",
    an answer {"lines": []} makes the next body {"cart": {"lines": []}, …}.

    outcome names the field of the last answer that `Measurement.outcomes` counts, "" for none. A session ends
    with a request that fails, and is counted as "broken off".

    With sticky, all requests of a session have one X-Session header, by which the load balancer sends them to
    one instance. A request that is answered with the status retry_on (0 for none) is sent again, at most 20
    times, until another status comes.

    :raises LabError: when there is no request, or a body that takes the answer is not a JSON object.
    """

    requests: tuple[Request, ...]
    carry: str = ""
    pause_s: float = 0.0
    outcome: str = ""
    sticky: bool = False
    retry_on: int = 0

    def __post_init__(self) -> None:
        """Check the requests."""
        object.__setattr__(self, "requests", tuple(self.requests))
        if not self.requests or not self.pause_s >= 0:
            seen = f"{len(self.requests)} requests, pause_s = {self.pause_s}"
            raise LabError("a session of 1 request or more, pauses of 0 s or more", seen, "correct these")
        for request in self.requests[1:] if self.carry else ():
            if not isinstance(_json(request), dict):
                seen = f"{request.name} with the body {request.body!r}"
                next_step = "give it a body, {} for example"
                raise LabError(f"a JSON object that takes the field {self.carry!r}", seen, next_step)

    def request(self, index: int, answer: bytes, identity: str) -> Request:
        """Return the request at an index of the session, given the answer to the one before it.

        :raises ValueError: when the answer has to be carried on and is no JSON.
        """
        request = self.requests[index]
        headers = dict(request.headers) | ({"X-Session": identity} if self.sticky else {})
        body: Any = request.body
        if self.carry and index:
            body = _json(request) | {self.carry: json.loads(answer)}
        return Request(request.method, request.path, body, headers)

    def result(self, answer: bytes) -> str:
        """Return the value of the field `outcome` in the last answer, as text."""
        try:
            fields = json.loads(answer)
        except ValueError:
            fields = None
        return str(fields.get(self.outcome)) if isinstance(fields, dict) else "no JSON object"

    @property
    def is_plain(self) -> bool:
        """Return whether the session is one request, the same to the byte each time."""
        return len(self.requests) == 1 and not self.sticky and not self.retry_on and not self.outcome


def _json(request: Request) -> Any:  # noqa: ANN401 - JSON data
    try:
        return json.loads(request.body) if isinstance(request.body, bytes) else None
    except ValueError:
        return None
