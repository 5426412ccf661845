"""Logs as one JSON object a line on standard output, each with the id of the request that it belongs to."""

import json
import logging
import sys
import time
from contextvars import ContextVar
from typing import Any

from labkit.service._identity import Identity

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request that is being answered, "" outside of one."""

QUIET_LIBRARIES = ("httpx", "httpcore", "uvicorn", "asyncio")


class JsonLines(logging.Formatter):
    """Formats a record as one JSON object: time (UTC, ISO 8601), level, instance, request_id, message."""

    def __init__(self, identity: Identity) -> None:
        super().__init__()
        self._origin = {
            "service": identity.service,
            "instance": identity.instance,
            "version": identity.version,
        }

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; a record's `fields` (a dict given as `extra`) stand in place of a message."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
        }
        line |= self._origin | {"request_id": REQUEST_ID.get()}
        line |= getattr(record, "fields", None) or {"message": record.getMessage()}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def log_json_lines(identity: Identity) -> None:
    """Send all logs of this process to standard output as JSON lines; libraries only from WARNING on."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines(identity))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in QUIET_LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)
