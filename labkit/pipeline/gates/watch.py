"""The gate `watch`: production, verified for a while after its upgrade."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from labkit import deployment
from labkit.checks import CheckOutcome, CheckRun, Finding, version_of
from labkit.deployment import Fleet, WatchOutcome
from labkit.load import Measurement, RunningLoad
from labkit.pipeline._limits import TrafficLimits, traffic_limits
from labkit.pipeline.gates import Answer, GateContext, gate

ANSWERS = {
    WatchOutcome.KEPT: CheckOutcome.PASS,
    WatchOutcome.BROKEN: CheckOutcome.FAIL,
    WatchOutcome.NO_EVIDENCE: CheckOutcome.NOT_RUN,
}


@gate("watch", stages={"production"}, options=traffic_limits)
def watch(context: GateContext) -> Iterator[Answer]:
    """Verify all services at once; a request that failed during the upgrade counts too."""
    check, load = CheckRun("watch", tool="locust"), context.customers
    upgrade = load.snapshot()  # all requests since the first customer's: the whole upgrade
    fleets = [Fleet(context.environment, name) for name in context.run.images]
    results = _watch(fleets, load, context.options)
    outcomes = [ANSWERS[result.outcome] for result in results]
    findings = [
        Finding(str(result.outcome), result.reason)
        for result in results
        if result.outcome != WatchOutcome.KEPT
    ]
    if upgrade.failed:
        outcomes.append(CheckOutcome.FAIL)
        findings.insert(0, _failed(upgrade))
    report = check.report(
        list(dict.fromkeys(findings)),  # what the load saw is the same for each service: once is enough
        tool_version=version_of("locust"),
        evidence={"upgrade": upgrade.to_json(), "watch": results[0].to_json()},
    )
    worst = next(
        (one for one in (CheckOutcome.FAIL, CheckOutcome.NOT_RUN) if one in outcomes), CheckOutcome.PASS
    )
    # A window without evidence is a finding too, but no limit was broken: not run, not fail.
    yield Answer(replace(report, outcome=worst))


def _watch(fleets: list[Fleet], load: RunningLoad, window: TrafficLimits) -> list[deployment.WatchResult]:
    limits = deployment.WatchLimits(window.error_share, window.p99_ms)
    with ThreadPoolExecutor(len(fleets), thread_name_prefix="labkit-watch") as pool:
        return list(
            pool.map(lambda fleet: deployment.watch(fleet, load, window.duration_s, limits=limits), fleets)
        )


def _failed(upgrade: Measurement) -> Finding:
    return Finding("upgrade", f"{upgrade.failed} of {upgrade.requests} requests failed: {upgrade.failures}")
