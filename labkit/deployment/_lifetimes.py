"""How long each instance existed during a deployment, and how long it served: what a deployment costs."""

from collections.abc import Iterable
from dataclasses import dataclass

from labkit.deployment._steps import Deployment, Step, StepState


@dataclass(frozen=True)
class InstanceLifetime:
    """The time of one instance during a deployment, in seconds since the deployment began.

    The instance exists from begins_s to ends_s, and takes requests from serves_s to leaves_s. The latter two
    are None for an instance that never took requests. remark is what is worth a word, such as that it had to
    be killed; mostly "".
    """

    instance: str
    image: str
    begins_s: float
    ends_s: float
    serves_s: float | None
    leaves_s: float | None
    remark: str = ""

    @property
    def seconds(self) -> float:
        """For how long the instance existed."""
        return self.ends_s - self.begins_s


def lifetimes(deployment: Deployment) -> list[InstanceLifetime]:
    """Return the lifetimes of the instances that a deployment started, switched or removed, in that order."""
    by_name: dict[str, list[Step]] = {}
    starts: dict[str, float] = {}
    begun: list[float] = []
    for step in deployment.steps:
        if step.state is StepState.STARTING:
            # A starting instance has no name yet, so the next one that gets ready is taken for it.
            begun.append(step.at_s)
        elif step.instance and step.state is not StepState.ATTACHED_AGAIN:
            if step.state is StepState.READY:
                starts[step.instance] = begun.pop(0)
            by_name.setdefault(step.instance, []).append(step)
    return [_lifetime(name, steps, starts.get(name), deployment.seconds) for name, steps in by_name.items()]


def instance_seconds(deployment: Deployment) -> float:
    """Return what a deployment cost beyond the N instances before it: seconds of additional instances.

    Negative when instances were missing for a while.
    """
    all_lifetimes = lifetimes(deployment)
    n = sum(lifetime.serves_s == 0 for lifetime in all_lifetimes)  # from the beginning on
    return sum(lifetime.seconds for lifetime in all_lifetimes) - n * deployment.seconds


def _lifetime(name: str, steps: Iterable[Step], start: float | None, seconds: float) -> InstanceLifetime:
    """Return one instance's lifetime; start None is an instance that existed before the deployment."""
    at: dict[StepState, float] = {}
    image = ""
    remarks = []
    for step in steps:
        at.setdefault(step.state, step.at_s)
        image = step.image
        remarks += [step.remark] if step.remark else []
    old = start is None
    # An old instance has served from the beginning, unless it was on standby and was switched to.
    serves = 0.0 if old and StepState.IN_BALANCER not in at else at.get(StepState.IN_BALANCER)
    last_states = (StepState.DRAINING, StepState.STANDBY)
    leaves = min((at[state] for state in last_states if state in at), default=seconds)
    ends = at.get(StepState.REMOVED, seconds)
    leaves_s = leaves if serves is not None else None
    return InstanceLifetime(name, image, start or 0.0, ends, serves, leaves_s, "; ".join(remarks))
