"""A load smoke: a small constant stream of requests for a few seconds, held against limits."""

import time
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from labkit.checks._report import Finding, Outcome, Report, version_of
from labkit.environment import Environment
from labkit.load import Load, Measurement, Request, Session, apply

CHECK = "load_smoke"
MIX: Mapping[Request | Session | str, float] = {"GET /": 1.0}


def load_smoke(
    environment: Environment,
    *,
    mix: Mapping[Request | Session | str, float] = MIX,
    rate_per_s: float = 10.0,
    duration_s: float = 5.0,
    error_share: float = 0.0,
    p99_ms: float = 2000.0,
) -> Report:
    """Send rate_per_s requests a second to an environment's entry for duration_s seconds, in the given mix.

    mix maps a request or its "METHOD /path" to a weight. The answer is fail when more of the requests failed
    than error_share (0 to 1) or the 99th percentile of the response times is over p99_ms, and not run when
    not one request was answered. Raises LabError when the load could not be applied.
    """
    started = time.monotonic()
    load = Load(mix, rate_per_s, duration_s)
    with apply(load, environment.url, hosts=[urlsplit(environment.url).hostname or ""]) as running:
        measurement = running.wait()
    seconds = time.monotonic() - started
    if not measurement.requests:
        return Report.not_run(CHECK, "not one request was answered", tool="locust", seconds=seconds)
    findings = list(_broken(measurement, error_share, p99_ms))
    return Report(
        check=CHECK,
        outcome=Outcome.FAIL if findings else Outcome.PASS,
        findings=findings,
        tool="locust",
        tool_version=version_of("locust"),
        seconds=seconds,
        evidence=measurement.to_json(),
    )


def _broken(measurement: Measurement, error_share: float, p99_ms: float) -> Iterator[Finding]:
    if measurement.failed > error_share * measurement.requests:
        causes = ", ".join(f"{cause} ({count})" for cause, count in measurement.errors.items())
        seen = f"{measurement.failed} of {measurement.requests} failed, limit {error_share:.2%}: {causes}"
        yield Finding("failed requests", seen)
    if measurement.p99_ms > p99_ms:
        yield Finding("99th percentile", f"{measurement.p99_ms:.0f} ms, limit {p99_ms:g} ms")
