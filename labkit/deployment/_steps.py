"""What a deployment did, step by step."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from labkit.errors import LabError


class StepState(StrEnum):
    """The states that an instance goes through during a deployment."""

    STARTING = "starting"
    READY = "ready"
    IN_BALANCER = "in balancer"
    DRAINING = "draining"
    REMOVED = "removed"
    FAILED = "failed"
    CUT_OFF = "requests cut off"
    STANDBY = "standby"
    ATTACHED_AGAIN = "attached again"
    """The balancer was restarted and had forgotten it."""


@dataclass(frozen=True)
class Step:
    """One instance reached a state, at_s seconds after the deployment began.

    instance is "" while it has no name yet: when it is starting, or never gets ready. remark is what is worth
    a word, such as "did not end on SIGTERM, killed after 10 s"; mostly "".
    """

    at_s: float
    instance: str
    image: str
    state: StepState
    remark: str = ""

    @property
    def words(self) -> str:
        """The state, with the remark if there is one."""
        return f"{self.state}: {self.remark}" if self.remark else str(self.state)

    def to_json(self) -> dict[str, Any]:
        """Return the step as plain data."""
        return {
            "at_s": round(self.at_s, 3),
            "instance": self.instance,
            "image": self.image,
            "state": str(self.state),
            "remark": self.remark,
        }


class Status(StrEnum):
    """How a fleet is.

    healthy: all instances serve, and the requests of the last seconds keep the objective. no evidence: there
    were no requests. degraded: an instance does not serve, too many requests fail, or a deployment did not
    come to its end.
    """

    HEALTHY = "healthy"
    NO_EVIDENCE = "no evidence"
    PROGRESSING = "progressing"
    PAUSED = "paused"
    DEGRADED = "degraded"
    ROLLED_BACK = "rolled back"


class Result(StrEnum):
    """How a deployment ended."""

    DEPLOYED = "deployed"
    INTERRUPTED = "interrupted"
    ROLLED_BACK = "rolled back"


@dataclass(frozen=True, repr=False)
class Deployment:
    """A finished deployment: the images before and after, how long it took, and its steps in order.

    from_image is the image that most of the replaced instances ran; None when all ran to_image already.
    reason says why the deployment was rolled back, else it is "". strategy is the strategy's name. began is
    when it began, in seconds of `time.time()`.
    """

    service: str
    from_image: str | None
    to_image: str
    seconds: float
    steps: tuple[Step, ...]
    result: Result = Result.DEPLOYED
    reason: str = ""
    strategy: str = ""
    began: float = 0.0

    def __repr__(self) -> str:
        """Return how it ended in a line; `widgets.rollout` shows the steps."""
        why = f": {self.reason}" if self.reason else ""
        return f"<Deployment of {self.service}: {self.to_image} {self.result} in {self.seconds:.1f} s{why}>"

    def check_deployed(self) -> Self:
        """Return this deployment when its version serves now: what comes next stands on it.

        :raises LabError: when it was rolled back or interrupted; the error gives the reason.
        """
        if self.result == Result.DEPLOYED:
            return self
        raise LabError(
            expected=f"{self.service} is deployed from {self.to_image}",
            seen=f"it was {self.result}: {self.reason}",
            next_step="deploy it again: a busy machine may answer too late to be trusted",
        )

    def to_json(self) -> dict[str, Any]:
        """Return the deployment as plain data."""
        return {
            "service": self.service,
            "from_image": self.from_image,
            "to_image": self.to_image,
            "strategy": self.strategy,
            "seconds": round(self.seconds, 3),
            "result": str(self.result),
            "reason": self.reason,
            "steps": [step.to_json() for step in self.steps],
        }
