"""Tests of the deployment room, on a real cart behind a real load balancer."""

import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from threading import Timer
from urllib.parse import urlsplit

import pytest
from carts import NAME, TOTALS, N, is_whole, version

from labkit import LabError, Workspace
from labkit._git import git, git_text
from labkit.artifacts import Kind
from labkit.deployment import (
    Deployment,
    Evidence,
    Fleet,
    Result,
    Step,
    StepState,
    WatchLimits,
    WatchOutcome,
    image_of,
    rolling,
    watch,
    within_limits,
)
from labkit.deployment._watch import _broken
from labkit.engine import Engine
from labkit.load import Arrival, Histogram, Load, Measurement, Request, apply
from labkit.load._histogram import lower_edge
from labkit.load._measurement import Key, Tally

pytest_plugins = ["fleets"]


def at(steps: list[Step], state: StepState) -> list[float]:
    """Return when instances reached a state, in seconds since the deployment began."""
    return [step.at_s for step in steps if step.state == state]


@pytest.mark.engine
def test_no_request_fails_while_a_fleet_is_upgraded_under_load(
    fleet: Fleet, images: dict[str, str], old: str, new: str
) -> None:
    """Customers meet both versions and no failure, and never fewer than N instances serve."""
    serving = []

    def count(step: Step) -> None:
        serving.append(list(fleet.states.values()).count("UP"))
        assert step.image in images.values()

    with apply(Load(TOTALS, 100, None), fleet.environment.urls["cart"]) as load:
        while not load.snapshot().requests:
            time.sleep(0.1)
        deployment = rolling(fleet, new, on_event=count)
        after = load.snapshot().requests
        while load.snapshot().requests < after + 20:
            time.sleep(0.1)
        result = load.stop()
    assert (result.failed, dict(result.errors)) == (0, {})
    assert set(result.by_version) == {version(old), version(new)}
    assert min(serving) >= N
    assert is_whole(fleet, {version(new): N})
    assert (deployment.from_image, deployment.to_image) == (old, new)


@pytest.mark.engine
def test_an_instance_is_ready_before_an_old_one_is_drained(fleet: Fleet, new: str) -> None:
    """Each new instance is starting, ready, in balancer; then an old one draining, removed; all is heard."""
    heard: list[Step] = []
    deployment = rolling(fleet, new, on_event=heard.append)
    assert heard == list(deployment.steps)
    one = [StepState.STARTING, StepState.READY, StepState.IN_BALANCER, StepState.DRAINING, StepState.REMOVED]
    assert [step.state for step in heard] == one * N
    assert [step.at_s for step in heard] == sorted(step.at_s for step in heard)


@pytest.mark.engine
def test_a_surge_replaces_several_at_a_time(fleet: Fleet, new: str) -> None:
    """With a surge of N every new instance serves before the first old one is drained."""
    steps = list(rolling(fleet, new, surge=N).steps)
    assert max(at(steps, StepState.IN_BALANCER)) <= min(at(steps, StepState.DRAINING))
    assert is_whole(fleet, {version(new): N})


@pytest.mark.engine
def test_an_upgrade_is_recorded_with_what_serves_now(fleet: Fleet, old: str, new: str) -> None:
    """The artifact database answers what runs: the new image, its configuration, and the way there."""
    deployment = rolling(fleet, new)
    artifacts = fleet.workspace.artifacts
    running = artifacts.what_runs("cart", "integration")
    assert running
    assert running.image.digest == Engine.find().image(new).digest
    assert running.fact.kind == Kind.SERVICE_UPGRADED
    assert running.fact.environment == fleet.environment.name
    assert running.fact.predicate["from_image"] == old
    assert running.fact.predicate["to_image"] == new
    assert running.fact.predicate["seconds"] == round(deployment.seconds, 3)
    assert len(running.fact.predicate["steps"]) == 5 * N
    uses = artifacts.history(kind=Kind.ENVIRONMENT_USED, environment=fleet.environment.name)
    assert uses[-1].predicate["use"] == "deployment"  # each use of an environment says which it is
    configuration = {reference.uri for reference in running.references["config"]}
    assert configuration == {f"{name}={value}" for name, value in fleet.environment.configuration.items()}


@pytest.mark.engine
def test_an_upgrade_to_what_runs_already_does_nothing(fleet: Fleet, old: str) -> None:
    """No instance is replaced and no fact is written."""
    artifacts, before = fleet.workspace.artifacts, fleet.instances
    count = len(artifacts.history(kind=Kind.SERVICE_UPGRADED))
    deployment = rolling(fleet, old)
    assert (deployment.from_image, deployment.steps) == (None, ())
    assert fleet.instances == before
    assert len(artifacts.history(kind=Kind.SERVICE_UPGRADED)) == count


@pytest.mark.engine
@pytest.mark.parametrize("image", ["ends", "silent"])
def test_an_instance_that_never_gets_ready_changes_nothing(
    fleet: Fleet, images: dict[str, str], image: str
) -> None:
    """The upgrade raises, the new instance is gone, and the very same old instances serve."""
    before = fleet.instances
    with pytest.raises(LabError):
        rolling(fleet, images[image], ready_s=3)
    assert fleet.instances == before


@pytest.mark.engine
def test_a_missing_image_changes_nothing(fleet: Fleet) -> None:
    """An image that the engine does not have is a LabError before anything is replaced."""
    before = fleet.instances
    with pytest.raises(LabError, match="no-such-image"):
        rolling(fleet, "labkit/no-such-image:1")
    assert fleet.instances == before


@pytest.mark.engine
def test_a_failure_in_mid_upgrade_restores_what_was_replaced(
    fleet: Fleet, images: dict[str, str], old: str, new: str
) -> None:
    """When the second new instance fails, the first gives way to the old version; no request fails."""
    client, flaky = Engine.find().client, f"{NAME}:flaky"
    client.images.get(new).tag(flaky)

    def spoil(step: Step) -> None:
        if step.state == StepState.IN_BALANCER and step.image == flaky:
            client.images.get(images["ends"]).tag(flaky)

    try:
        with apply(Load(TOTALS, 100, None), fleet.environment.urls["cart"]) as load:
            with pytest.raises(LabError):
                rolling(fleet, flaky, ready_s=10, on_event=spoil)
            result = load.stop()
    finally:
        client.images.remove(flaky, force=True)
    assert (result.failed, dict(result.errors)) == (0, {})
    assert is_whole(fleet, {version(old): N})


def test_what_stands_on_a_deployment_learns_that_it_was_taken_back() -> None:
    """`check_deployed` gives back one that serves, and says why another does not."""
    done = Deployment("cart", "cart:v1", "cart:v2", 4.0, ())
    assert done.check_deployed() is done
    assert repr(done) == "<Deployment of cart: cart:v2 deployed in 4.0 s>"
    with pytest.raises(LabError, match="rolled back: 3 of 9 requests failed"):
        replace(done, result=Result.ROLLED_BACK, reason="3 of 9 requests failed").check_deployed()


@pytest.mark.engine
def test_a_second_upgrade_of_the_same_service_at_once_is_refused(fleet: Fleet, old: str, new: str) -> None:
    """While one deployment is under way another one of this service is a LabError that changes nothing."""
    refused: list[LabError] = []

    def try_another(step: Step) -> None:
        if step.state == StepState.READY:
            with pytest.raises(LabError) as refusal:
                rolling(Fleet(fleet.environment, "cart"), old)
            refused.append(refusal.value)

    rolling(fleet, new, on_event=try_another)
    assert len(refused) == N
    assert is_whole(fleet, {version(new): N})


@pytest.mark.engine
@pytest.mark.parametrize("state", [StepState.STARTING, StepState.READY, StepState.DRAINING])
def test_ctrl_c_loses_no_instance(fleet: Fleet, state: StepState, old: str, new: str) -> None:
    """After Ctrl-C, pressed twice, N instances serve, nothing else is left, and the upgrade can go on."""

    def press(step: Step) -> None:
        if step.state == state:
            # Soon enough to meet the work that the first one ends: removing a container takes far longer.
            Timer(0.01, signal.pthread_kill, [main, signal.SIGINT]).start()
            signal.raise_signal(signal.SIGINT)

    main = threading.main_thread().ident
    facts = fleet.workspace.artifacts.history(kind=Kind.SERVICE_UPGRADED)
    with pytest.raises(KeyboardInterrupt):
        rolling(fleet, new, on_event=press)
    assert is_whole(fleet, {version(old): N - 1, version(new): 1})
    assert fleet.workspace.artifacts.history(kind=Kind.SERVICE_UPGRADED) == facts
    assert fleet.workspace.artifacts.history()[-1].predicate["deployment"] == "interrupted"
    rolling(fleet, new)
    assert is_whole(fleet, {version(new): N})


KILLED = """
import os, signal, sys
from labkit import Environment, Workspace
from labkit.deployment import Fleet, rolling
root, name, image, state = sys.argv[1:]
fleet = Fleet(Environment.attach(name, Workspace.open(root)), "cart")
rolling(fleet, image, on_event=lambda step: step.state == state and os.kill(os.getpid(), signal.SIGKILL))
"""


@pytest.mark.engine
@pytest.mark.parametrize("state", [StepState.READY, StepState.DRAINING])
def test_the_next_upgrade_cleans_up_what_a_killed_one_left(fleet: Fleet, state: StepState, new: str) -> None:
    """A deployment whose process dies holds no lock, and the next one leaves exactly what it should.

    Until then the artifact database says what really runs: the old image and the new one.
    """
    arguments = [str(fleet.workspace.root), fleet.environment.name, new, state]
    died = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False)
    assert died.returncode == -signal.SIGKILL
    assert list(fleet.states.values()).count("UP") >= N
    really = {instance.info.digest for instance in fleet.instances if instance.info}
    assert len(really) == 2
    assert images_on_record(fleet) == really
    rolling(fleet, new)
    assert is_whole(fleet, {version(new): N})
    assert images_on_record(fleet) == {Engine.find().image(new).digest}


def images_on_record(fleet: Fleet) -> set[str]:
    """Return the digests of the images that run as the cart, by the artifact database."""
    running = fleet.workspace.artifacts.what_runs("cart", "integration")
    assert running
    return {image.digest for image in (running.image, *running.beside)}


@pytest.mark.engine
def test_a_request_that_outlasts_the_drain_is_reported(fleet: Fleet, new: str) -> None:
    """A drain waits no longer than its seconds, and the step says that requests were cut off."""
    target = urlsplit(fleet.environment.urls["cart"])
    with socket.create_connection((target.hostname, target.port)) as slow:
        slow.sendall(
            b"POST /totals HTTP/1.1\r\nHost: cart\r\nContent-Length: 100\r\n\r\nthe rest never comes"
        )
        servers = fleet.environment.balancer.servers
        while not sum(server.sessions for server in servers("cart").values()):
            time.sleep(0.05)
        steps = rolling(fleet, new, drain_s=0.2).steps
    assert len(at(list(steps), StepState.CUT_OFF)) == 1
    assert is_whole(fleet, {version(new): N})


@pytest.mark.engine
def test_a_watch_of_a_sound_fleet_keeps_its_limits(fleet: Fleet) -> None:
    """The verdict has the numbers of the window alone."""
    samples: list[Measurement] = []
    with apply(Load(TOTALS, 20, None), fleet.environment.urls["cart"]) as load:
        while not load.snapshot().requests:
            time.sleep(0.1)
        before = load.snapshot().requests
        verdict = watch(fleet, load, 2, limits=WatchLimits(0.01, 60_000), on_sample=samples.append)
        after = load.stop().requests
    assert (verdict.outcome, verdict.measurement.failed) == (WatchOutcome.KEPT, 0)
    assert 0 < verdict.measurement.requests <= after - before
    assert samples[-1] == verdict.measurement
    assert verdict.to_json()["outcome"] == "kept"


@pytest.mark.engine
def test_a_watch_ends_when_too_many_requests_fail(fleet: Fleet) -> None:
    """A quarter of failed requests ends a long window early, with the cause in the reason."""
    mix: dict[Arrival, float] = {**TOTALS, Request("GET", "/no-such-page"): 1 / 3}
    with apply(Load(mix, 40, None), fleet.environment.urls["cart"]) as load:
        verdict = watch(fleet, load, 90, limits=WatchLimits(0.01, 60_000))
    assert verdict.outcome == WatchOutcome.BROKEN
    assert "status 404" in verdict.reason
    assert verdict.seconds < 90


@pytest.mark.engine
def test_a_watch_without_requests_is_no_evidence(fleet: Fleet) -> None:
    """Nothing seen is never a pass."""

    class Nobody:
        def snapshot(self) -> Measurement:
            return Measurement()

    assert watch(fleet, Nobody(), 0.2).outcome == WatchOutcome.NO_EVIDENCE


@pytest.mark.engine
def test_a_watch_ends_when_an_instance_dies(fleet: Fleet, old: str) -> None:
    """An instance that takes no requests breaks the window whatever the others answer."""
    environment = fleet.environment
    extra = environment.add_instance("cart", old)
    environment.balancer.add(extra)
    Engine.find().client.containers.get(extra.container).kill()
    try:
        with apply(Load(TOTALS, 20, None), environment.urls["cart"]) as load:
            verdict = watch(fleet, load, 60, limits=WatchLimits(1, 60_000))
    finally:
        environment.remove_instance(extra)
    assert verdict.outcome == WatchOutcome.BROKEN
    assert extra.name in verdict.reason


@pytest.mark.engine
def test_wrong_arguments_are_refused(fleet: Fleet, new: str) -> None:
    """A surge or a window of nothing and a service that is not there are LabErrors."""
    with pytest.raises(LabError, match="surge"):
        rolling(fleet, new, surge=0)
    with pytest.raises(LabError, match="window"):
        watch(fleet, apply(Load(TOTALS, 1, 0.1), fleet.environment.urls["cart"]), 0)
    with pytest.raises(LabError, match="checkout"):
        Fleet(fleet.environment, "checkout")


def test_an_unknown_version_is_refused_with_the_tags_of_the_learners_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the tags, or says that there are none, whichever repository a git hook works in."""
    workspace = Workspace.create(tmp_path / "workspace")
    other = Workspace.create(tmp_path / "other")
    git(other.shop, "tag", "of-the-hook")
    monkeypatch.setenv("GIT_DIR", str(other.shop / ".git"))
    for option in (f"--output={tmp_path / 'written'}", "of-the-hook"):
        with pytest.raises(LabError, match=r"one of the tags .*v1, v2") as refusal:
            image_of(workspace, "cart", option)
    assert not (tmp_path / "written:cart").exists()
    assert "of-the-hook" not in refusal.value.expected
    git(workspace.shop, "tag", "--delete", *git_text(workspace.shop, "tag").split())
    with pytest.raises(LabError, match="has no tags"):
        image_of(workspace, "cart", "v1")


def measured(requests: int, *, failed: int = 0, slow: int = 0, waiting: int = 0) -> Measurement:
    """Return a measurement of 10 s: fast answers, slow ones of 3 s, and requests that wait for theirs."""
    latency = Histogram({lower_edge(10_000): requests - slow, lower_edge(3_000_000): slow})
    cells = {Key(0, "1", "GET /"): Tally(requests, failed, latency)}
    return Measurement(seconds=10, sent=requests + waiting, errors={"status 500": failed}, tallies=cells)


@pytest.mark.parametrize(
    ("seen", "share", "is_broken"),
    [
        (measured(1000), 1, False),
        (measured(1000, failed=10), 1, False),
        (measured(1000, failed=11), 1, True),
        (measured(1000, failed=11), 0.5, False),
        (measured(1000, failed=21), 0.5, True),
        (measured(1000, slow=10), 1, False),
        (measured(1000, slow=11), 1, True),
        (measured(1000, slow=11), 0.5, False),
        (measured(1000, waiting=100), 1, False),
        (measured(1000, waiting=300), 1, True),
        (measured(0, waiting=100), 0.1, True),
    ],
)
def test_limits_are_broken_as_soon_as_the_window_cannot_keep_them(
    seen: Measurement, share: float, *, is_broken: bool
) -> None:
    """Failed, slow and overdue requests count against the whole window, of which a share has passed."""
    assert bool(_broken(seen, WatchLimits(0.01, 1000), share, replace(seen))) == is_broken


class Clients:
    """A source of measurements that a test writes by hand."""

    def __init__(self, rate_per_s: float = 50) -> None:
        self._tallies: dict[Key, Tally] = {}
        self._seconds, self._sent, self._rate_per_s = 0.0, 0, rate_per_s

    def measure(self, version: str, requests: int, failed: int = 0, *, ms: int = 10, hang: int = 0) -> None:
        """Add answers of a version at the rate, and requests that nobody answers."""
        key = Key(int(self._seconds), version, "GET /")
        tally = Tally(requests, failed, Histogram({lower_edge(ms * 1000): requests}))
        self._tallies[key] = self._tallies.get(key, Tally()) + tally
        self._sent += requests + hang
        self._seconds += (requests + hang) / self._rate_per_s

    def snapshot(self) -> Measurement:
        """Return all of it."""
        return Measurement(seconds=self._seconds, sent=self._sent, tallies=dict(self._tallies))


def failures_until_withdrawn(clients: Clients, judge: Evidence, of_ten: int, beside: int = 0) -> int:
    """Let so many of every ten requests to v2 fail, two at a time, until they are withdrawn; 99 is never."""
    failed = 0
    for one in range(49):
        bad = [(2 * one + more) % 10 < of_ten for more in range(2)]
        failed += sum(bad)
        clients.measure("v2", 2, sum(bad))
        clients.measure("v1", beside)
        if judge():
            return failed
    return 99


@pytest.mark.parametrize("of_ten", [10, 8])
@pytest.mark.parametrize(("before", "beside"), [(0, 0), (3, 0), (500, 0), (500, 6), (0, 6), (50, 1)])
def test_a_bad_version_is_withdrawn_after_a_handful_of_failures(
    before: int, beside: int, of_ten: int
) -> None:
    """Whether others serve beside it, served before, or nobody was ever there to compare it with."""
    clients = Clients()
    clients.measure("v1", before)
    judge = Evidence(clients, "v2")
    assert failures_until_withdrawn(clients, judge, of_ten, beside) <= 10
    assert judge.outcome() == WatchOutcome.BROKEN
    than = "to the others" if beside else "to the others before" if before else "the objective is 1.00%"
    assert f"requests to v2 failed, {f'0 of {before} ' if before and not beside else ''}" in judge()
    assert than in judge()


@pytest.mark.parametrize("version", ["v1", ""])
def test_a_version_that_answered_nobody_is_no_evidence(version: str) -> None:
    """Neither answers of others nor answers without a version say anything about it."""
    clients = Clients()
    clients.measure("v2", 50, 25)  # an attempt before, which is over
    judge = Evidence(clients, "v2")
    clients.measure(version, 500)
    assert (judge(), judge.outcome()) == ("", WatchOutcome.NO_EVIDENCE)
    assert "no request to v2 was seen" in judge.missing
    clients.measure("v2", 1)
    assert judge.outcome() == WatchOutcome.KEPT


def test_without_an_objective_there_has_to_be_somebody_to_compare_with() -> None:
    """What the others had before is not enough then."""
    clients = Clients()
    clients.measure("v1", 50)
    judge = Evidence(clients, "v2", objective=None)
    clients.measure("v2", 500)
    assert judge.outcome() == WatchOutcome.NO_EVIDENCE
    clients.measure("v1", 50)
    assert judge.outcome() == WatchOutcome.KEPT


def test_a_version_that_had_gone_before_is_not_compared_with() -> None:
    """Failures of an earlier version do not excuse those of the new one."""
    clients = Clients()
    clients.measure("broken", 2000, 2000)
    clients.measure("v1", 500)
    judge = Evidence(clients, "v2")
    assert failures_until_withdrawn(clients, judge, 8) <= 10


def test_after_a_switch_a_version_as_good_as_the_one_before_stays() -> None:
    """The old version gets no requests any more; what it had before is what the new one may have too."""
    clients = Clients()
    clients.measure("v1", 1000, 50)
    judge = Evidence(clients, "v2")
    for _ in range(100):
        clients.measure("v2", 20, 1)
        assert judge() == ""
    assert judge.outcome() == WatchOutcome.KEPT


@pytest.mark.parametrize("slow_ms", [None, 300])
def test_requests_that_hang_speak_against_a_version(slow_ms: float | None) -> None:
    """Sent and not answered for long; nobody knows whose they are, and before it came there were none."""
    clients = Clients()
    clients.measure("v1", 500)
    judge = Evidence(clients, "v2", slow_ms=slow_ms)
    for _ in range(3):
        clients.measure("v2", 20)
        assert judge() == ""
    for _ in range(60):
        clients.measure("v2", 4, hang=6)
        if judge():
            break
    assert "without an answer of any version" in judge()


def test_answers_without_a_version_are_not_those_of_the_others() -> None:
    """They come from no instance: the version is compared with those that have one."""
    clients = Clients()
    judge = Evidence(clients, "v2")
    clients.measure("", 500)
    clients.measure("v1", 40)
    for _ in range(5):
        clients.measure("v2", 2, 2)
        clients.measure("v1", 2)
        judge()
    assert "10 of 10 requests to v2 failed, 0 of 50 to the others" in judge()


def test_failures_without_a_version_speak_against_neither_alone() -> None:
    """Connections that break are no failures of the others: they show as what they are."""
    clients = Clients()
    clients.measure("v1", 500)
    judge = Evidence(clients, "v2")
    clients.measure("v2", 1)
    for _ in range(4):
        clients.measure("", 3, 3)
        clients.measure("v1", 20)
        judge()
    assert "12 of 93 requests hang or failed without an answer of any version" in judge()


def test_limits_without_a_request_are_no_evidence() -> None:
    """A health by limits has the same three outcomes as a watch."""
    clients = Clients()
    clients.measure("v1", 100)
    judge = within_limits(clients, WatchLimits())
    assert judge.outcome() == WatchOutcome.NO_EVIDENCE
    clients.measure("v2", 100)
    assert judge.outcome() == WatchOutcome.KEPT
    clients.measure("v2", 10, 10)
    assert judge.outcome() == WatchOutcome.BROKEN
