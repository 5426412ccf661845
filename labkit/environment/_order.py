"""Who waits for whom while an environment is created."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager

from labkit._uninterruptible import Stopped
from labkit.containers import Element
from labkit.environment.elements.stubs import Stubs


class StartOrder:
    """Lets each element wait, in its own thread, until what it depends on is ready.

    depends_on maps a service or a declared container to the names that it waits for: declared containers,
    external services, the database, and other services, which are ready when all their instances are.
    """

    def __init__(self, elements: Sequence[Element], depends_on: Mapping[str, Collection[str]]) -> None:
        self._depends_on = depends_on
        self._ready: dict[str, Future[None]] = {element.name: Future() for element in elements}
        self._names = {element.name: _names(element) for element in elements}

    @contextmanager
    def making_ready(self, element: Element) -> Iterator[None]:
        """Give the block in which an element starts; when it fails, those that wait for the element stop."""
        ready = self._ready[element.name]
        try:
            yield
        except BaseException:
            ready.set_exception(Stopped())  # the cause is raised here alone
            raise
        ready.set_result(None)

    def await_ready(self, name: str) -> None:
        """Wait until one element is ready.

        :raises Stopped: when it never will be.
        """
        self._ready[name].result()

    def await_dependencies(self, element: Element) -> None:
        """Wait until all that an element depends on is ready.

        :raises Stopped: when something of it never will be.
        """
        for name in self._depends_on.get(element.service or element.name, ()):
            for other, names in self._names.items():
                if name in names:
                    self.await_ready(other)


def _names(element: Element) -> Collection[str]:
    """Return the names in system.toml for which an element answers."""
    return element.external if isinstance(element, Stubs) else [element.service or element.name]
