"""Adds the panel's requests, its event and its watcher to a Jupyter server."""

from pathlib import Path
from typing import cast

from jupyter_events.logger import EventLogger
from jupyter_server.extension.application import ExtensionApp
from jupyter_server.serverapp import ServerApp

from labkit.jupyter._changes import CHANGED, SCHEMA, ChangeWatcher
from labkit.jupyter._handlers import ApprovalHandler, EnvironmentHandler, StateHandler
from labkit.jupyter._service import PanelService


class PipelinePanel(ExtensionApp):
    """The server's side of the Pipeline panel; the workspace is the folder that the server serves."""

    name = "labkit"

    def initialize_handlers(self) -> None:
        """Register the three requests and the event."""
        server = cast("ServerApp", self.serverapp)
        self.service = PanelService(Path(server.root_dir))
        arguments = {"service": self.service}
        self.handlers.extend(
            [
                ("labkit/state", StateHandler, arguments),
                ("labkit/environments/([^/]+)", EnvironmentHandler, arguments),
                ("labkit/runs/([^/]+)/approve", ApprovalHandler, arguments),
            ]
        )
        cast("EventLogger", server.event_logger).register_event_schema(SCHEMA)

    async def _start_jupyter_server_extension(self, serverapp: ServerApp) -> None:
        """Start the watcher, now that the server's event loop runs."""
        bus = cast("EventLogger", serverapp.event_logger)

        def emit() -> None:
            bus.emit(schema_id=CHANGED, data={})

        def notify() -> None:
            serverapp.io_loop.add_callback(emit)  # the one method of the loop that other threads may call

        self.watcher = ChangeWatcher(self.service, notify)
        self.watcher.start()

    async def stop_extension(self) -> None:
        """Stop the watcher with the server."""
        self.watcher.stop()
