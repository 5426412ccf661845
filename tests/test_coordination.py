"""The coordinator's client: what it raises when nothing answers, and what it reads from a real etcd."""

import json
import socketserver
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from coordinators import running_etcd, soon

from labkit.coordination import INSTANCES, Coordinator, InstanceRegistry, Listing
from labkit.errors import LabError, NoAnswer

VERBS: dict[str, Callable[[Coordinator], object]] = {
    "require_password": lambda coordinator: coordinator.require_password(),
    "answers": lambda coordinator: coordinator.answers(),
    "put": lambda coordinator: coordinator.put("/key", "value"),
    "get": lambda coordinator: coordinator.get("/key"),
    "values": lambda coordinator: coordinator.values(),
    "listing_at": lambda coordinator: coordinator.listing_at("/key"),
    "watch": lambda coordinator: next(coordinator.watch("/key", 1)),
    "swap": lambda coordinator: coordinator.swap({}, "/key", {}),
    "delete": lambda coordinator: coordinator.delete("/key"),
    "grant": lambda coordinator: coordinator.grant(3),
    "renew": lambda coordinator: coordinator.renew(1),
    "revoke": lambda coordinator: coordinator.revoke(1),
}


class Server(socketserver.ThreadingTCPServer):
    """Answers each request with the next of its answers, to the byte; after the last it is silent."""

    daemon_threads = True

    def __init__(self, answers: list[bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.over = iter(answers), threading.Event()


class Handler(socketserver.BaseRequestHandler):
    """Serves one request."""

    server: Server

    def handle(self) -> None:
        """Read the request and send the answer."""
        self.request.recv(65536)
        answer = next(self.server.answers, None)
        if answer is None:
            self.server.over.wait(10)
        else:
            self.request.sendall(answer)


@contextmanager
def answering(*answers: bytes) -> Iterator[Coordinator]:
    """Give the client of a server that gives these answers, one a connection."""
    with Server(list(answers)) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01], daemon=True)
        thread.start()
        yield Coordinator("127.0.0.1", server.server_address[1], 0.2)
        server.over.set()
        server.shutdown()
        thread.join()


def response(fields: object) -> bytes:
    """Return an answer of HTTP with JSON data."""
    body = json.dumps(fields).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def test_every_public_verb_is_tested() -> None:
    """A verb that is added to the coordinator is added to the table above."""
    public = {name for name, value in vars(Coordinator).items() if callable(value) and name[0] != "_"}
    assert public == set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_a_coordinator_that_is_not_reached_raises_no_answer(verb: str) -> None:
    """Each verb raises NoAnswer with its three parts; code that retries on a ConnectionError retries it."""
    with pytest.raises(NoAnswer) as failure:
        VERBS[verb](Coordinator("127.0.0.1", 1, 0.2))
    assert isinstance(failure.value, ConnectionError)
    assert failure.value.expected == "the coordinator answers at http://127.0.0.1:1"
    assert "refused" in failure.value.seen
    assert "environment.elements()" in failure.value.next_step


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("answer", "seen"),
    [
        (None, "timed out"),
        (b"", "RemoteDisconnected|closed connection"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH-2.0"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", "IncompleteRead"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{", "Expecting"),
    ],
    ids=["silent", "closed", "no HTTP", "cut off", "no JSON"],
)
def test_an_answer_that_is_none_raises_no_answer(verb: str, answer: bytes | None, seen: str) -> None:
    """Silence, a closed connection and what is not etcd's JSON are NoAnswer too, with the cause."""
    with answering(*([] if answer is None else [answer])) as coordinator:
        with pytest.raises(NoAnswer, match=seen) as failure:
            VERBS[verb](coordinator)
        assert failure.value.__cause__ is not None


@pytest.mark.parametrize("answer", [b"", response("no result")[:-3]], ids=["closed", "cut off"])
def test_a_watch_that_breaks_off_raises_no_answer(answer: bytes) -> None:
    """The keys before it are given; then the watcher learns that nobody answers."""
    key = {"key": b64encode(b"/key").decode(), "mod_revision": "3"}
    listed = response({"header": {"revision": "4"}, "kvs": [key]})
    with answering(listed, answer) as coordinator:
        watch = coordinator.watch("/key", 0.2)
        assert set(next(watch).entries) == {"/key"}
        with pytest.raises(NoAnswer):
            next(watch)


def test_a_refusal_of_etcd_is_an_error_that_is_no_lack_of_an_answer() -> None:
    """What etcd refuses is not tried again by code that waits for an answer."""
    with answering(response({"error": "mvcc: required revision has been compacted"})) as coordinator:
        with pytest.raises(LabError, match="compacted") as refusal:
            coordinator.listing_at("/key", 3)
        assert not isinstance(refusal.value, NoAnswer)


@pytest.fixture(scope="module")
def coordinator() -> Iterator[Coordinator]:
    """Give a real etcd that asks for a password."""
    with running_etcd() as container:
        made = Coordinator("127.0.0.1", container.host_port, 2.0, password="a word")  # noqa: S106 - of a test
        made.require_password()
        made.container = container  # type: ignore[attr-defined]  # for the test that restarts it
        yield made


@pytest.mark.engine
def test_keys_are_listed_now_and_as_they_were_at_a_revision(coordinator: Coordinator) -> None:
    """Each key comes with its value, and from a listing with the revision at which it was set."""
    first = coordinator.put("/a/key", "wert ü")
    second = coordinator.put("/a/key", "other")
    coordinator.put("/b/key", "elsewhere")
    assert coordinator.values("/a/") == {"/a/key": "other"}
    assert coordinator.listing_at("/a/").entries["/a/key"].revision == second
    past = coordinator.listing_at("/a/", first)
    assert (past.revision, past.entries["/a/key"].value) == (first, "wert ü")
    assert coordinator.delete("/a/key")
    assert (coordinator.get("/a/key"), coordinator.values("/a/")) == (None, {})


@pytest.mark.engine
def test_a_registered_instance_is_listed_until_it_is_removed_or_its_lease_ends(
    coordinator: Coordinator,
) -> None:
    """The registry has version and address by name, each service apart, under the prefix of instances."""
    registry, lease = InstanceRegistry(coordinator), coordinator.grant(60)
    registry.register("cart", "cart-1", "v1", "10.0.0.1:80")
    registry.register("cart", "cart-2", "v2", "10.0.0.2:80", lease)
    registry.register("catalog", "catalog-1", "v1", "10.0.0.3:80")
    assert registry.instances("cart") == {
        "cart-1": {"version": "v1", "address": "10.0.0.1:80"},
        "cart-2": {"version": "v2", "address": "10.0.0.2:80"},
    }
    assert coordinator.get(f"{INSTANCES}cart/cart-1") == '{"version": "v1", "address": "10.0.0.1:80"}'
    coordinator.revoke(lease)
    registry.unregister("cart", "cart-1")
    registry.unregister("cart", "cart-1")
    assert registry.instances("cart") == {}
    registry.unregister("catalog", "catalog-1")


@pytest.mark.engine
def test_a_watch_gives_each_change_and_the_same_keys_after_a_silence(coordinator: Coordinator) -> None:
    """A key that is set, one that is deleted, and nothing at all are each reported once."""
    watch: Iterator[Listing] = coordinator.watch("/w/", 0.5)
    assert next(watch).entries == {}
    threading.Timer(0.1, coordinator.put, ("/w/key", "value")).start()
    assert next(watch).entries["/w/key"].value == "value"
    threading.Timer(0.1, coordinator.delete, ("/w/key",)).start()
    assert next(watch).entries == {}
    assert next(watch).entries == {}


@pytest.mark.engine
def test_nobody_gets_in_without_the_password(coordinator: Coordinator) -> None:
    """No password and a wrong one are refused, whatever is asked; the URL that errors name has none."""
    strangers = [Coordinator(coordinator.host, coordinator.port, 2.0, password=word) for word in ("", "b")]
    for stranger in strangers:
        for verb in ("put", "get", "swap", "delete", "require_password"):
            with pytest.raises(LabError) as refusal:
                VERBS[verb](stranger)
            assert not isinstance(refusal.value, NoAnswer)
            assert "a word" not in str(refusal.value)
    listed = strangers[0].listing_at
    with pytest.raises(LabError, match="user name is empty"):
        listed("/")
    assert coordinator.url == f"http://127.0.0.1:{coordinator.port}"


@pytest.mark.engine
def test_a_client_is_let_in_again_after_a_restart(coordinator: Coordinator) -> None:
    """The store forgets its tokens when it ends; clients, watches and leases go on with the password."""
    lease = coordinator.grant(60)
    coordinator.put("/r/key", "value", lease)
    watch = coordinator.watch("/r/", 0.3)
    assert set(next(watch).entries) == {"/r/key"}
    coordinator.container.restart(timeout=0)  # type: ignore[attr-defined]  # as the fixture has it
    assert soon(coordinator.answers)
    assert coordinator.get("/r/key") == "value"
    assert coordinator.renew(lease)
    assert set(next(coordinator.watch("/r/", 0.3)).entries) == {"/r/key"}
    coordinator.revoke(lease)
    assert coordinator.values("/r/") == {}


@pytest.mark.engine
def test_a_store_that_somebody_has_used_is_not_taken_for_a_new_one() -> None:
    """Whoever was faster than the password might have left a way in, so the start fails."""
    with running_etcd() as container:
        late = Coordinator("127.0.0.1", container.host_port, 2.0, password="a word")  # noqa: S106 - of a test
        Coordinator("127.0.0.1", container.host_port, 2.0).put("/key", "left")
        with pytest.raises(LabError, match="nobody has used"):
            late.require_password()


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("http://root:a%20word@coordinator:2380", ("coordinator", 2380, "a word")),
        ("http://coordinator", ("coordinator", 2379, "")),
        ("", None),
    ],
)
def test_a_service_reads_host_port_and_password_from_its_variable(
    url: str, seen: tuple[str, int, str] | None
) -> None:
    """$COORDINATOR_URL has all that a client needs; without a host there is no coordinator."""
    found = Coordinator.at(url)
    assert (found and (found.host, found.port, found._password)) == seen
