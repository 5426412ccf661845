"""A load smoke test: a small constant stream of requests for a few seconds, compared with limits."""

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from labkit.checks._report import CheckRun, Finding, Report, version_of
from labkit.environment import Environment
from labkit.load import Arrival, Load, Measurement, apply

MIX: Mapping[Arrival, float] = {"GET /": 1.0}


def load_smoke(
    environment: Environment,
    *,
    mix: Mapping[Arrival, float] = MIX,
    rate_per_s: float = 10.0,
    duration_s: float = 5.0,
    error_share: float = 0.0,
    p99_ms: float = 2000.0,
) -> Report:
    """Send rate_per_s requests a second to an environment's entry for duration_s seconds, in the given mix.

    mix maps a request, its "METHOD /path" or a locust User class to a weight. The answer is fail when more of
    the requests failed than error_share (0 to 1), or when the 99th percentile of the response times is over
    p99_ms. It is not run when no request was answered.

    :raises LabError: when the load could not be applied.
    """
    check = CheckRun("load_smoke", tool="locust")
    load = Load(mix, rate_per_s, duration_s)
    with apply(load, environment.url, hosts=[urlsplit(environment.url).hostname or ""]) as running:
        measurement = running.wait()
    if not measurement.requests:
        return check.not_run("no request was answered")
    return check.report(
        list(_broken(measurement, error_share, p99_ms)),
        tool_version=version_of("locust"),
        evidence=measurement.to_json(),
    )


def _broken(measurement: Measurement, error_share: float, p99_ms: float) -> Iterator[Finding]:
    if measurement.failed > error_share * measurement.requests:
        limit = f"limit {error_share:.2%}"
        seen = f"{measurement.failed} of {measurement.requests} failed, {limit}: {measurement.failures}"
        yield Finding("failed requests", seen)
    if measurement.p99_ms > p99_ms:
        yield Finding("99th percentile", f"{measurement.p99_ms:.0f} ms, limit {p99_ms:g} ms")
