"""Brings a living environment to what its system declares by now, while it serves.

The instances are replaced by others, in between: `begin` starts what they will need, `finish` removes what
they needed before. Each step can be repeated, so a run that was ended in between is gone on with by the next.
"""

from dataclasses import replace
from functools import partial
from threading import Event

from labkit._uninterruptible import uninterruptible
from labkit.containers import Element, Namespace
from labkit.engine import Progress
from labkit.environment import _record
from labkit.environment._change import Change
from labkit.environment._create import build
from labkit.environment._elements import Elements
from labkit.environment._plan import Plan
from labkit.environment.elements import elements_of
from labkit.environment.elements.declared import Declared
from labkit.errors import LabError
from labkit.etcd import Etcd
from labkit.postgres import Database, Postgres
from labkit.system import System
from labkit.workspace import Workspace

GOING = ("balancer", "provider", "stub")
"""The roles whose containers hold nothing that could be lost, so that they go when nobody needs them."""


class Rollout:
    """One change of a living environment: what it is, and what comes before and after the instances."""

    def __init__(
        self,
        workspace: Workspace,
        namespace: Namespace,
        elements: Elements,
        system: System,
        wanted: Plan,
    ) -> None:
        self._workspace, self._namespace, self._elements = workspace, namespace, elements
        self._system = system
        self.change = Change.to(self._as_it_is(elements.plan), wanted)
        """What differs, from the plan as it was when the rollout was made."""

    def _as_it_is(self, plan: Plan) -> Plan:
        """Return a plan without containers and providers that are not there: they have nothing to lose."""
        live = self._live()
        return replace(
            plan,
            external=tuple(one for one in plan.external if not one.real or one.name in live),
            containers=tuple(one for one in plan.containers if one.name in live),
        )

    def _live(self) -> dict[str, str]:
        """Return the image of each container that there is."""
        return {container.name: container.image for container in self._namespace.containers()}

    def refuse_losses(self) -> None:
        """Refuse what would lose data or requests, before anything is touched.

        :raises LabError: with all that would be lost, and a next step.
        """
        self.change.refuse_losses()
        name = self._namespace.name
        before = {container.name for container in self.change.before.containers}
        live = self._live()
        for container in self.change.after.containers:
            left = live.get(container.name) if container.name not in before else None
            if left and container.image != left:
                raise LabError(
                    f"no {container.name} in {name} yet, or one from {container.image or container.path}",
                    f"an earlier commit left one from {left}, with what it holds",
                    "give the new one another name; or give up what it holds, in Python: "
                    f"Environment.attach({name!r}).element({container.name!r}).remove()",
                )

    def begin(self, progress: Progress) -> None:
        """Let the environment have the old services beside the new ones, and start what the new ones need.

        progress gets a line for each element that is ready, and for what takes longer.

        :raises LabError: when something of it does not start; the services serve as before then.
        """
        uninterruptible(partial(self._begin, progress))

    def _begin(self, progress: Progress, stop: Event) -> None:
        plan = self._elements.plan
        if not self.change.is_empty:
            plan = replace(self.change.during, images=self._images(progress, stop))
            self._elements.plans.write(plan)
            _record.changed(self._workspace, plan, self.change)
        outside = plan.outside(self._namespace.workspace)
        if outside and not self._namespace.has_network(outside):
            self._namespace.create_network(outside, {})
        for element in self._missing(plan):
            element.start()
            progress(f"{element.name} is ready")
            if isinstance(element, Postgres) and self._system.database:
                with element.all_or_nothing():
                    migrations = self._system.root / self._system.database.migrations
                    Database(plan.database, element).create(migrations)

    def finish(self, progress: Progress) -> None:
        """Let the environment have the new plan alone, and remove what nobody needs any more.

        Call it when every instance is one of the new plan. A declared container that the system no longer has
        stays, with what it holds, until somebody removes it: progress gets a line about it.
        """
        uninterruptible(lambda _: self._finish(progress))

    def _finish(self, progress: Progress) -> None:
        plans = self._elements.plans
        if not self.change.is_empty:
            plans.write(replace(self.change.final, images=self._elements.plan.images))
        plans.forget_earlier()
        planned = {element.name for element in elements_of(self._elements.plan, self._namespace)}
        for name, element in self._elements.all().items():
            if name not in planned and element.role in GOING:
                element.stop()
            elif name not in planned and element.role == Declared.role:
                progress(
                    f"{name} is declared no longer, and stays with what it holds until you remove it: "
                    f"Environment.attach({self._namespace.name!r}).element({name!r}).remove()"
                )

    def _images(self, progress: Progress, stop: Event) -> dict[str, str]:
        """Return the images that the environment has, with those of new providers and containers, built."""
        before, after = self.change.before, self.change.after
        had = {one.name for one in before.providers} | {one.name for one in before.containers}
        folders: dict[str, object] = {
            one.name: self._system.external[one.name].provider
            for one in after.providers
            if one.name not in had
        }
        new = [container for container in after.containers if container.name not in had]
        folders |= {container.name: container.path for container in new if container.path}
        given = {container.name: container.image for container in new if container.image}
        for image in given.values():
            self._namespace.engine.image(image)  # raises ImageMissing
        built = build(self._namespace.engine, self._system, folders, progress, stop)
        return {**before.images, **given, **built}

    def _missing(self, plan: Plan) -> list[Element]:
        """Return the elements that have no container, not started yet.

        A lost database or coordinator is not among them: an empty one in its place would hide the loss.
        """
        first = self._elements.plans.first
        created = elements_of(first, self._namespace) if first else []
        lost = {element.name for element in created if isinstance(element, Postgres | Etcd)}
        live = self._live()
        return [
            element
            for element in elements_of(plan, self._namespace)
            if element.name not in lost and element.name not in live
        ]
