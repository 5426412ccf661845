"""etcd as the coordinator: a small client of its JSON gateway, for environments and for their services.

Source: etcd 3.4, "gRPC gateway": keys and values travel as Base64 in JSON over POST /v3/…; "etcd API", Lease.
"""

import http.client
import json
from base64 import b64decode, b64encode
from typing import Any

from labkit.errors import LabError

__all__ = ["INSTANCES", "PORT", "Coordinator"]

PORT = 2379
ANSWER_S = 5.0
INSTANCES = "/labkit/instances/"


class Coordinator:
    """The coordinator at host:port: keys and values that all services may read, some with a lease."""

    def __init__(self, host: str, port: int = PORT) -> None:
        self.host, self.port = host, port

    @property
    def url(self) -> str:
        """Return where it is reached from outside the environment."""
        return f"http://{self.host}:{self.port}"

    def answers(self) -> bool:
        """Tell whether it has a leader and takes writes."""
        return self._ask("GET", "/health").get("health") == "true"

    def put(self, key: str, value: str, lease: int = 0) -> int:
        """Set a key and return the store's revision after it; with a lease, it goes when that ends."""
        told = self._ask("POST", "/v3/kv/put", key=_code(key), value=_code(value), lease=str(lease))
        return int(told["header"]["revision"])

    def get(self, key: str) -> str | None:
        """Return a key's value, None when there is no such key."""
        return self._range(key=_code(key)).get(key)

    def list(self, prefix: str = "/") -> dict[str, str]:
        """Return all keys that begin with prefix, with their values."""
        return self._range(key=_code(prefix), range_end=_code(_after(prefix)))

    def delete(self, key: str) -> bool:
        """Remove a key; tell whether it was there."""
        return int(self._ask("POST", "/v3/kv/deleterange", key=_code(key)).get("deleted", 0)) > 0

    def grant(self, seconds: int) -> int:
        """Return a new lease, which ends after so many seconds without renewal."""
        return int(self._ask("POST", "/v3/lease/grant", TTL=str(seconds))["ID"])

    def renew(self, lease: int) -> bool:
        """Let a lease begin anew; False when it has ended already."""
        told = self._ask("POST", "/v3/lease/keepalive", ID=str(lease))
        return int(told["result"].get("TTL", 0)) > 0

    def revoke(self, lease: int) -> None:
        """End a lease now: its keys go; one that has ended is no error."""
        if self.renew(lease):
            self._ask("POST", "/v3/lease/revoke", ID=str(lease))

    def register(self, service: str, instance: str, version: str, address: str, lease: int = 0) -> None:
        """Write down that an instance of a service is at address (ip:port), as long as the lease lives."""
        value = json.dumps({"version": version, "address": address})
        self.put(f"{INSTANCES}{service}/{instance}", value, lease)

    def unregister(self, service: str, instance: str) -> None:
        """Take back that an instance is there."""
        self.delete(f"{INSTANCES}{service}/{instance}")

    def instances(self, service: str) -> dict[str, dict[str, str]]:
        """Return version and address of each registered instance of a service, by name."""
        prefix = f"{INSTANCES}{service}/"
        return {key.removeprefix(prefix): json.loads(value) for key, value in self.list(prefix).items()}

    def _range(self, **wanted: str) -> dict[str, str]:
        found = self._ask("POST", "/v3/kv/range", **wanted).get("kvs", [])
        return {_plain(pair["key"]): _plain(pair.get("value", "")) for pair in found}

    def _ask(self, method: str, path: str, **body: str) -> dict[str, Any]:
        """Send one request; raise OSError when nothing answers, LabError when etcd refuses it."""
        line = http.client.HTTPConnection(self.host, self.port, timeout=ANSWER_S)
        try:
            line.request(method, path, json.dumps(body) if body else None)
            answer: dict[str, Any] = json.loads(line.getresponse().read())
        except (http.client.HTTPException, ValueError) as problem:
            raise ConnectionError(str(problem) or "no answer of etcd") from problem
        finally:
            line.close()
        if "error" in answer:
            raise LabError(
                f"etcd answers {method} {path}", str(answer["error"]), "look at the coordinator's log"
            )
        return answer


def _code(text: str) -> str:
    return b64encode(text.encode()).decode()


def _plain(text: str) -> str:
    return b64decode(text).decode()


def _after(prefix: str) -> str:
    """Return the first key after all that begin with prefix, as etcd's clients compute it."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)
