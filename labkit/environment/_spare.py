"""A spare clone: the next restore is made ready in the background, so that it is a rename."""

from concurrent.futures import Future, ThreadPoolExecutor

from labkit.environment._kept import Template
from labkit.environment._server import copy, drop, swap


class SpareClone(Template):
    """A template of which one copy is always ready: a restore swaps it in.

    While the next one is made, in the background, a restore waits for it. Costs the room of two more copies.
    """

    way = "spare clone"

    def _keep(self) -> None:
        super()._keep()
        self._background = ThreadPoolExecutor(1, thread_name_prefix="labkit-spare")
        self._next: Future[None] = self._background.submit(self._make_ready)

    def await_ready(self) -> None:
        """Wait until the next copy is ready."""
        self._next.result()

    def _restore(self) -> None:
        self.await_ready()
        with self._server.alone() as server:
            swap(server, self._name, self._spare, self._spent)
        self._next = self._background.submit(self._make_ready)

    def _make_ready(self) -> None:
        with self._server.session() as server:
            drop(server, self._spent)
            drop(server, self._spare)
            copy(server, self._copy, self._spare)

    def _give_back(self) -> None:
        self._background.shutdown()
        with self._server.session() as server:
            for name in (self._spare, self._spent):
                drop(server, name)
        super()._give_back()

    @property
    def _spare(self) -> str:
        return f"spare_{self._token}"

    @property
    def _spent(self) -> str:
        return f"spent_{self._token}"
