"""Removes all that an environment has, whatever goes wrong on the way."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from docker.errors import APIError, NotFound

from labkit.engine import Engine, Owned
from labkit.environment._part import refusals
from labkit.errors import LabError

PARALLEL = 2  # no slower than eight, and eight that leave one network at once can make the engine miscount it
DEADLINE_S = 30.0
PAUSE_S = 0.1
KINDS = ("container", "volume", "network", "image")


def remove_all(engine: Engine, labels: Mapping[str, str], deadline_s: float = DEADLINE_S) -> Counter[str]:
    """Remove every container, volume, network and image with these labels; return how many of each kind went.

    One that cannot be removed does not keep the others. It goes on until nothing is found.

    :raises NoEngine: when the engine does not answer. :raises LabError: when something is left after
    deadline_s seconds; it names what, and what the engine said.
    """
    gone: Counter[str] = Counter()
    end = time.monotonic() + deadline_s
    wanted = dict(labels)
    while found := engine.owned(wanted):
        with refusals(engine, "everything of the environment is removed"):
            problems = _pass(engine, found, gone)
        if problems and time.monotonic() > end:
            mend = "remove it by hand (docker rm -f, docker network rm), then clean up again; if the engine "
            mend += "lists nobody in a network, its count is wrong: restart the engine"
            raise LabError("everything of the environment is removed", "; ".join(problems), mend)
        if problems:
            time.sleep(PAUSE_S)
    return gone


def _pass(engine: Engine, found: Sequence[Owned], gone: Counter[str]) -> list[str]:
    """Remove what was found, containers first, for networks and volumes are free only after them."""
    problems = []
    with ThreadPoolExecutor(PARALLEL, thread_name_prefix="labkit-remove") as pool:
        for kind in KINDS:
            things = [thing for thing in found if thing.kind == kind]
            told = pool.map(lambda thing: _remove(engine, thing), things)
            for problem in told:
                gone[kind] += problem is None
                problems += [problem] if problem else []
    return problems


def _remove(engine: Engine, thing: Owned) -> str | None:
    """Remove one thing; return what the engine said against it, None when it is gone."""
    api = engine.client.api
    how: Mapping[str, Callable[[], object]] = {
        "container": lambda: api.remove_container(thing.id, v=True, force=True),
        "volume": lambda: api.remove_volume(thing.name, force=True),
        "network": lambda: api.remove_network(thing.id),
        "image": lambda: api.remove_image(thing.id, force=True),
    }
    try:
        how[thing.kind]()
    except NotFound:
        return None
    except APIError as problem:
        if thing.kind == "network":
            _disconnect_all(engine, thing.id)
        return f"{thing.kind} {thing.name}: {problem.explanation or problem}"
    return None


def _disconnect_all(engine: Engine, network: str) -> None:
    """Free a network of what is not the environment's, such as a container that a learner joined by hand.

    A container stays. An endpoint whose container is gone is known by its name alone
    (https://github.com/moby/moby/issues/33156).
    """
    api = engine.client.api
    with suppress(APIError):  # the next pass says what is still wrong
        for joined in (api.inspect_network(network).get("Containers") or {}).values():
            with suppress(APIError):
                api.disconnect_container_from_network(joined["Name"], network, force=True)
