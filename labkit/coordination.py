"""etcd as the coordinator: a small client of its JSON gateway, for environments and for their services.

Source: etcd 3.4, "gRPC gateway": keys and values travel as Base64 in JSON over POST /v3/…; "etcd API", Lease,
Watch, Transaction.
"""

import http.client
import json
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from labkit.errors import LabError

__all__ = ["INSTANCES", "PORT", "Coordinator", "Entry", "Listing"]

PORT = 2379
ANSWER_S = 5.0
INSTANCES = "/labkit/instances/"


@dataclass(frozen=True)
class Entry:
    """A key's value, and the revision of the store at which it was set."""

    value: str
    revision: int


@dataclass(frozen=True)
class Listing:
    """The keys under a prefix at a revision of the store; keys are whole."""

    revision: int
    entries: Mapping[str, Entry]


class Coordinator:
    """The coordinator at host:port: keys and values that all services may read, some with a lease.

    answer_s is how long it may be silent before it counts as gone.
    """

    def __init__(self, host: str, port: int = PORT, answer_s: float = ANSWER_S) -> None:
        self.host, self.port, self._answer_s = host, port, answer_s

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

    def listing(self, prefix: str, revision: int = 0) -> Listing:
        """Return all keys that begin with prefix, as they were at a revision; 0 is now.

        :raises LabError: when the revision is compacted away, or was never reached.
        """
        wanted = {"key": _code(prefix), "range_end": _code(_after(prefix)), "revision": str(revision)}
        told = self._ask("POST", "/v3/kv/range", **wanted)
        found = {_plain(pair["key"]): _entry(pair) for pair in told.get("kvs", [])}
        return Listing(revision or int(told["header"]["revision"]), found)

    def watch(self, prefix: str, silence_s: float) -> Iterator[Listing]:
        """Yield the keys under a prefix now, and again after each change and after each silence.

        The same keys come again after silence_s seconds without a change, so that who listens knows that the
        store still speaks; a watch alone cannot tell silence from a dead line.

        :raises OSError: when the store does not answer.
        """
        while True:
            now = self.listing(prefix)
            yield now
            yield from self._changes(prefix, now, silence_s)

    def swap(self, puts: Mapping[str, str], deletes: str, unchanged: Mapping[str, int]) -> int:
        """Set keys and delete one, all at once; return the store's revision after it, 0 when it was refused.

        unchanged maps prefixes to revisions: it is refused when a key under one was set at a later one.
        """
        guards = [
            {
                "key": _code(prefix),
                "range_end": _code(_after(prefix)),
                "target": "MOD",
                "result": "LESS",
                "mod_revision": str(revision + 1),
            }
            for prefix, revision in unchanged.items()
        ]
        done: list[dict[str, Any]] = [
            {"request_put": {"key": _code(key), "value": _code(value)}} for key, value in puts.items()
        ]
        done.append({"request_delete_range": {"key": _code(deletes)}})
        told = self._ask("POST", "/v3/kv/txn", compare=guards, success=done)
        return int(told["header"]["revision"]) if told.get("succeeded") else 0

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

    def _changes(self, prefix: str, now: Listing, silence_s: float) -> Iterator[Listing]:
        """Yield the keys after each change, until the store is silent or cancels the watch."""
        wanted = {"key": _code(prefix), "range_end": _code(_after(prefix))}
        create = {"create_request": {**wanted, "start_revision": str(now.revision + 1)}}
        line = http.client.HTTPConnection(self.host, self.port, timeout=silence_s)
        entries = dict(now.entries)
        try:
            line.request("POST", "/v3/watch", json.dumps(create))
            for text in line.getresponse():
                told = json.loads(text).get("result", {"canceled": True})
                if told.get("canceled"):
                    return
                for event in told.get("events", []):
                    key = _plain(event["kv"]["key"])
                    if event.get("type") == "DELETE":
                        entries.pop(key, None)
                    else:
                        entries[key] = _entry(event["kv"])
                if told.get("events"):
                    yield Listing(int(told["header"]["revision"]), dict(entries))
        except TimeoutError:
            return
        except (http.client.HTTPException, ValueError) as problem:
            raise ConnectionError(str(problem) or "the watch broke off") from problem
        finally:
            line.close()

    def _range(self, **wanted: str) -> dict[str, str]:
        found = self._ask("POST", "/v3/kv/range", **wanted).get("kvs", [])
        return {_plain(pair["key"]): _plain(pair.get("value", "")) for pair in found}

    def _ask(self, method: str, path: str, **body: object) -> dict[str, Any]:
        """Send one request; raise OSError when nothing answers, LabError when etcd refuses it."""
        line = http.client.HTTPConnection(self.host, self.port, timeout=self._answer_s)
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


def _entry(pair: Mapping[str, str]) -> Entry:
    return Entry(_plain(pair.get("value", "")), int(pair["mod_revision"]))


def _code(text: str) -> str:
    return b64encode(text.encode()).decode()


def _plain(text: str) -> str:
    return b64decode(text).decode()


def _after(prefix: str) -> str:
    """Return the first key after all that begin with prefix, as etcd's clients compute it."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)
