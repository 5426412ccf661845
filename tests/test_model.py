"""Models: what holds in every order of steps, and a counterexample that real containers follow."""

import json
import subprocess
from collections.abc import Iterator

import pytest

from labkit.deployment import Fleet
from labkit.engine import Engine, Label, build_service_image
from labkit.environment import Environment, Instance
from labkit.errors import LabError
from labkit.model import Action, Model, RevisionHeader, SameInstant, TwoPhase, Upgrade, WatchOnly, explore
from labkit.workspace import Workspace


@pytest.mark.parametrize(
    ("model", "wrong", "steps"),
    [(WatchOnly(3), "mixed", 4), (SameInstant(3), "mixed", 3), (TwoPhase(3, guarded=False), "refused", 9)],
    ids=repr,
)
def test_protocols_without_protection_have_a_shortest_counterexample(
    model: Model[object], wrong: str, steps: int
) -> None:
    """Each of its steps is one that the model allows, and only the last state is wrong."""
    exploration = explore(model)
    assert (exploration.wrong, len(exploration.actions), exploration.holds) == (wrong, steps, False)
    state = model.initial
    for action, after in exploration.counterexample:
        assert not model.wrong(state)
        assert (action, after) in list(model.steps(state))
        state = after
    assert model.wrong(state) == wrong


@pytest.mark.parametrize("model", [RevisionHeader(3), TwoPhase(3), Upgrade(3, tagged=True)], ids=repr)
def test_protocols_with_protection_hold_in_all_states(model: Model[object]) -> None:
    """Neither a mixture nor a refusal nor a wrong price can be reached."""
    exploration = explore(model)
    assert exploration.holds, str(exploration)
    assert exploration.states > 10


def test_a_revision_header_alone_needs_the_store() -> None:
    """No request is mixed, but one is refused where the change has not come and the store is down."""
    exploration = explore(RevisionHeader(2, refusals=True))
    assert exploration.wrong == "refused"
    assert Action("the store goes down") in exploration.actions


def test_an_explosion_of_states_is_an_error_with_a_next_step() -> None:
    """More states than are allowed end the exploration, not the machine."""
    with pytest.raises(LabError, match="fewer instances"):
        explore(TwoPhase(6), limit=100)


@pytest.fixture(scope="module")
def carts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Environment, str]]:
    """Give an environment of the shop with two carts of version 1, and the image of version 2."""
    workspace = Workspace.create(tmp_path_factory.mktemp("model") / "workspace")
    command = ["git", "-C", str(workspace.shop), "archive", "v2:cart"]
    source = subprocess.run(command, capture_output=True, check=True).stdout
    image = build_service_image(Engine.find(), source, "labkit/test-model-cart:v2", {Label.VERSION: "v2"})
    with Environment.create(workspace.system, "integration", workspace=workspace) as environment:
        (first,) = environment.instances("cart")
        environment.balancer.add(environment.add_instance("cart", first.image))
        yield environment, image.ref
    for name in (image.ref, "labkit/test-model-cart:stage-1"):
        Engine.find().client.images.remove(name, force=True)


def ask(environment: Environment, instance: Instance, path: str, body: object) -> dict[str, object]:
    """Send a request to one instance, past the balancer, and return its answer."""
    code = (
        "import sys, urllib.request as u; "
        "r = u.Request(sys.argv[1], sys.argv[2].encode()); sys.stdout.write(u.urlopen(r).read().decode())"
    )
    url = f"http://{instance.address}{path}"
    done = environment.run(["python3", "-c", code, url, json.dumps(body)])
    assert done.exit_code == 0, done
    answer: dict[str, object] = json.loads(done.output)
    return answer


@pytest.mark.engine
@pytest.mark.timeout(300)
def test_real_containers_follow_the_counterexample_to_the_same_wrong_price(
    carts: tuple[Environment, str],
) -> None:
    """Step by step as the model says; 780 cents with 10 % off cost 632, not 702."""
    environment, image = carts
    exploration = explore(Upgrade(2))
    instances, cart, total = list(Fleet(environment, "cart").instances), None, None
    for verb, at in exploration.actions:
        assert at is not None
        if verb == "upgrade":
            old, instances[at] = instances[at], environment.add_instance("cart", image)
            environment.balancer.add(instances[at])
            environment.remove_instance(old)
        elif verb == "add an item at":
            cart = ask(environment, instances[at], "/items", {"sku": "A100", "quantity": 2})
        else:
            total = ask(environment, instances[at], "/totals", {"cart": cart})["total_cents"]
    assert exploration.wrong == "discounted twice"
    assert total == 632
