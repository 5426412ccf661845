"""Reads what a request carries, within limits."""

import json
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request

MOST_BYTES = 256 * 1024


async def json_object(request: Request) -> dict[str, Any]:
    """Return the JSON object in a request's body; anything else is answered 400, over 256 KiB 413."""
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > MOST_BYTES:
            raise HTTPException(413, f"at most {MOST_BYTES} bytes are expected")
    try:
        found = json.loads(content)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise HTTPException(400, "a JSON object is expected")
    return found
