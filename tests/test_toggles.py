"""Toggles on a real etcd: watched, read at a revision, switched at one moment, whatever happens to etcd."""

import random
import threading
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from coordinators import PATIENCE_S, running_etcd, soon
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import TypeMismatchError

from labkit.coordination import Coordinator, Entry, InstanceRegistry, Listing
from labkit.errors import LabError, NoAnswer
from labkit.system import System
from labkit.toggles import FlagWatcher, ToggleProvider, ToggleStore, stale, switch
from labkit.toggles._snapshot import FlagSnapshot
from labkit.toggles._store import NOW, STAGED, definition
from labkit.toggles._watcher import _revision_to_send

engine = pytest.mark.engine
Watchers = Callable[..., list[FlagWatcher]]


@pytest.fixture(scope="module")
def etcd() -> Iterator[Any]:
    """Run etcd in a container, at one port for its whole life."""
    with running_etcd() as container:
        yield container


@pytest.fixture
def store(etcd: Any) -> Iterator[ToggleStore]:
    """Return a store without any toggle or instance."""
    coordinator = Coordinator("127.0.0.1", etcd.host_port, 2.0)
    yield ToggleStore(coordinator)
    for key in coordinator.values("/labkit/"):
        coordinator.delete(key)


@pytest.fixture
def watchers(store: ToggleStore) -> Iterator[Watchers]:
    """Return a function that makes so many watchers, registered as instances of the cart, and listed."""
    made: list[FlagWatcher] = []

    def make(count: int = 1, *, knows: bool = True) -> list[FlagWatcher]:
        fresh = []
        for _ in range(count):
            name = f"cart-{len(made) + 1}"
            watcher = FlagWatcher(
                Coordinator("127.0.0.1", store.coordinator.port, 1.0), name, lambda _: knows
            )
            InstanceRegistry(store.coordinator).register("cart", name, "v1", "127.0.0.1:1")
            watcher.start()
            made.append(watcher)
            fresh.append(watcher)
        assert all(watcher.wait(PATIENCE_S) for watcher in fresh)
        return fresh

    yield make
    for watcher in made:
        watcher.stop()


@engine
def test_a_toggle_reaches_every_instance(store: ToggleStore, watchers: Watchers) -> None:
    """On, for a share of the keys, off and removed: each is followed, and told by the store."""
    both = watchers(2)
    assert not both[0].enabled("moon")
    store.set("moon")
    assert soon(lambda: all(watcher.enabled("moon") for watcher in both))
    assert store.all() == {"moon": "on"}
    store.set("moon", on=False, share=0.3)
    keys = [str(key) for key in range(1000)]
    assert soon(lambda: not all(both[0].enabled("moon", key=key) for key in keys))
    on = {key for key in keys if both[0].enabled("moon", key=key)}
    assert len(on) == pytest.approx(300, abs=60)
    assert store.all() == {"moon": "30 %"}
    store.set("moon", on=False, share=0.6)
    assert soon(lambda: sum(both[0].enabled("moon", key=key) for key in keys) > 450)
    assert on <= {key for key in keys if both[0].enabled("moon", key=key)}
    store.remove("moon")
    assert soon(lambda: both[0].enabled("moon", default=True))
    with pytest.raises(LabError, match="share"):
        store.set("moon", share=30)


@engine
def test_a_request_keeps_the_revision_in_its_header(store: ToggleStore, watchers: Watchers) -> None:
    """At an instance that has the change, and at a later one that has to ask the store for the past."""
    (first,) = watchers()
    before = store.set("moon", on=False)
    assert soon(lambda: first.revision == before)
    after = store.set("moon")
    assert soon(lambda: first.revision == after)
    (late,) = watchers()
    for watcher in (first, late):
        assert (watcher.enabled("moon", revision=before), watcher.enabled("moon", revision=after)) == (
            False,
            True,
        )


def is_mixed(all_of_them: list[FlagWatcher], draw: random.Random) -> bool:
    """Send a request through five instances, at the first one's revision; return whether it was mixed."""
    revision = draw.choice(all_of_them).revision
    return len({draw.choice(all_of_them).enabled("moon", revision=revision) for _ in range(5)}) > 1


@engine
def test_no_request_with_a_revision_is_mixed_while_a_toggle_flips_by_set_and_by_switch(
    store: ToggleStore, watchers: Watchers
) -> None:
    """Ten instances, two flips a round, some hundred requests in between."""
    ten, mixed, asked, over = watchers(10), [0], [0], threading.Event()
    store.set("moon", on=False)
    assert soon(lambda: len({watcher.revision for watcher in ten}) == 1)

    def customer(seed: int) -> None:
        draw = random.Random(seed)  # noqa: S311 - a test's choice of instances
        while not over.is_set():
            mixed[0] += is_mixed(ten, draw)
            asked[0] += 1

    threads = [threading.Thread(target=customer, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            store.set("moon")
            switch(store, "moon", ["cart"], on=False, deadline_s=PATIENCE_S)
    finally:  # else the process of the tests would never end
        over.set()
        for thread in threads:
            thread.join()
    assert asked[0] > 100
    assert mixed == [0]


@engine
def test_a_switch_waits_for_every_instance_and_leaves_nothing_of_itself(
    store: ToggleStore, watchers: Watchers
) -> None:
    """All send the staged revision, which each has prepared; the store holds the toggle alone."""
    three = watchers(3)
    revision = switch(store, "moon", ["cart"], deadline_s=PATIENCE_S)
    assert soon(lambda: {watcher.revision for watcher in three} == {revision})
    assert all(watcher.enabled("moon") for watcher in three)
    assert list(store.coordinator.values("/labkit/toggle")) == ["/labkit/toggles/now/moon"]


def test_a_staged_toggle_is_answered_by_nobody() -> None:
    """New requests are sent with the revision before a stage, until the switch brings that of the stage."""
    on, off = definition(on=True), definition(on=False)
    staged = {STAGED + "moon": Entry(on, 7), STAGED + "sun": Entry(on, 8)}
    assert _revision_to_send(Listing(8, {NOW + "moon": Entry(off, 5), **staged})) == 6
    assert _revision_to_send(Listing(9, {NOW + "moon": Entry(off, 5), **staged})) == 9
    switched = {NOW + "moon": Entry(definition(on=True, staged_at=7), 10)}
    assert _revision_to_send(Listing(10, switched)) == 7


@engine
def test_code_that_does_not_know_a_toggle_keeps_it_off(store: ToggleStore, watchers: Watchers) -> None:
    """The old version never acknowledges: the switch says how many did, and switches nothing."""
    old, new = watchers(1, knows=False)[0], watchers()[0]
    with pytest.raises(LabError, match="1/2 ready"):
        switch(store, "moon", ["cart"], deadline_s=1)
    assert not old.enabled("moon")
    assert not new.enabled("moon")
    assert store.coordinator.values("/labkit/toggle") == {}


@engine
def test_a_commit_is_refused_when_somebody_joined_since_the_count(store: ToggleStore) -> None:
    """The guard and the commit are one transaction of etcd."""
    before = store.coordinator.listing_at("/labkit/instances/").revision
    InstanceRegistry(store.coordinator).register("cart", "cart-9", "v1", "127.0.0.1:1")
    assert store.coordinator.swap({"/labkit/a": "1"}, "/labkit/b", {"/labkit/instances/": before}) == 0
    assert store.coordinator.get("/labkit/a") is None
    now = store.coordinator.listing_at("/labkit/instances/").revision
    assert store.coordinator.swap({"/labkit/a": "1"}, "/labkit/b", {"/labkit/instances/": now}) > now


@engine
def test_a_partition_is_noticed_and_healed(etcd: Any, store: ToggleStore, watchers: Watchers) -> None:
    """A store that swallows everything makes an instance say how stale it is; then it follows again."""
    (watcher,) = watchers()
    etcd.pause()
    try:
        assert soon(lambda: watcher.silence_s > 1)
    finally:
        etcd.unpause()
    store.set("moon")
    assert soon(lambda: watcher.enabled("moon"))
    assert soon(lambda: watcher.silence_s < 1)


@engine
def test_a_restart_of_the_store_is_survived(etcd: Any, store: ToggleStore, watchers: Watchers) -> None:
    """What is known stays known meanwhile, and a change after the restart arrives."""
    (watcher,) = watchers()
    store.set("moon")
    assert soon(lambda: watcher.enabled("moon"))
    etcd.stop(timeout=5)
    assert watcher.enabled("moon")
    with pytest.raises(NoAnswer):
        watcher.enabled("moon", revision=1)
    etcd.start()
    assert soon(lambda: store.set("moon", on=False))
    assert soon(lambda: not watcher.enabled("moon"))


@engine
def test_a_compacted_revision_is_an_error_and_the_present_goes_on(
    store: ToggleStore, watchers: Watchers
) -> None:
    """A request that is older than the store's memory is refused instead of answered by a guess."""
    before = store.set("moon", on=False)
    after = store.set("moon")
    store.coordinator._ask("POST", "/v3/kv/compaction", revision=str(after))
    (late,) = watchers()
    with pytest.raises(LabError, match="compacted"):
        late.enabled("moon", revision=before)
    store.set("sun")
    assert soon(lambda: late.enabled("sun"))


def test_an_environment_without_a_coordinator_has_no_toggles() -> None:
    """Integration has none: the error names the stages that do."""
    with pytest.raises(LabError, match="staging or production"):
        ToggleStore(None)


def test_nothing_is_answered_before_the_first_listing() -> None:
    """An instance that knows nothing yet must not give a request the store's newest revision."""
    with pytest.raises(LabError, match="ready"):
        FlagWatcher(Coordinator("127.0.0.1", 1, 0.1)).enabled("moon")


@engine
def test_openfeature_evaluates_at_the_revision_in_its_context(store: ToggleStore, watchers: Watchers) -> None:
    """A client of the SDK sees the newest value, or that of its context's revision, or the default."""
    (watcher,) = watchers()
    before = store.set("moon", on=False)
    assert soon(lambda: watcher.revision == before)
    store.set("moon")
    assert soon(lambda: watcher.enabled("moon"))
    api.set_provider(ToggleProvider(watcher))
    try:
        client = api.get_client()
        assert client.get_boolean_value("moon", default_value=False)
        at_before = EvaluationContext(attributes={"revision": before})
        assert not client.get_boolean_value("moon", True, at_before)  # noqa: FBT003 - the SDK's own
        assert client.get_string_value("star", "dim") == "dim"
    finally:
        api.shutdown()


def test_a_repeated_evaluation_answers_as_the_first_did() -> None:
    """Key, type and the caller's default count each time, except where the flag alone decides."""
    flags = {
        "sun": definition(on=True),
        "moon": definition(on=True, share=0.5),
        "mars": definition(on=True).replace("ENABLED", "DISABLED"),
    }
    snapshot = FlagSnapshot(1, flags)
    for _ in range(2):
        assert snapshot.enabled("sun")
        assert {snapshot.enabled("moon", key=f"customer-{number}") for number in range(20)} == {True, False}
        assert [snapshot.enabled(name, default=True) for name in ("mars", "venus")] == [True, True]
        assert [snapshot.enabled(name) for name in ("mars", "venus")] == [False, False]
        with pytest.raises(TypeMismatchError):
            snapshot.evaluate("resolve_string_value", "sun", "bright", "")


def test_a_toggle_past_its_day_is_listed_with_its_places(tmp_path: Path) -> None:
    """Where the code asks for it is where it is to be removed; one whose day has not come is no finding."""
    (tmp_path / "cart").mkdir()
    declared = "".join(
        f'[toggles.{name}]\nowner = "cart team"\nremove_by = 2027-0{month}-01\n'
        for name, month in (("moon", 1), ("sun", 6))
    )
    (tmp_path / "system.toml").write_text(
        f'name = "shop"\n[services.cart]\npath = "cart"\nport = 8002\n{declared}'
    )
    (tmp_path / "cart" / "cart.py").write_text('a = 1\nif toggle("moon"):\n    moonshine = toggle("sun")\n')
    (tmp_path / "notes.txt").write_text("moon")
    (toggle,) = stale(System.load(tmp_path / "system.toml"), date(2027, 3, 1))
    assert (toggle.name, toggle.owner, toggle.places) == ("moon", "cart team", ("cart/cart.py:2",))
