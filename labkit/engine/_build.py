"""One build by the engine's legacy builder, which needs nothing beside the engine itself."""

import io
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from labkit.engine._errors import BuildFailed
from labkit.engine._inspect import Image, image_missing
from labkit.engine._labels import Label
from labkit.engine._limits import BUILD_LIMITS

if TYPE_CHECKING:
    from labkit.engine._engine import Engine

LAST_LINES = 12
OWN_S = 3600.0
"""How long the build of one of labkit's own images may take, in seconds: it waits for Debian's archive."""

NAMELESS_S = 60.0
"""How long an image may go without a name, because another process's build may be about to give it one."""

PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
STEP = re.compile(r"^Step \d+/\d+ : (\w+) (.*)")
LAYER = re.compile(r"^ ---> ([0-9a-f]{12,})$")


def build(  # noqa: PLR0913 - all but four have defaults and are named
    engine: "Engine",
    context: bytes,
    tag: str,
    labels: Mapping[str, str],
    *,
    network: str | None = None,
    arguments: Mapping[str, str] | None = None,
    target: str | None = None,
    cached: bool = True,
    keep_stages: bool = False,
    within_s: float = OWN_S,
    progress: Callable[[str], object] = lambda _line: None,
) -> Image:
    """Build an image from a tar with a Dockerfile, and remove the image that had this tag before.

    network "none" cuts the build off; None gives it the engine's usual one. arguments are the Dockerfile's
    ARGs, None means none; target is the stage to build, None the last; cached False does every step anew.
    keep_stages names the image of each earlier stage `<name>:stage-1` and so on, so that the next build finds
    it; else only the layers of the image itself are kept. within_s seconds are the longest that it may take,
    and the longest that it may say nothing. progress gets each line of the build.

    :raises BuildFailed: when the build ends with an error; it has the build's last lines.
    :raises ImageMissing: when an image of labkit that it starts from is not there.
    """
    before, lines = _digest(engine, tag), list[str]()
    end = time.monotonic() + within_s
    # Cut off, a build can reach no proxy, and its commands must not learn a password of one.
    online = network != "none"
    proxies = {name: os.environ[name] for name in PROXIES if online and os.environ.get(name)}
    options = {
        "tag": tag,
        "labels": dict(labels),
        "network_mode": network,
        "buildargs": proxies | dict(arguments or {}),
        "target": target,
        "nocache": not cached,
        "container_limits": BUILD_LIMITS,
        "use_config_proxy": online,
        "timeout": within_s,
    }
    try:
        for line in _lines(engine, context, options):
            lines.append(line)
            progress(line)
            if time.monotonic() > end:
                raise _too_long(within_s)
    except _BuilderError as problem:
        _discard_last(engine, lines)
        raise _failed(tag, str(problem), lines) from None
    for number, stage in enumerate(_stages(lines) if keep_stages else (), 1):
        _keep(engine, stage, f"{tag.rpartition(':')[0]}:stage-{number}")
    made = engine.image(tag)
    if before and before != made.digest:
        discard(engine, before)
    _discard_nameless(engine)
    return made


def _discard_nameless(engine: "Engine") -> None:
    """Remove labkit's images without a name: replaced in use, or left by a broken-off build."""
    nameless = {"dangling": True, "label": str(Label.RECIPE)}
    for entry in engine.client.api.images(filters=nameless):
        if time.time() - entry["Created"] > NAMELESS_S:
            discard(engine, entry["Id"])


class _BuilderError(Exception):
    """The builder's own words about why it gave up."""


def _too_long(within_s: float) -> _BuilderError:
    return _BuilderError(f"it was ended after {within_s:g} s")


def _lines(engine: "Engine", context: bytes, options: Mapping[str, Any]) -> Iterator[str]:
    """Build, and yield the builder's output line by line.

    :raises _BuilderError: when the build ends with an error.
    """
    import docker.errors  # noqa: PLC0415 - loaded with the client

    try:
        messages = engine.client.api.build(
            fileobj=io.BytesIO(context), custom_context=True, rm=True, forcerm=True, decode=True, **options
        )
        errors = []
        for message in messages:  # to the end, so that the connection can be used again
            if "error" in message:
                errors.append(str(message["error"]).strip())
            yield from (line for line in str(message.get("stream", "")).splitlines() if line.strip())
    except docker.errors.APIError as problem:
        raise _BuilderError(problem.explanation or str(problem)) from problem
    except Exception as problem:
        # The library passes on the time-out of whichever of its own libraries read the connection.
        if "timed out" not in str(problem).lower():
            raise
        raise _too_long(options["timeout"]) from problem
    if errors:
        raise _BuilderError("\n".join(errors))


def _failed(tag: str, error: str, lines: list[str]) -> Exception:
    """Return the error of a build; a missing image of labkit to start from is told apart."""
    step = STEP.match(lines[-1]) if lines else None
    if step and step[1] == "FROM" and step[2].startswith("labkit/"):
        return image_missing(step[2].split()[0])
    last = "\n".join(["", *lines[-LAST_LINES:], error]).replace("\n", "\n          ")
    return BuildFailed(
        f"the image {tag} can be built",
        f"the build ended with an error; its last lines:{last}",
        "correct what the last lines name, then try again",
    )


def _layers(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Yield ("FROM", "") for each stage's begin and ("", image) for each image that the builder names."""
    for line in lines:
        if (step := STEP.match(line)) and step[1] == "FROM":
            yield "FROM", ""
        elif layer := LAYER.match(line):
            yield "", layer[1]


def _stages(lines: list[str]) -> list[str]:
    """Return the image of each stage but the last: the one that the builder named before a later FROM."""
    steps = list(_layers(lines))
    begins = [at for at, (word, _) in enumerate(steps) if word]
    return [steps[at - 1][1] for at in begins[1:] if steps[at - 1][1]]


def _discard_last(engine: "Engine", lines: list[str]) -> None:
    """Remove the last image that a failed build made; layers that another image uses stay."""
    for word, layer in reversed(list(_layers(lines))):
        if not word:
            discard(engine, layer)
            return


def _keep(engine: "Engine", stage: str, ref: str) -> None:
    """Give a stage's image a name; what had the name before is removed."""
    before = _digest(engine, ref)
    name, _, tag = ref.rpartition(":")
    engine.client.api.tag(stage, name, tag)
    if before and before != _digest(engine, ref):
        discard(engine, before)


def _digest(engine: "Engine", ref: str) -> str | None:
    import docker.errors  # noqa: PLC0415 - loaded with the client

    try:
        return str(engine.client.api.inspect_image(ref)["Id"])
    except docker.errors.ImageNotFound:
        return None


def discard(engine: "Engine", digest: str) -> None:
    """Remove an image that has no name any more; one that is in use, or has another name, stays."""
    import docker.errors  # noqa: PLC0415 - loaded with the client

    try:
        if not engine.client.api.inspect_image(digest)["RepoTags"]:
            engine.client.api.remove_image(digest)
    except docker.errors.APIError:
        pass
