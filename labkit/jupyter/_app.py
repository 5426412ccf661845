"""Puts the panel's requests, its event and its watch into a Jupyter server."""

from pathlib import Path
from typing import cast

from jupyter_events.logger import EventLogger
from jupyter_server.extension.application import ExtensionApp
from jupyter_server.serverapp import ServerApp

from labkit.jupyter._handlers import Approval, EnvironmentByName, State
from labkit.jupyter._state import Desk
from labkit.jupyter._watch import CHANGED, SCHEMA, Watch


class PipelinePanel(ExtensionApp):
    """The server's side of the Pipeline panel; the workspace is the folder that the server serves."""

    name = "labkit"

    def initialize_handlers(self) -> None:
        """Register the three requests and the event."""
        server = cast("ServerApp", self.serverapp)
        self.desk = Desk(Path(server.root_dir))
        bound = {"desk": self.desk}
        self.handlers.extend(
            [
                ("labkit/state", State, bound),
                ("labkit/environments/([^/]+)", EnvironmentByName, bound),
                ("labkit/runs/([^/]+)/approve", Approval, bound),
            ]
        )
        cast("EventLogger", server.event_logger).register_event_schema(SCHEMA)

    async def _start_jupyter_server_extension(self, serverapp: ServerApp) -> None:
        """Begin to watch, now that the server's event loop runs."""
        bus = cast("EventLogger", serverapp.event_logger)

        def emit() -> None:
            bus.emit(schema_id=CHANGED, data={})

        def tell() -> None:
            serverapp.io_loop.add_callback(emit)  # the one method of the loop that other threads may call

        self.watch = Watch(self.desk, tell)
        self.watch.start()

    async def stop_extension(self) -> None:
        """End the watch with the server."""
        self.watch.stop()
