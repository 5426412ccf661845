"""Reads the body of a request, within limits."""

import json
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request

LIMIT_BYTES = 256 * 1024


async def json_object(request: Request) -> dict[str, Any]:
    """Return the JSON object in a request's body.

    :raises HTTPException: 400 when the body is no JSON object, 413 when it is longer than 256 KiB.
    """
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > LIMIT_BYTES:
            raise HTTPException(413, f"at most {LIMIT_BYTES} bytes are expected")
    try:
        fields = json.loads(content)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        raise HTTPException(400, "a JSON object is expected")
    return fields
