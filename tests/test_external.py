"""External services: what may be real where, what a stub is set to, what was really answered."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from labkit.artifacts import Kind
from labkit.engine import Engine, Label
from labkit.environment import Environment
from labkit.environment._plan import Plan
from labkit.environment._recording import record
from labkit.errors import LabError
from labkit.system import Recording, System
from labkit.workspace import Workspace, course

LINE = {"sku": "A100", "name": "Aspirin", "quantity": 1, "price_cents": 390}
SETTINGS, NETWORKS = "NetworkSettings", "Networks"
ORDER = {"cart": {"lines": [LINE]}, "customer": "Ada"}


@pytest.fixture(scope="module")
def system() -> System:
    """Return the shop as the course has it."""
    return System.load(course() / "labs" / "shop")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Give a workspace of its own."""
    made = Workspace.create(tmp_path_factory.mktemp("external") / "workspace")
    yield made
    made.artifacts.close()


@pytest.fixture(scope="module")
def environment(workspace: Workspace) -> Iterator[Environment]:
    """Give one integration environment, in which the rates are real."""
    with Environment.create(workspace.system, "integration", workspace=workspace, real=["rates"]) as made:
        yield made


def ask(url: str, body: object = None) -> tuple[int, Any]:
    """Return status and JSON of an answer."""
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(url, data, {"Content-Type": "application/json"})  # noqa: S310 - our own
    try:
        with urllib.request.urlopen(asked, timeout=10) as answer:  # noqa: S310 - our own
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.load(refused)


def stock(environment: Environment) -> int:
    """Return what is left of the product that is ordered."""
    return int(ask(f"{environment.urls['catalog']}/products/A100")[1]["stock"])


# ---- what needs no engine ----


@pytest.mark.parametrize("stage", ["integration", "staging"])
def test_what_writes_is_refused_outside_production(system: System, stage: str) -> None:
    """Real payments in a test are refused before anything starts; in production they are real."""
    with pytest.raises(LabError, match=r"external\.payments is real only in production") as caught:
        Plan.make(system, stage, None, {}, "", real=["rates", "payments"])
    assert f"let its stub answer in {stage}" in caught.value.next_step
    production = Plan.make(system, "production", None, {}, "", real=["payments"])
    assert [external.name for external in production.providers] == ["payments", "rates"]


def test_what_only_reads_may_be_real_anywhere(system: System) -> None:
    """The one that was asked for is real, the other stays a stub, and the label carries that on."""
    plan = Plan.make(system, "integration", None, {}, "", real=["rates"])
    assert ([external.name for external in plan.providers], [external.name for external in plan.stubs]) == (
        ["rates"],
        ["payments"],
    )
    again = Plan.from_labels(plan.to_labels())
    assert again is not None
    assert [external.writes for external in again.external] == [True, False]


@pytest.mark.parametrize(
    ("stage", "module", "real", "words"),
    [
        ("integration", None, "weather", "an external service of shop"),
        ("development", "cart", "rates", "alone"),
    ],
)
def test_an_external_service_that_cannot_be_real_is_refused(
    system: System, stage: str, module: str | None, real: str, words: str
) -> None:
    """One that nobody declared, or one beside a module that has no network."""
    with pytest.raises(LabError, match=words):
        Plan.make(system, stage, module, {}, "", real=[real])


def test_no_call_to_what_writes_is_recorded(system: System) -> None:
    """The refusal comes before any call: the address would not even answer."""
    payments, rates = Plan.make(system, "production", None, {}, "").external
    with pytest.raises(LabError, match="payments is read-write"):
        record(payments, "127.0.0.1", 1, ["GET /payments"])
    for request in ("POST /rates/EUR", "rates/EUR"):
        with pytest.raises(LabError, match='such as "GET /path"'):
            record(rates, "127.0.0.1", 1, [request])
    with pytest.raises(LabError, match="rates answers GET /rates/EUR"):
        record(rates, "127.0.0.1", 1, ["GET /rates/EUR"])
    with pytest.raises(LabError, match="requests to rates"):
        record(rates, "127.0.0.1", 1, [])


def test_a_file_that_is_no_recording_is_refused(tmp_path: Path) -> None:
    """The error names the file and how to make one."""
    for text in ("[]", "{}", '{"external": "a", "recorded_at": "", "answers": {"GET": {}}}', "no json"):
        (tmp_path / "odd.json").write_text(text)
        with pytest.raises(LabError):
            Recording.load(tmp_path / "odd.json")


# ---- what needs the engine ----


@pytest.mark.engine
def test_a_refused_environment_has_started_nothing(workspace: Workspace) -> None:
    """With payments asked for as real, no container and no network is ever made."""
    engine = Engine.find()
    before = engine.owned({Label.WORKSPACE: workspace.id})
    with pytest.raises(LabError, match="read-write"):
        Environment.create(workspace.system, "staging", workspace=workspace, real=["payments"])
    assert engine.owned({Label.WORKSPACE: workspace.id}) == before
    engine.client.close()


@pytest.mark.engine
def test_a_real_source_is_asked_and_recorded_then_replayed(
    environment: Environment, workspace: Workspace, tmp_path: Path
) -> None:
    """The real rates reach the page; a stub that replays them gives the same answers without the source."""
    real = ask(f"{environment.url}/products?currency=GBP")
    assert (real[0], real[1]["currency"]) == (200, "GBP")
    recording = environment.record("rates", ["GET /rates/EUR", "GET /rates/XXX"])
    assert [answer["status"] for answer in recording.answers.values()] == [200, 404]
    recording.save(tmp_path / "rates.json")
    with Environment.create(workspace.system, "integration", workspace=workspace) as other:
        assert ask(f"{other.url}/products?currency=GBP")[0] == 422  # what was written by hand has no pound
        other.stub("rates").replay(Recording.load(tmp_path / "rates.json"))
        assert ask(f"{other.url}/products?currency=GBP") == real
        with pytest.raises(LabError, match="real in"):
            other.record("rates", ["GET /rates/EUR"])
    used = workspace.artifacts.history(kind=Kind.ENVIRONMENT_USED)
    assert {"record", "stub"} <= {fact.predicate["use"] for fact in used}


@pytest.mark.engine
def test_only_the_caller_of_a_real_service_reaches_it(environment: Environment) -> None:
    """The storefront, which calls the rates, joins their network; other services and tests do not."""
    engine = Engine.find()
    joined = {
        name: len(
            engine.client.containers.get(environment.instances(name)[0].container).attrs[SETTINGS][NETWORKS]
        )
        for name in environment.urls
    }
    engine.client.close()
    assert joined == {"storefront": 2, "cart": 1, "catalog": 1}
    code = "import socket; socket.create_connection(('rates', 8102), 2)"
    assert not environment.run(["python3", "-c", code]).ok
    with pytest.raises(LabError, match="a stub of"):
        environment.stub("rates")


@pytest.mark.engine
def test_what_stands_for_a_real_service_is_listed_by_its_name(environment: Environment) -> None:
    """Of the elements, the one provider is that of the rates, and says so: name and service are the same."""
    listed = [
        (element.name, element.service) for element in environment.elements() if element.role == "provider"
    ]
    assert listed == [("rates", "rates")]


@pytest.mark.engine
def test_a_stub_tells_that_money_moved_although_the_order_failed(environment: Environment) -> None:
    """A payment whose answer comes too late is recorded; the customer sees an error, the goods come back."""
    stub, before = environment.stub("payments"), stock(environment)
    stub.reset()
    stub.set("POST /payments", {"status": 201, "delay_s": 3, "body": {"payment": "late"}})
    status, _ = ask(f"{environment.url}/orders", ORDER)
    (call,) = stub.calls()
    assert (status, call["status"], call["body"]["amount_cents"]) == (503, 201, 390)
    assert stock(environment) == before
    stub.reset()
    assert stub.calls() == []
    assert ask(f"{environment.url}/orders", ORDER)[0] == 201


@pytest.mark.engine
def test_a_stub_fails_by_state_as_it_was_told(environment: Environment) -> None:
    """Refused once, cut off once, then paid: each order meets the next answer."""
    stub = environment.stub("payments")
    stub.reset()
    refused = {"when": "start", "status": 402, "body": {}, "then": "refused"}
    cut = {"when": "refused", "status": 201, "cut": True, "body": {"payment": "lost"}, "then": "cut"}
    stub.set("POST /payments", [refused, cut, {"status": 201, "body": {"payment": "at last"}}])
    assert [ask(f"{environment.url}/orders", ORDER)[0] for _ in range(3)] == [402, 503, 201]
    assert (stub.state, [call["status"] for call in stub.calls()]) == ("cut", [402, 201, 201])
    with pytest.raises(LabError, match="the answer to POST /payments: status"):
        stub.set("POST /payments", {"status": "ok"})
    with pytest.raises(LabError, match="a recording of payments"):
        stub.replay(Recording("rates", "2027-06-30T12:00:00+00:00", {}))
    stub.reset()
    assert stub.state == "start"
