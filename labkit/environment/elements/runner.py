"""Where commands run: beside the services (the test runner), or in the container of the module."""

import uuid
from collections.abc import Iterator
from contextlib import suppress
from typing import Self

from labkit.containers import Element, Namespace, NameTaken
from labkit.engine import BUILD
from labkit.environment._plan import Plan
from labkit.environment.elements._registry import planned

STAY = ("sleep", "infinity")
APP = "/app"
INSTALL_S = 120.0
PATH = "/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# pytest comes from the wheelhouse; an image that has it already needs only this check.
TOOLS = "python3 -c 'import pytest' 2>/dev/null || pip install --quiet pytest"


class Runner(Element):
    """The test runner, "harness" in the chapter: a container beside the services, where commands run.

    The first command starts it; it stays until clean-up.
    """

    role = "harness"

    def __init__(self, namespace: Namespace, plan: Plan) -> None:
        super().__init__(
            namespace, "harness", BUILD, command=STAY, variables=plan.variables(namespace.secret)
        )

    def ensure(self) -> Self:
        """Start it unless it runs, install pytest where that is missing, and return it."""
        self.reload()
        if self.state != "running":
            with suppress(NameTaken):  # another process started it first; either may install pytest below
                self.start()
            self.reload()
            self.execute(TOOLS, timeout_s=INSTALL_S)
        return self

    @staticmethod
    def fresh_folder() -> str:
        """Return a folder that no other run in the container uses."""
        return f"/work/{uuid.uuid4().hex[:8]}"


class Module(Element):
    """The module under development: one service's source and requirements, without a network."""

    role = "module"

    def __init__(self, namespace: Namespace, plan: Plan) -> None:
        self.service = str(plan.module)
        variables = {
            **plan.variables(namespace.secret),
            "LABKIT_SERVICE": self.service,
            "LABKIT_INSTANCE": f"{self.service}-module",
            "PATH": PATH,
        }
        super().__init__(namespace, "module", BUILD, command=STAY, variables=variables)
        self.plan = plan

    def _labels(self) -> dict[str, str]:
        # A development environment has no network, so its one container carries the plan.
        return super()._labels() | self.plan.to_labels()


@planned
def module(plan: Plan, namespace: Namespace) -> Iterator[Module]:
    """Yield the module of a development environment."""
    if plan.module:
        yield Module(namespace, plan)
