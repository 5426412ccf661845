"""Records the life of an environment as facts."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from labkit.artifacts import Fact, Kind, Reference, Subject
from labkit.containers import ContainerInfo
from labkit.engine import Owner
from labkit.environment._change import Change
from labkit.environment._plan import Plan
from labkit.workspace import Workspace

HAND_OVER = "hand over"
"""The use of an environment by which it gets another owner."""


def created(
    workspace: Workspace,
    plan: Plan,
    owner: Owner,
    containers: Sequence[ContainerInfo],
    seconds: Mapping[str, float],
) -> None:
    """Record that an environment and its services exist; seconds maps a step of the creation to its time."""
    record = _recorder(workspace, plan)
    record(
        Kind.ENVIRONMENT_CREATED,
        Subject(plan.name, plan.digest),
        references=[*_images(containers), *Reference.configuration(plan.configuration)],
        because=plan.because,
        owner=str(owner),
        elements=[
            {"name": one.name, "role": one.role, "image": one.image, "version": one.version}
            for one in containers
        ],
        images=sorted({container.image for container in containers}),
        configuration=plan.digest,
        seconds={step: round(took, 3) for step, took in seconds.items()},
    )
    for service, copies in _by_service(containers).items():
        record(
            Kind.SERVICE_DEPLOYED,
            Subject(service, copies[0].digest),
            service=service,
            references=[
                *_images(copies),
                *Reference.configuration(plan.configuration),
                Reference("environment", plan.name, plan.digest),
            ],
            because=plan.because,
            version=copies[0].version,
            instances=[copy.name for copy in copies],
        )


def used(workspace: Workspace, plan: Plan, what: str, **details: Any) -> None:  # noqa: ANN401 - JSON data
    """Record that an environment was used, for example that a command ran or its database was restored."""
    _recorder(workspace, plan)(Kind.ENVIRONMENT_USED, Subject(plan.name, plan.digest), use=what, **details)


def handed_over(workspace: Workspace, plan: Plan, owner: Owner) -> None:
    """Record that an environment has another owner from now on."""
    used(workspace, plan, HAND_OVER, owner=str(owner))


def changed(workspace: Workspace, plan: Plan, change: Change) -> None:
    """Record that a living environment is changed: services that come, go or get more or fewer instances."""
    _recorder(workspace, plan)(
        Kind.ENVIRONMENT_USED,
        Subject(plan.name, plan.digest),
        references=Reference.configuration(plan.configuration),
        because=plan.because,
        use="change",
        added=change.added,
        removed=change.removed,
        instances=change.resized,
        configuration=change.configuration,
    )


def lost(workspace: Workspace, whole: Collection[str]) -> None:
    """Record the end of the environments whose owner died: their reaper records nothing.

    whole are the names of those that are there and that nobody has claimed.
    """
    history = workspace.artifacts.history
    ended = {fact.environment for fact in history(kind=Kind.ENVIRONMENT_DELETED)}
    for fact in history(kind=Kind.ENVIRONMENT_CREATED):
        if fact.environment in {*ended, *whole} or _owner(workspace, fact).alive():
            continue
        for service in history(kind=Kind.SERVICE_DEPLOYED, environment=fact.environment):
            _end(workspace, Kind.SERVICE_REMOVED, service)
        _end(workspace, Kind.ENVIRONMENT_DELETED, fact)


def _owner(workspace: Workspace, created: Fact) -> Owner:
    """Return the last owner of an environment, given the fact of its creation."""
    uses = workspace.artifacts.history(kind=Kind.ENVIRONMENT_USED, environment=created.environment)
    owners = [use.predicate["owner"] for use in uses if use.predicate.get("use") == HAND_OVER]
    return Owner.parse(str([created.predicate.get("owner", ""), *owners][-1]))


def _end(workspace: Workspace, kind: Kind, fact: Fact) -> None:
    workspace.artifacts.record(
        kind,
        fact.subject,
        stage=fact.stage,
        environment=fact.environment,
        service=fact.service,
        because="its owner ended without cleaning up",
    )


def deleted(
    workspace: Workspace,
    plan: Plan,
    containers: Sequence[ContainerInfo],
    removed: Mapping[str, int],
    saved: Iterable[str],
) -> None:
    """Record that an environment is gone: what was removed, how long it lived, and which files were saved."""
    record = _recorder(workspace, plan)
    for service, copies in _by_service(containers).items():
        subject = Subject(service, copies[0].digest)
        record(Kind.SERVICE_REMOVED, subject, service=service, version=copies[0].version)
    began = min((container.created_at for container in containers), default=None)
    record(
        Kind.ENVIRONMENT_DELETED,
        Subject(plan.name, plan.digest),
        removed={f"{kind}s": count for kind, count in removed.items() if count},
        lived_s=round((datetime.now(UTC) - began).total_seconds(), 1) if began else None,
        saved=list(saved),
    )


def _recorder(workspace: Workspace, plan: Plan) -> Callable[..., Fact]:
    return partial(workspace.artifacts.record, stage=plan.stage, environment=plan.name)


def _by_service(containers: Iterable[ContainerInfo]) -> dict[str, list[ContainerInfo]]:
    copies: dict[str, list[ContainerInfo]] = {}
    for container in containers:
        if container.role == "service":
            copies.setdefault(container.service, []).append(container)
    return copies


def _images(containers: Iterable[ContainerInfo]) -> list[Reference]:
    return [
        Reference("image", image, digest)
        for image, digest in sorted({(container.image, container.digest) for container in containers})
    ]
