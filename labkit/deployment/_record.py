"""Writes deployments down as facts, so that one whose process was killed is known for unfinished."""

from collections import Counter
from hashlib import sha256

from labkit.artifacts import Fact, Kind, Reference, Subject
from labkit.deployment._fleet import UP, Fleet
from labkit.deployment._steps import Deployment, Status
from labkit.engine import Engine, Owner
from labkit.errors import LabError

_BEGAN = "began"
_UNDER_WAY = {_BEGAN, "paused", "resumed"}


def began(fleet: Fleet, image: str) -> None:
    """Record that a deployment begins, and which instances there are; ImageMissing without the image."""
    _used(fleet, image, _BEGAN, "")


def ended(fleet: Fleet, image: str, state: str, reason: str) -> None:
    """Record how a deployment ended early, or that it waits or goes on, and which instances there are now."""
    _used(fleet, image, state, reason)


def unfinished(fleet: Fleet) -> int | None:
    """Return how many instances there were before a deployment that never ended; None without one."""
    own = _own(fleet)
    if not own or own[-1].predicate.get("deployment") not in _UNDER_WAY:
        return None
    first = next(fact for fact in reversed(own) if fact.predicate.get("deployment") == _BEGAN)
    return len(first.predicate["instances"])


def image_before(fleet: Fleet) -> str:
    """Return the image that served before the last deployment that changed it; LabError without one."""
    changes = [fact.predicate for fact in _own(fleet) if fact.kind == Kind.SERVICE_UPGRADED]
    image = next((told["from_image"] for told in reversed(changes) if told["from_image"]), None)
    if image is None:
        raise LabError(
            f"a deployment of {fleet.service} in {fleet.environment.name} to roll back from",
            "none on record",
            "deploy an image with rolling or blue_green first",
        )
    return str(image)


def withdrawn(fleet: Fleet, image: str) -> str:
    """Return why a deployment of just this image was rolled back, "" when none was."""
    digest = Engine.find().image(image).digest
    told = [
        fact.predicate["reason"]
        for fact in _own(fleet)
        if fact.predicate.get("deployment") == "rolled back" and fact.subject.digest == digest
    ]
    return str(told[-1]) if told else ""


def status(fleet: Fleet) -> Status:
    """Return how a fleet is, by the artifact database and the balancer, whichever process deploys."""
    own = _own(fleet)
    last = own[-1].predicate.get("deployment", "") if own else ""
    if last in _UNDER_WAY and Owner.parse(own[-1].predicate["deployer"]).alive():
        return Status.PAUSED if last == "paused" else Status.PROGRESSING
    states = [it.state for it in fleet.instances if it.state != "DRAIN"]
    if last in {*_UNDER_WAY, "interrupted"} or set(states) != {UP}:
        return Status.DEGRADED
    return Status.ROLLED_BACK if last in {"failed", "rolled back"} else Status.HEALTHY


def _own(fleet: Fleet) -> list[Fact]:
    facts = fleet.workspace.artifacts.history(environment=fleet.environment.name)
    return [
        fact
        for fact in facts
        if fact.service == fleet.service
        and (fact.kind == Kind.SERVICE_UPGRADED or "deployment" in fact.predicate)
    ]


def upgraded(fleet: Fleet, deployment: Deployment) -> None:
    """Record what serves now: from which image to which, in how many seconds, and each step."""
    environment, image = fleet.environment, Engine.find().image(deployment.to_image)
    fleet.workspace.artifacts.record(
        Kind.SERVICE_UPGRADED,
        Subject(fleet.service, image.digest),
        stage=environment.stage,
        service=fleet.service,
        environment=environment.name,
        references=[Reference("image", deployment.to_image, image.digest), *_configuration(fleet)],
        **{name: value for name, value in deployment.to_json().items() if name != "service"},
        instances=list(fleet.states),
    )


def _used(fleet: Fleet, image: str, state: str, reason: str) -> None:
    environment, found = fleet.environment, fleet.instances
    fleet.workspace.artifacts.record(
        Kind.ENVIRONMENT_USED,
        Subject(fleet.service, Engine.find().image(image).digest),
        stage=environment.stage,
        service=fleet.service,
        environment=environment.name,
        deployment=state,
        deployer=str(Owner.process()),
        reason=reason,
        to_image=image,
        instances=[it.name for it in found],
        versions=Counter(it.version for it in found),
    )


def _configuration(fleet: Fleet) -> list[Reference]:
    pairs = sorted(fleet.environment.configuration.items())
    return [
        Reference("config", f"{name}={value}", f"sha256:{sha256(value.encode()).hexdigest()}")
        for name, value in pairs
    ]
