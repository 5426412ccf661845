"""The gate `load_smoke`: a few seconds of the customers' requests."""

from collections.abc import Iterator

from labkit import checks
from labkit.pipeline._limits import traffic_limits
from labkit.pipeline.gates import Answer, GateContext, gate


@gate("load_smoke", stages={"integration", "staging"}, options=traffic_limits)
def load_smoke(context: GateContext) -> Iterator[Answer]:
    """Send the customers' mix of requests; the options are the limits."""
    traffic, limits = context.run.pipeline.traffic, context.options
    yield Answer(
        checks.load_smoke(
            context.environment,
            mix=traffic.mix,
            rate_per_s=traffic.rate_per_s,
            duration_s=limits.duration_s,
            error_share=limits.error_share,
            p99_ms=limits.p99_ms,
        )
    )
