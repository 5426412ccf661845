"""Somebody's own testcontainers container becomes an element of an environment."""

from typing import TypeVar

from testcontainers.core.container import DockerContainer

from labkit.containers._element import Element
from labkit.containers._namespace import Namespace
from labkit.errors import LabError

Container = TypeVar("Container", bound=DockerContainer)


def adopt(container: Container, namespace: Namespace, name: str) -> Container:
    """Make somebody's own testcontainers container, not yet started, an element of a namespace.

    It keeps everything that its user set. Its new class has Element between its own class and DockerContainer
    in the method resolution order, so that `super().start()` in its own class calls Element's.

    :raises LabError: when it has been started already.
    """
    if container._container is not None:  # noqa: SLF001 - the parent's public question raises instead of answering
        expected = "a container that was not started, so that it starts in the environment's network"
        raise LabError(expected, f"{name} runs already", "give it to environment.add before its start()")
    if not isinstance(container, Element):  # it is one when it failed to start before
        own = type(container)
        bases = (Element,) if own is DockerContainer else (own, Element)
        container.__class__ = type(own.__name__, bases, {"__module__": own.__module__})
        container.get_docker_client().client.close()  # its own one; join gives it the engine's
    container.join(namespace, name)  # type: ignore[attr-defined]  # its new class is an Element
    return container
