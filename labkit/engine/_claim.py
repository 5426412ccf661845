"""Claims: a process creates or removes an environment of its workspace, and has not ended yet.

What a workspace owns stays, whoever made it, and labels cannot change. So as long as the environment is not
whole, there is a claim: a volume that is labelled with the process. It is made before anything else of the
environment, and it goes in one step: when the environment is whole, or after everything else of it. When the
process dies, its reaper, or the next sweep, removes the environment that the claim names. Without a claim an
environment is whole, so that a user who prunes volumes loses nothing.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from labkit.engine._labels import Label
from labkit.engine._owned import Owned

if TYPE_CHECKING:
    from docker import DockerClient

CLAIM = "claim"
IDENTITY = (Label.WORKSPACE, Label.ENVIRONMENT)


def claim(client: "DockerClient", labels: Mapping[str, str]) -> None:
    """Claim the environment with these labels; of an environment that is claimed already, nothing changes."""
    client.api.create_volume(_name(labels), labels={**labels, str(Label.ROLE): CLAIM})


def release(client: "DockerClient", labels: Mapping[str, str]) -> None:
    """End the claim of an environment; none is no error."""
    from docker.errors import NotFound  # noqa: PLC0415 - loaded with the client

    with suppress(NotFound):
        client.api.remove_volume(_name(labels))


def claimed(things: "Iterable[Owned]") -> list[dict[str, str | None]]:
    """Return the labels of each environment of which a claim is among these things."""
    return [
        {str(name): thing.labels[name] for name in IDENTITY}
        for thing in things
        if is_claim(thing) and all(thing.labels.get(name) for name in IDENTITY)  # anybody may write labels
    ]


def is_claim(thing: "Owned") -> bool:
    """Return whether a thing is a claim."""
    return thing.kind == "volume" and thing.labels.get(Label.ROLE) == CLAIM


def _name(labels: Mapping[str, str]) -> str:
    return f"{labels[Label.ENVIRONMENT]}.{CLAIM}"
