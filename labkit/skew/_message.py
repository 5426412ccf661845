"""Messages that carry the version of their shape, and the layers that translate between versions.

A reader of version N gets what it can be given: older messages translated up, newer ones, if somebody who
knows both stands between, translated down. What nobody can translate is refused by an error of its own, so
that the sender can tell it from a failure and try another instance, fall back, or report.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Message = dict[str, Any]
TAG = "version"
FIRST = 1


class UnknownVersion(Exception):
    """A message of a version that is not known here; known are the versions that are."""

    def __init__(self, version: object, known: Sequence[int]) -> None:
        told = ", ".join(map(str, known))
        super().__init__(f"version {version!r} of this message is not known here; known: {told}")
        self.version, self.known = version, tuple(known)


class TranslationFailed(Exception):
    """A layer could not translate a message; the message is unchanged."""


@dataclass(frozen=True)
class Layer:
    """The step to a version from the one before it, and back.

    Each takes a message and returns another one; fields that it does not know it hands on. down is None where
    there is no way back: something would be lost.
    """

    version: int
    up: Callable[[Message], Message]
    down: Callable[[Message], Message] | None = None


def tag(message: Message, version: int = FIRST) -> Message:
    """Return a message with its version; one that has a version keeps it."""
    return {TAG: version} | message


def translate(message: Message, layers: Sequence[Layer], to: int) -> Message:
    """Return a message as a version has it, through one layer after the other; without a tag it is of 1.

    :raises UnknownVersion: when no layers lead from its version to that one.
    :raises TranslationFailed: when a layer raises; the cause is kept.
    """
    by_version = {layer.version: layer for layer in layers}
    known = [FIRST, *sorted(by_version)]
    at = message.get(TAG, FIRST)
    if at not in known or to not in known or isinstance(at, bool):
        raise UnknownVersion(at, known)
    while at != to:
        layer = by_version[at + 1 if at < to else at]
        step = layer.up if at < to else layer.down
        if step is None:
            raise UnknownVersion(at, [version for version in known if version < at])
        at = at + 1 if at < to else at - 1
        try:
            message = step(dict(message)) | {TAG: at}
        except Exception as fault:
            said = f"a message cannot be translated to version {at}: {type(fault).__name__} {fault}"
            raise TranslationFailed(said) from fault
    return tag(message, at)
