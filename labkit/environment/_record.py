"""Writes the life of an environment down as facts."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from labkit.artifacts import Fact, Kind, Reference, Subject
from labkit.engine import Owner
from labkit.environment._part import Part
from labkit.environment._plan import Plan
from labkit.workspace import Workspace


def created(
    workspace: Workspace, plan: Plan, owner: str, parts: Sequence[Part], seconds: Mapping[str, float]
) -> None:
    """Record that an environment is there, and the services in it; seconds maps a step to its time."""
    workspace.artifacts.record(
        Kind.ENVIRONMENT_CREATED,
        Subject(plan.name, plan.digest),
        stage=plan.stage,
        environment=plan.name,
        references=[*_images(parts), *_configuration(plan)],
        because=plan.because,
        owner=owner,
        elements=[
            {"name": it.name, "role": it.role, "image": it.image, "version": it.version} for it in parts
        ],
        images=sorted({it.image for it in parts}),
        configuration=plan.digest,
        seconds={step: round(took, 3) for step, took in seconds.items()},
    )
    for service, copies in _by_service(parts).items():
        workspace.artifacts.record(
            Kind.SERVICE_DEPLOYED,
            Subject(service, copies[0].digest),
            stage=plan.stage,
            environment=plan.name,
            service=service,
            references=[
                *_images(copies),
                *_configuration(plan),
                Reference("environment", plan.name, plan.digest),
            ],
            because=plan.because,
            version=copies[0].version,
            instances=[it.name for it in copies],
        )


def used(workspace: Workspace, plan: Plan, what: str, **details: Any) -> None:  # noqa: ANN401 - JSON data
    """Record that an environment was used: a command was run, its database kept or put back."""
    workspace.artifacts.record(
        Kind.ENVIRONMENT_USED,
        Subject(plan.name, plan.digest),
        stage=plan.stage,
        environment=plan.name,
        use=what,
        **details,
    )


def lost(workspace: Workspace) -> None:
    """Record the end of the environments whose owner died: the reaper that removes them records nothing."""
    history = workspace.artifacts.history
    ended = {fact.environment for fact in history(kind=Kind.ENVIRONMENT_DELETED)}
    for fact in history(kind=Kind.ENVIRONMENT_CREATED):
        owner = Owner.parse(str(fact.predicate.get("owner", "")))
        if fact.environment in ended or owner.alive():
            continue
        for service in history(kind=Kind.SERVICE_DEPLOYED, environment=fact.environment):
            _end(workspace, Kind.SERVICE_REMOVED, service)
        _end(workspace, Kind.ENVIRONMENT_DELETED, fact)


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
    workspace: Workspace, plan: Plan, parts: Sequence[Part], removed: Mapping[str, int], saved: Iterable[str]
) -> None:
    """Record that an environment is gone: what was removed, how long it lived, and what was saved from it."""
    for service, copies in _by_service(parts).items():
        workspace.artifacts.record(
            Kind.SERVICE_REMOVED,
            Subject(service, copies[0].digest),
            stage=plan.stage,
            environment=plan.name,
            service=service,
            version=copies[0].version,
        )
    began = min((it.created_at for it in parts), default=None)
    workspace.artifacts.record(
        Kind.ENVIRONMENT_DELETED,
        Subject(plan.name, plan.digest),
        stage=plan.stage,
        environment=plan.name,
        removed={f"{kind}s": count for kind, count in removed.items() if count},
        lived_s=round((datetime.now(UTC) - began).total_seconds(), 1) if began else None,
        saved=list(saved),
    )


def _by_service(parts: Iterable[Part]) -> dict[str, list[Part]]:
    found: dict[str, list[Part]] = {}
    for part in parts:
        if part.role == "service":
            found.setdefault(part.service, []).append(part)
    return found


def _images(parts: Iterable[Part]) -> list[Reference]:
    return [
        Reference("image", ref, digest) for ref, digest in sorted({(it.image, it.digest) for it in parts})
    ]


def _configuration(plan: Plan) -> list[Reference]:
    pairs = (f"{name}={value}" for name, value in sorted(plan.configuration.items()))
    return [
        Reference("config", pair, f"sha256:{sha256(pair.partition('=')[2].encode()).hexdigest()}")
        for pair in pairs
    ]
