"""Writes deployments down as facts, so that one whose process was killed is known for unfinished."""

from hashlib import sha256

from labkit.artifacts import Kind, Reference, Subject
from labkit.deployment._fleet import Fleet
from labkit.deployment._steps import Deployment
from labkit.engine import Engine

_BEGAN = "began"
_OWN = {Kind.ENVIRONMENT_USED, Kind.SERVICE_UPGRADED}


def began(fleet: Fleet, image: str) -> None:
    """Record that a deployment begins, and which instances there are; ImageMissing without the image."""
    _used(fleet, image, _BEGAN, "")


def ended(fleet: Fleet, image: str, state: str, reason: str) -> None:
    """Record that a deployment ended early, "failed" or "interrupted", and which instances there are now."""
    _used(fleet, image, state, reason)


def unfinished(fleet: Fleet) -> int | None:
    """Return how many instances there were before a deployment that never ended; None without one."""
    facts = fleet.workspace.artifacts.history(environment=fleet.environment.name)
    own = [fact for fact in facts if fact.service == fleet.service and fact.kind in _OWN]
    if not own or own[-1].predicate.get("deployment") != _BEGAN:
        return None
    return len(own[-1].predicate["instances"])


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
    environment = fleet.environment
    fleet.workspace.artifacts.record(
        Kind.ENVIRONMENT_USED,
        Subject(fleet.service, Engine.find().image(image).digest),
        stage=environment.stage,
        service=fleet.service,
        environment=environment.name,
        deployment=state,
        reason=reason,
        to_image=image,
        instances=list(fleet.states),
        versions=fleet.versions,
    )


def _configuration(fleet: Fleet) -> list[Reference]:
    pairs = sorted(fleet.environment.configuration.items())
    return [
        Reference("config", f"{name}={value}", f"sha256:{sha256(value.encode()).hexdigest()}")
        for name, value in pairs
    ]
