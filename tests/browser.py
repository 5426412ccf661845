"""What browser tests share: a browser, a JupyterLab server of their own, and how to wait for a kernel.

Run as a program it makes sure that there is a browser: `python tests/browser.py`.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from playwright.sync_api import Browser, Page, sync_playwright

FLAGS = (
    "--no-sandbox",  # root may not have one
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
TOKEN = "browser-test"  # noqa: S105 - of a server that lives as long as a test and listens on loopback
START_S = 60
SETTLE_MS = 1500
"""After this time JupyterLab has loaded its theme, or shows an error."""
IDLE = """() => {
  const kernel = window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel;
  return kernel?.connectionStatus === 'connected' && kernel.status === 'idle';
}"""


def chromium() -> str | None:
    """Return the browser's path: $LABKIT_CHROMIUM, the system's, else Playwright's own; None without one."""
    named = os.environ.get("LABKIT_CHROMIUM")
    for path in (named, "/usr/bin/chromium", shutil.which("chromium"), shutil.which("chromium-browser")):
        if path and Path(path).exists():
            return path
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).exists() else None


@contextmanager
def browser() -> Iterator[Browser]:
    """Start the browser; it ends with the block."""
    path = chromium()
    assert path, "no browser: run `python tests/browser.py`"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield started
        finally:
            started.close()


@dataclass(frozen=True)
class Lab:
    """A JupyterLab server that runs."""

    url: str
    log: Path

    def open(self, page: Page, path: str = "") -> None:
        """Open JupyterLab as new, on the file at path in the server's folder when one is named.

        It is loaded again when the browser dropped a request: Chromium drops what it is loading when a
        network interface comes or goes, as each container's does.
        """
        for _ in range(5):
            page.goto(f"{self.url}/lab{'/tree/' + path if path else ''}?reset&token={TOKEN}")
            page.locator("#jp-left-stack").wait_for(state="attached")
            page.wait_for_timeout(SETTLE_MS)
            if not page.get_by_role("dialog", name="Error").count():
                return

    def request(
        self, method: str, path: str, *, token: str | None = TOKEN, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """Send one request with the token; return the status and the JSON data (None when there is none)."""
        sent = dict(headers or {}) | ({"Authorization": f"token {token}"} if token else {})
        request = Request(f"{self.url}/{path}", method=method, headers=sent)  # noqa: S310 - our own server
        try:
            with urlopen(request) as response:  # noqa: S310 - our own server
                return response.status, json.loads(response.read() or "null")
        except HTTPError as refusal:
            with refusal:
                return refusal.code, json.loads(refusal.read() or "null")


@contextmanager
def lab(root: Path, scratch: Path, environment: Mapping[str, str] | None = None) -> Iterator[Lab]:
    """Run a JupyterLab server on the folder root as long as the block; its settings live in scratch."""
    port = free_port()
    running = Lab(f"http://127.0.0.1:{port}", scratch / "server.log")
    own = {
        "JUPYTER_CONFIG_DIR": str(scratch / "config"),
        "JUPYTER_RUNTIME_DIR": str(scratch / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(scratch / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(scratch / "workspaces"),
        "JUPYTER_TOKEN": TOKEN,
    }
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
        *("--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"),
        f"--ServerApp.root_dir={root}",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.expose_app_in_browser=True",
    ]
    with running.log.open("w") as log:
        server = subprocess.Popen(
            command, env={**os.environ, **own, **(environment or {})}, stdout=log, stderr=log
        )
        try:
            _await_answer(running, server)
            yield running
        finally:
            server.terminate()
            server.wait()


def _await_answer(running: Lab, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            running.request("GET", "api")
        except OSError:
            assert server.poll() is None, f"the server ended:\n{running.log.read_text()}"
            assert time.monotonic() < deadline, f"no answer in {START_S} s:\n{running.log.read_text()}"
            time.sleep(0.1)
        else:
            return


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_idle(page: Page, timeout_s: float = 60) -> None:
    """Wait until the notebook in front has an idle kernel; a cell run before that may hang."""
    page.wait_for_function(IDLE, timeout=timeout_s * 1000)


def install() -> None:
    """Make sure that there is a browser: for root on Debian or Ubuntu the system's, else Playwright's own."""
    if chromium():
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print("no browser yet: installing the package chromium", flush=True)  # noqa: T201 - run as a program
        subprocess.run(["apt-get", "update", "--quiet=2"], check=False)
        packages = ["chromium", "fonts-liberation"]  # and not what it recommends: printers and a desktop
        command = ["apt-get", "install", "--quiet=2", "--yes", "--no-install-recommends", *packages]
        subprocess.run(command, check=False)
    if not chromium():
        subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False)
    if not chromium():
        sys.exit(
            "The browser tests need Chromium: install your system's package, or name it in $LABKIT_CHROMIUM."
        )


if __name__ == "__main__":
    install()
