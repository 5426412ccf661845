"""The limits of what traffic may show, as pipeline.toml writes them."""

from dataclasses import dataclass

from labkit.system import TomlTable


@dataclass(frozen=True)
class TrafficLimits:
    """What traffic may show at most during duration_s: share of failed requests (0 to 1), 99th percentile."""

    duration_s: float
    error_share: float
    p99_ms: float


def traffic_limits(table: TomlTable) -> TrafficLimits:
    """Read the limits from the table of a gate."""
    return TrafficLimits(
        duration_s=table.number("duration_s", default=5.0),
        error_share=table.number("error_share", default=0.0, zero=True),
        p99_ms=table.number("p99_ms", default=2000.0),
    )
