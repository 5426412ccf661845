"""The names, labels and network that the containers of one environment have in common."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event
from typing import Any

from docker.errors import NotFound

from labkit.containers._errors import refusals
from labkit.containers._info import ContainerInfo
from labkit.engine import Engine, Label, Owner

IDENTITY = (Label.WORKSPACE, Label.ENVIRONMENT)
LOOPBACK = {"com.docker.network.bridge.host_binding_ipv4": "127.0.0.1"}
"""The network option by which ports are published on loopback alone."""

SECRET = "LABKIT_SECRET"  # noqa: S105 - the name of a variable
"""The variable in which a container keeps its own secret, such as the password of its server."""

OnUse = Callable[..., object]
"""Called with what was done with an element: on_use("pause", element="cart-1")."""


@dataclass(frozen=True)
class Namespace:
    """What the containers of one environment share: the engine, the prefix of their names, labels, a network.

    network is "" for a container that has none. on_use is called with what is done with an element. stop ends
    every wait for an element, because another element failed or Ctrl-C was pressed. secrets are those that
    this process knows, by the element that keeps each of them.
    """

    engine: Engine
    name: str
    labels: Mapping[str, str]
    network: str
    on_use: OnUse = field(default=lambda *_, **__: None, compare=False)
    stop: Event = field(default_factory=Event, compare=False)
    secrets: dict[str, str] = field(default_factory=dict, compare=False, repr=False)

    @property
    def identity(self) -> dict[str, str]:
        """The two labels by which everything of this environment is found."""
        return {name: self.labels[name] for name in IDENTITY}

    @property
    def owner(self) -> Owner:
        """The owner of the environment, as its elements' labels name it."""
        return Owner.parse(self.labels[Label.OWNER])

    @property
    def workspace(self) -> str:
        """The id of the workspace that the environment belongs to."""
        return self.labels[Label.WORKSPACE]

    def containers(self, filters: Mapping[str, Any] | None = None) -> list[ContainerInfo]:
        """Return the containers in the order of their names, including those that do not run.

        filters are the engine's own, such as {"id": …}; None means all containers that carry the identity.
        """
        given = filters or {"label": [f"{name}={value}" for name, value in self.identity.items()]}
        with refusals(self.engine, f"the containers of {self.name} are listed"):
            entries = self.engine.client.api.containers(all=True, filters=dict(given))
        return sorted(map(ContainerInfo.read, entries), key=lambda container: container.name)

    def container(self, name: str) -> ContainerInfo | None:
        """Return one container by its name, None when there is none."""
        # The engine's filter finds every container whose name contains the text, so the name is compared too.
        listed = self.containers({"name": f"{self.name}.{name}"})
        return next((container for container in listed if container.name == name), None)

    def secret(self, element: str) -> str:
        """Return the secret that an element's container keeps; "" when it keeps none, or is gone.

        A process that has not made the secret reads it from the container, once: whoever may use the engine
        can, and nobody else. It stands in no label, in no argument and in no fact.
        """
        if element not in self.secrets and (found := self._read_secret(element)):
            self.secrets[element] = found
        return self.secrets.get(element, "")

    def _read_secret(self, element: str) -> str:
        with refusals(self.engine, f"{element} of {self.name} is found"), suppress(NotFound):
            container = self.engine.client.api.inspect_container(f"{self.name}.{element}")
            variables = dict(pair.partition("=")[::2] for pair in container["Config"]["Env"] or [])
            return str(variables.get(SECRET, ""))
        return ""

    def has_network(self, name: str) -> bool:
        """Return whether there is a network of this name."""
        with refusals(self.engine, f"the network {name} is looked for"):
            listed = self.engine.client.api.networks(names=[name])
        return any(network["Name"] == name for network in listed)  # the engine's filter takes parts of names

    def create_network(self, name: str, labels: Mapping[str, str]) -> None:
        """Create a network; a local engine publishes ports from it on loopback alone."""
        with refusals(self.engine, f"the network {name} is created"):
            self.engine.client.networks.create(
                name,
                driver="bridge",
                check_duplicate=True,
                options=LOOPBACK if self.engine.local else {},
                labels={**self.labels, **labels},
            )
