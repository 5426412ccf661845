"""Stubs: they stand in for the external services, and record how they were called.

One container has the stubs of all external services, one process and one port each, because to start a
container costs more than all of the stubs' work. The interpreter loads the stub's modules once and forks, so
that no further process has to load them.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from secrets import token_urlsafe
from typing import Any

from labkit._http import Response, request
from labkit.containers import Answers, Element, Namespace
from labkit.engine import NO_USER, PYTHON, SERVER
from labkit.environment._plan import Plan
from labkit.environment.elements._registry import planned
from labkit.errors import LabError
from labkit.system import Recording, stub_answers

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


class Stubs(Element):
    """The container of all stubs; the external services' names lead to it.

    Whoever controls them, or reads the recorded calls, needs its secret.
    """

    role = "stub"
    limits = SERVER
    capabilities = ()
    make_secret = staticmethod(token_urlsafe)

    def __init__(self, namespace: Namespace, plan: Plan) -> None:
        answers = {stub.name: (stub.port, dict(stub.answers)) for stub in plan.stubs}
        super().__init__(
            namespace,
            "stub",
            PYTHON,
            command=["python3", "-c", SCRIPT],
            variables={"LABKIT_STUBS": json.dumps(answers), "LABKIT_STAGE": plan.stage},
            ports=[stub.port for stub in plan.stubs],
            user=NO_USER,
            aliases=[stub.name for stub in plan.stubs],
        )
        self.external = {stub.name: stub.port for stub in plan.stubs}
        """The port of each external service by its name."""

        self.waiting_for(Answers("answers for every external service", lambda _: self._answer()))

    def stub(self, name: str) -> "Stub":
        """Return the stub of an external service by its name."""
        return Stub(name, self.external[name], self)

    def _answer(self) -> bool:
        return all(self.stub(name).answers() for name in self.external)


@planned
def stubs(plan: Plan, namespace: Namespace) -> Iterator[Stubs]:
    """Yield the container of the stubs, where an external service is not real."""
    if plan.stubs:
        yield Stubs(namespace, plan)


class Stub:
    """The stub of one external service. It answers as system.toml says until set or replay changes that."""

    def __init__(self, name: str, port: int, container: Stubs) -> None:
        self.name, self._port, self._container = name, port, container

    @property
    def url(self) -> str:
        """Where it is reached from outside the environment.

        :raises NoAnswer: when the container of the stubs does not run.
        """
        self._container.reload()  # it may have been restarted: its ports are others then
        host, port = self._container.namespace.engine.host, self._container.get_exposed_port(self._port)
        return f"http://{host}:{port}"

    def answers(self) -> bool:
        """Return whether it takes calls."""
        return self._ask("GET", "/healthz").status == HTTPStatus.OK

    def calls(self) -> list[dict[str, Any]]:
        """Return the calls since the start or the last clear(), oldest first.

        Each has time, method, path, query, body, status and request_id.
        """
        calls: list[dict[str, Any]] = json.loads(self._answered("GET", CALLS))
        return calls

    def clear(self) -> None:
        """Forget the calls."""
        self._answered("DELETE", CALLS)

    @property
    def state(self) -> str:
        """Its present state, which its answers change; "start" at first."""
        return str(json.loads(self._answered("GET", CONTROL))["state"])

    def set(self, key: str, answer: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> None:
        """Give another answer to "METHOD /path" from now on, or one for each state, as in system.toml.

        :raises LabError: when the answer is not written as in system.toml.
        """
        self._set({key: answer})

    def replay(self, recording: Recording) -> None:
        """Give the answers of a recording from now on.

        :raises LabError: when the recording is of another external service.
        """
        if recording.external != self.name:
            next_step = f"replay it at the stub of {recording.external}"
            raise LabError(f"a recording of {self.name}", f"one of {recording.external}", next_step)
        self._set(recording.answers)

    def reset(self) -> None:
        """Answer as system.toml says again, from the first state, and forget the calls."""
        self._answered("DELETE", CONTROL)
        self._container.namespace.on_use("stub", external=self.name, reset=True)

    def _set(self, answers: Mapping[str, Any]) -> None:
        self._answered("PATCH", CONTROL, json.dumps(stub_answers(answers)))
        self._container.namespace.on_use("stub", external=self.name, answers=dict(answers))

    def _answered(self, method: str, path: str, content: str | None = None) -> bytes:
        response = self._container.ask(lambda: self._ask(method, path, content))
        if response.status not in {HTTPStatus.OK, HTTPStatus.NO_CONTENT}:
            expected = f"the stub of {self.name} takes {method} {path}"
            raise LabError(expected, f"it answers {response.status}", "read environment.logs('stub')")
        return response.body

    def _ask(self, method: str, path: str, content: str | None = None) -> Response:
        host, port = self._container.namespace.engine.host, self._container.get_exposed_port(self._port)
        headers = {"Authorization": f"Bearer {self._container.secret}"}
        return request(host, port, method, path, content, headers, timeout_s=ANSWER_S)
