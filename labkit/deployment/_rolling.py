"""The rolling upgrade: new instances take over some at a time, and never fewer than N serve."""

from collections.abc import Callable, Sequence
from functools import partial
from threading import Event

from labkit.deployment._background import Background
from labkit.deployment._fleet import Fleet
from labkit.deployment._record import began, ended, unfinished, upgraded
from labkit.deployment._replacement import Replacement
from labkit.deployment._steps import Deployment, Step
from labkit.environment import Instance
from labkit.errors import LabError


def rolling(
    fleet: Fleet,
    image: str,
    *,
    surge: int = 1,
    ready_s: float = 30.0,
    drain_s: float = 10.0,
    on_event: Callable[[Step], object] | None = None,
) -> Deployment:
    """Replace the instances that do not run an image yet by ones that do, and return what was done.

    `surge` instances are replaced at a time: new ones start, have ready_s seconds to get ready, and the
    balancer takes them in; then the old ones get no new requests, have drain_s seconds to answer those they
    have, and are removed. on_event hears each `Step` in the caller's thread.

    Raises LabError when a new instance does not get ready, and the fleet then runs what it ran before; also
    when another deployment of the same service is under way. Ctrl-C lets the instances in hand come to their
    end and stops: as many as before serve, perhaps of both versions; calling it again goes on.
    """
    if surge < 1:
        raise LabError(expected="a surge of 1 or more", seen=f"surge = {surge}", next_step="give 1")
    with fleet.claim():
        replacement = Replacement(fleet, ready_s=ready_s, drain_s=drain_s)
        work: Background[Deployment, Step] = Background(partial(_upgrade, replacement, image, surge))
        replacement.tell = work.tell
        return work.run(on_event or (lambda _: None))


def _upgrade(replacement: Replacement, image: str, surge: int, stop: Event) -> Deployment:
    fleet, left = replacement.fleet, unfinished(replacement.fleet)
    replacement.tidy(image, left)
    outdated = [instance for instance in replacement.before if instance.image != image]
    if outdated or left is not None:
        began(fleet, image)
        try:
            for place in range(0, len(outdated), surge):
                if stop.is_set():
                    ended(fleet, image, "interrupted", "")
                    return _told(replacement, image, outdated)
                replacement.replace(outdated[place : place + surge], image)
        except Exception as failure:
            _put_back(replacement, image, failure)
            raise
        deployment = _told(replacement, image, outdated)
        upgraded(fleet, deployment)
        return deployment
    return _told(replacement, image, outdated)


def _told(replacement: Replacement, image: str, outdated: Sequence[Instance]) -> Deployment:
    images = [instance.image for instance in outdated]
    from_image = max(images, key=images.count, default=None)
    return Deployment(
        replacement.fleet.service, from_image, image, replacement.seconds, tuple(replacement.steps)
    )


def _put_back(replacement: Replacement, image: str, failure: Exception) -> None:
    fleet = replacement.fleet
    try:
        replacement.put_back()
    except Exception as second:
        raise LabError(
            expected=f"{fleet.service} as it was before the deployment failed",
            seen=f"{fleet!r}, because: {failure}\nand putting back failed: {second}",
            next_step="mend the cause and deploy again; what serves now goes on serving",
        ) from second
    ended(fleet, image, "failed", str(failure))
