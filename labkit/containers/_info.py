"""A container as the engine lists it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from labkit.engine import Label


@dataclass(frozen=True)
class ContainerInfo:
    """A container as it was when the engine listed it.

    name is its name in its namespace. addresses maps each of its networks to its IP address there, "" while
    it has none. ports maps a port in the container to the port that the engine published for it. state is the
    engine's word: created, running, paused, exited … digest is that of its image.
    """

    id: str
    name: str
    role: str
    service: str
    version: str
    image: str
    digest: str
    addresses: Mapping[str, str] = field(hash=False)
    ports: Mapping[int, int] = field(hash=False)
    state: str
    created_at: datetime
    labels: Mapping[str, str] = field(hash=False, repr=False)

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> Self:
        """Read an entry of the engine's list of containers (the API's /containers/json)."""
        labels = entry.get("Labels") or {}
        networks: dict[str, Any] = (entry.get("NetworkSettings") or {}).get("Networks") or {}
        published = [port for port in entry.get("Ports") or [] if port.get("PublicPort")]
        return cls(
            id=entry["Id"],
            name=entry["Names"][0].lstrip("/").removeprefix(f"{labels.get(Label.ENVIRONMENT, '')}."),
            role=labels.get(Label.ROLE, ""),
            service=labels.get(Label.SERVICE, ""),
            version=labels.get(Label.VERSION, ""),
            image=entry["Image"],
            digest=entry["ImageID"],
            addresses={name: network.get("IPAddress") or "" for name, network in networks.items()},
            ports={port["PrivatePort"]: port["PublicPort"] for port in published},
            state=entry["State"],
            created_at=datetime.fromtimestamp(entry["Created"], UTC),
            labels=labels,
        )
