"""What the deployment board shows at one moment, and its reader; nothing here changes a fleet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from labkit import deployment
from labkit.deployment import OBJECTIVE, Evidence, Fleet, overdue
from labkit.environment import Instance
from labkit.errors import LabError
from labkit.load import Measurement, RunningLoad, Tally
from labkit.toggles import ToggleStore

WINDOW_S = 5
HANGING_S = 5
"""A request that waits longer for its answer hangs."""


@dataclass(frozen=True)
class InstanceReading:
    """One instance: its version, the balancer's word for it, its open requests, and its faults.

    failing is the share (0 to 1) of its answers that are made to fail, slowed_ms by how much they are
    delayed. sessions is None when the balancer does not know the instance.
    """

    name: str
    version: str
    state: str
    sessions: int | None = 0
    failing: float = 0.0
    slowed_ms: int = 0

    @property
    def faults(self) -> str:
        """The faults in words; "" without one."""
        failing = f"{self.failing:.0%} fail" if self.failing else ""
        slowed = f"+{self.slowed_ms} ms" if self.slowed_ms else ""
        return ", ".join(filter(None, (failing, slowed)))


@dataclass(frozen=True)
class BoardState:
    """All that the board shows at one moment.

    fleet is its name in words, status the word of deployment.status. objective is a share of failed requests
    (0 to 1). toggles maps each toggle to its state, with "8/10 ready" while it is being switched. evidence is
    (now, threshold), None while nothing is judged. The newest event is the last. coordinator is its state, ""
    where nobody asked. selected is the name of an instance. known are the versions that can be deployed.
    """

    fleet: str
    status: str
    instances: Sequence[InstanceReading]
    measurement: Measurement = field(default_factory=Measurement)
    objective: float = OBJECTIVE
    toggles: Mapping[str, str] = field(default_factory=dict)
    evidence: tuple[float, float] | None = None
    events: Sequence[str] = ()
    coordinator: str = ""
    selected: str | None = None
    known: Sequence[str] = ()

    @property
    def title(self) -> str:
        """The fleet and its status."""
        return f"{self.fleet} – {self.status}"

    @property
    def versions(self) -> list[str]:
        """The known versions, then others that run or answered; its place gives each colour and letter."""
        answered = {key.version for key in self.measurement.tallies if key.version}
        others = {instance.version for instance in self.instances} | answered
        return [*self.known, *sorted(others - set(self.known))]

    @property
    def hanging(self) -> int:
        """How many requests have certainly waited for their answer for more than HANGING_S seconds."""
        return overdue(self.measurement, HANGING_S * 1000)

    def letter(self, version: str) -> str:
        """Return the letter that stands for a version where its name has no room; "?" for an unknown one."""
        return chr(ord("a") + self.versions.index(version)) if version in self.versions else "?"

    @property
    def window(self) -> dict[str, Tally]:
        """What each version has answered in the last WINDOW_S seconds."""
        tallies = self.measurement.tallies
        newest = max((key.second for key in tallies), default=0)
        window: dict[str, Tally] = {}
        for key, tally in tallies.items():
            if key.second > newest - WINDOW_S:
                window[key.version] = window.get(key.version, Tally()) + tally
        return window


class StateReader:
    """Reads the state of a fleet, and of its toggles when there is a store."""

    def __init__(self, fleet: Fleet, store: ToggleStore | None, known: Sequence[str]) -> None:
        """Take a fleet, its toggles, None without, and the versions that can be deployed."""
        self._fleet, self._store, self._known = fleet, store, known

    def read(self, load: RunningLoad | None, evidence: Evidence | None, events: Sequence[str]) -> BoardState:
        """Return the state now; load None is nothing measured, evidence None nothing judged.

        :raises LabError: when the fleet cannot be seen.
        :raises OSError: when the load balancer does not answer.
        """
        return BoardState(
            fleet=repr(self._fleet),
            status=str(deployment.status(self._fleet)),
            instances=self._instances(self._fleet.instances),
            measurement=load.snapshot() if load else Measurement(),
            toggles=self._toggles(),
            evidence=(evidence.e_value, evidence.threshold) if evidence else None,
            events=tuple(events),
            known=self._known,
            coordinator=self._fleet.environment.element("coordinator").state if self._store else "",
        )

    def _instances(self, instances: Sequence[Instance]) -> list[InstanceReading]:
        balancer = self._fleet.balancer
        try:
            servers = balancer.servers(self._fleet.service)
            slowed, failing = balancer.slowed(), balancer.failing()
        except OSError:
            # A balancer that is being restarted knows nobody; the engine still knows the instances.
            servers, slowed, failing = {}, {}, {}
        return [
            InstanceReading(
                name=instance.name,
                version=instance.version,
                state=instance.state,
                sessions=servers[instance.name].sessions if instance.name in servers else None,
                failing=failing.get(instance.name, 0.0),
                slowed_ms=slowed.get(instance.name, 0),
            )
            for instance in instances
        ]

    def _toggles(self) -> dict[str, str]:
        if self._store is None:
            return {}
        try:
            return {name: self._toggle(self._store, name, state) for name, state in self._store.all().items()}
        except (OSError, LabError):
            return {"store": "does not answer"}

    def _toggle(self, store: ToggleStore, name: str, state: str) -> str:
        ready, count = store.readiness(name, self._fleet.service)
        return f"{state}, {ready}/{count} ready" if ready else state
