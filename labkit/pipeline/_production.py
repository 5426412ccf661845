"""Production: made once and kept; upgraded instance by instance under load, then watched."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from urllib.parse import urlsplit

from labkit import deployment
from labkit.checks import Finding, Outcome, Report, version_of
from labkit.deployment import Fleet, Step
from labkit.engine import Owner
from labkit.environment import Environment
from labkit.errors import LabError
from labkit.load import Load, Running, apply
from labkit.pipeline._approval import await_decision
from labkit.pipeline._definition import Stage
from labkit.pipeline._gates import Answer, Gates, about_all
from labkit.pipeline._provenance import await_images
from labkit.pipeline._trip import Stopped, Trip, tool, why

FIRST_CUSTOMER_S = 30.0  # a busy machine starts the load's process slowly
POLL_S = 0.1
KEPT = deployment.WatchOutcome.KEPT
ANSWERS = {
    KEPT: Outcome.PASS,
    deployment.WatchOutcome.BROKEN: Outcome.FAIL,
    deployment.WatchOutcome.NO_EVIDENCE: Outcome.NOT_RUN,
}


def production(trip: Trip, stage: Stage, gates: Gates) -> None:
    """Bring the images into production and watch it; whatever the watch says, production stays."""
    if trip.pipeline.approval:
        _await_approval(trip, stage)
    await_images(trip, stage)
    environment = _running(trip)
    if environment is None:
        environment = trip.create(stage, owner=Owner.workspace(trip.workspace.id))
    _refuse_other_system(trip, environment)
    try:
        with _customers(trip, stage, environment) as load:
            _migrate(trip, stage, environment)
            for name in _outdated(trip, environment):
                _upgrade(trip, stage, environment, name)
            for gate in stage.gates:
                gates.ask(gate, partial(PRODUCTION_GATES[gate], trip, environment, load))
    except (Stopped, LabError) as fault:
        message = f"{why(fault)}; production stays and runs {_told(environment)}"
        raise Stopped(message) from fault


def _told(environment: Environment) -> str:
    """Return what production runs, service by service."""
    return ", ".join(repr(Fleet(environment, name)) for name in environment.urls)


def _await_approval(trip: Trip, stage: Stage) -> None:
    """Wait until somebody decides; raise Stopped when it is a rejection, or nobody did in time."""
    journal, timeout_s = trip.journal, trip.pipeline.approval_timeout_s
    journal.stage_started(stage, f"approval: labkit pipeline approve {journal.run}", state="waiting")
    with journal.step(stage, "approval"):
        fact = await_decision(trip.artifacts, journal.run, timeout_s)
    if fact is None:
        message = f"{stage.name}: nobody approved within {timeout_s:g} s"
        raise Stopped(message)
    if fact.predicate["decision"] != "approved":
        message = f"{stage.name}: rejected by {fact.by}: {fact.predicate['reason']}"
        raise Stopped(message)
    journal.stage_started(stage, f"approved by {fact.by}")


def _running(trip: Trip) -> Environment | None:
    """Return the workspace's production environment; None when there is none yet."""
    for status in Environment.list(trip.workspace):
        if status.stage == "production":
            return Environment.attach(status.name, trip.workspace)
    return None


def _refuse_other_system(trip: Trip, environment: Environment) -> None:
    """Raise a LabError when the commit changes what an upgrade of instances cannot bring into production."""
    there, wanted = dict(environment.configuration), trip.system.configuration("production")
    changed = sorted(name for name in {*there, *wanted} if there.get(name) != wanted.get(name))
    changed += sorted({*environment.urls} ^ {it.name for it in trip.system.services_of("production")})
    if changed:
        raise LabError(
            f"{environment.name} with the services and the configuration of the commit's system.toml",
            f"other ones: {', '.join(changed)}",
            f"make production anew: labkit environment clean-up {environment.name}, then run again",
        )


@contextmanager
def _customers(trip: Trip, stage: Stage, environment: Environment) -> Iterator[Running]:
    """Let simulated customers send requests until the deployment is over, from their first answer on."""
    traffic, host = trip.pipeline.traffic, urlsplit(environment.url).hostname or ""
    with apply(Load(traffic.mix, traffic.rate_per_s, None), environment.url, hosts=[host]) as load:
        with trip.journal.step(stage, "await the first customer"):
            deadline = time.monotonic() + FIRST_CUSTOMER_S
            while not load.snapshot().requests and load.is_running and time.monotonic() < deadline:
                time.sleep(POLL_S)
        yield load


def _migrate(trip: Trip, stage: Stage, environment: Environment) -> None:
    """Apply the commit's new migrations, before the instances that need them come up.

    The instances that serve meanwhile must be able to work with both schemas.
    """
    if trip.system.database and environment.database:
        with trip.journal.step(stage, "migrate the database"):
            environment.database.migrate(trip.system.root / trip.system.database.migrations)


def _outdated(trip: Trip, environment: Environment) -> list[str]:
    """Return the services of which an instance runs another image than the commit's."""
    return [
        name
        for name, built in trip.images.items()
        if any(trip.engine.image(it.image).digest != built.digest for it in environment.instances(name))
    ]


def _upgrade(trip: Trip, stage: Stage, environment: Environment, service: str) -> None:
    """Replace the instances of a service one after another; the deployment records it."""

    def tell(step: Step) -> None:
        trip.journal.say(
            stage.name, "running", f"{service}: {step.instance or 'a new instance'} {step.state}"
        )

    with trip.journal.step(stage, f"upgrade {service}"):
        done = deployment.rolling(Fleet(environment, service), trip.images[service].image, on_event=tell)
    if done.result is deployment.Result.ROLLED_BACK:
        message = f"{service} was rolled back: {done.reason}"
        raise Stopped(message)


def _watch(trip: Trip, environment: Environment, load: Running) -> Iterator[Answer]:
    """Watch all services at once for the window; a request that failed during the upgrade counts too."""
    started, limits = time.monotonic(), trip.pipeline.watch
    upgrade = load.snapshot()
    kept = deployment.WatchLimits(limits.error_share, limits.p99_ms)
    fleets = [Fleet(environment, name) for name in trip.images]
    with ThreadPoolExecutor(len(fleets), thread_name_prefix="labkit-watch") as pool:
        watches = list(
            pool.map(lambda fleet: deployment.watch(fleet, load, limits.duration_s, limits=kept), fleets)
        )
    outcomes = [ANSWERS[watch.outcome] for watch in watches]
    findings = [Finding(str(watch.outcome), watch.reason) for watch in watches if watch.outcome != KEPT]
    if upgrade.failed:
        outcomes.append(Outcome.FAIL)
        seen = f"{upgrade.failed} of {upgrade.requests} requests failed: {dict(upgrade.errors)}"
        findings.insert(0, Finding("upgrade", seen))
    report = Report(
        check="watch",
        outcome=next((it for it in (Outcome.FAIL, Outcome.NOT_RUN) if it in outcomes), Outcome.PASS),
        findings=list(dict.fromkeys(findings)),
        tool="locust",
        tool_version=version_of("locust"),
        seconds=time.monotonic() - started,
        evidence={"upgrade": upgrade.to_json(), "watch": watches[0].to_json()},
    )
    yield report, about_all(trip, environment, [tool(report)])


PRODUCTION_GATES = {"watch": _watch}
