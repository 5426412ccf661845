"""Writes a deployment down as a fact."""

from hashlib import sha256

from labkit.artifacts import Kind, Reference, Subject
from labkit.deployment._fleet import Fleet
from labkit.deployment._steps import Deployment
from labkit.engine import Engine


def record(fleet: Fleet, deployment: Deployment) -> None:
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
        instances=[instance.name for instance in fleet.instances],
    )


def _configuration(fleet: Fleet) -> list[Reference]:
    pairs = sorted(fleet.environment.configuration.items())
    return [
        Reference("config", f"{name}={value}", f"sha256:{sha256(value.encode()).hexdigest()}")
        for name, value in pairs
    ]
