"""The controls of the deployment board: what each does, and the line of code that does the same."""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from html import escape
from typing import Any

import ipywidgets

from labkit import deployment
from labkit.containers import Element
from labkit.deployment import Control, Deployment, Evidence, Fleet, Step, StepState
from labkit.errors import LabError
from labkit.load import RunningLoad
from labkit.widgets._buttons import allow, begin, working_button
from labkit.widgets._deployment_state import BoardState

EVENTS = 200
MOST_SURGE, MOST_LATENCY_MS = 5, 1000
STRATEGIES = ("rolling", "blue/green", "canary")
NO_TOGGLES = "this board has no toggles: give it a store"
BACK_ALREADY = "the last deployment was rolled back already"
NARROW = {"width": "180px"}
WEIGHTY = 2.0
"""From this evidence on, the end of a deployment was early."""


def _number(value: int, most: int, description: str, step: int = 1) -> ipywidgets.BoundedIntText:
    """Return a field for a whole number from 0 to most."""
    return ipywidgets.BoundedIntText(
        value, min=0, max=most, step=step, description=description, layout=NARROW
    )


class Controls:
    """Fields and buttons for a fleet; `rows` are the widgets from top to bottom.

    Each button works in a thread of its own, so that the kernel stays free. events lists what was pressed, as
    code, and what the deployments did. load is the one by which new versions are judged; None judges nothing.
    selected is the name of the instance to stall; None leaves it open.
    """

    def __init__(
        self, fleet: Fleet, images: Mapping[str, str], load: RunningLoad | None, *, has_toggles: bool
    ) -> None:
        self.load, self.control = load, Control()
        self.evidence: Evidence | None = None
        self.events: deque[str] = deque(maxlen=EVENTS)
        self._fleet, self._images = fleet, images
        self.selected: str | None = None
        self._deployed, self._with_faults, self._faulting = "", set[str](), threading.Lock()
        self._make_inputs()
        self.code, self.message = ipywidgets.HTML(), ipywidgets.HTML()
        self.buttons = self._make_buttons()
        self._has_toggles, self._deploying, self._no_way_back = has_toggles, False, ""
        self._board: BoardState | None = None
        self._show_code()
        self.rows = self._lay_out()

    # The widgets

    def _make_inputs(self) -> None:
        self.version = ipywidgets.Dropdown(options=list(self._images), description="version")
        self.strategy = ipywidgets.Dropdown(options=list(STRATEGIES), description="strategy")
        # Number fields and no sliders: a screen reader gets no name for a slider's handle from ipywidgets.
        self.surge = _number(1, MOST_SURGE, "surge")
        self.unavailable = _number(0, MOST_SURGE, "unavailable")
        self.errors = ipywidgets.BoundedFloatText(
            0.0, min=0, max=1, step=0.05, description="error share", layout=NARROW
        )
        self.latency_ms = _number(0, MOST_LATENCY_MS, "latency ms", step=50)
        names = ("version", "strategy", "surge", "unavailable", "errors", "latency_ms")
        self.inputs = {name: getattr(self, name) for name in names}
        for field in self.inputs.values():
            field.observe(lambda _: self._show_choice(), "value")
        for field in (self.version, self.errors, self.latency_ms):
            field.observe(lambda _: self._begin(self._apply_faults), "value")

    def _make_buttons(self) -> dict[str, Any]:
        actions: list[tuple[str, str, Callable[[], object]]] = [
            ("Deploy", "rocket", self._deploy),
            ("Pause", "pause", self._pause),
            ("Promote", "check", self._promote),
            ("Roll back", "undo", self._roll_back),
            ("Stall an instance", "hand-paper-o", self._stall),
            ("Stop etcd", "power-off", self._stop_etcd),
        ]
        return {label: working_button(label, icon, action, self.message) for label, icon, action in actions}

    def _lay_out(self) -> list[Any]:
        buttons = list(self.buttons.values())
        rows = (
            [self.version, self.strategy, self.surge, self.unavailable],
            buttons[:4],
            [self.errors, self.latency_ms, *buttons[4:]],
        )
        boxes = [ipywidgets.HBox(row, layout={"flex_flow": "row wrap"}) for row in rows]
        return [*boxes, self.code, self.message]

    # The code that does the same

    def _show_choice(self) -> None:
        """Show the code of what is chosen now, and which buttons can do something about it."""
        self._show_code()
        if self._board:
            self.show(self._board)

    def _show_code(self) -> None:
        """Show the line of code that Deploy stands for, and those of the faults."""
        lines = [self._deploy_line()]
        those = f'for instance in fleet.instances if instance.version == "{self.version.value}"'
        if self.errors.value:
            lines.append(f"[instance.fail({self.errors.value:g}) {those}]")
        if self.latency_ms.value:
            lines.append(f"[instance.slow({self.latency_ms.value}) {those}]")
        html = "<br>".join(escape(line) for line in lines)
        self.code.value = f"<code>{html}</code>"

    def _deploy_line(self) -> str:
        version = f'"{self.version.value}"'
        image = f"images[{version}]"
        judge = f"deployment.Evidence(load, {version})" if self.load else 'lambda: ""'
        health = f", health={judge}" if self.load else ""
        limits = f"surge={self.surge.value}, unavailable={self.unavailable.value}"
        return {
            "rolling": f"deployment.rolling(fleet, {image}, {limits}{health})",
            "blue/green": f"deployment.blue_green(fleet, {image}, keep=True{health})",
            "canary": f"deployment.canary(fleet, {image}, {judge})",
        }[str(self.strategy.value)]

    def _log(self, code: str) -> None:
        """Write the code that a button stands for down among the events."""
        self.events.append(f"you: {code}")

    def show(self, board: BoardState) -> None:
        """Name the buttons after what they do to what is there now; one that can do nothing says why."""
        self._board = board
        for button, reason in self._reasons(board).items():
            allow(self.buttons[button], reason)
        paused = {instance.name for instance in board.instances if instance.state == "paused"}
        stalled = self.selected or min(paused, default="")
        self._name("Stall an instance", f"Wake {stalled}" if stalled in paused else "")
        self._name("Stop etcd", "Start etcd" if board.coordinator == "paused" else "")

    def _reasons(self, board: BoardState) -> dict[str, str]:
        """Return for each button why it can do nothing now; "" for one that can."""
        busy = board.status in {"progressing", "paused"}
        chosen = str(self.version.value)
        runs_already = {instance.version for instance in board.instances} == {chosen}
        return {
            "Deploy": "a deployment is in progress" if busy else f"{chosen} runs already" * runs_already,
            "Pause": self._not_held(),
            "Promote": self._not_held() or self._not_promoted(),
            "Roll back": self._not_held() if busy else self._no_way_back,
            "Stop etcd": "" if self._has_toggles else NO_TOGGLES,
        }

    def _not_held(self) -> str:
        """Return why the deployment cannot be held or ended from here; "" when it can."""
        if not self._deploying:
            return "no deployment of this board is in progress"
        return "it is being rolled back" if self.control.aborted else ""

    def _not_promoted(self) -> str:
        """Return why the deployment cannot be promoted; "" when it can."""
        if self.strategy.value != "canary":
            return "only a canary is promoted"
        return "it is paused: resume it first" if self.control.paused else ""

    def _name(self, button: str, description: str) -> None:
        """Give a button another description; "" is its own."""
        description = description or button
        if self.buttons[button].description != description:
            self.buttons[button].description = description

    # What the buttons do

    def _begin(self, action: Callable[[], object]) -> None:
        begin(action, self.message)

    def _deploy(self) -> None:
        if deployment.status(self._fleet) in {"progressing", "paused"}:
            expected = f"nobody deploys {self._fleet.service} now"
            raise LabError(
                expected, "a deployment is in progress", "wait until it has ended, or press Roll back"
            )
        self.control, self.message.value = Control(), ""
        self._log(self._deploy_line())
        self.buttons["Pause"].description = "Pause"
        image, version = self._images[self.version.value], str(self.version.value)
        self._deployed = image
        self.evidence = Evidence(self.load, version) if self.load else None
        self._deploying, self._no_way_back = True, ""
        try:
            self._on_end(self._run(image))
        finally:
            self._deploying = False

    def _run(self, image: str) -> Deployment:
        """Deploy an image by the strategy that is chosen."""
        health: Callable[[], str] = self.evidence or (lambda: "")
        options: dict[str, Any] = {"control": self.control, "on_event": self._on_event}
        if self.strategy.value == "rolling":
            limits = {"surge": self.surge.value, "unavailable": self.unavailable.value}
            return deployment.rolling(self._fleet, image, health=health, **limits, **options)
        if self.strategy.value == "blue/green":
            return deployment.blue_green(self._fleet, image, keep=True, health=health, **options)
        return deployment.canary(self._fleet, image, health, **options)

    def _on_event(self, step: Step) -> None:
        name = step.instance or f"an instance of {step.image.rpartition(':')[2]}"
        self.events.append(f"{step.at_s:.1f} s {name} {step.words}")
        if step.state == StepState.IN_BALANCER:
            self._begin(self._apply_faults)  # an error of it must not end the deployment

    def _on_end(self, done: Deployment) -> None:
        self.events.append(f"{done.seconds:.1f} s {done.result} {done.reason}")
        if done.result == "rolled back":
            self._no_way_back = BACK_ALREADY
        evidence = self.evidence.e_value if self.evidence and done.result == "deployed" else 0.0
        if self.evidence and evidence > WEIGHTY:
            late = f"the evidence against it had grown to {evidence:.1f} of {self.evidence.threshold:.0f}"
            self.events.append(f"it ended before it was judged: {late}; a canary is watched for longer")

    def _promote(self) -> None:
        self._log("control.promote()")
        self.control.promote()

    def _pause(self) -> None:
        if self.control.paused:
            self._log("control.resume()")
            self.control.resume()
        else:
            self._log("control.pause()")
            self.control.pause()
        self.buttons["Pause"].description = "Resume" if self.control.paused else "Pause"

    def _roll_back(self) -> None:
        """Abort the deployment in progress; without one, deploy again what served before the last."""
        if deployment.status(self._fleet) in {"progressing", "paused"}:
            self._log("control.abort()")
            self.control.abort()
        else:
            self.evidence = None
            done = deployment.roll_back(self._fleet, on_event=self._on_event)
            self._log("deployment.roll_back(fleet)")
            self._on_end(done)
            self._no_way_back = BACK_ALREADY

    def _stall(self) -> None:
        """Pause the selected instance, else the first one; resume it, or one of them, when it is paused."""
        instances = self._fleet.instances
        names = [instance.name for instance in instances]
        paused = [instance.name for instance in instances if instance.state == "paused"]
        stalled = self.selected if self.selected in names else min(paused, default=names[0])
        place = names.index(stalled)
        verb = "resume" if stalled in paused else "pause"
        self._log(f"fleet.instances[{place}].{verb}()")
        self._do(instances[place], verb)

    def _stop_etcd(self) -> None:
        """Pause the coordinator, or resume it."""
        coordinator = self._fleet.environment.element("coordinator")
        verb = "resume" if coordinator.state == "paused" else "pause"
        self._log(f'environment.element("coordinator").{verb}()')
        self._do(coordinator, verb)

    @staticmethod
    def _do(element: Element, verb: str) -> None:
        if verb == "resume":
            element.resume()
        else:
            element.pause()

    # The faults

    def _apply_faults(self) -> None:
        """Give the instances of the chosen version the faults that are chosen, once this board deployed it.

        Instances that had faults from this board and are of another version lose them; faults that somebody
        else gave stay.
        """
        with self._faulting:  # of two at once, the one with the older figures could be the last
            balancer = self._fleet.balancer
            known, failing, slowed = (
                balancer.servers(self._fleet.service),
                balancer.failing(),
                balancer.slowed(),
            )
            for instance in self._fleet.instances:
                chosen = instance.image == self._deployed == self._images[self.version.value]
                # The balancer makes the faults, so an instance that it does not know cannot have one.
                if instance.name not in known or not (chosen or instance.name in self._with_faults):
                    continue
                self._with_faults.add(instance.name)
                share, ms = (self.errors.value, self.latency_ms.value) if chosen else (0.0, 0)
                if failing.get(instance.name, 0.0) != share:
                    balancer.fail(instance, share)
                if slowed.get(instance.name, 0) != ms:
                    balancer.slow(instance, ms)
