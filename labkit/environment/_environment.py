"""One environment's life: create, use, clean up."""

import shlex
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from labkit.engine import Completed, Label, Owner
from labkit.environment._apart import apart
from labkit.environment._capture import Capture
from labkit.environment._creation import Progress
from labkit.environment._harness import place_of
from labkit.environment._images import versions
from labkit.environment._instance import Instance
from labkit.environment._live import Live
from labkit.environment._making import Order, delete, make, plan_of_order
from labkit.environment._part import IDENTITY, Scope, find_engine
from labkit.environment._plan import Plan
from labkit.environment._run import TIMEOUT_S, Files
from labkit.environment._saving import save_results
from labkit.environment._starter import SERVICE_S
from labkit.environment._status import EnvironmentStatus, plan_of, statuses, traces
from labkit.errors import LabError
from labkit.system import System
from labkit.workspace import Workspace

Names = list[str]
"""Inside of the class, `list` is the verb."""


class Environment(Live):
    """A live environment, made by `create` or found again by `attach`; leaving its `with` block cleans it up.

    It holds no state of its own: what it answers is read from the engine and its elements each time.
    """

    @classmethod
    def create(  # noqa: PLR0913 - one verb, and each keyword has a sentence below
        cls,
        system: System,
        stage: str,
        *,
        images: Mapping[str, str] | None = None,
        module: str | None = None,
        owner: Owner | None = None,
        workspace: Workspace | None = None,
        config: Mapping[str, object] | None = None,
        real: Collection[str] = (),
        because: str = "asked for by hand",
        ready_s: float = SERVICE_S,
        progress: Progress | None = None,
    ) -> Self:
        """Create an environment and return it when all of it is ready.

        images maps each service to its image; None builds them from the system's folders (at no cost when
        these are unchanged). module names the one service of a development environment. owner None is this
        process, so that nothing outlives it; for production it is the workspace. workspace None is the one
        that Workspace.open finds. config overrides configuration parameters. real names read-only external
        services that are called for real here, beside those that system.toml says so of. because is the event
        that caused the creation, which is recorded. ready_s is how long each instance may take to be ready,
        in seconds. progress gets a sentence for each element that is ready.

        :raises LabError: for a configuration that cannot work, a read-write external service that is to be
            real outside production (nothing has started by then), an image that is missing, a part that does
            not get ready, or an engine that is gone. All that was started is removed before.
        """
        workspace = workspace or Workspace.open()
        order = Order(
            system=system,
            stage=stage,
            workspace=workspace,
            images=images,
            module=module,
            owner=owner,
            config=config or {},
            real=real,
            because=because,
            ready_s=ready_s,
            progress=progress or (lambda _: None),
        )
        plan = plan_of_order(order)  # before the engine is asked: what cannot work must not start
        return cls(workspace, make(find_engine(), order, plan), plan)

    @staticmethod
    def list(workspace: Workspace) -> list[EnvironmentStatus]:
        """Return the live environments of a workspace, the oldest first."""
        return statuses(find_engine(), workspace.id)

    @classmethod
    def attach(cls, name: str, workspace: Workspace | None = None) -> Self:
        """Return a live environment that this or another process created; workspace None is as in create.

        :raises LabError: when there is none of that name in the workspace.
        """
        workspace, engine = workspace or Workspace.open(), find_engine()
        found = traces(engine, {Label.WORKSPACE: workspace.id, Label.ENVIRONMENT: name})
        if not found:
            known = ", ".join(status.name for status in statuses(engine, workspace.id)) or "none is alive"
            raise LabError(
                f"an environment of this workspace: {known}", repr(name), "labkit environment list"
            )
        plan = Plan.from_label(text) if (text := plan_of(found)) else None
        common = {str(it): found[0].labels.get(it, "") for it in (*IDENTITY, Label.OWNER, Label.STAGE)}
        return cls(workspace, Scope(engine, name, common, "" if plan and plan.module else name), plan)

    @classmethod
    def clean_up_all(cls, workspace: Workspace) -> Names:
        """Clean up every environment of a workspace, production too; return their names.

        One that its reaper removes in the same moment is left to it.
        """
        names = [status.name for status in cls.list(workspace)]
        for name in names:
            try:
                cls.attach(name, workspace).clean_up()
            except LabError:
                if name in [status.name for status in cls.list(workspace)]:
                    raise
        return names

    def add_instance(
        self, service: str, image: str, *, version: str | None = None, deadline_s: float = SERVICE_S
    ) -> Instance:
        """Start one more instance of a service and return it when it is ready; it gets no requests yet.

        version None is what the image says of itself.

        :raises NotReady: when it is not ready within deadline_s seconds; it is removed by then.
        """
        told = version or versions(self._engine, {service: image})[service]
        return apart(
            lambda stop: self._replicas(stop).add(service, image, told, deadline_s), self.remove_instance
        )

    def remove_instance(self, instance: Instance) -> None:
        """Take an instance out of the balancer and remove it; drain it first to lose no request."""
        apart(lambda stop: self._replicas(stop).remove(instance))

    def run(
        self,
        command: Sequence[str] | str,
        *,
        image: str | None = None,
        files: Files | None = None,
        environment: Mapping[str, str] | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> Completed:
        """Run a command in the module's container at /app, or beside the services; return what came of it.

        Beside the services means a container inside their network that stays until clean-up, each run in a
        folder of its own; with image, a container of that image that goes with the command. files are put
        into the folder first.
        """
        with self._one_harness:
            place = place_of(self._scope, self._plan, image)
        done = place.run(command, files or {}, environment or {}, timeout_s)
        words = command if isinstance(command, str) else shlex.join(command)
        self._used("run", command=words, exit_code=done.exit_code, seconds=round(done.seconds, 3))
        return done

    def capture(self) -> Capture:
        """Open a door before the balancer that writes down what comes in, for a replay; one at a time.

        Clients use the capture's own url; what enters by the environment's is not written down.
        """
        entry = self._plan.service(self._plan.entry)
        return apart(lambda stop: Capture.start(self._scope, entry, self._used, stop), Capture.stop)

    def clean_up(self, *, save: Path | None = None) -> None:
        """Remove everything of this environment and record that; doing it again does nothing.

        save is a folder for what is to outlive it: the logs and the calls of the stubs, as JSON.

        :raises LabError: when something cannot be removed; it names what is left.
        """

        def saved() -> Names:
            return save_results(self, save) if save else []

        apart(lambda _: delete(self._scope, self._plan_found, self._workspace, saved))

    def __enter__(self) -> Self:
        """Return the environment."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Clean up, also after an error."""
        self.clean_up()
