"""Stubs: what stands in for the external services, and remembers how it was called.

One container holds the stubs of all external services, one process and one port each, because starting a
container costs more than all of the stubs' work. The interpreter loads the stub once and forks, which saves a
second start-up.
"""

import http.client
import json
from collections.abc import Iterable
from typing import Any

from labkit.errors import LabError
from labkit.system import External

ANSWER_S = 5.0

SCRIPT = """\
import json, os, runpy, sys
import httptools, uvicorn, uvloop, labkit.service.stub
stubs = json.loads(os.environ.pop("LABKIT_STUBS"))
for name, (port, answers) in stubs.items():
    if os.fork() == 0:
        os.environ.update(LABKIT_SERVICE=name, LABKIT_INSTANCE=name, LABKIT_PORT=str(port))
        os.environ["STUB"] = json.dumps(answers)
        sys.argv = ["labkit.service", "labkit.service.stub:app"]
        runpy.run_module("labkit.service", run_name="__main__", alter_sys=True)
        sys.exit()
for _ in stubs:
    os.wait()
"""

COMMAND = ["python3", "-c", SCRIPT]


def environment(external: Iterable[External]) -> dict[str, str]:
    """Return the variables of the container that holds these stubs."""
    return {"LABKIT_STUBS": json.dumps({it.name: (it.port, dict(it.stub)) for it in external})}


class Stub:
    """The stub of one external service at host:port."""

    def __init__(self, name: str, host: str, port: int) -> None:
        self.name, self.host, self.port = name, host, port

    @property
    def url(self) -> str:
        """Return where it is reached from outside the environment."""
        return f"http://{self.host}:{self.port}"

    def answers(self) -> bool:
        """Tell whether it takes calls."""
        return self._ask("GET", "/healthz")[0] == http.client.OK

    def calls(self) -> list[dict[str, Any]]:
        """Return the calls since the start or the last clear(), oldest first.

        Each has time, method, path, query, body, status and request_id.
        """
        found: list[dict[str, Any]] = json.loads(self._answered("GET", http.client.OK))
        return found

    def clear(self) -> None:
        """Forget the calls."""
        self._answered("DELETE", http.client.NO_CONTENT)

    def _answered(self, method: str, wanted: int) -> bytes:
        try:
            status, body = self._ask(method, "/__calls__")
        except OSError as problem:
            raise LabError(
                f"the stub of {self.name} answers", str(problem), "is the environment still there?"
            ) from problem
        if status != wanted:
            raise LabError(
                f"the stub of {self.name} answers {wanted}", f"it answers {status}", "read environment.logs()"
            )
        return body

    def _ask(self, method: str, path: str) -> tuple[int, bytes]:
        line = http.client.HTTPConnection(self.host, self.port, timeout=ANSWER_S)
        try:
            line.request(method, path)
            answer = line.getresponse()
            return answer.status, answer.read()
        except http.client.HTTPException as problem:
            raise ConnectionError(str(problem) or "no answer") from problem
        finally:
            line.close()
