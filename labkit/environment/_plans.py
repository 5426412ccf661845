"""The plans of a living environment: the one that it was created with, and those it was changed to since.

The labels of a network cannot change. So each later plan is the label of a volume of its own, which holds
nothing else, and the newest counts. The earlier ones stay until no instance needs them: an instance that is
started again after a failed deployment gets the settings that it had.
"""

from typing import Any

from labkit.containers import Namespace, refusals
from labkit.environment._plan import Plan

CHANGING = ("production",)
"""The stages whose plan may change while they live; in the others it is read once."""


class Plans:
    """The plans of one environment. first is that of its creation, None when it is gone with its network."""

    def __init__(self, namespace: Namespace, first: Plan | None) -> None:
        self._namespace, self.first = namespace, first

    def all(self) -> list[Plan]:
        """Return the plans, the newest first."""
        if self.first is None or self.first.stage not in CHANGING:
            return [self.first] if self.first else []
        labels = (volume["Labels"] or {} for volume in self._volumes())
        later = [plan for plan in map(Plan.from_labels, labels) if plan]
        return sorted([self.first, *later], key=lambda plan: -plan.revision)

    def write(self, plan: Plan) -> None:
        """Let a plan with the next revision be the environment's plan from now on."""
        space = self._namespace
        with refusals(space.engine, f"the plan of {space.name} is kept"):
            space.engine.client.volumes.create(
                f"{space.name}.plan-{plan.revision}", labels={**space.labels, **plan.to_labels()}
            )

    def forget_earlier(self) -> None:
        """Forget the plans before the present one."""
        space = self._namespace
        with refusals(space.engine, f"the earlier plans of {space.name} are forgotten"):
            plans = {volume["Name"]: Plan.from_labels(volume["Labels"] or {}) for volume in self._volumes()}
            newest = max((plan.revision for plan in plans.values() if plan), default=0)
            for name, plan in plans.items():
                if plan and plan.revision < newest:
                    space.engine.client.api.remove_volume(name)

    def _volumes(self) -> list[dict[str, Any]]:
        space = self._namespace
        with refusals(space.engine, f"the plan of {space.name} is read"):
            labels = [f"{name}={value}" for name, value in space.identity.items()]
            return list(space.engine.client.api.volumes({"label": labels})["Volumes"] or [])
