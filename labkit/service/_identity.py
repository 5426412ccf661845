"""Which service, version, instance and stage this process is."""

import os
import socket
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Identity:
    """A service instance as its environment names it.

    Without an environment, instance is the host's name and all other fields are "unknown".
    """

    service: str
    version: str
    instance: str
    stage: str

    def __str__(self) -> str:
        """Return service and version, as "cart/v1"."""
        return f"{self.service}/{self.version}"

    @classmethod
    def read(cls) -> Self:
        """Read the variables that every environment gives to every container."""
        return cls(
            service=os.environ.get("LABKIT_SERVICE", "unknown"),
            version=os.environ.get("LABKIT_VERSION", "unknown"),
            instance=os.environ.get("LABKIT_INSTANCE") or socket.gethostname(),
            stage=os.environ.get("LABKIT_STAGE", "unknown"),
        )
