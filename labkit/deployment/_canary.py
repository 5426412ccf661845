"""The canary: a few instances of the new version serve first and are watched, then replace the others."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from labkit.deployment._control import Control
from labkit.deployment._fleet import Fleet
from labkit.deployment._groups import Group, everybody, share
from labkit.deployment._registry import strategy
from labkit.deployment._replacement import Replacement
from labkit.deployment._steps import Deployment, Step
from labkit.deployment._strategy import DeploymentRun, Health, Withdrawn, watching
from labkit.environment import Instance
from labkit.errors import LabError
from labkit.system import TomlTable

WHOLE = 100  # percent


def _options(table: TomlTable) -> dict[str, Any]:
    steps = _percentages(table, "steps") if table.has("steps") else []
    shares = [percent / WHOLE for percent in steps if percent < WHOLE]  # the last 100 % is the replacement
    to = share(*shares) if shares else everybody()
    least, watch_s = table.whole("least_requests", default=1), table.number("watch_s", default=20.0)
    return {"to": to, "least_requests": least, "watch_s": watch_s}


def _percentages(table: TomlTable, key: str) -> list[float]:
    expected = "growing percentages of the clients, such as [5, 25, 100], the first below 100"
    steps = list(table.get(key, list, expected))
    numbers = bool(steps) and all(type(step) in {int, float} and 0 < step <= WHOLE for step in steps)
    if not numbers or sorted(set(steps)) != steps or steps[0] == WHOLE:
        table.refuse(key, expected, steps, f"correct {key}")
    return steps


@strategy("canary", options=_options)
def canary(  # noqa: PLR0913 - one verb, and each keyword has a sentence below
    fleet: Fleet,
    image: str,
    health: Health,
    *,
    to: Group | None = None,
    watch_s: float = 20.0,
    least_requests: int = 1,
    ready_s: float = 30.0,
    drain_s: float = 10.0,
    control: Control | None = None,
    on_event: Callable[[Step], object] | None = None,
) -> Deployment:
    """Serve some clients by an image first, and replace the N old instances when nothing speaks against it.

    `to` says which clients: a `group`, `users`, a `share`, or those who come by `discovery`; None is
    `everybody`. A share and everybody may grow in steps. Each step is watched for watch_s seconds, or until
    `control.promote` ends all of them. Meanwhile health is asked ten times a second: a function that returns
    "" or the reason to withdraw the canary at once, best an `Evidence`. Then the old instances are replaced
    one by one, and health is still asked. When fewer than least_requests requests have reached the canaries
    after a step, by the balancer's count, or an `Evidence` has seen none, that is no evidence. Then they are
    withdrawn too, unless they were promoted.

    ready_s, drain_s, control and on_event are as in `rolling`.

    :raises LabError: when watch_s is not above 0, and as rolling does.
    """
    if not watch_s > 0:
        raise LabError("a canary that is watched for a while", f"watch_s = {watch_s}", "give watch_s=20")
    steps = _Canary(fleet, image, health, to or everybody(), watch_s, least_requests, control or Control())
    run = DeploymentRun(fleet, image, "canary", steps.take, health, steps.control)
    return run.run(Replacement(fleet, ready_s=ready_s, drain_s=drain_s), on_event)


@dataclass(frozen=True)
class _Canary:
    """The steps of one canary deployment; its generators yield where it may wait or end."""

    fleet: Fleet
    image: str
    health: Health
    to: Group
    watch_s: float
    least_requests: int
    control: Control

    def take(self, replacement: Replacement, outdated: Sequence[Instance]) -> Iterator[None]:
        """Start the canary, watch it through all its steps, then replace the old instances that are left."""
        yield
        old, first = deque(outdated), min(self.to.instances[0], len(outdated))
        if self.to.is_chosen:
            yield from self._send(replacement)
        else:
            replacement.add(self.image, first)
            for canaries in self.to.instances:
                yield from self._replace(replacement, old, max(first, len(outdated) + first - canaries))
                yield from self._watch(replacement)
        yield from self._replace(replacement, old, first)
        for instance in old:  # the first canaries, started beside the old instances, take the place of these
            yield
            replacement.drain_and_remove([instance])

    def _send(self, replacement: Replacement) -> Iterator[None]:
        """Send the chosen clients to one canary, step by step, and in the end everybody."""
        canaries = replacement.standby(self.image, 1)
        for part in self.to.shares:
            replacement.send(canaries[0], self.to.keys, part)
            try:
                yield from self._watch(replacement, canaries)
            except Withdrawn:  # at once: more clients would meet it until it is removed
                self.fleet.balancer.unroute(*canaries)
                raise
        replacement.switch(canaries, ())

    def _replace(self, replacement: Replacement, old: deque[Instance], left: int) -> Iterator[None]:
        """Replace old instances one by one, until only `left` of them are left."""
        while len(old) > left:
            yield
            replacement.replace([old.popleft()], self.image)

    def _watch(self, replacement: Replacement, chosen: Sequence[Instance] = ()) -> Iterator[None]:
        """Wait and examine; chosen are canaries for chosen clients, else the deployment run examines them.

        :raises Withdrawn: as _examine does, or when too few requests have reached the canaries in the end.
        """
        for _ in watching(self.watch_s, self.control, self.health):
            self._examine(replacement, chosen)
            yield
        servers = self.fleet.balancer.servers(self.fleet.service)
        names = {*replacement.made, *(canary.name for canary in chosen)}
        requests = sum(server.requests for name, server in servers.items() if name in names)
        if requests < self.least_requests and not self.control.promoted:
            message = (
                f"no evidence: {requests} requests reached the canary, of at least {self.least_requests}"
            )
            raise Withdrawn(message)

    def _examine(self, replacement: Replacement, chosen: Sequence[Instance]) -> None:
        """Examine the canaries of chosen clients.

        To the balancer they stay drained, so the deployment run, which wants them UP, cannot examine them.

        :raises Withdrawn: when the balancer has given one up, or health returns a reason.
        """
        if not chosen:
            return
        if reason := self.health():
            raise Withdrawn(reason)
        replacement.reconcile()
        states = self.fleet.states
        down = [
            f"{canary.name} is {states.get(canary.name, 'gone')}"
            for canary in chosen
            if states.get(canary.name) != "DRAIN"
        ]
        if down:
            raise Withdrawn(", ".join(down))
