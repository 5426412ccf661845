"""One build by the engine's legacy builder, which needs nothing beside the engine itself."""

import io
import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from labkit.engine._errors import BuildFailed
from labkit.engine._inspect import Image, image_missing

if TYPE_CHECKING:
    from labkit.engine._engine import Engine

LAST_LINES = 12
PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
STEP = re.compile(r"^Step \d+/\d+ : (\w+)")
LAYER = re.compile(r"^ ---> ([0-9a-f]{12,})$")


def build(
    engine: "Engine",
    context: bytes,
    tag: str,
    labels: Mapping[str, str],
    *,
    network: str | None = None,
    arguments: Mapping[str, str] | None = None,
    cached: bool = True,
    said: Callable[[str], object] = lambda _line: None,
) -> Image:
    """Build an image from a tar with a Dockerfile, and remove the image that had this tag before.

    network "none" cuts the build off; None gives it the engine's usual one. arguments are the Dockerfile's ARGs; cached False
    does every step anew. said gets each line of the build.

    :raises BuildFailed: with the last lines of what the build said.
    :raises ImageMissing: when an image of labkit that it starts from is not there.
    """
    before = _digest(engine, tag)
    lines: list[str] = []
    answer = engine.client.api.build(
        fileobj=io.BytesIO(context),
        custom_context=True,
        tag=tag,
        labels=dict(labels),
        network_mode=network,
        buildargs={name: os.environ[name] for name in PROXIES if os.environ.get(name)} | dict(arguments or {}),
        nocache=not cached,
        rm=True,
        forcerm=True,
        decode=True,
    )
    for line in _lines(answer, tag, lines):
        said(line)
    stages = _stages(lines)
    if stages:
        _keep(engine, stages[-1], f"{tag.rpartition(':')[0]}:stage")
    made = engine.image(tag)
    if before and before != made.digest:
        discard(engine, before)
    return made


def _lines(answer: Iterator[dict[str, Any]], tag: str, lines: list[str]) -> Iterator[str]:
    """Yield the lines of a build, kept in `lines` too; an error among them ends it."""
    for told in answer:
        if "error" in told:
            raise _failed(tag, str(told["error"]).strip(), lines)
        for line in str(told.get("stream", "")).splitlines():
            if line.strip():
                lines.append(line)
                yield line


def _failed(tag: str, error: str, lines: list[str]) -> Exception:
    """Return the error of a build; a missing parent image is told apart."""
    if missing := re.search(r"(?:pull access denied for|No such image:?|manifest for) ?(labkit/[\w.-]+(?::\w+)?)", error):
        return image_missing(missing[1])
    last = "\n".join(["", *lines[-LAST_LINES:], error]).replace("\n", "\n          ")
    return BuildFailed(f"the image {tag} can be built", f"the build ended with an error; its last lines:{last}", "mend what the last lines name, then try again")


def _stages(lines: list[str]) -> list[str]:
    """Return the image of each stage but the last: the one that the builder named before a later FROM."""
    found, newest, first = [], "", True
    for line in lines:
        if (step := STEP.match(line)) and step[1] == "FROM":
            if not first:
                found.append(newest)
            first = False
        elif layer := LAYER.match(line):
            newest = layer[1]
    return [stage for stage in found if stage]


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
