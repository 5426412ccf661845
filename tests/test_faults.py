"""Faults, elements removed and missed, registration, requests that are followed, and isolation."""

import time
import urllib.request
from collections.abc import Callable, Iterator

import pytest

from labkit import deployment, lesson, load
from labkit.artifacts import Kind
from labkit.coordination import InstanceRegistry
from labkit.engine import Engine, Label
from labkit.environment import ElementStatus, Environment, Instance
from labkit.errors import LabError, NoAnswer
from labkit.toggles import ToggleStore
from labkit.workspace import Workspace

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Give a workspace, and see that nothing of it is left in the engine."""
    made = Workspace.create(tmp_path_factory.mktemp("learner") / "workspace")
    yield made
    engine = Engine.find()
    left = [thing.name for thing in engine.owned({Label.WORKSPACE: made.id})]
    engine.client.close()
    made.artifacts.close()
    assert left == []


@pytest.fixture(scope="module")
def staging(workspace: Workspace) -> Iterator[Environment]:
    """Give one staging environment to the tests whose faults end."""
    with Environment.create(workspace.system, "staging", workspace=workspace) as made:
        yield made


def soon(true: Callable[[], object], seconds: float = 20) -> bool:
    """Return whether something becomes true within a deadline."""
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.05)
    return bool(true())


def seen(environment: Environment, name: str) -> ElementStatus:
    """Return how an element is now."""
    return {status.name: status for status in environment.elements()}[name]


def cart(environment: Environment, number: int) -> Instance:
    """Return one of the carts as it is now."""
    return environment.instances("cart")[number - 1]


def who_answer(environment: Environment, requests: int = 6) -> set[str]:
    """Return the carts that answer some requests."""
    return {lesson.ask(f"{environment.urls['cart']}/version").instance for _ in range(requests)}


def addresses(environment: Environment, name: str) -> str:
    """Return what the network's DNS knows of a name."""
    return environment.run(["getent", "hosts", name]).output.strip()


def test_a_frozen_instance_is_missed_by_balancer_and_coordinator_and_not_by_dns(staging: Environment) -> None:
    """Its checks and its lease run out while its name still resolves; resumed, it registers itself again."""
    cart(staging, 1).pause()
    assert soon(lambda: seen(staging, "cart-1").balanced == "DOWN")
    assert soon(lambda: seen(staging, "cart-1").registered is False)
    assert seen(staging, "cart-1").state == cart(staging, 1).state == "paused"
    assert "cart-1" in addresses(staging, "cart-1")
    assert who_answer(staging) == {"cart-2", "cart-3"}
    cart(staging, 1).resume()
    assert soon(lambda: seen(staging, "cart-1").balanced == "UP")
    assert soon(lambda: seen(staging, "cart-1").registered)
    assert who_answer(staging) == {"cart-1", "cart-2", "cart-3"}


def test_a_disconnected_instance_runs_unreached_and_comes_back_by_its_new_address(
    staging: Environment,
) -> None:
    """Two that leave and return in the other order may have changed addresses; the balancer knows."""
    first, second = cart(staging, 1), cart(staging, 2)
    first.disconnect()
    second.disconnect()
    assert seen(staging, "cart-1").state == "disconnected"
    assert cart(staging, 1).address == ""
    assert soon(lambda: seen(staging, "cart-2").balanced == "DOWN")
    assert addresses(staging, "cart-1") == ""
    second.reconnect()
    first.reconnect()
    assert soon(lambda: {instance.state for instance in staging.instances("cart")} == {"UP"})
    known = staging.balancer.servers("cart")
    coordinator = staging.coordinator
    assert coordinator is not None
    assert {instance.name: instance.address for instance in staging.instances("cart")} == {
        name: instance.address for name, instance in known.items()
    }
    assert soon(
        lambda: (
            {
                name: entry["address"]
                for name, entry in InstanceRegistry(coordinator).instances("cart").items()
            }
            == {name: instance.address for name, instance in known.items()}
        )
    )
    assert who_answer(staging) == {"cart-1", "cart-2", "cart-3"}


def test_a_slow_instance_passes_its_checks_while_its_clients_lose_patience(staging: Environment) -> None:
    """Only its own clients wait; with 0 none does any more."""
    cart(staging, 3).slow(4000)
    assert seen(staging, "cart-3").held_ms == 4000
    patient = [asked_for(staging, 1.5) for _ in range(3)]
    assert sorted(patient) == [False, True, True]
    assert seen(staging, "cart-3").balanced == "UP"
    cart(staging, 3).slow(0)
    assert seen(staging, "cart-3").held_ms == 0
    assert who_answer(staging) == {"cart-1", "cart-2", "cart-3"}


def asked_for(environment: Environment, patience_s: float) -> bool:
    """Return whether the cart answers a client before its patience ends."""
    try:
        with urllib.request.urlopen(f"{environment.urls['cart']}/version", timeout=patience_s) as answer:  # noqa: S310 - a URL of our own
            return bool(answer.status == 200)
    except TimeoutError:
        return False


def test_a_killed_instance_is_missed_by_all_and_can_be_replaced(workspace: Workspace) -> None:
    """Its name is gone too; it is removed and another one takes its number."""
    with Environment.create(workspace.system, "staging", workspace=workspace) as made:
        cart(made, 3).slow(9000)
        cart(made, 3).kill()
        assert soon(lambda: seen(made, "cart-3").registered is False)
        assert (cart(made, 3).state, seen(made, "cart-3").balanced) == ("exited", "DOWN")
        assert addresses(made, "cart-3") == ""
        assert who_answer(made) == {"cart-1", "cart-2"}
        killed = cart(made, 3)
        made.remove_instance(killed)
        added = made.add_instance("cart", killed.image)
        made.balancer.add(added)
        assert added.name == "cart-3"
        assert seen(made, "cart-3").held_ms == 0
        assert seen(made, "cart-3").registered
        assert who_answer(made) == {"cart-1", "cart-2", "cart-3"}
        ended = cart(made, 1)
        Engine.find().client.api.stop(ended.container)
        assert seen(made, "cart-1").registered is False, "an instance that is told to end says so itself"


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (lambda instance: instance.resume(), "not paused"),
        (lambda instance: instance.slow(-1), "milliseconds from 0 on"),
        (lambda instance: instance.reconnect(), "already exists in network"),
    ],
)
def test_a_fault_that_cannot_be_is_refused_with_words(
    staging: Environment, fault: Callable[[Instance], None], words: str
) -> None:
    """The error says in which state the instance is, and nothing has changed."""
    with pytest.raises(LabError, match=words):
        fault(cart(staging, 1))
    assert cart(staging, 1).state == "UP"


def test_every_element_can_be_removed_and_what_then_fails_is_what_it_was_for(workspace: Workspace) -> None:
    """No stubs: no order is paid. No coordinator: nobody joins. Then no database, and no balancer."""
    with Environment.create(workspace.system, "staging", workspace=workspace) as made:
        assert [element.name for element in made.elements() if element.state != "running"] == []
        basket = lesson.ask(f"{made.url}/cart/items", {"sku": "A100", "quantity": 1}).body
        made.element("stub").remove()
        order = lesson.ask(f"{made.url}/orders", {"cart": basket, "customer": "Ada"})
        assert order.status == 503
        # Its name is looked up in vain, which takes longer than the time-out when the machine is busy.
        assert order.body["error"] in {
            f"payments does not answer: Connect{why}" for why in ("Error", "Timeout")
        }
        made.element("coordinator").remove()
        assert lesson.ask(f"{made.url}/products").status == 200
        assert {element.registered for element in made.elements()} == {None}
        with pytest.raises(LabError, match="cart-4 answers GET /readyz"):
            made.add_instance("cart", cart(made, 1).image, deadline_s=2)
        made.remove_instance(cart(made, 3))
        made.element("database").remove()
        assert lesson.ask(f"{made.url}/products").status == 503
        made.element("balancer").remove()
        with pytest.raises(NoAnswer, match="its container is gone"):
            lesson.ask(f"{made.url}/products")
        assert {instance.state for instance in made.instances("cart")} == {"running"}
        gone = [element.name for element in made.elements() if element.state == "missing"]
        assert gone == ["balancer", "coordinator", "database", "stub"]
        with pytest.raises(LabError, match="its container is gone"):
            made.element("database").pause()
        with pytest.raises(LabError, match="an element of"):
            made.element("cat")
        saved = workspace.root / "saved"
        made.clean_up(save=saved)
        assert (saved / f"{made.name}.calls.json").read_text().count("null") == 2


def test_each_fault_is_recorded(staging: Environment, workspace: Workspace) -> None:
    """The fault and its element are among the recorded uses of the environment."""
    cart(staging, 2).slow(1)
    cart(staging, 2).slow(0)
    uses = workspace.artifacts.history(kind=Kind.ENVIRONMENT_USED, environment=staging.name)
    recorded = [
        (fact.predicate["use"], fact.predicate["element"], fact.predicate["ms"]) for fact in uses[-2:]
    ]
    assert recorded == [("slow", "cart-2", 1), ("slow", "cart-2", 0)]


def test_a_request_is_followed_by_its_id_through_all_services_to_the_stub(staging: Environment) -> None:
    """One order leaves a line in three services and the stub; what the client gave as id is kept."""
    basket = lesson.ask(f"{staging.url}/cart/items", {"sku": "A100", "quantity": 1}).body
    order = lesson.ask(f"{staging.url}/orders", {"cart": basket, "customer": "Ada"})
    assert order.status == 201
    lines = staging.logs(request_id=order.request_id)
    assert {line["service"] for line in lines} == {"storefront", "cart", "catalog", "payments"}
    assert staging.stub("payments").calls()[-1]["request_id"] == order.request_id
    asked = urllib.request.Request(f"{staging.url}/products", headers={"x-request-id": "mine-1"})  # noqa: S310 - a URL of our own
    with urllib.request.urlopen(asked, timeout=20) as answer:  # noqa: S310 - a URL of our own
        assert answer.headers["x-request-id"] == "mine-1"
    assert {entry["service"] for entry in staging.logs(request_id="mine-1")} == {"storefront", "catalog"}


def test_a_request_that_reaches_no_instance_is_followed_to_the_balancer(workspace: Workspace) -> None:
    """The balancer gives it an id, answers it, and logs both."""
    with Environment.create(workspace.system, "integration", workspace=workspace) as made:
        made.instances("storefront")[0].kill()
        assert soon(lambda: seen(made, "storefront-1").balanced == "DOWN")
        answer = lesson.ask(f"{made.url}/products")
        assert (answer.status, answer.instance) == (503, "")
        assert soon(lambda: made.logs(request_id=answer.request_id))
        (line,) = made.logs(request_id=answer.request_id)
        assert (line["service"], line["status"], line["server"]) == ("balancer", 503, "<NOSRV>")


def test_what_has_ended_starts_again_with_what_it_had(workspace: Workspace) -> None:
    """As after a restart of the engine: with its rows and toggles, and behind the balancer."""
    with Environment.create(workspace.system, "staging", workspace=workspace) as made:
        assert made.database is not None
        assert made.coordinator is not None
        ToggleStore(made.coordinator).set("basket_discount")
        assert lesson.ask(f"{made.url}/products").status == 200
        before, toggles = made.database.fingerprint(), ToggleStore(made.coordinator).all()
        containers = {status.name: status.container for status in made.elements()}
        names = [*containers]
        for container in containers.values():  # without a word to this process, as an engine that ends
            Engine.find().client.containers.get(container).kill()
        (listed,) = [status for status in Environment.list(workspace) if status.name == made.name]
        assert listed.ended == listed.containers == len(names)
        with pytest.raises(NoAnswer, match=f"labkit environment start {made.name}"):
            Environment.attach(made.name, workspace).url  # noqa: B018 - asked for its error
        assert sorted(made.start()) == sorted(names)
        assert lesson.ask(f"{made.url}/products").status == 503
        assert all(outcome.startswith("serves") for outcome in deployment.reconcile(made).values())
        assert lesson.ask(f"{made.url}/products").status == 200
        assert made.database.fingerprint() == before
        assert ToggleStore(made.coordinator).all() == toggles
        assert made.start() == []


def test_an_environment_that_crashes_drowns_or_rots_leaves_the_other_as_it_was(workspace: Workspace) -> None:
    """A killed instance, a flood and a dropped table in one; the other has the same answers and data."""
    with (
        Environment.create(workspace.system, "integration", workspace=workspace) as broken,
        Environment.create(workspace.system, "integration", workspace=workspace) as whole,
    ):
        assert broken.database is not None
        assert whole.database is not None
        before = lesson.ask(f"{whole.url}/products").body, whole.database.fingerprint()
        gentle = load.Load({"GET /products": 1}, rate_per_s=20, duration_s=4, arrivals="even")
        flood = load.Load({"GET /products": 1}, rate_per_s=400, duration_s=4)
        with load.apply(flood, broken.url), load.apply(gentle, whole.url) as running:
            broken.instances("cart")[0].kill()
            with broken.database.connect() as connection:
                connection.execute("DROP TABLE products CASCADE")
            measured = running.wait()
        assert lesson.ask(f"{broken.url}/products").status == 503
        assert (measured.requests, measured.failed) == (80, 0)
        assert (lesson.ask(f"{whole.url}/products").body, whole.database.fingerprint()) == before
        answers = {name: lesson.ask(f"{url}/version").instance for name, url in whole.urls.items()}
        assert answers == {name: f"{name}-1" for name in whole.urls}
        assert broken.run("getent hosts " + whole.name + ".database").exit_code != 0
