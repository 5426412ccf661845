"""Toggles on one real etcd: how soon 50 watchers know, and how many requests see half of a switch.

A request asks five of the instances, one after the other, while the toggle is switched again and again: of
50 that follow etcd in this process, then of five carts in containers, behind their load balancer.
"""

import json
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from openfeature import api
from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.evaluation_context import EvaluationContext
from openfeature.flag_evaluation import FlagResolutionDetails
from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider

sys.path.insert(0, str(Path(__file__).parents[1]))
from coordinators import running_etcd

from labkit import Environment, Workspace
from labkit.coordination import PORT, Coordinator, InstanceRegistry
from labkit.deployment import Fleet, blue_green, image_of, scale
from labkit.toggles import FlagWatcher, ToggleProvider, ToggleStore, switch
from labkit.toggles._store import definition

INSTANCES, HOPS, REQUESTS, FLIPS, EVALUATIONS = 50, 5, 100_000, 50, 500
NAME, PART, POLL_S, AHEAD_S, GAP_S = "moon", "half_moon", 1.0, 0.05, 0.25
CARTS, ASKED, DISCOUNT = 5, 5000, "basket_discount"
CART = {"lines": [{"sku": "aspirin", "name": "Aspirin", "quantity": 2, "price_cents": 300}]}
FULL_CENTS = 300


def tell(figure: str, **values: object) -> None:
    """Print one JSON line."""
    print(json.dumps({"figure": figure, **values}), flush=True)


@contextmanager
def followers(store: ToggleStore) -> Iterator[list[FlagWatcher]]:
    """Have 50 instances register themselves and follow the toggles."""
    watchers = []
    for number in range(INSTANCES):
        InstanceRegistry(store.coordinator).register("cart", f"cart-{number}", "v1", "127.0.0.1:1")
        watchers.append(
            FlagWatcher(Coordinator(store.coordinator.host, store.coordinator.port, 2), f"cart-{number}")
        )
        watchers[-1].start()
    assert all(watcher.wait(30) for watcher in watchers)
    yield watchers
    for watcher in watchers:
        watcher.stop()


def propagation(store: ToggleStore, watchers: list[FlagWatcher]) -> None:
    """Measure from set to the first and to the last instance."""
    lasts, spreads = [], []
    for flip in range(FLIPS):
        on, known, began = flip % 2 == 0, dict[int, float](), time.perf_counter()
        revision = store.set(NAME, on=on)
        while len(known) < INSTANCES:
            now = time.perf_counter()
            for number, watcher in enumerate(watchers):
                if watcher.revision >= revision:
                    known.setdefault(number, (now - began) * 1e3)
            time.sleep(0.0003)  # the watchers are threads of this process
        lasts.append(max(known.values()))
        spreads.append(max(known.values()) - min(known.values()))
        time.sleep(0.05)
    tell(
        "toggle reaches the last of 50 watchers",
        median_ms=round(statistics.median(lasts), 1),
        max_ms=round(max(lasts), 1),
        spread_median_ms=round(statistics.median(spreads), 1),
    )


class Polling:
    """Instances that ask the store every second, each at its own moment."""

    def __init__(self, store: ToggleStore) -> None:
        self._store = store
        self._known = [(0.0, False)] * INSTANCES

    def ask(self, number: int) -> bool:
        """Return what an instance knows, about a second old at most."""
        at, value = self._known[number]
        if time.perf_counter() - at > POLL_S * (0.5 + number / INSTANCES):
            value = self._store.all()[NAME] == "on"
            self._known[number] = (time.perf_counter(), value)
        return value


def count(
    title: str, decide: Callable[[], Callable[[int], bool]], flip: Callable[[bool], object], requests: int
) -> None:
    """Send requests of five hops while a thread switches; count those that saw both values."""
    ended, flips, mixed = threading.Event(), 0, 0

    def switcher() -> None:
        nonlocal flips
        while not ended.wait(GAP_S):
            flip(flips % 2 == 0)
            flips += 1

    thread = threading.Thread(target=switcher)
    thread.start()
    for _ in range(requests):
        ask, seen = decide(), set()
        for _ in range(HOPS):
            seen.add(ask(random.randrange(INSTANCES)))  # noqa: S311 - no secret
            time.sleep(0)  # the hop: other threads run
        mixed += len(seen) > 1
    ended.set()
    thread.join()
    tell("requests that saw half of a switch", protocol=title, mixed=mixed, requests=requests, switches=flips)
    assert flips, "the toggle was never switched: nothing was measured"


def protocols(store: ToggleStore, watchers: list[FlagWatcher]) -> None:
    """Count mixed requests for each protocol, the unprotected ones first."""
    polling, moment = Polling(store), [(0.0, False, False)]

    def ahead(on: bool) -> None:  # noqa: FBT001 - the new state of the toggle
        moment[0] = (time.perf_counter() + AHEAD_S, on, not on)

    def same_instant(_: int) -> bool:
        at, after, before = moment[0]
        return after if time.perf_counter() >= at else before

    def newest(number: int) -> bool:
        return watchers[number].enabled(NAME)

    def with_revision() -> Callable[[int], bool]:
        revision = random.choice(watchers).revision  # noqa: S311 - no secret
        return lambda number: watchers[number].enabled(NAME, revision=revision)

    def both_phases(on: bool) -> None:  # noqa: FBT001 - the new state of the toggle
        switch(store, NAME, ["cart"], on=on, deadline_s=30)

    def plain(on: bool) -> None:  # noqa: FBT001 - the new state of the toggle
        store.set(NAME, on=on)

    few = REQUESTS // 5
    count("poll every second", lambda: polling.ask, plain, few)
    count("watch", lambda: newest, plain, few)
    count("same instant on perfect clocks", lambda: same_instant, ahead, few)
    count("revision header", with_revision, plain, REQUESTS)
    count("two phases and revision header", with_revision, both_phases, REQUESTS)


def carts() -> None:
    """Count mixed requests on carts in containers."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.create(Path(folder) / "workspace")
        with Environment.create(workspace.system, "staging", workspace=workspace) as environment:
            fleet = Fleet(environment, "cart")
            blue_green(fleet, image_of(workspace, "cart", "toggled"))
            scale(fleet, CARTS)
            assert environment.coordinator, "staging has etcd"
            store, edge = ToggleStore(environment.coordinator), FlagWatcher(environment.coordinator)
            store.set(DISCOUNT, on=False)
            edge.start()
            assert edge.wait(30)
            with httpx.Client(base_url=environment.urls["cart"], timeout=30) as client:
                on_carts(store, edge, client)
            edge.stop()


def on_carts(store: ToggleStore, edge: FlagWatcher, client: httpx.Client) -> None:
    """Ask for totals, with the edge's revision in the header and without a header."""

    def asking(baggage: dict[str, str]) -> Callable[[int], bool]:
        def ask(_: int) -> bool:
            answer = client.post("/totals", json={"cart": CART}, headers=baggage).raise_for_status()
            return bool(answer.json()["total_cents"] < FULL_CENTS)

        return ask

    def with_revision() -> Callable[[int], bool]:
        return asking({"baggage": f"toggles={edge.revision}"})

    def plain(on: bool) -> None:  # noqa: FBT001 - the new state of the toggle
        store.set(DISCOUNT, on=on)

    def both_phases(on: bool) -> None:  # noqa: FBT001 - the new state of the toggle
        switch(store, DISCOUNT, ["cart"], on=on, deadline_s=30)

    count("carts, watch", lambda: asking({}), plain, ASKED // 5)
    count("carts, revision header", with_revision, plain, ASKED)
    count("carts, two phases and revision header", with_revision, both_phases, ASKED)


def evaluation(store: ToggleStore, watcher: FlagWatcher) -> None:
    """Compare OpenFeature's evaluation over a flag watcher with the SDK's own in-memory provider.

    Both get the same contexts, in turn, so that a busy machine slows both. For a toggle that is on for a
    share, the in-memory provider is given the same rule, evaluated by flagd's evaluator.
    """
    revision = store.set(PART, share=0.3)
    flagd = FlagdCore()
    flagd.set_flags({"flags": {PART: json.loads(definition(on=True, share=0.3))}})

    def by_rule(_: InMemoryFlag[bool], context: EvaluationContext) -> FlagResolutionDetails[bool]:
        return flagd.resolve_boolean_value(PART, default_value=False, ctx=context)

    both = {"on": True, "off": False}
    flags = {NAME: InMemoryFlag("on", both), PART: InMemoryFlag("off", both, context_evaluator=by_rule)}
    while watcher.revision < revision:
        time.sleep(0.01)
    api.set_provider(InMemoryProvider(flags), "memory")
    api.set_provider(ToggleProvider(watcher), "labkit")
    at_revision = EvaluationContext(attributes={"revision": revision})
    for title, name, context in (
        ("newest", NAME, None),
        ("at a revision", NAME, at_revision),
        ("on for a share", PART, EvaluationContext("customer-7")),
    ):
        pairs = [(_seconds("memory", name, context), _seconds("labkit", name, context)) for _ in range(25)]
        tell(
            "OpenFeature evaluation, as a ratio to the SDK's in-memory provider",
            flag=title,
            ratio=round(statistics.median(own / memory for memory, own in pairs), 2),
            memory_us=round(min(memory for memory, _ in pairs) * 1e6, 1),
        )


def _seconds(domain: str, name: str, context: EvaluationContext | None) -> float:
    """Return the seconds of one evaluation, on average over EVALUATIONS."""
    client = api.get_client(domain)
    began = time.perf_counter()
    for _ in range(EVALUATIONS):
        client.get_boolean_value(flag_key=name, default_value=False, evaluation_context=context)
    return (time.perf_counter() - began) / EVALUATIONS


def staleness(etcd: Any, watcher: FlagWatcher) -> None:
    """Freeze the store; measure when an instance knows that it has heard nothing for a second."""
    times = []
    for _ in range(3):
        etcd.pause()
        began = time.perf_counter()
        while watcher.silence_s < 1:
            time.sleep(0.005)
        times.append(time.perf_counter() - began)
        etcd.unpause()
        while watcher.silence_s > 0.5:
            time.sleep(0.01)
    tell("a frozen store is noticed", after_s=round(max(times), 2))


def main() -> None:
    """Print one JSON line a figure."""
    with running_etcd() as etcd:
        etcd.reload()
        host = etcd.attrs["NetworkSettings"]["IPAddress"]  # as services reach it: through no published port
        store = ToggleStore(Coordinator(host, PORT, 2))
        store.set(NAME, on=False)
        with followers(store) as watchers:
            propagation(store, watchers)
            protocols(store, watchers)
            evaluation(store, watchers[0])
            staleness(etcd, watchers[0])
    carts()


if __name__ == "__main__":
    main()
