"""Somebody's own testcontainers container becomes an element of an environment."""

import re
from collections.abc import Collection
from typing import TypeVar

from testcontainers.core.container import DockerContainer

from labkit.containers._element import Element
from labkit.containers._namespace import Namespace
from labkit.errors import LabError

Container = TypeVar("Container", bound=DockerContainer)


def adopt(
    container: Container, namespace: Namespace, name: str | None = None, taken: Collection[str] = ()
) -> Container:
    """Make somebody's own testcontainers container, not yet started, an element of a namespace.

    It keeps everything that its user set. Its new class has Element between its own class and DockerContainer
    in the method resolution order, so that `super().start()` in its own class calls Element's.

    name None takes the name that its user gave it, else that of its class, else that of its image. taken are
    the names that other elements have.

    :raises LabError: when it is no container of testcontainers, has been started already, or has a name that
        is taken.
    """
    if not isinstance(container, DockerContainer):
        # A notebook's author may not check types.
        next_step = "environment.add(DockerContainer(IMAGE)), from testcontainers.core.container"  # type: ignore[unreachable]  # as said above
        raise LabError("a container of testcontainers that was not started", repr(container), next_step)
    name = name or _name_of(container)
    if name in taken:
        expected = f"a name that no element of {namespace.name} has"
        raise LabError(expected, repr(name), f'environment.add(container, "{name}-2")')
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


def _name_of(container: DockerContainer) -> str:
    own = str(container._name or "")  # noqa: SLF001 - the library has no public name for it
    kind = type(container).__name__.removesuffix("Container").lower()
    image = re.split("[:@]", container.image.rpartition("/")[2], maxsplit=1)[0]
    return own or (kind if kind != "docker" else image)
