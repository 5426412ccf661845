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
from labkit.jupyter._state import Desk, Json, problem_json

NO_CONTENT, CONFLICT, NO_SERVICE = 204, 409, 503

T = TypeVar("T")


async def in_thread(work: Callable[[], T]) -> T:
    """Do the work in a daemon thread, which does not keep a server from ending while the engine is silent.

    The threads of executors, and anyio's, do: Python waits for them at its end.
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
    """What the three have in common: the desk that does the work, and the form of the answer."""

    auth_resource = "labkit"

    def initialize(self, desk: Desk) -> None:
        """Take the desk; tornado calls this for each request."""
        self.desk = desk

    async def answer(self, work: Callable[[], Json | None]) -> None:
        """Do the work in a thread and answer its JSON data, or 204 when it returns None.

        A LabError is answered with its three parts: status 503 when the engine is not there, else 409.
        """
        try:
            result = await in_thread(work)
        except LabError as problem:
            self.set_status(NO_SERVICE if isinstance(problem, NoEngine) else CONFLICT)
            result = problem_json(problem)
        if result is None:
            self.set_status(NO_CONTENT)
        await self.finish(result)


class State(PanelHandler):
    """The environments and runs of the workspace."""

    _track_activity = False  # a panel that only looks does not keep an idle server alive

    @authenticated
    @authorized
    async def get(self) -> None:
        """Answer the state; what could not be read is told inside it, so the status is 200 all the same."""
        await self.answer(partial(self.desk.read, await self._notebooks()))

    async def _notebooks(self) -> dict[str, str]:
        """Return which process serves which notebook: kernel's process id to path in the server's folder."""
        notebooks = {}
        for session in await self.session_manager.list_sessions():  # type: ignore[no-untyped-call]
            kernel: Any = self.kernel_manager.get_kernel(session["kernel"]["id"])
            process = getattr(kernel.provisioner, "pid", None)
            if process:
                notebooks[str(process)] = session["path"]
        return notebooks


class EnvironmentByName(PanelHandler):
    """One environment."""

    @authenticated
    @authorized
    async def delete(self, name: str) -> None:
        """Clean the environment up."""
        await self.answer(partial(self.desk.clean_up, name))


class Approval(PanelHandler):
    """The approval of one run."""

    @authenticated
    @authorized
    async def post(self, run_id: str) -> None:
        """Let the waiting run go on into production."""
        await self.answer(partial(self.desk.approve, run_id))
