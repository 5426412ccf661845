"""Carts during a deployment: how many come out right, by way to deploy; 20,000 simulated, over 500 real.

The simulation has ten instances that are replaced over ten minutes, and customers who put four items into a
cart, half a minute a click, and then ask for the total.
"""

import json
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

from labkit import Environment, Workspace
from labkit.deployment import Fleet, blue_green, image_of, rolling
from labkit.load import BROKEN_OFF, Load, apply, outcome
from labkit.toggles import ToggleStore, switch

# isort: split
# After labkit.load, which keeps locust from patching this process.
from locust import FastHttpUser, task

CARTS, INSTANCES, LASTS_S, CLICK_S, ITEMS = 20_000, 10, 600.0, 30.0, 4
RATE, REAL, RIGHT = 40, 500, "1404"
ITEM_CENTS = 1000


def tell(figure: str, **values: object) -> None:
    """Print one JSON line."""
    print(json.dumps({"figure": figure, **values}), flush=True)


def simulate(title: str, version: Callable[[random.Random, float, dict[str, int]], int]) -> None:
    """Let customers shop; version says who answers a click at a second, given what the cart carries."""
    chance, outcomes = random.Random(1), Counter[str]()  # noqa: S311 - no secret
    for _ in range(CARTS):
        begins, carried = chance.uniform(-ITEMS * CLICK_S, LASTS_S), dict[str, int]()
        prices = []
        for click in range(ITEMS):
            new = version(chance, begins + click * CLICK_S, carried)
            prices.append(ITEM_CENTS if new else ITEM_CENTS * 9 // 10)
        total = sum(prices)
        paid = total * 9 // 10 if version(chance, begins + ITEMS * CLICK_S, carried) else total
        right = ITEMS * ITEM_CENTS * 9 // 10
        outcomes["right" if paid == right else "too little" if paid < right else "too much"] += 1
    shares = {name: round(count / CARTS, 4) for name, count in outcomes.items()}
    tell("simulated carts", way=title, carts=CARTS, **shares)


def replaced(instance: int, second: float) -> int:
    """Return whether an instance has been replaced: one after the other, evenly."""
    return second >= (instance + 1) * LASTS_S / INSTANCES


def simulated() -> None:
    """Simulate each way to deploy."""

    def any_instance(chance: random.Random, second: float, _: dict[str, int]) -> int:
        return replaced(chance.randrange(INSTANCES), second)

    def sticky(chance: random.Random, second: float, carried: dict[str, int]) -> int:
        return replaced(carried.setdefault("instance", chance.randrange(INSTANCES)), second)

    def at_once(_: random.Random, second: float, __: dict[str, int]) -> int:
        return second >= LASTS_S / 2

    def pinned(_: random.Random, second: float, carried: dict[str, int]) -> int:
        return carried.setdefault("decided", int(second >= LASTS_S / 2))

    def tagged(chance: random.Random, second: float, carried: dict[str, int]) -> int:
        return carried.setdefault("version", replaced(chance.randrange(INSTANCES), second))

    ways = {"rolling": any_instance, "rolling, sticky": sticky, "blue/green or one toggle": at_once}
    for title, version in {**ways, "toggle pinned to the cart": pinned, "tagged messages": tagged}.items():
        simulate(title, version)


class Customer(FastHttpUser):
    """Puts plasters into the cart twice and asks for the total."""

    sticky, patient = False, False

    @task
    def shop(self) -> None:
        """Come once."""
        cart, self.headers = None, {"X-Session": uuid4().hex} if self.sticky else {}
        for _ in range(2):
            cart = self.click("/items", {"sku": "A100", "quantity": 2, "cart": cart})
            time.sleep(0.5)
        outcome(self, self.click("/totals", {"cart": cart})["total_cents"])

    def click(self, path: str, body: dict[str, Any]) -> Any:
        """Send one request; a patient customer sends it again while it is refused for now."""
        answer = self.client.post(path, json=body, headers=self.headers)
        if self.patient and answer.status_code == 415:
            time.sleep(0.05)
            return self.click(path, body)
        answer.raise_for_status()  # type: ignore[no-untyped-call] # locust's
        return answer.json()


class Sticky(Customer):
    """Stays with one instance."""

    sticky = True


class Patient(Customer):
    """Waits until an instance understands the message."""

    patient = True


def real() -> None:
    """Count real carts on real instances."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.create(Path(folder) / "workspace")
        tags = ("v1", "v2", "toggled", "pinned", "tagged-1", "tagged-2")
        images = {tag: image_of(workspace, "cart", tag) for tag in tags}
        with Environment.create(workspace.system, "staging", workspace=workspace) as environment:
            fleet = Fleet(environment, "cart")
            store = ToggleStore(environment.coordinator)

            def during(
                title: str, before: str, change: Callable[[], object], customer: type = Customer
            ) -> None:
                blue_green(fleet, images[before])
                with apply(Load({customer: 1}, RATE, None), environment.urls["cart"]) as load:
                    while not load.snapshot().outcomes:
                        time.sleep(0.1)
                    change()
                    while sum(load.snapshot().outcomes.values()) < REAL:
                        time.sleep(0.1)
                    outcomes = Counter(load.stop().outcomes)
                refused = outcomes.pop(BROKEN_OFF, 0)
                carts = sum(outcomes.values())
                tell("real carts", way=title, carts=carts, wrong=carts - outcomes[RIGHT], refused=refused)

            during("rolling", "v1", lambda: rolling(fleet, images["v2"]))
            during("rolling, sticky", "v1", lambda: rolling(fleet, images["v2"]), Sticky)
            during("blue/green", "v1", lambda: blue_green(fleet, images["v2"]))
            during("toggle, all at one moment", "toggled", lambda: switch(store, "basket_discount", ["cart"]))
            switch(store, "basket_discount", ["cart"], on=False)
            during("toggle pinned to the cart", "pinned", lambda: switch(store, "basket_discount", ["cart"]))
            during("tagged messages", "tagged-1", lambda: rolling(fleet, images["tagged-2"]), Patient)


if __name__ == "__main__":
    simulated()
    real()
