"""How long each instance was there during a deployment, and how long it served: what a deployment costs."""

from collections.abc import Iterable
from dataclasses import dataclass

from labkit.deployment._steps import Deployment, State, Step


@dataclass(frozen=True)
class Span:
    """One instance's time during a deployment, in seconds since that began.

    It is there from begins_s to ends_s, and takes requests from serves_s to leaves_s; these two are None for
    an instance that never did.
    """

    instance: str
    image: str
    begins_s: float
    ends_s: float
    serves_s: float | None
    leaves_s: float | None

    @property
    def seconds(self) -> float:
        """For how long it was there."""
        return self.ends_s - self.begins_s


def spans(deployment: Deployment) -> list[Span]:
    """Return the instances that a deployment started or retired, in the order in which it came to them."""
    by_name: dict[str, list[Step]] = {}
    starts: dict[str, float] = {}
    begun: list[float] = []
    for step in deployment.steps:
        if step.state is State.STARTING:
            begun.append(step.at_s)
        elif step.instance:
            if step.state is State.READY:
                starts[step.instance] = begun.pop(0)
            by_name.setdefault(step.instance, []).append(step)
    return [_span(name, steps, starts.get(name), deployment.seconds) for name, steps in by_name.items()]


def instance_seconds(deployment: Deployment) -> float:
    """Return what it cost beside the N instances that were there before: seconds of further instances.

    Negative when instances were missing for a while.
    """
    found = spans(deployment)
    n = sum(span.image != deployment.to_image for span in found)
    return sum(span.seconds for span in found) - n * deployment.seconds


def _span(name: str, steps: Iterable[Step], start: float | None, seconds: float) -> Span:
    at: dict[State, float] = {}
    image = ""
    for step in steps:
        at.setdefault(step.state, step.at_s)
        image = step.image
    old = start is None
    serves = 0.0 if old and State.IN_BALANCER not in at else at.get(State.IN_BALANCER)
    leaves = min((at[it] for it in (State.DRAINING, State.STANDING_BY) if it in at), default=seconds)
    ends = at.get(State.REMOVED, seconds)
    return Span(name, image, start or 0.0, ends, serves, leaves if serves is not None else None)
