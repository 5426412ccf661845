"""The service graph: who calls whom, as a real environment's logs tell, and its picture."""

import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from labkit import Environment, lesson, widgets
from labkit.deployment import image_of
from labkit.environment import Call
from labkit.environment._graph import calls_of
from labkit.widgets._graph import draw
from labkit.workspace import Workspace


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Make a workspace of its own; nothing of it is left."""
    made = Workspace.create(tmp_path_factory.mktemp("graph") / "workspace")
    yield made
    Environment.clean_up_all(made)
    made.artifacts.close()


@pytest.fixture(scope="module")
def environment(workspace: Workspace) -> Environment:
    """Create the shop, all of it at its first version."""
    images = {name: image_of(workspace, name, "v1") for name in workspace.system.services}
    return Environment.create(workspace.system, "integration", images=images, workspace=workspace)


def eventually(true: Callable[[], bool]) -> bool:
    """Return whether something becomes true within ten seconds: a log line follows the answer."""
    deadline = time.monotonic() + 10
    while not true() and time.monotonic() < deadline:
        time.sleep(0.05)
    return true()


def seen(environment: Environment) -> dict[tuple[str, str], tuple[int, int]]:
    """Return by caller and called how many requests there were, and how many of them failed."""
    return {(call.caller, call.called): (call.requests, call.failed) for call in environment.calls()}


@pytest.mark.engine
@pytest.mark.timeout(120)
def test_the_graph_is_what_was_called(environment: Environment) -> None:
    """Two products and an order: each call of each service is counted once, by who made it."""
    assert environment.calls() == []
    item = lesson.ask(f"{environment.url}/cart/items", {"sku": "A100", "quantity": 1}).body
    assert lesson.ask(f"{environment.url}/orders", {"cart": item, "customer": "Ada"}).status == 201
    lesson.ask(f"{environment.urls['cart']}/totals", {"cart": item})
    expected = {
        ("clients", "cart/v1"): (1, 0),
        ("clients", "storefront/v1"): (2, 0),
        ("storefront/v1", "cart/v1"): (2, 0),
        ("cart/v1", "catalog/v1"): (2, 0),
        ("cart/v1", "payments"): (1, 0),
    }
    assert eventually(lambda: seen(environment) == expected), seen(environment)


@pytest.mark.engine
@pytest.mark.timeout(120)
def test_a_service_without_an_instance_is_called_and_fails(environment: Environment) -> None:
    """The balancer answers for it, and says who called; the picture shows what the last seconds were."""
    catalog = environment.instances("catalog")[0]
    environment.remove_instance(catalog)
    assert lesson.ask(f"{environment.urls['cart']}/items", {"sku": "A100", "quantity": 1}).status >= 500
    assert eventually(lambda: seen(environment).get(("cart/v1", "catalog")) == (1, 1)), seen(environment)
    assert "catalog" in repr(widgets.service_graph(environment, last_s=30))
    assert environment.calls(last_s=0.001) == []


def test_who_calls_from_outside_and_lines_of_no_request() -> None:
    """A line without caller is the clients'; a line that tells of no answer is none."""
    line: dict[str, Any] = {"service": "cart", "version": "v1", "status": 500, "ms": 3.0, "caller": ""}
    lines: list[dict[str, Any]] = [
        line,
        line | {"ms": 1.0, "status": 404},
        {"service": "cart", "message": "started"},
    ]
    assert calls_of(lines) == [Call("clients", "cart/v1", 2, 1, 2.0)]


def test_the_picture_stands_callers_left_of_whom_they_call() -> None:
    """Clients first, each service right of all its callers, both versions there, failures in words."""
    calls = [
        Call("clients", "storefront/v1", 9, 0, 5.0),
        Call("storefront/v1", "cart/v1", 4, 0, 2.0),
        Call("storefront/v1", "cart/v2", 5, 2, 2.0),
        Call("storefront/v1", "catalog/v1", 5, 0, 1.0),
        Call("cart/v1", "catalog/v1", 4, 0, 1.0),
        Call("cart/v2", "catalog/v1", 5, 0, 1.0),
    ]
    svg = ET.fromstring(draw("calls", calls))  # noqa: S314 - our own picture
    words = {element.text: float(element.get("x", 0)) for element in svg.iter("text")}
    assert words["clients"] < words["storefront"] < words["cart"] < words["catalog"]
    assert {"version v2", "5×, ✗ 2 failed"} <= set(words)
    assert "storefront/v1 calls cart/v2 5 times, 2 failed" in (svg.get("aria-label") or "")


def test_a_cycle_of_calls_and_no_call_are_drawn_too() -> None:
    """Neither is an error."""
    cycle = [Call("a/1", "b/1", 1, 0, 1.0), Call("b/1", "a/1", 1, 0, 1.0), Call("a/1", "a/1", 1, 0, 1.0)]
    assert "version 1" in draw("calls", cycle)
    assert "nobody" in draw("nobody", [])
