"""Toggles on a real etcd: followed, stamped, switched at one moment, whatever befalls etcd."""

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

from labkit.coordination import Coordinator
from labkit.errors import LabError
from labkit.system import System
from labkit.toggles import Reader, ToggleProvider, ToggleStore, stale, switch

engine = pytest.mark.engine
Readers = Callable[..., list[Reader]]


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
    for key in coordinator.list("/labkit/"):
        coordinator.delete(key)


@pytest.fixture
def readers(store: ToggleStore) -> Iterator[Readers]:
    """Return a function that makes so many readers, registered as instances of the cart, and listed."""
    made: list[Reader] = []

    def make(count: int = 1, *, knows: bool = True) -> list[Reader]:
        fresh = []
        for _ in range(count):
            name = f"cart-{len(made) + 1}"
            reader = Reader(Coordinator("127.0.0.1", store.coordinator.port, 1.0), name, lambda _: knows)
            store.coordinator.register("cart", name, "v1", "127.0.0.1:1")
            reader.start()
            made.append(reader)
            fresh.append(reader)
        assert all(reader.wait(PATIENCE_S) for reader in fresh)
        return fresh

    yield make
    for reader in made:
        reader.stop()


@engine
def test_a_toggle_reaches_every_instance(store: ToggleStore, readers: Readers) -> None:
    """On, for a share of the keys, off and removed: each is followed, and told by the store."""
    both = readers(2)
    assert not both[0].enabled("moon")
    store.set("moon")
    assert soon(lambda: all(it.enabled("moon") for it in both))
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
def test_a_request_keeps_the_revision_it_was_stamped_with(store: ToggleStore, readers: Readers) -> None:
    """At an instance that has the news, and at one that came later and has to ask the store for the past."""
    (first,) = readers()
    before = store.set("moon", on=False)
    assert soon(lambda: first.revision == before)
    after = store.set("moon")
    assert soon(lambda: first.revision == after)
    (late,) = readers()
    for reader in (first, late):
        assert (reader.enabled("moon", revision=before), reader.enabled("moon", revision=after)) == (
            False,
            True,
        )


def passes(all_of_them: list[Reader], draw: random.Random) -> bool:
    """Send a request through five instances, stamped by the first; tell whether the answers were mixed."""
    stamp = draw.choice(all_of_them).revision
    return len({draw.choice(all_of_them).enabled("moon", revision=stamp) for _ in range(5)}) > 1


@engine
def test_no_stamped_request_is_mixed_while_a_toggle_flips_by_set_and_by_switch(
    store: ToggleStore, readers: Readers
) -> None:
    """Ten instances, two flips a round, some hundred requests in between."""
    ten, mixed, asked, over = readers(10), [0], [0], threading.Event()
    store.set("moon", on=False)
    assert soon(lambda: len({it.revision for it in ten}) == 1)

    def customer(seed: int) -> None:
        draw = random.Random(seed)  # noqa: S311 - a test's choice of instances
        while not over.is_set():
            mixed[0] += passes(ten, draw)
            asked[0] += 1

    threads = [threading.Thread(target=customer, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        store.set("moon")
        switch(store, "moon", ["cart"], on=False, deadline_s=PATIENCE_S)
    over.set()
    for thread in threads:
        thread.join()
    assert asked[0] > 100
    assert mixed == [0]


@engine
def test_a_switch_waits_for_every_instance_and_leaves_nothing_of_itself(
    store: ToggleStore, readers: Readers
) -> None:
    """All stamp the staged revision, which each has prepared; the store holds the toggle alone."""
    three = readers(3)
    revision = switch(store, "moon", ["cart"], deadline_s=PATIENCE_S)
    assert soon(lambda: {it.revision for it in three} == {revision})
    assert all(it.enabled("moon") for it in three)
    assert list(store.coordinator.list("/labkit/toggle")) == ["/labkit/toggles/now/moon"]


@engine
def test_code_that_does_not_know_a_toggle_keeps_it_off(store: ToggleStore, readers: Readers) -> None:
    """The old version never acknowledges: the switch says how many did, and switches nothing."""
    old, new = readers(1, knows=False)[0], readers()[0]
    with pytest.raises(LabError, match="1/2 ready"):
        switch(store, "moon", ["cart"], deadline_s=1)
    assert not old.enabled("moon")
    assert not new.enabled("moon")
    assert store.coordinator.list("/labkit/toggle") == {}


@engine
def test_a_commit_is_refused_when_somebody_joined_since_the_count(store: ToggleStore) -> None:
    """The guard and the commit are one transaction of etcd."""
    before = store.coordinator.listing("/labkit/instances/").revision
    store.coordinator.register("cart", "cart-9", "v1", "127.0.0.1:1")
    assert store.coordinator.swap({"/labkit/a": "1"}, "/labkit/b", {"/labkit/instances/": before}) == 0
    assert store.coordinator.get("/labkit/a") is None
    now = store.coordinator.listing("/labkit/instances/").revision
    assert store.coordinator.swap({"/labkit/a": "1"}, "/labkit/b", {"/labkit/instances/": now}) > now


@engine
def test_a_partition_is_noticed_and_healed(etcd: Any, store: ToggleStore, readers: Readers) -> None:
    """A store that swallows everything makes an instance say how stale it is; then it follows again."""
    (reader,) = readers()
    etcd.pause()
    try:
        assert soon(lambda: reader.silence_s > 1)
    finally:
        etcd.unpause()
    store.set("moon")
    assert soon(lambda: reader.enabled("moon"))
    assert soon(lambda: reader.silence_s < 1)


@engine
def test_a_restart_of_the_store_is_survived(etcd: Any, store: ToggleStore, readers: Readers) -> None:
    """What is known stays known meanwhile, and the news after it is heard."""
    (reader,) = readers()
    store.set("moon")
    assert soon(lambda: reader.enabled("moon"))
    etcd.stop(timeout=5)
    assert reader.enabled("moon")
    with pytest.raises(OSError, match=r".*"):
        reader.enabled("moon", revision=1)
    etcd.start()
    assert soon(lambda: store.set("moon", on=False))
    assert soon(lambda: not reader.enabled("moon"))


@engine
def test_a_compacted_revision_is_an_error_and_the_present_goes_on(
    store: ToggleStore, readers: Readers
) -> None:
    """A request that is older than the store's memory is refused, not answered by a guess."""
    before = store.set("moon", on=False)
    after = store.set("moon")
    store.coordinator._ask("POST", "/v3/kv/compaction", revision=str(after))
    (late,) = readers()
    with pytest.raises(LabError, match="compacted"):
        late.enabled("moon", revision=before)
    store.set("sun")
    assert soon(lambda: late.enabled("sun"))


def test_an_environment_without_a_coordinator_has_no_toggles() -> None:
    """Integration has none: the error names the stages that do."""
    with pytest.raises(LabError, match="staging or production"):
        ToggleStore(None)


def test_nothing_is_answered_before_the_first_listing() -> None:
    """An instance that knows nothing yet must not stamp a request with the store's newest state."""
    with pytest.raises(LabError, match="ready"):
        Reader(Coordinator("127.0.0.1", 1, 0.1)).enabled("moon")


@engine
def test_openfeature_evaluates_by_the_stamp_in_its_context(store: ToggleStore, readers: Readers) -> None:
    """A client of the SDK sees the newest value, or that of its context's revision, or the default."""
    (reader,) = readers()
    before = store.set("moon", on=False)
    assert soon(lambda: reader.revision == before)
    store.set("moon")
    assert soon(lambda: reader.enabled("moon"))
    api.set_provider(ToggleProvider(reader))
    try:
        client = api.get_client()
        assert client.get_boolean_value("moon", default_value=False)
        stamped = EvaluationContext(attributes={"revision": before})
        assert not client.get_boolean_value("moon", True, stamped)  # noqa: FBT003 - the SDK's own
        assert client.get_string_value("star", "dim") == "dim"
    finally:
        api.shutdown()


def test_a_toggle_past_its_day_is_told_with_its_places(tmp_path: Path) -> None:
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
    (found,) = stale(System.load(tmp_path / "system.toml"), date(2027, 3, 1))
    assert (found.name, found.owner, found.places) == ("moon", "cart team", ("cart/cart.py:2",))
