"""Stubs: what stands in for the external services, and remembers how it was called.

One container holds the stubs of all external services, one process and one port each, because starting a
container costs more than all of the stubs' work. The interpreter loads the stub once and forks, which saves a
second start-up.
"""

import http.client
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from labkit.errors import LabError
from labkit.system import External, Recording, stub_answers

ANSWER_S = 5.0
CALLS = "/__calls__"
CONTROL = "/__stub__"

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
    """The stub of one external service at host:port. It answers as system.toml says until it is told else."""

    def __init__(self, name: str, host: str, port: int, used: Callable[..., None]) -> None:
        self.name, self.host, self.port = name, host, port
        self._used = used

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
        found: list[dict[str, Any]] = json.loads(self._answered("GET", CALLS))
        return found

    def clear(self) -> None:
        """Forget the calls."""
        self._answered("DELETE", CALLS)

    @property
    def state(self) -> str:
        """The state that its answers have led to; "start" at first."""
        return str(json.loads(self._answered("GET", CONTROL))["state"])

    def set(self, key: str, answer: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> None:
        """Give another answer to "METHOD /path" from now on, or one for each state, as in system.toml.

        :raises LabError: for an answer that cannot be given.
        """
        self._set({key: answer})

    def replay(self, recording: Recording) -> None:
        """Give the answers of a recording from now on.

        :raises LabError: when it was recorded of another external service.
        """
        if recording.external != self.name:
            mend = f"replay it at the stub of {recording.external}"
            raise LabError(f"a recording of {self.name}", f"one of {recording.external}", mend)
        self._set(recording.answers)

    def reset(self) -> None:
        """Answer as system.toml says again, from the first state, and forget the calls."""
        self._answered("DELETE", CONTROL)
        self._used("stub", external=self.name, reset=True)

    def _set(self, answers: Mapping[str, Any]) -> None:
        self._answered("PATCH", CONTROL, json.dumps(stub_answers(answers)))
        self._used("stub", external=self.name, answers=dict(answers))

    def _answered(self, method: str, path: str, content: str | None = None) -> bytes:
        try:
            status, body = self._ask(method, path, content)
        except OSError as problem:
            raise LabError(
                f"the stub of {self.name} answers", str(problem), "is the environment still there?"
            ) from problem
        if status not in {http.client.OK, http.client.NO_CONTENT}:
            raise LabError(
                f"the stub of {self.name} takes {method} {path}",
                f"it answers {status}",
                "read environment.logs()",
            )
        return body

    def _ask(self, method: str, path: str, content: str | None = None) -> tuple[int, bytes]:
        line = http.client.HTTPConnection(self.host, self.port, timeout=ANSWER_S)
        try:
            line.request(method, path, content)
            answer = line.getresponse()
            return answer.status, answer.read()
        except http.client.HTTPException as problem:
            raise ConnectionError(str(problem) or "no answer") from problem
        finally:
            line.close()
