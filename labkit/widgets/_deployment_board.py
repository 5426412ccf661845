"""The deployment board: a fleet while it is deployed, and the controls to deploy it, each with its code."""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from html import escape
from typing import Any

import ipywidgets

from labkit import deployment
from labkit.deployment import Control, Deployment, Evidence, Fleet, Step
from labkit.environment import Instance
from labkit.errors import LabError
from labkit.load import Measurement, RunningLoad
from labkit.toggles import ToggleStore
from labkit.widgets._deployment_drawing import Cell, Shown, draw, tables
from labkit.widgets._faces import Following

OBJECTIVE = 0.01
GONE_S = 10
EVENTS = 200
CODE = """\
control = deployment.Control()
deployment.rolling(fleet, images["v2"], surge=1, unavailable=0, control=control)
control.pause()                          # resume(), promote(), abort(), all from another thread
deployment.roll_back(fleet)
fleet.instances[-1].fail(0.1)            # slow(300), pause(), resume()
environment.element("coordinator").pause()"""


class DeploymentBoard(Following):
    """Follows a fleet, looks four times a second, and does what its controls say."""

    PAUSE_S = 0.25

    def __init__(
        self, fleet: Fleet, images: Mapping[str, str], load: RunningLoad | None, store: ToggleStore | None
    ) -> None:
        super().__init__(f"{fleet.service} in {fleet.environment.name}", CODE)
        self.load, self.control = load, Control()
        self._fleet, self._images, self._store = fleet, images, store
        self._evidence: Evidence | None = None
        self._events: deque[str] = deque(maxlen=EVENTS)
        self._svg, self._stalled, self._frozen = "", "", False
        self._deployed, self._hurting, self._missed = "", set[str](), 0
        self._make_controls()
        self.look()
        self.follow()

    # What it shows

    def look(self) -> None:
        """Look again; a fleet that cannot be seen for ten seconds is gone, and that ends it."""
        try:
            shown = self._shown()
        except (LabError, OSError):
            self._missed += 1
            self._fleet.environment.refresh()
            if self._missed * self.PAUSE_S > GONE_S:
                self.end()
            return
        self._missed = 0
        svg = draw(shown)
        if svg != self._svg:
            self._svg = svg
            self.update(svg, *tables(shown))

    def _shown(self) -> Shown:
        fleet = self._fleet
        evidence = (self._evidence.e_value, self._evidence.threshold) if self._evidence else None
        return Shown(
            title=f"{fleet!r} – {deployment.status(fleet)}",
            cells=self._cells(),
            measurement=self.load.snapshot() if self.load else Measurement(),
            objective=OBJECTIVE,
            toggles=self._toggles(),
            evidence=evidence,
            events=tuple(self._events),
        )

    def _cells(self) -> list[Cell]:
        """Return the instances; those of the version that was deployed are given what the sliders say."""
        balancer, found = self._fleet.environment.balancer, self._fleet.instances
        try:
            servers = balancer.servers(self._fleet.service)
            slow, failing = balancer.slowed(), balancer.failing()
        except OSError:
            servers, slow, failing = {}, {}, {}
        cells = []
        for it in found:
            known = servers.get(it.name)
            if known:
                self._hurt(it, failing.get(it.name, 0.0), slow.get(it.name, 0))
            trouble = [f"{failing[it.name]:.0%} fail"] if it.name in failing else []
            trouble += [f"+{slow[it.name]} ms"] if it.name in slow else []
            cells.append(
                Cell(it.name, it.version, it.state, known.sessions if known else 0, ", ".join(trouble))
            )
        return cells

    def _hurt(self, instance: Instance, share: float, ms: int) -> None:
        """Give an instance of the chosen version, once that was deployed, its faults; others lose theirs."""
        new = instance.image == self._deployed == self._images[self._version.value]
        if not new and instance.name not in self._hurting:
            return
        self._hurting.add(instance.name)
        wanted = (self._errors.value, self._latency.value) if new else (0.0, 0)
        balancer = self._fleet.environment.balancer
        if share != wanted[0]:
            balancer.fail(instance, wanted[0])
        if ms != wanted[1]:
            balancer.slow(instance, wanted[1])

    def _toggles(self) -> dict[str, str]:
        if self._store is None:
            return {}
        try:
            told = self._store.all()
            return {name: self._told(name, state) for name, state in told.items()}
        except (OSError, LabError):
            return {"store": "does not answer"}

    def _told(self, name: str, state: str) -> str:
        assert self._store is not None  # noqa: S101 - its caller has asked
        ready, of = self._store.readiness(name, self._fleet.service)
        return f"{state}, {ready}/{of} ready" if ready else state

    # What one can do

    def _make_controls(self) -> None:
        wide = {"width": "auto"}
        self._version = ipywidgets.Dropdown(options=list(self._images), description="version")
        self._strategy = ipywidgets.Dropdown(
            options=["rolling", "blue/green", "canary"], description="strategy"
        )
        self._surge = ipywidgets.IntSlider(1, 0, 5, description="surge")
        self._unavailable = ipywidgets.IntSlider(0, 0, 5, description="unavailable")
        self._errors = ipywidgets.FloatSlider(
            0.0, min=0, max=1, step=0.05, readout_format=".0%", description="errors"
        )
        self._latency = ipywidgets.IntSlider(0, 0, 1000, 50, description="latency ms")
        buttons: list[tuple[str, str, Callable[[], object]]] = [
            ("Deploy", "rocket", self._deploy),
            ("Pause", "pause", self._pause),
            ("Promote", "check", self._promote),
            ("Roll back", "undo", self._roll_back),
            ("Stall an instance", "hand-paper-o", self._stall),
            ("Stop etcd", "power-off", self._freeze),
        ]
        self._buttons = {}
        for label, icon, do in buttons:
            button = ipywidgets.Button(description=label, icon=icon, layout=wide)
            button.on_click(lambda _, do=do: self._begin(do))
            self._buttons[label] = button
        self._buttons["Stop etcd"].disabled = self._store is None
        self._code, self._words = ipywidgets.HTML(), ipywidgets.HTML()
        for control in (
            self._version,
            self._strategy,
            self._surge,
            self._unavailable,
            self._errors,
            self._latency,
        ):
            control.observe(lambda _: self._tell_code(), "value")
        self._tell_code()
        rows = (
            [self._version, self._strategy, self._surge, self._unavailable],
            list(self._buttons.values())[:4],
            [self._errors, self._latency, *list(self._buttons.values())[4:]],
        )
        boxes = [ipywidgets.HBox(row, layout={"flex_flow": "row wrap"}) for row in rows]
        faces = self.children
        self.children = (*boxes, self._code, self._words, *faces)

    def _tell_code(self) -> None:
        """Show the line that Deploy stands for, and those of the faults."""
        lines, new = [self._line()], f'for it in fleet.instances if it.version == "{self._version.value}"'
        if self._errors.value:
            lines.append(f"[it.fail({self._errors.value:g}) {new}]")
        if self._latency.value:
            lines.append(f"[it.slow({self._latency.value}) {new}]")
        told = "<br>".join(escape(line) for line in lines)
        self._code.value = f"<code>{told}</code>"

    def _line(self) -> str:
        version = f'"{self._version.value}"'
        image = f"images[{version}]"
        judge = f"deployment.Evidence(load, {version})" if self.load else 'lambda: ""'
        health = f", health={judge}" if self.load else ""
        limits = f"surge={self._surge.value}, unavailable={self._unavailable.value}"
        return {
            "rolling": f"deployment.rolling(fleet, {image}, {limits}{health})",
            "blue/green": f"deployment.blue_green(fleet, {image}, keep=True{health})",
            "canary": f"deployment.canary(fleet, {image}, {judge})",
        }[str(self._strategy.value)]

    def _begin(self, do: Callable[[], object]) -> None:
        """Do something beside the kernel's own thread; what fails is said below the controls."""

        def work() -> None:
            try:
                do()
            except Exception as fault:  # noqa: BLE001 - shown to the learner, in the place where they look
                self._words.value = f"<pre>{escape(str(fault))}</pre>"

        threading.Thread(target=work, daemon=True, name="labkit-button").start()

    def _did(self, code: str) -> None:
        """Write down, among the events, the code that a button stands for."""
        self._events.append(f"you: {code}")

    def _deploy(self) -> None:
        self.control, self._words.value = Control(), ""
        self._did(self._line())
        self._buttons["Pause"].description = "Pause"
        image, version = self._images[self._version.value], str(self._version.value)
        self._deployed = image
        self._evidence = Evidence(self.load, version) if self.load else None
        health: Callable[[], str] = self._evidence or (lambda: "")
        given: dict[str, Any] = {"control": self.control, "on_event": self._hear}
        if self._strategy.value == "rolling":
            limits = {"surge": self._surge.value, "unavailable": self._unavailable.value}
            done = deployment.rolling(self._fleet, image, health=health, **limits, **given)
        elif self._strategy.value == "blue/green":
            done = deployment.blue_green(self._fleet, image, keep=True, health=health, **given)
        else:
            done = deployment.canary(self._fleet, image, health, **given)
        self._end_of(done)

    def _hear(self, step: Step) -> None:
        name = step.instance or f"an instance of {step.image.rpartition(':')[2]}"
        self._events.append(f"{step.at_s:.1f} s {name} {step.state}")

    def _end_of(self, done: Deployment) -> None:
        self._events.append(f"{done.seconds:.1f} s {done.result} {done.reason}")

    def _promote(self) -> None:
        self._did("control.promote()")
        self.control.promote()

    def _pause(self) -> None:
        if self.control.paused:
            self._did("control.resume()")
            self.control.resume()
        else:
            self._did("control.pause()")
            self.control.pause()
        self._buttons["Pause"].description = "Resume" if self.control.paused else "Pause"

    def _roll_back(self) -> None:
        """Abort what is under way; without that, go back to what served before."""
        if deployment.status(self._fleet) in {"progressing", "paused"}:
            self._did("control.abort()")
            self.control.abort()
        else:
            self._did("deployment.roll_back(fleet)")
            self._end_of(deployment.roll_back(self._fleet, on_event=self._hear))

    def _stall(self) -> None:
        """Freeze the first instance, or wake it."""
        found = self._fleet.instances
        stalled = [place for place, it in enumerate(found) if it.name == self._stalled]
        if stalled:
            self._did(f"fleet.instances[{stalled[0]}].resume()")
            found[stalled[0]].resume()
            self._stalled = ""
        else:
            self._did("fleet.instances[0].pause()")
            found[0].pause()
            self._stalled = found[0].name
        self._buttons["Stall an instance"].description = (
            f"Wake {self._stalled}" if self._stalled else "Stall an instance"
        )

    def _freeze(self) -> None:
        """Freeze the coordinator, or wake it."""
        coordinator = self._fleet.environment.element("coordinator")
        self._did(f'environment.element("coordinator").{"resume" if self._frozen else "pause"}()')
        if self._frozen:
            coordinator.resume()
        else:
            coordinator.pause()
        self._frozen = not self._frozen
        self._buttons["Stop etcd"].description = "Start etcd" if self._frozen else "Stop etcd"


def deployment_board(
    fleet: Fleet,
    images: Mapping[str, str],
    *,
    load: RunningLoad | None = None,
    store: ToggleStore | None = None,
) -> DeploymentBoard:
    """Return the board of a fleet: images are those that can be deployed, by version.

    With a load that is applied to it the board shows what customers see, and judges new versions by that;
    `board.load` can be set later. With the store of its toggles it shows those.
    """
    return DeploymentBoard(fleet, images, load, store)
