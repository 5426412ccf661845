"""The three requests of the panel. All work happens in a thread, so that no notebook waits for it."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from tornado.web import authenticated

from labkit.engine import NoEngine
from labkit.errors import LabError
from labkit.jupyter._service import Json, PanelService, problem_json

NO_CONTENT, CONFLICT, NO_SERVICE = 204, 409, 503

T = TypeVar("T")


async def in_thread(work: Callable[[], T]) -> T:
    """Do the work in a daemon thread, so that a server can end while the engine does not answer.

    With a thread of an executor or of anyio it could not: Python waits for those before it ends.
    """
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as problem:  # noqa: BLE001 - it is raised where the answer is awaited
            done.set_exception(problem)

    threading.Thread(target=run, name="labkit-panel", daemon=True).start()
    return await asyncio.wrap_future(done)


class PanelHandler(APIHandler):
    """What the three requests have in common: the service that does the work, and the form of the answer."""

    auth_resource = "labkit"

    def initialize(self, service: PanelService) -> None:
        """Take the service; tornado calls this for each request."""
        self.service = service

    async def answer(self, work: Callable[[], Json | None]) -> None:
        """Do the work in a thread and answer with its JSON data, or with status 204 when it returns None.

        A LabError is answered with its three parts: status 503 when the engine does not answer, else 409.
        """
        try:
            result = await in_thread(work)
        except LabError as problem:
            self.set_status(NO_SERVICE if isinstance(problem, NoEngine) else CONFLICT)
            result = problem_json(problem)
        if result is None:
            self.set_status(NO_CONTENT)
        await self.finish(result)


class StateHandler(PanelHandler):
    """The environments and runs of the workspace."""

    _track_activity = False  # a panel that only looks does not keep an idle server alive

    @authenticated
    @authorized
    async def get(self) -> None:
        """Answer with the state and status 200; a part that cannot be read has its problem in the state."""
        await self.answer(partial(self.service.read, await self._notebooks()))

    async def _notebooks(self) -> dict[str, str]:
        """Return which process serves which notebook: kernel's process id to path in the server's folder."""
        notebooks = {}
        for session in await self.session_manager.list_sessions():  # type: ignore[no-untyped-call] # has no types
            kernel: Any = self.kernel_manager.get_kernel(session["kernel"]["id"])
            process = getattr(kernel.provisioner, "pid", None)
            if process:
                notebooks[str(process)] = session["path"]
        return notebooks


class EnvironmentHandler(PanelHandler):
    """One environment."""

    @authenticated
    @authorized
    async def delete(self, name: str) -> None:
        """Clean the environment up."""
        await self.answer(partial(self.service.clean_up, name))


class ApprovalHandler(PanelHandler):
    """The approval of one run."""

    @authenticated
    @authorized
    async def post(self, run_id: str) -> None:
        """Let the waiting run go on into production."""
        await self.answer(partial(self.service.approve, run_id))
