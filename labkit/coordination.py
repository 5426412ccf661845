"""etcd as the coordinator: a small client of its JSON gateway, for environments and for their services.

Source: etcd 3.4, "gRPC gateway": keys and values travel as Base64 in JSON over POST /v3/…; "etcd API", Lease,
Watch, Transaction; "Role-based access control": the user root, and tokens in the header Authorization.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from labkit import _http
from labkit.errors import LabError, NoAnswer

__all__ = ["INSTANCES", "PORT", "Coordinator", "Entry", "InstanceRegistry", "Listing"]

PORT = 2379
ANSWER_S = 5.0
ROOT = "root"
"""The only user of a coordinator that asks for a password; etcd's own name for who may do everything."""

UNAUTHENTICATED = 16
"""gRPC's code for a token that etcd does not know (any more): it keeps them in memory, for five minutes."""

EMPTY_STORE = 1
"""The revision of a store to which nobody has written yet."""

INSTANCES = "/labkit/instances/"
"""The prefix of the keys of registered instances: {INSTANCES}SERVICE/INSTANCE."""


@dataclass(frozen=True)
class Entry:
    """A key's value, and the revision of the store at which it was set."""

    value: str
    revision: int


@dataclass(frozen=True)
class Listing:
    """The keys under a prefix at a revision of the store; keys are whole, with their prefix."""

    revision: int
    entries: Mapping[str, Entry]


class _TokenUnknown(LabError):
    """etcd does not know the token of a request."""


class Coordinator:
    """The coordinator at host:port: keys and values that all services may read, some with a lease.

    answer_s is how many seconds it may be silent before it counts as gone. password is that of the user root,
    "" for a coordinator that asks for none. Each method raises NoAnswer when the coordinator is not reached
    or silent for too long, and LabError when etcd refuses the request.
    """

    def __init__(
        self, host: str, port: int = PORT, answer_s: float = ANSWER_S, *, password: str = ""
    ) -> None:
        self.host, self.port, self._answer_s = host, port, answer_s
        self._password, self._token = password, ""

    @classmethod
    def at(cls, url: str, answer_s: float = ANSWER_S) -> Self | None:
        """Return the coordinator at a URL, $COORDINATOR_URL of a service; None when the URL names no host."""
        address = urlsplit(url)
        if not address.hostname:
            return None
        password = unquote(address.password or "")
        return cls(address.hostname, address.port or PORT, answer_s, password=password)

    @property
    def url(self) -> str:
        """Return where the coordinator is reached from outside the environment, without the password."""
        return f"http://{self.host}:{self.port}"

    def require_password(self) -> None:
        """Let nobody in without the password from now on, in a store that nobody has used yet.

        :raises LabError: when somebody has been faster, and might have left a way in.
        """
        self._send("POST", "/v3/auth/user/add", {"name": ROOT, "password": self._password})
        self._send("POST", "/v3/auth/user/grant", {"user": ROOT, "role": ROOT})
        enabled = self._send("POST", "/v3/auth/enable", {})
        users = self._ask("POST", "/v3/auth/user/list")["users"]
        if users != [ROOT] or int(enabled["header"]["revision"]) != EMPTY_STORE:
            expected = "a new coordinator, which nobody has used before its password was set"
            raise LabError(expected, f"keys, or other users than {ROOT}", "create the environment again")

    def answers(self) -> bool:
        """Return whether the coordinator has a leader and takes writes.

        :raises NoAnswer: when it is not reached at all.
        """
        return self._ask("GET", "/health").get("health") == "true"

    def put(self, key: str, value: str, lease: int = 0) -> int:
        """Set a key and return the store's revision after it; a key with a lease goes when the lease ends.

        lease 0 is none.
        """
        fields = self._ask("POST", "/v3/kv/put", key=_encode(key), value=_encode(value), lease=str(lease))
        return int(fields["header"]["revision"])

    def get(self, key: str) -> str | None:
        """Return a key's value, None when there is no such key."""
        entry = self._range(key=_encode(key)).entries.get(key)
        return entry.value if entry else None

    def values(self, prefix: str = "/") -> dict[str, str]:
        """Return the value of each key that begins with prefix now."""
        return {key: entry.value for key, entry in self.listing_at(prefix).entries.items()}

    def listing_at(self, prefix: str, revision: int = 0) -> Listing:
        """Return all keys that begin with prefix, as they were at a revision; 0 is now.

        :raises LabError: when the revision is compacted away, or was never reached.
        """
        listing = self._range(**_under(prefix), revision=str(revision))
        return Listing(revision or listing.revision, listing.entries)

    def watch(self, prefix: str, silence_s: float) -> Iterator[Listing]:
        """Yield the keys under a prefix now, and again after each change and after each silence.

        The same keys come again after silence_s seconds without a change, so that the caller knows that the
        store still answers: a watch alone cannot tell silence from a dead connection.
        """
        while True:
            now = self.listing_at(prefix)
            yield now
            yield from self._changes(prefix, now, silence_s)

    def swap(self, puts: Mapping[str, str], deletes: str, unchanged: Mapping[str, int]) -> int:
        """Set keys and delete one in one transaction; return the store's revision after it, 0 when refused.

        unchanged maps prefixes to revisions. The transaction is refused when a key under one of the prefixes
        was set at a later revision.
        """
        guards = [
            {
                **_under(prefix),
                "target": "MOD",
                "result": "LESS",
                "mod_revision": str(revision + 1),
            }
            for prefix, revision in unchanged.items()
        ]
        writes: list[dict[str, Any]] = [
            {"request_put": {"key": _encode(key), "value": _encode(value)}} for key, value in puts.items()
        ]
        writes.append({"request_delete_range": {"key": _encode(deletes)}})
        fields = self._ask("POST", "/v3/kv/txn", compare=guards, success=writes)
        # The gateway leaves fields out that have their default value, so a refusal has no "succeeded".
        return int(fields["header"]["revision"]) if fields.get("succeeded") else 0

    def delete(self, key: str) -> bool:
        """Remove a key; return whether it was there."""
        return int(self._ask("POST", "/v3/kv/deleterange", key=_encode(key)).get("deleted", 0)) > 0

    def grant(self, seconds: int) -> int:
        """Return a new lease, which ends after so many seconds without renewal."""
        return int(self._ask("POST", "/v3/lease/grant", TTL=str(seconds))["ID"])

    def renew(self, lease: int) -> bool:
        """Let a lease begin anew; return False when it has ended already."""
        fields = self._ask("POST", "/v3/lease/keepalive", ID=str(lease))
        return int(fields["result"].get("TTL", 0)) > 0

    def revoke(self, lease: int) -> None:
        """End a lease now, and remove its keys; a lease that has ended is no error."""
        if self.renew(lease):
            self._ask("POST", "/v3/lease/revoke", ID=str(lease))

    def _changes(self, prefix: str, now: Listing, silence_s: float) -> Iterator[Listing]:
        """Yield the keys after each change, until the store is silent or cancels the watch."""
        create = {"create_request": {**_under(prefix), "start_revision": str(now.revision + 1)}}
        content, entries = json.dumps(create), dict(now.entries)
        where = (self.host, self.port, "POST", "/v3/watch", content, _headers(self._token))
        try:
            with _http.stream(*where, timeout_s=silence_s) as response:
                for line in response:
                    # A line without a result is an error, after which etcd says nothing more.
                    result = json.loads(line).get("result", {"canceled": True})
                    if result.get("canceled"):
                        return
                    if events := result.get("events"):
                        _apply(events, entries)
                        yield Listing(int(result["header"]["revision"]), dict(entries))
        except TimeoutError:
            return  # silence: the caller lists the keys anew, which fails when the store is gone
        except (OSError, ValueError) as problem:
            raise self._no_answer(problem) from problem

    def _range(self, **bounds: str) -> Listing:
        fields = self._ask("POST", "/v3/kv/range", **bounds)
        entries = {_decode(pair["key"]): _entry(pair) for pair in fields.get("kvs", [])}
        return Listing(int(fields["header"]["revision"]), entries)

    def _ask(self, method: str, path: str, **body: object) -> dict[str, Any]:
        """Send one request and return the fields of its answer; get a new token when etcd wants one.

        :raises NoAnswer: when nothing answers in time.
        :raises LabError: when etcd refuses the request.
        """
        if not self._password or method == "GET":
            return self._send(method, path, body)
        try:
            return self._send(method, path, body, self._token or self._authenticate())
        except _TokenUnknown:  # its five minutes are over, or etcd has started anew
            return self._send(method, path, body, self._authenticate())

    def _authenticate(self) -> str:
        given = {"name": ROOT, "password": self._password}
        self._token = str(self._send("POST", "/v3/auth/authenticate", given)["token"])
        return self._token

    def _send(self, method: str, path: str, body: Mapping[str, object], token: str = "") -> dict[str, Any]:
        content = json.dumps(body) if method == "POST" else None
        where = (self.host, self.port, method, path, content, _headers(token))
        try:
            response = _http.request(*where, timeout_s=self._answer_s)
            fields: dict[str, Any] = response.json()
        except OSError as problem:
            raise self._no_answer(problem) from problem
        if "error" in fields:
            refused = _TokenUnknown if fields.get("code") == UNAUTHENTICATED else LabError
            raise refused(
                f"etcd answers {method} {path}", str(fields["error"]), "look at the coordinator's log"
            )
        return fields

    def _no_answer(self, problem: Exception) -> NoAnswer:
        return NoAnswer(
            f"the coordinator answers at {self.url}",
            f"{type(problem).__name__} {problem}".strip(),
            "environment.elements() shows how it is; environment.element('coordinator').resume() wakes it",
        )


class InstanceRegistry:
    """The instances of services that are registered with a coordinator, each under a key of its own."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._coordinator = coordinator

    def register(self, service: str, instance: str, version: str, address: str, lease: int = 0) -> None:
        """Register an instance of a service at address (ip:port), as long as the lease lives; 0 is none."""
        value = json.dumps({"version": version, "address": address})
        self._coordinator.put(_instance_key(service, instance), value, lease)

    def unregister(self, service: str, instance: str) -> None:
        """Remove an instance from the registry; one that is not there is no error."""
        self._coordinator.delete(_instance_key(service, instance))

    def instances(self, service: str) -> dict[str, dict[str, str]]:
        """Return "version" and "address" of each registered instance of a service, by the instance's name."""
        prefix = _instance_key(service, "")
        values = self._coordinator.values(prefix)
        return {key.removeprefix(prefix): json.loads(value) for key, value in values.items()}


def _headers(token: str) -> dict[str, str]:
    return {"Authorization": token} if token else {}


def _instance_key(service: str, instance: str) -> str:
    return f"{INSTANCES}{service}/{instance}"


def _apply(events: list[dict[str, Any]], entries: dict[str, Entry]) -> None:
    """Bring entries up to date with the events of a watch."""
    for event in events:
        key = _decode(event["kv"]["key"])
        if event.get("type") == "DELETE":
            entries.pop(key, None)
        else:
            entries[key] = _entry(event["kv"])


def _entry(pair: Mapping[str, str]) -> Entry:
    return Entry(_decode(pair.get("value", "")), int(pair["mod_revision"]))


def _encode(text: str) -> str:
    return b64encode(text.encode()).decode()


def _decode(text: str) -> str:
    return b64decode(text).decode()


def _under(prefix: str) -> dict[str, str]:
    """Return the bounds of all keys that begin with prefix, as etcd's clients compute them."""
    after = prefix[:-1] + chr(ord(prefix[-1]) + 1)
    return {"key": _encode(prefix), "range_end": _encode(after)}
