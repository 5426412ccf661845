"""The one remover: removes everything with given labels, even when some of it cannot be removed at once.

Clean-up, sweep and the reaper's child process use it. It imports the engine's library at once, so the rest of
the room imports this module only when something is to be removed.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

from docker import APIClient, DockerClient
from docker.errors import APIError, NotFound

from labkit.engine._claim import is_claim
from labkit.engine._labels import filters
from labkit.engine._owned import KINDS, Kind, Owned, ask
from labkit.errors import LabError

PARALLEL = 2
"""Containers that leave one network at once, such as eight, can make the engine miscount who is in it."""

PAUSE_S = 0.1

# Networks, volumes and images are free only after the containers. A claim is a volume, and has to go last.
STAGES: tuple[tuple[Kind, ...], ...] = (("container",), ("network", "image"), ("volume",))

_REMOVE: Mapping[Kind, Callable[[APIClient, Owned], object]] = {
    "container": lambda api, thing: api.remove_container(thing.id, v=True, force=True),
    "network": lambda api, thing: api.remove_network(thing.id),
    # Without force, by which a volume that somebody else has removed would be no error, and count twice.
    "volume": lambda api, thing: api.remove_volume(thing.id),
    "image": lambda api, thing: api.remove_image(thing.id, force=True),
}


def remove(client: DockerClient, labels: Mapping[str, str | None], deadline_s: float) -> Counter[str]:
    """Remove everything with all the labels until nothing is found; return how many of each kind went.

    One thing that cannot be removed does not keep the others. What somebody else removes meanwhile is waited
    for and not counted.

    :raises LabError: when something is left after deadline_s seconds; it names that and the engine's reason.
    """
    removed: Counter[str] = Counter()
    end = time.monotonic() + deadline_s
    kinds: Collection[Kind] = KINDS
    with ThreadPoolExecutor(len(KINDS)) as lists, ThreadPoolExecutor(PARALLEL) as removals:
        while outcomes := list(_pass(client, labels, kinds, lists, removals)):
            removed.update(kind for kind, _, error in outcomes if error is None)
            problems = [
                f"{kind} {name}: {error.explanation or error}"
                for kind, name, error in outcomes
                if error is not None and not isinstance(error, NotFound)
            ]
            if problems and time.monotonic() > end:
                raise _left(labels, problems)
            if problems:
                time.sleep(PAUSE_S)
            # A kind of which nothing was there once the containers were gone is not asked for again.
            kinds = KINDS if problems else {"container", *(kind for kind, _, _ in outcomes)}
    return removed


def _pass(
    client: DockerClient,
    labels: Mapping[str, str | None],
    kinds: Collection[Kind],
    lists: ThreadPoolExecutor,
    removals: ThreadPoolExecutor,
) -> Iterator[tuple[Kind, str, APIError | None]]:
    """Try to remove what there is now; yield each thing's kind and name, and the engine's error if any.

    A claim stays as long as something before it does: it says that the rest is to go.
    """
    kept = False
    for stage in STAGES:
        answers = ask(client, labels, lists, [kind for kind in stage if kind in kinds])
        tries: list[tuple[Owned, Future[APIError | None]]] = []
        for kind, answer in answers.items():
            try:
                # A published port takes the engine as long as the rest of a container: the long work goes
                # first. Else the order stays: newest first, as an image goes before one that it stands on.
                things = sorted(answer.result(), key=lambda thing: -thing.ports)
                tries += [
                    (thing, removals.submit(_try, client, thing))
                    for thing in things
                    if not (kept and is_claim(thing))
                ]
            except APIError as error:  # the engine stumbles over what is being removed: list again
                kept = True
                yield kind, "list", error
        for thing, attempt in tries:
            fault = attempt.result()
            kept = kept or not isinstance(fault, NotFound | None)
            yield thing.kind, thing.name, fault


def _try(client: DockerClient, thing: Owned) -> APIError | None:
    """Remove one thing by force; return the engine's error, None when the thing went."""
    try:
        _REMOVE[thing.kind](client.api, thing)
    except NotFound as error:
        return error
    except APIError as error:
        if thing.kind == "network":
            _disconnect_all(client.api, thing.id)  # for the next pass
        return error
    return None


def _disconnect_all(api: APIClient, network: str) -> None:
    """Free a network of those who have other labels, such as a container that a learner joined by hand.

    The container stays. It is disconnected by its name, because an endpoint whose container is gone has no
    other (https://github.com/moby/moby/issues/33156).
    """
    with suppress(APIError):  # the next pass tells what is still wrong
        for joined in (api.inspect_network(network).get("Containers") or {}).values():
            with suppress(APIError):
                api.disconnect_container_from_network(joined["Name"], network, force=True)


def _left(labels: Mapping[str, str | None], problems: list[str]) -> LabError:
    return LabError(
        expected=f"everything with {' and '.join(filters(labels))} is removed",
        seen="; ".join(problems),
        next_step="remove it by hand (docker rm -f, docker network rm), then clean up again; if the engine "
        "lists nobody in a network, its count is wrong: restart the engine",
    )
