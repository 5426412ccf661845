"""Messages that carry the version of their shape, and the layers that translate between versions.

A reader of version N gets older messages translated up. It gets newer messages translated down, where a layer
knows the way back. A message that no layer translates is refused with an error of its own. So the sender can
tell it from a failure, and try another instance, fall back, or report.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Message = dict[str, Any]
TAG = "version"
FIRST = 1  # a message without a tag is from before there were tags


class UnknownVersion(Exception):
    """A message has a version that is not known here; known are the versions that are."""

    def __init__(self, version: object, known: Sequence[int]) -> None:
        versions = ", ".join(map(str, known))
        super().__init__(f"version {version!r} of this message is not known here; known: {versions}")
        self.version, self.known = version, tuple(known)


class TranslationFailed(Exception):
    """A layer could not translate a message; the message is unchanged."""


@dataclass(frozen=True)
class Layer:
    """The two functions between a version and the one before it: up to it, and down from it.

    Each takes a message and returns another one, with all fields that it does not know. down is None where
    the way back would lose something.
    """

    version: int
    up: Callable[[Message], Message]
    down: Callable[[Message], Message] | None = None


def tag(message: Message, version: int = FIRST) -> Message:
    """Return a message with its version; one that has a version keeps it."""
    return {TAG: version} | message


def translate(message: Message, layers: Sequence[Layer], to: int) -> Message:
    """Return a message in another version, translated by one layer after the other.

    A message without a tag has version 1.

    :raises UnknownVersion: when no layers lead from its version to that one.
    :raises TranslationFailed: when a layer raises; the cause is kept.
    """
    by_version = {layer.version: layer for layer in layers}
    known = [FIRST, *sorted(by_version)]
    at = message.get(TAG, FIRST)
    if at not in known or to not in known or isinstance(at, bool):  # True == 1 in Python, but is no version
        raise UnknownVersion(at, known)
    while at != to:
        layer = by_version[at + 1 if at < to else at]
        convert = layer.up if at < to else layer.down
        if convert is None:
            raise UnknownVersion(at, [version for version in known if version < at])
        at = at + 1 if at < to else at - 1
        try:
            message = convert(dict(message)) | {TAG: at}
        except Exception as error:
            reason = f"a message cannot be translated to version {at}: {type(error).__name__} {error}"
            raise TranslationFailed(reason) from error
    return tag(message, at)
