"""Tests of the strategies beside the plain rolling upgrade, and of bad versions, on real carts."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

import httpx
import pytest
from carts import CART, GRACE_S, TOTALS, N, is_whole, version

from labkit import Environment, LabError, Workspace
from labkit.deployment import (
    Control,
    Deployment,
    Evidence,
    Fleet,
    Group,
    Result,
    Status,
    Step,
    StepState,
    WatchLimits,
    blue_green,
    canary,
    discovery,
    everybody,
    group,
    idle_first,
    image_of,
    instance_seconds,
    lifetimes,
    newest_first,
    reconcile,
    roll_back,
    roll_forward,
    rolling,
    scale,
    share,
    status,
    users,
    within_limits,
)
from labkit.engine import Engine
from labkit.load import Arrival, Load, Request, RunningLoad, apply
from labkit.widgets import rollout

pytest_plugins = ["fleets"]
pytestmark = [pytest.mark.engine, pytest.mark.timeout(240)]

OTHERS = 2
"""So many instances has the environment beside the carts: a catalog and a storefront."""


@contextmanager
def customers(fleet: Fleet, rate_per_s: float = 100) -> Iterator[RunningLoad]:
    """Let customers ask for totals, from their first answer on."""
    with apply(Load(TOTALS, rate_per_s, None), fleet.environment.urls["cart"]) as load:
        while not load.snapshot().requests:
            time.sleep(0.05)
        yield load


def more(load: RunningLoad, requests: int = 30) -> None:
    """Wait until so many more requests were answered."""
    until = load.snapshot().requests + requests
    while load.snapshot().requests < until:
        time.sleep(0.05)


def soon(condition: Callable[[], bool], within_s: float = 30) -> bool:
    """Return whether a condition comes true."""
    deadline = time.monotonic() + within_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def test_a_fleet_is_healthy_only_while_its_requests_keep_the_objective(fleet: Fleet) -> None:
    """All instances are up throughout: failures make it degraded, and without requests nobody knows."""
    assert soon(lambda: status(fleet) is Status.NO_EVIDENCE)
    with customers(fleet) as load:
        assert soon(lambda: status(fleet) is Status.HEALTHY)
        fleet.instances[0].fail(1)
        assert soon(lambda: status(fleet) is Status.DEGRADED)
        fleet.instances[0].fail(0)
        assert 0 < fleet.environment.balancer.traffic("cart").failed < load.snapshot().requests


def test_blue_green_lets_all_requests_change_over_without_a_failed_one(
    fleet: Fleet, old: str, new: str
) -> None:
    """2N instances run before the switch, and none of the new ones answers anybody until then."""
    most, early = 0, 0
    with customers(fleet) as load:

        def count(step: Step) -> None:
            nonlocal most, early
            most = max(most, len(fleet.instances))
            if step.state == StepState.READY:
                early += load.snapshot().by_version[version(new)].requests if step_seen(load, new) else 0

        deployment = blue_green(fleet, new, on_event=count)
        more(load)
        result = load.stop()
    assert (result.failed, dict(result.errors)) == (0, {})
    assert (most, early) == (2 * N, 0)
    assert is_whole(fleet, {version(new): N})
    assert (deployment.result, deployment.from_image, status(fleet)) == (Result.DEPLOYED, old, Status.HEALTHY)


def step_seen(load: RunningLoad, image: str) -> bool:
    """Return whether a version has answered anybody yet."""
    return version(image) in load.snapshot().by_version


def test_what_was_kept_takes_over_again_at_a_roll_back(fleet: Fleet, old: str, new: str) -> None:
    """The old instances themselves serve again: nothing is started, and no request fails."""
    before = set(fleet.states)
    with customers(fleet) as load:
        blue_green(fleet, new, keep=True)
        assert {instance.name for instance in fleet.instances if instance.state == "DRAIN"} == before
        assert status(fleet) == Status.HEALTHY
        back = roll_back(fleet)
        more(load)
        result = load.stop()
    assert (result.failed, set(fleet.states)) == (0, before)
    assert StepState.STARTING not in {step.state for step in back.steps}
    assert is_whole(fleet, {version(old): N})


def test_forward_goes_only_what_was_not_rolled_back(
    fleet: Fleet, images: dict[str, str], old: str, new: str
) -> None:
    """The version that was withdrawn is refused with the reason; another one is deployed."""
    rolling(fleet, images["breaks"], health=lambda: "prices are wrong")
    with pytest.raises(LabError, match="prices are wrong"):
        roll_forward(fleet, images["breaks"])
    assert is_whole(fleet, {version(old): N})
    assert roll_forward(fleet, new).result is Result.DEPLOYED


def test_a_roll_back_without_kept_instances_starts_them_anew(fleet: Fleet, old: str, new: str) -> None:
    """The artifact database knows what served before."""
    rolling(fleet, new)
    assert roll_back(fleet).to_image == old
    assert is_whole(fleet, {version(old): N})


def test_a_pause_holds_before_the_switch_and_an_abort_leaves_nothing_behind(
    fleet: Fleet, old: str, new: str
) -> None:
    """Both sides stand, the old one serves; then only that is left, and the record says rolled back."""
    control, done = Control(), list[Deployment]()
    control.pause()
    thread = Thread(target=lambda: done.append(blue_green(fleet, new, control=control)))
    thread.start()
    while status(fleet) != Status.PAUSED:
        time.sleep(0.05)
    control.resume()
    while len(fleet.instances) < N + 1:
        time.sleep(0.05)
    control.pause()
    while status(fleet) != Status.PAUSED:
        time.sleep(0.05)
    assert [instance.state for instance in fleet.instances if instance.image == new] == ["DRAIN"] * N
    control.abort()
    thread.join()
    assert (done[0].result, done[0].reason) == (Result.ROLLED_BACK, "aborted")
    assert is_whole(fleet, {version(old): N})
    assert status(fleet) == Status.ROLLED_BACK


def test_unavailable_takes_old_ones_away_before_new_ones_start(fleet: Fleet, new: str) -> None:
    """With a surge of 0 there are never more than N instances, and N - 1 always serve."""
    counts, serving = [], []

    def count(_: Step) -> None:
        counts.append(len(fleet.instances))
        serving.append(list(fleet.states.values()).count("UP"))

    rolling(fleet, new, surge=0, unavailable=1, on_event=count)
    assert (max(counts), min(serving)) == (N, N - 1)
    assert is_whole(fleet, {version(new): N})
    with pytest.raises(LabError, match="surge"):
        rolling(fleet, new, surge=0)


def test_lifetimes_tell_what_a_deployment_costs(fleet: Fleet, new: str, old: str) -> None:
    """Blue/green keeps 2N instances for as long as starting takes, a rolling upgrade N + 1 at a time."""
    both = blue_green(fleet, new)
    instances = lifetimes(both)
    assert [lifetime.image for lifetime in instances].count(new) == N
    assert len(instances) == 2 * N
    serving = [lifetime for lifetime in instances if lifetime.image == new]
    for lifetime in serving:
        assert lifetime.begins_s < (lifetime.serves_s or 0) <= (lifetime.leaves_s or 0) <= lifetime.ends_s
    assert {lifetime.leaves_s for lifetime in serving} == {both.seconds}
    one = rolling(fleet, old)
    assert 0 < instance_seconds(one) / one.seconds < 1.5 < instance_seconds(both) / both.seconds < N
    shown = rollout(both)
    assert "deployed" in repr(shown)
    assert all(lifetime.instance in repr(shown) for lifetime in instances)
    held = rolling(fleet, new, health=lambda: "wrong prices")
    assert "wrong prices" in rollout(held).svg


@pytest.mark.parametrize("moment", [StepState.READY, StepState.REMOVED])
def test_a_balancer_that_is_restarted_in_mid_upgrade_gets_its_instances_back(
    fleet: Fleet, old: str, new: str, moment: StepState
) -> None:
    """The upgrade goes on, is put back, or says that it stopped; the next one brings it to its end."""
    restarted = False

    def restart(step: Step) -> None:
        nonlocal restarted
        if step.state == moment and not restarted:
            restarted = True
            Engine.find().client.containers.get(f"{fleet.environment.name}.balancer").restart(timeout=1)

    with suppress(LabError, OSError):
        rolling(fleet, new, on_event=restart)
    assert restarted
    assert set(fleet.versions) <= {version(old), version(new)}
    rolling(fleet, new)
    assert is_whole(fleet, {version(new): N})
    assert ask(fleet, {}) == version(new)


def test_a_balancer_that_is_restarted_between_deployments_is_told_of_the_fleet(
    fleet: Fleet, old: str, new: str
) -> None:
    """Nobody is served until the next deployment, which attaches the instances of all services again."""
    assert old
    before = {status.name: status.version for status in fleet.environment.elements()}
    restart_balancer(fleet)
    done = rolling(fleet, new)
    assert is_whole(fleet, {version(new): N})
    again = [step for step in done.steps if step.state == StepState.ATTACHED_AGAIN]
    assert len(again) == N + OTHERS
    assert all("lost" in step.remark for step in again)
    assert {lifetime.instance for lifetime in lifetimes(done)}.isdisjoint({"catalog-1", "storefront-1"})
    assert {one.balanced for one in fleet.environment.elements() if one.service} == {"UP"}
    for service in ("catalog", "storefront"):
        answer = httpx.get(f"{fleet.environment.urls[service]}/version")
        assert answer.headers["x-labkit-version"] == before[f"{service}-1"]


def restart_balancer(fleet: Fleet) -> None:
    """Kill the balancer and start it again: it has forgotten all servers."""
    balancer = fleet.environment.element("balancer")
    balancer.kill()
    balancer.start()
    assert fleet.environment.balancer.all_servers() == {}


def test_a_restarted_balancer_gets_back_what_served_and_what_was_on_standby(
    fleet: Fleet, old: str, new: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the record, for all services; who has ended is named, what somebody deploys is left alone."""
    # So that the wait ends by the health checks, and not by its deadline.
    monkeypatch.setattr("labkit.deployment._reconcile.CHECKED_S", 600)
    blue_green(fleet, new, keep=True)
    scale(fleet, N + 1)
    states = fleet.states
    assert reconcile(fleet.environment) == {}
    dead = next(name for name, state in states.items() if state == "UP")
    restart_balancer(fleet)
    with fleet.claim():
        others = reconcile(fleet.environment)
    assert set(others) == {"catalog-1", "storefront-1"}
    fleet.environment.element(dead).kill()
    attached = reconcile(fleet.environment)
    assert attached.pop(dead) == "not attached: it is exited"
    assert {name: "UP" if "serves" in words else "DRAIN" for name, words in attached.items()} == {
        name: state for name, state in states.items() if name != dead
    }
    assert {name: fleet.states[name] for name in attached} == {name: states[name] for name in attached}
    rolling(fleet, old)
    scale(fleet, N)


def test_the_clients_of_a_canary_find_it_again_after_a_restart_of_the_balancer(
    fleet: Fleet, old: str, new: str
) -> None:
    """The deployment at work knows its own route, and which instance waits for its clients."""
    control, met = Control(), list[str]()

    def health() -> str:
        if not met:
            restart_balancer(fleet)
            met.append("")
        elif "UP" in fleet.states.values():
            met.extend(ask(fleet, {"X-Group": "pharmacists"}) for _ in range(N))
            met.append(ask(fleet, {"X-Group": "doctors"}))
            control.abort()
        return ""

    done = canary(fleet, new, health, to=group("pharmacists"), control=control)
    assert (done.reason, met[1:]) == ("aborted", [version(new)] * N + [version(old)])
    assert is_whole(fleet, {version(old): N})


def test_an_instance_that_leaves_is_asked_to_end_and_its_step_says_how_it_did(
    fleet: Fleet, old: str, new: str
) -> None:
    """Stopped, it is killed after its grace time; paused, at once; the others end by themselves, unseen.

    All of them leave at the same time. The record and every picture say it too.
    """
    assert old
    stopped, paused, ended = fleet.instances
    Engine.find().client.api.kill(stopped.container, "SIGSTOP")
    paused.pause()
    ended.kill()
    events: list[Step] = []
    done = blue_green(fleet, new, drain_s=1, on_event=events.append)
    remarks = {step.instance: step.remark for step in done.steps if step.remark}
    assert remarks == {
        stopped.name: f"did not end on SIGTERM, killed after {GRACE_S} s",
        paused.name: "was paused, which no SIGTERM reaches: killed at once",
        ended.name: "had ended before, with exit code 137",
    }
    removed = {step.instance: step.at_s for step in done.steps if step.state == StepState.REMOVED}
    assert max(removed, key=removed.__getitem__) == stopped.name
    assert is_whole(fleet, {version(new): N})
    facts = fleet.workspace.artifacts.history(environment=fleet.environment.name)
    assert {
        step["instance"]: step["remark"] for step in facts[-1].predicate["steps"] if step["remark"]
    } == remarks
    uses = [fact.predicate for fact in facts if fact.predicate.get("remark")]
    assert {use["element"]: use["remark"] for use in uses[-N:]} == remarks
    shown = rollout(done)
    assert all(remark in repr(shown) and remark in shown.svg for remark in remarks.values())
    assert sum(remarks.get(step.instance, "none") in step.words for step in events) == N


def test_no_session_is_lost_when_its_instance_leaves(fleet: Fleet, new: str) -> None:
    """A session that stuck to an instance goes to another one while that one answers what it has."""
    sessions = {
        Request("POST", "/totals", {"cart": CART}, headers={"X-Session": f"session-{number}"}): 1.0
        for number in range(20)
    }
    with apply(Load(sessions, 200, None), fleet.environment.urls["cart"]) as load:
        more(load, 100)
        rolling(fleet, new)
        more(load)
        result = load.stop()
    assert (result.failed, dict(result.errors)) == (0, {})
    assert set(result.by_version) > {version(new)}


def test_a_fleet_is_scaled_without_a_failed_request(fleet: Fleet, old: str) -> None:
    """Two more, then as before: new ones run the image that most run, and the newest are removed."""
    before = set(fleet.states)
    with customers(fleet) as load:
        scale(fleet, N + 2)
        assert is_whole(fleet, {version(old): N + 2})
        scale(fleet, N)
        result = load.stop()
    assert (result.failed, set(fleet.states)) == (0, before)
    Engine.find().client.containers.get(f"{fleet.environment.name}.balancer").restart(timeout=1)
    scale(fleet, N)  # a balancer that has forgotten them gets them again, and none is added
    assert set(fleet.states) == before
    assert is_whole(fleet, {version(old): N})
    with pytest.raises(LabError, match="1 instance"):
        scale(fleet, 0)


def test_scaling_counts_the_instances_that_serve(fleet: Fleet, old: str, new: str) -> None:
    """The older ones that blue/green kept are on standby: they are not counted and not removed."""
    kept = set(fleet.states)
    blue_green(fleet, new, keep=True)
    scale(fleet, N - 1)
    states = fleet.states
    assert {name for name, state in states.items() if state == "DRAIN"} == kept
    assert list(states.values()).count("UP") == N - 1
    assert ask(fleet, {}) == version(new)
    scale(fleet, N)
    roll_back(fleet)
    assert is_whole(fleet, {version(old): N})


def test_the_order_is_a_named_rule(fleet: Fleet, new: str) -> None:
    """newest_first drains the last instance first; idle_first spares the one that is at work."""
    names = [instance.name for instance in fleet.instances]
    gone = [
        step.instance for step in rolling(fleet, new, order=newest_first).steps if step.state == "removed"
    ]
    assert gone == names[::-1]
    first, *others = fleet.instances
    first.slow(2000)  # so that it is at work on a dozen requests at any moment, and the others on few
    with customers(fleet, 20) as load:
        more(load)
        assert idle_first(fleet, [first, *others])[-1] == first
    first.slow(0)


def test_a_version_that_crashes_after_a_while_is_withdrawn(
    fleet: Fleet, images: dict[str, str], old: str
) -> None:
    """It was ready and serves for some seconds; while it is watched it dies, and the old ones go on."""
    done = canary(fleet, images["crashes"], lambda: "", watch_s=60)
    assert done.result is Result.ROLLED_BACK
    assert "DOWN" in done.reason or "exited" in done.reason or "gone" in done.reason
    assert is_whole(fleet, {version(old): N})


@pytest.mark.parametrize("to", [everybody(), share(0.5)])
def test_a_canary_that_nobody_met_is_withdrawn(fleet: Fleet, old: str, new: str, to: Group) -> None:
    """Without a request there is no evidence, whatever health says."""
    done = canary(fleet, new, lambda: "", to=to, watch_s=0.2)
    assert (done.result, "no evidence" in done.reason) == (Result.ROLLED_BACK, True)
    assert is_whole(fleet, {version(old): N})


def test_a_version_that_the_load_did_not_see_is_withdrawn(fleet: Fleet, old: str, new: str) -> None:
    """Requests reached the canary, but none of those that are measured: that is no evidence."""
    with customers(fleet) as load:
        evidence = Evidence(load, "another name")
        done = canary(fleet, new, evidence, watch_s=0.5)
        switched = blue_green(fleet, new, health=evidence, watch_s=0.5)
        load.stop()
    reason = "no evidence: no request to another name was seen"
    assert [(one.result, one.reason) for one in (done, switched)] == [(Result.ROLLED_BACK, reason)] * 2
    assert is_whole(fleet, {version(old): N})


@pytest.mark.parametrize("to", [users("Ada"), share(1)])
def test_a_canary_that_fails_everybody_is_withdrawn_at_once(
    fleet: Fleet, old: str, new: str, to: Group
) -> None:
    """All customers are on it, so nobody is left to compare it with: the objective is enough."""
    mix: dict[Arrival, float] = {Request("POST", "/totals", {"cart": CART}, headers={"X-User": "Ada"}): 1}
    with apply(Load(mix, 40, None), fleet.environment.urls["cart"]) as load:

        def spoil(step: Step) -> None:
            if step.state == StepState.READY:
                fleet.instances[-1].fail(0.8)

        done = canary(fleet, new, Evidence(load, version(new)), to=to, watch_s=30, on_event=spoil)
        failed = load.stop().by_version[version(new)].failed
    assert (done.result, f"requests to {version(new)} failed" in done.reason) == (Result.ROLLED_BACK, True)
    assert failed < 40 * 5  # of a thousand in the whole watch
    assert is_whole(fleet, {version(old): N})


@pytest.mark.parametrize("strategy", ["canary", "rolling"])
def test_a_version_that_answers_500_is_withdrawn_on_evidence(
    fleet: Fleet, images: dict[str, str], old: str, strategy: str
) -> None:
    """The reason counts its failures beside the others'; the old version serves as before."""
    with customers(fleet) as load:
        more(load)
        evidence = Evidence(load, "breaks")
        if strategy == "canary":
            done = canary(fleet, images["breaks"], evidence, watch_s=60)
        else:
            done = rolling(fleet, images["breaks"], watch_s=60, health=evidence)
        load.stop()
    assert done.result is Result.ROLLED_BACK
    assert "requests to breaks failed" in done.reason
    assert evidence.e_value > evidence.threshold
    assert is_whole(fleet, {version(old): N})


def test_a_version_that_is_slow_is_withdrawn_on_evidence(
    fleet: Fleet, images: dict[str, str], old: str
) -> None:
    """None of its answers fails; those that take too long are counted instead."""
    with customers(fleet) as load:
        more(load)
        failing, slow = Evidence(load, "drags"), Evidence(load, "drags", slow_ms=300)
        done = canary(fleet, images["drags"], lambda: failing() or slow(), watch_s=60)
        load.stop()
    assert done.result is Result.ROLLED_BACK
    assert "requests to drags took longer than 300 ms" in done.reason
    assert failing.e_value < failing.threshold
    assert is_whole(fleet, {version(old): N})


def test_a_switch_that_breaks_is_undone_at_once(fleet: Fleet, images: dict[str, str], old: str) -> None:
    """The old instances are on standby while the limits are watched, and then serve again themselves."""
    before = set(fleet.states)
    with customers(fleet) as load:
        limits = within_limits(load, WatchLimits(error_share=0))
        done = blue_green(fleet, images["breaks"], watch_s=60, health=limits)
        load.stop()
    assert (done.result, "requests failed" in done.reason) == (Result.ROLLED_BACK, True)
    assert set(fleet.states) == before
    assert is_whole(fleet, {version(old): N})


def test_a_sound_canary_takes_over_and_can_be_promoted_early(fleet: Fleet, new: str) -> None:
    """Nothing speaks against it; nobody waits for the end of the watch once it is promoted."""
    control = Control()
    with customers(fleet) as load:
        evidence = Evidence(load, version(new))

        def promote(step: Step) -> None:
            if step.state == StepState.IN_BALANCER:
                control.promote()

        done = canary(fleet, new, evidence, watch_s=600, control=control, on_event=promote)
        result = load.stop()
    assert (done.result, result.failed) == (Result.DEPLOYED, 0)
    assert is_whole(fleet, {version(new): N})


@pytest.mark.parametrize(
    ("to", "headers", "reached"),
    [
        (group("pharmacists"), {"X-Group": "pharmacists"}, 20),
        (group("pharmacists"), {"X-Group": "doctors"}, 0),
        (users("Ada", "Grace"), {"X-User": "Grace"}, 20),
        (users("Ada", "Grace"), {"X-User": "Alan"}, 0),
        (discovery("cart-canary"), {"Host": "cart-canary"}, 20),
        (discovery("cart-canary"), {}, 0),
        (share(1), {}, 20),
    ],
)
def test_only_a_chosen_group_meets_the_canary(
    fleet: Fleet, old: str, new: str, to: Group, headers: dict[str, str], reached: int
) -> None:
    """By header, user, requested name or at random; once the canary is aborted, nobody does."""
    control, met = Control(), list[str]()

    def health() -> str:
        if not met:
            met.extend(ask(fleet, headers) for _ in range(20))
        control.abort()
        return ""

    done = canary(fleet, new, health, to=to, control=control)
    assert done.reason == "aborted"
    assert met.count(version(new)) == reached
    assert {ask(fleet, headers) for _ in range(N)} == {version(old)}
    assert is_whole(fleet, {version(old): N})


def test_a_share_of_the_users_stays_with_the_canary(fleet: Fleet, new: str) -> None:
    """A user is always in or always out, about the given share is in, and another canary chooses others."""
    drawn: list[set[str]] = []

    def health() -> str:
        met = {str(user): {ask(fleet, {"X-User": str(user)}) for _ in range(2)} for user in range(40)}
        assert all(len(versions) == 1 for versions in met.values())
        drawn.append({user for user, versions in met.items() if versions == {version(new)}})
        control.abort()
        return ""

    for _ in range(2):
        control = Control()
        canary(fleet, new, health, to=share(0.4), control=control)
    assert all(5 <= len(users) <= 30 for users in drawn)
    assert drawn[0] != drawn[1]
    with pytest.raises(LabError, match="share"):
        share(40)


def test_a_canary_grows_step_by_step(fleet: Fleet, old: str, new: str) -> None:
    """First one beside all, then two in all, each step watched; a promotion ends all steps at once."""
    seen: list[dict[str, int]] = []

    def health() -> str:
        if fleet.versions not in seen:
            seen.append(fleet.versions)
        return ""

    done = canary(fleet, new, health, to=everybody(1, 2), watch_s=0.5, least_requests=0)
    assert (done.result, is_whole(fleet, {version(new): N})) == (Result.DEPLOYED, True)
    first, second, *_ = seen
    assert first == {version(old): N, version(new): 1}
    assert second == {version(old): N - 1, version(new): 2}
    assert done.seconds > 2 * 0.5
    control = Control()
    control.promote()
    assert canary(fleet, old, lambda: "", to=everybody(1, 2), watch_s=60, control=control).seconds < 60
    for wrong in ((2, 1), (1, 1), (0, 1)):
        with pytest.raises(LabError, match="growing steps"):
            everybody(*wrong)


def test_who_is_in_a_share_stays_in_when_it_grows(fleet: Fleet, new: str) -> None:
    """The users of the first step are among those of the second, who are more; the share can be read."""
    met: list[set[str]] = []
    told: list[float] = []

    def health() -> str:
        if (
            "DRAIN" in fleet.states.values()
        ):  # the canary, which gets no other requests; later it gets its share
            answers = {str(user): ask(fleet, {"X-User": str(user)}) for user in range(40)}
            met.append({user for user, answer in answers.items() if answer == version(new)})
            told.extend(fleet.environment.balancer.routed().values())
        return ""

    canary(fleet, new, health, to=share(0.2, 0.8), watch_s=0.1, least_requests=0)
    few, many = met[0], met[-1]
    assert few < many
    assert (told[0], told[-1], fleet.environment.balancer.routed()) == (0.2, 0.8, {})


def test_a_group_promotes_or_withdraws_its_canary(fleet: Fleet, old: str, new: str) -> None:
    """What the group says decides for all; a canary that stops serving its group is withdrawn."""
    done = canary(fleet, new, lambda: "Ada sees wrong prices", to=users("Ada"))
    assert (done.result, done.reason) == (Result.ROLLED_BACK, "Ada sees wrong prices")

    def kill() -> str:
        canaries = [
            instance for instance in fleet.instances if instance.image == new and instance.state == "DRAIN"
        ]
        if canaries:
            canaries[0].kill()
        return ""

    done = canary(fleet, new, kill, to=users("Ada"))
    assert (done.result, is_whole(fleet, {version(old): N})) == (Result.ROLLED_BACK, True)
    done = canary(fleet, new, lambda: "", to=users("Ada"), watch_s=0.2, least_requests=0)
    assert done.result is Result.DEPLOYED
    assert is_whole(fleet, {version(new): N})


def ask(fleet: Fleet, headers: dict[str, str]) -> str:
    """Return the version that answers a request with these headers."""
    answer = httpx.get(f"{fleet.environment.urls['cart']}/version", headers=headers)
    return str(answer.headers["x-labkit-version"])


def test_an_instance_fails_as_often_as_it_is_told_to(fleet: Fleet) -> None:
    """A share of its answers becomes 500, its readiness stays; 0 ends that, and so does its removal."""
    first, *_ = fleet.instances
    first.fail(0.5)
    with customers(fleet) as load:
        more(load, 300)
        result = load.stop()
    assert 0.05 < result.error_share < 0.3
    assert fleet.states[first.name] == "UP"
    assert fleet.environment.balancer.failing() == {first.name: 0.5}
    first.fail(0)
    assert fleet.environment.balancer.failing() == {}
    with pytest.raises(LabError, match="share"):
        first.fail(50)


def test_every_answer_says_which_instance_gave_it(
    environment: Environment, images: dict[str, str], fleet: Fleet
) -> None:
    """The balancer says it, so no service has to, and none can say another; so do errors in its name."""
    url = f"{environment.urls['cart']}/version"
    names = ("x-labkit-version", "x-labkit-instance")

    def stamp() -> tuple[int, str | None, str | None]:
        answer = httpx.get(url)
        return answer.status_code, *(answer.headers.get(name) for name in names)

    liar = environment.add_instance("cart", images["lies"])
    environment.balancer.add(liar)
    environment.balancer.switch([liar], fleet.instances[:N])
    try:
        assert stamp() == (200, "lies", liar.name)
        liar.kill()
        status_code, *who = stamp()
        assert status_code in {502, 503}
        assert who in ([liar.version, liar.name], [None, None])  # the latter once its health check has failed
        assert soon(lambda: stamp() == (503, None, None))
    finally:
        environment.balancer.switch(fleet.instances[:N], [])
        environment.remove_instance(liar)


def test_a_session_stays_with_the_instance_it_began_with(fleet: Fleet) -> None:
    """Requests with one X-Session header meet one instance; without it they go round."""
    url = f"{fleet.environment.urls['cart']}/version"

    def met(headers: dict[str, str]) -> set[str]:
        return {httpx.get(url, headers=headers).headers["x-labkit-instance"] for _ in range(12)}

    assert soon(lambda: len(met({})) == N)  # on a busy machine one may miss a health check
    assert [len(met({"X-Session": f"session-{number}"})) for number in range(4)] == [1] * 4


def test_an_image_of_a_version_is_built_from_the_learners_repository(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each version is another image, also inside a git hook; a version that is not there is refused."""
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "no-repository"))
    built = [image_of(workspace, "cart", tag) for tag in ("v1", "v2")]
    try:
        assert len({Engine.find().image(name).digest for name in built}) == 2
        with pytest.raises(LabError, match="v1, v2"):
            image_of(workspace, "cart", "v9")
        with pytest.raises(LabError, match="catalog"):
            image_of(workspace, "card", "v1")
    finally:
        for name in [*built, "labkit/shop-cart:stage-1"]:
            Engine.find().client.images.remove(name, force=True)
