"""Writes deployments down as facts, so that a deployment whose process was killed is known as unfinished."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from labkit.artifacts import Fact, Kind, Reference, Subject
from labkit.deployment._fleet import UP, Fleet
from labkit.deployment._steps import Deployment, Status, Step
from labkit.deployment._watch import OBJECTIVE
from labkit.engine import Engine, Image, Owner
from labkit.environment import Environment, Instance
from labkit.errors import LabError

ROLL_BACK = "roll back"
"""The strategy's name of a roll back, in the record."""

_BEGAN = "began"
_PROGRESSING = "progressing"
ON_PURPOSE = {"DRAIN", "MAINT"}
NO_REQUESTS = {"waiting", *ON_PURPOSE}
"""The balancer's words for an instance that gets no requests on purpose, or not yet."""

_IN_PROGRESS = {_BEGAN, _PROGRESSING, "paused", "resumed"}


def began(fleet: Fleet, image: str, strategy: str) -> None:
    """Record that a deployment begins, by which strategy, and which instances there are.

    :raises ImageMissing: when the engine does not have the image.
    """
    _record_use(fleet, image, _BEGAN, "", strategy=strategy)


def progressed(fleet: Fleet, image: str, starting: str | None) -> None:
    """Record which images run now; starting is that of an instance about to start, None when none is.

    It is recorded before the start and after a removal, so that what runs is on record whenever the process
    is killed.
    """
    _record_use(fleet, image, _PROGRESSING, "", starting=starting)


def ended(fleet: Fleet, image: str, state: str, reason: str, steps: Iterable[Step] = ()) -> None:
    """Record that a deployment ended early, pauses or resumes, and which instances there are now.

    steps are what it did until it ended.
    """
    taken: dict[str, Any] = {"steps": [step.to_json() for step in steps]} if steps else {}
    _record_use(fleet, image, state, reason, **taken)


def unfinished(fleet: Fleet) -> int | None:
    """Return how many instances there were before a deployment that never ended; None when all ended."""
    facts = _facts(fleet)
    if not facts or facts[-1].predicate.get("deployment") not in _IN_PROGRESS:
        return None
    first = next(fact for fact in reversed(facts) if fact.predicate.get("deployment") == _BEGAN)
    return len(first.predicate["instances"])


def image_before(fleet: Fleet) -> str:
    """Return the image that served before the last deployment that changed it.

    :raises LabError: when no such deployment is on record, or it was itself a roll back: what served before
        that was withdrawn.
    """
    upgrades = [fact.predicate for fact in _facts(fleet) if fact.kind == Kind.SERVICE_UPGRADED]
    # Passed over is a deployment that replaced nothing, which has no from_image, or the configuration alone.
    changes = (one for one in reversed(upgrades) if one["from_image"] not in {None, one["to_image"]})
    last = next(changes, None)
    if last is None or last["strategy"] == ROLL_BACK:
        seen = "none on record" if last is None else f"{last['from_image']} was rolled back already"
        raise LabError(
            f"a deployment of {fleet.service} in {fleet.environment.name} to roll back from",
            seen,
            f"deploy another version first: labkit deployment rolling {fleet.service} VERSION",
        )
    return str(last["from_image"])


def withdrawn(fleet: Fleet, image: str) -> str:
    """Return why a deployment of exactly this image was rolled back last; "" when none was."""
    digest = Engine.find().image(image).digest
    reasons = [
        fact.predicate["reason"]
        for fact in _facts(fleet)
        if fact.predicate.get("deployment") == "rolled back" and fact.subject.digest == digest
    ]
    return str(reasons[-1]) if reasons else ""


def latest(fleet: Fleet) -> Fact | None:
    """Return the newest fact about a deployment of the fleet; None when there was none.

    Of one that succeeded the kind is SERVICE_UPGRADED, with the fields of `Deployment`. Of any other the
    field `deployment` says how it is or how it ended: "began", "paused", "rolled back" and the like.
    """
    return next(reversed(_facts(fleet)), None)


def standby(fleet: Fleet) -> set[str]:
    """Return the names of the instances that get no requests, as far as is on record.

    What an unfinished deployment has started since the last record is among them.
    """
    facts = _facts(fleet)
    known = [fact for fact in facts if fact.predicate.get("standby") is not None]
    if not known:
        return set()
    names, fields = set(known[-1].predicate["standby"]), known[-1].predicate
    if known[-1] is not facts[-1] or fields.get("deployment") in _IN_PROGRESS:
        names |= set(fleet.states) - set(fields["instances"])
    return names


def status(fleet: Fleet) -> Status:
    """Return the status of a fleet by artifact database and balancer, whichever process deploys to it.

    The balancer counts the requests of the last seconds (`Balancer.traffic`), so a load is not needed.

    :raises NoAnswer: when the balancer does not answer.
    """
    facts = _facts(fleet)
    last = facts[-1].predicate.get("deployment", "") if facts else ""
    if last in _IN_PROGRESS and Owner.parse(facts[-1].predicate["deployer"]).alive():
        return Status.PAUSED if last == "paused" else Status.PROGRESSING
    # Instances that get no requests on purpose say nothing about the fleet's health.
    states = [instance.state for instance in fleet.instances if instance.state not in ON_PURPOSE]
    if last in {*_IN_PROGRESS, "interrupted"} or set(states) != {UP}:
        return Status.DEGRADED
    traffic = fleet.balancer.traffic(fleet.service)
    if traffic.failed > OBJECTIVE * traffic.requests:
        return Status.DEGRADED
    if last in {"failed", "rolled back"}:
        return Status.ROLLED_BACK
    return Status.HEALTHY if traffic.requests else Status.NO_EVIDENCE


def _facts(fleet: Fleet) -> list[Fact]:
    """Return the facts about deployments of the fleet, the oldest first."""
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
        references=_references(environment, image),
        **{name: value for name, value in deployment.to_json().items() if name != "service"},
        instances=list(fleet.states),
        standby=_standby(fleet.instances),
        running=_running(fleet.instances),
    )


def _references(environment: Environment, image: Image) -> list[Reference]:
    """Return what each deployment of a service refers to: the image, and the configuration it serves with."""
    return [Reference("image", image.ref, image.digest), *Reference.configuration(environment.configuration)]


def _standby(instances: Sequence[Instance]) -> list[str] | None:
    """Return the names of the instances that get no requests.

    None when nobody gets any: then the balancer was restarted or does not answer, and its word says nothing.
    """
    if not any(instance.state == UP for instance in instances):
        return None
    return [instance.name for instance in instances if instance.balancer_state in NO_REQUESTS]


def launched(fleet: Fleet) -> None:
    """Record that a service serves now that was not there before."""
    environment, instances = fleet.environment, fleet.instances
    newest = instances[-1]
    image = Engine.find().image(newest.image)
    fleet.workspace.artifacts.record(
        Kind.SERVICE_DEPLOYED,
        Subject(fleet.service, image.digest),
        stage=environment.stage,
        service=fleet.service,
        environment=environment.name,
        references=[*_references(environment, image), Reference("environment", environment.name)],
        version=newest.version,
        instances=[instance.name for instance in instances],
        running=_running(instances),
    )


def retired(fleet: Fleet, last: Instance) -> None:
    """Record that a service is gone, of which this was an instance."""
    fleet.workspace.artifacts.record(
        Kind.SERVICE_REMOVED,
        Subject(fleet.service, last.info.digest if last.info else ""),
        stage=fleet.environment.stage,
        service=fleet.service,
        environment=fleet.environment.name,
        version=last.version,
    )


def _running(instances: Sequence[Instance], *starting: str) -> list[str]:
    """Return the digests of the images that run and of those about to start, which what_runs reads."""
    digests = {instance.info.digest for instance in instances if instance.info}
    return sorted(digests | {Engine.find().image(image).digest for image in starting})


def _record_use(
    fleet: Fleet,
    image: str,
    state: str,
    reason: str,
    *,
    starting: str | None = None,
    **more: Any,  # noqa: ANN401 - JSON data
) -> None:
    environment, instances = fleet.environment, fleet.instances
    fleet.workspace.artifacts.record(
        Kind.ENVIRONMENT_USED,
        Subject(fleet.service, Engine.find().image(image).digest),
        stage=environment.stage,
        service=fleet.service,
        environment=environment.name,
        use="deployment",
        deployment=state,
        deployer=str(Owner.process()),
        reason=reason,
        to_image=image,
        instances=[instance.name for instance in instances],
        standby=_standby(instances),
        versions=Counter(instance.version for instance in instances),
        running=_running(instances, *([starting] if starting else [])),
        **more,
    )
