"""A load smoke: a small constant stream of requests for a few seconds, held against limits."""

import time
from collections.abc import Mapping

from labkit.checks._report import Finding, Outcome, Report, version_of
from labkit.environment import Environment
from labkit.load import Load, Measurement, apply

CHECK = "load_smoke"
MIX: Mapping[str, float] = {"GET /": 1.0}


def load_smoke(
    environment: Environment,
    *,
    mix: Mapping[str, float] = MIX,
    rate_per_s: float = 10.0,
    duration_s: float = 5.0,
    failed: int = 0,
    p99_ms: float = 1000.0,
) -> Report:
    """Send rate_per_s requests a second to an environment's entry for duration_s seconds, in the given mix.

    mix maps "METHOD /path" to a weight. The answer is fail when more than `failed` requests failed or the
    99th percentile of the response times is over p99_ms, not run when not one request was answered or the
    load could not be applied.
    """
    started = time.monotonic()
    with apply(Load(mix, rate_per_s, duration_s), environment.url) as running:
        measurement = running.wait()
    return judge(measurement, CHECK, failed=failed, p99_ms=p99_ms, seconds=time.monotonic() - started)


def judge(measurement: Measurement, check: str, *, failed: int, p99_ms: float, seconds: float) -> Report:
    """Hold a measurement against limits on failed requests and the 99th percentile in milliseconds."""
    if measurement.requests == 0:
        return Report.not_run(check, "not one request was sent", tool="locust", seconds=seconds)
    findings = []
    if measurement.failed > failed:
        what = ", ".join(f"{text} ({times} times)" for text, times in measurement.errors.items())
        seen = f"{measurement.failed} of {measurement.requests} requests failed, at most {failed} may: {what}"
        findings.append(Finding("failed requests", seen))
    if measurement.p99_ms > p99_ms:
        seen = f"one request in a hundred took {measurement.p99_ms:.0f} ms or longer, limit {p99_ms:.0f} ms"
        findings.append(Finding("99th percentile", seen))
    return Report(
        check=check,
        outcome=Outcome.FAIL if findings else Outcome.PASS,
        findings=findings,
        tool="locust",
        tool_version=version_of("locust"),
        seconds=seconds,
        evidence=measurement.to_json(),
    )
