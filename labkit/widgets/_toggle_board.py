"""The toggle board: how toggles stand in running instances, and the controls that switch them."""

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import ipywidgets
import traitlets

from labkit.deployment import Fleet
from labkit.errors import LabError
from labkit.load import RunningLoad, Tally
from labkit.toggles import ToggleStore, switch
from labkit.widgets._buttons import allow, working_button
from labkit.widgets._drawing import FILLS, box, cut, picture, text
from labkit.widgets._live import SelectableViews
from labkit.widgets._picture import Picture
from labkit.widgets._table import Table

EVENTS, SHOWN_EVENTS = 200, 6
WIDTH, ROW, NAMES, CELL, ACROSS = 560, 30, 268, 90, 3
LONGEST = 80
"""At most so many characters of an event fit into the picture; the table has all."""
NOT_SET = "off"
"""How a toggle stands that nobody has set."""

CODE = """\
toggles.switch(store, "basket_discount", ["cart"])      # all instances at one moment, or none
toggles.switch(store, "basket_discount", ["cart"], on=False)
store.acknowledged("basket_discount", "cart")           # who is ready, while it is staged
store.remove("basket_discount")                         # off from then on"""


@dataclass(frozen=True)
class TogglesState:
    """What the board shows: the value of each toggle, which instances are ready for it, what clients got.

    ready maps toggle → instance → whether it has acknowledged what is staged. answers is None without a load.
    """

    service: str
    values: Mapping[str, str] = field(default_factory=dict)
    ready: Mapping[str, Mapping[str, bool]] = field(default_factory=dict)
    answers: Tally | None = None
    events: Sequence[str] = ()

    def readiness(self, toggle: str) -> str:
        """Return "2/3 ready" while a toggle is staged, else ""."""
        acknowledged = self.ready.get(toggle, {})
        return f"{sum(acknowledged.values())}/{len(acknowledged)} ready" if any(acknowledged.values()) else ""


class ToggleBoard(SelectableViews):
    """Shows the toggles of a fleet's service, four times a second; its buttons switch and remove them.

    `state` maps each toggle to how it stands: "on", "off", or the share for which it is on. The buttons act
    on the selected toggle. A switch is staged first; the board shows which instances are ready for it.
    """

    PAUSE_S = 0.25

    ready = traitlets.Unicode(read_only=True, help='"2/3 ready" while the selected toggle is staged, else ""')

    def __init__(self, fleet: Fleet, *, load: RunningLoad | None = None) -> None:
        """Show a fleet whose environment has a coordinator.

        With a load that is applied to the fleet, the board shows what customers got meanwhile; None leaves
        that out.

        :raises LabError: when the environment has no coordinator, or its system declares no toggle.
        """
        self._fleet, self._load = fleet, load
        self._store = ToggleStore(fleet.environment.coordinator)
        self._declared = sorted(fleet.workspace.system.toggles)
        if not self._declared:
            raise LabError("a system with toggles", "none", "declare one in system.toml: [toggles.NAME]")
        self._events: deque[str] = deque(maxlen=EVENTS)
        self._shown, self._busy = TogglesState(fleet.service), ""
        self._kept = set[str]()
        self.message = ipywidgets.HTML()
        self.buttons = self._make_buttons()
        super().__init__("toggle", CODE, ipywidgets.HBox(list(self.buttons.values())), self.message)
        self._follow()

    def _make_buttons(self) -> dict[str, Any]:
        actions: list[tuple[str, str, Callable[[], object]]] = [
            ("Switch on", "toggle-on", lambda: self._switch(on=True)),
            ("Switch off", "toggle-off", lambda: self._switch(on=False)),
            ("Remove", "trash", self._remove),
        ]
        return {label: working_button(label, icon, action, self.message) for label, icon, action in actions}

    # What the buttons do

    @property
    def toggle(self) -> str:
        """The toggle that the buttons act on: the selected one, else the first."""
        return self.selected or next(iter(self.state), self._declared[0])

    def _switch(self, *, on: bool) -> None:
        if self._busy:
            raise LabError("one switch at a time", self._busy, "wait until it has ended")
        name, more = self.toggle, "" if on else ", on=False"
        self._log(f'toggles.switch(store, "{name}", ["{self._fleet.service}"]{more})')
        self._busy = "a toggle is being switched"
        try:
            switch(self._store, name, [self._fleet.service], on=on)
            self._events.append(f"{name} is {'on' if on else 'off'} for every instance")
        except LabError as refusal:
            self._events.append(f"{name} is as it was: {refusal.seen}")
            raise
        finally:
            self._busy = ""

    def _remove(self) -> None:
        self._log(f'store.remove("{self.toggle}")')
        self._store.remove(self.toggle)

    def _log(self, code: str) -> None:
        self.message.value = f"<code>{escape(code)}</code>"
        self._events.append(f"you: {code}")

    # What is shown

    def _read(self) -> None:
        """Read the toggles; end when the environment is gone.

        :raises LabError: when the coordinator does not answer, which is shown until it does.
        """
        try:
            self._shown = self._now()
        except LabError:
            environment = self._fleet.environment
            if any(element.container for element in environment.elements()):
                self._store = ToggleStore(environment.coordinator)  # one that started again has another port
                raise
            self._end()
        for button, reason in self._reasons().items():
            allow(self.buttons[button], reason)
        self._set(
            state=dict(self._shown.values),
            ready=self._shown.readiness(self.toggle),
            running=bool(self._busy),
        )

    def _now(self) -> TogglesState:
        kept = self._store.all()
        self._kept, values = set(kept), dict.fromkeys(self._declared, NOT_SET) | kept
        return TogglesState(
            self._fleet.service,
            values,
            {name: self._store.acknowledged(name, self._fleet.service) for name in values},
            self._load.snapshot().tally if self._load else None,
            tuple(self._events),
        )

    def _reasons(self) -> dict[str, str]:
        """Return for each button why it can do nothing now; "" for one that can."""
        value = self._shown.values.get(self.toggle, NOT_SET)
        return {
            "Switch on": self._busy or ("it is on" if value == "on" else ""),
            "Switch off": self._busy or ("it is off" if value == "off" else ""),
            "Remove": self._busy or ("" if self.toggle in self._kept else "nobody has set it"),
        }

    def _draw(self) -> Picture:
        return Picture(draw(self._shown, self.selected), tables(self._shown), CODE)


def tables(state: TogglesState) -> list[Table]:
    """Return the same facts as tables."""
    toggles = [(name, value, state.readiness(name)) for name, value in state.values.items()]
    instances = [
        (instance, name, "yes" if ready else "no")
        for name, acknowledged in state.ready.items()
        for instance, ready in acknowledged.items()
    ]
    rows = [("event", event) for event in state.events]
    if state.answers:
        rows.insert(0, ("customers", _answers(state.answers)))
    return [
        Table(("toggle", "is", "while it is staged"), toggles, f"toggles of {state.service}"),
        Table(("instance", "toggle", "ready for a switch"), instances, "instances"),
        Table(("what", "is"), rows, "customers and events"),
    ]


def draw(state: TogglesState, selected: str | None = None) -> str:
    """Return the board as SVG: for each toggle a row with a box for each instance, then customers, events."""
    title = f"toggles of {state.service}"
    shapes, y = [text(10, 22, title, bold=True)], 36
    for name, value in state.values.items():
        shapes += _row(state, name, value, y, selected=name == selected)
        y += max(1, math.ceil(len(state.ready.get(name, ())) / ACROSS)) * (ROW + 8)
    lines = [_answers(state.answers)] if state.answers else []
    lines += [cut(event, LONGEST) for event in state.events[-SHOWN_EVENTS:]]
    shapes += [text(10, y + 16 + number * 18, line) for number, line in enumerate(lines)]
    words = "; ".join(
        f"{name} {value} {state.readiness(name)}".strip() for name, value in state.values.items()
    )
    return picture(WIDTH, y + 12 + len(lines) * 18, f"{title}: {words}", *shapes)


def _row(state: TogglesState, name: str, value: str, y: float, *, selected: bool) -> list[str]:
    sign, fill, ink = FILLS["not started" if value == NOT_SET else "passed"]
    words = " ".join(filter(None, (f"{sign} {cut(name, 22)}: {value}", state.readiness(name))))
    shapes = [box(10, y, NAMES - 20, ROW, fill, selected=selected), text(20, y + 20, words, ink)]
    for place, (instance, ready) in enumerate(state.ready.get(name, {}).items()):
        sign, fill, ink = FILLS["passed" if ready else "not started"]
        x, below = NAMES + place % ACROSS * (CELL + 6), y + place // ACROSS * (ROW + 8)
        shapes += [box(x, below, CELL, ROW, fill), text(x + 8, below + 20, f"{sign} {cut(instance, 9)}", ink)]
    return shapes


def _answers(tally: Tally) -> str:
    sign = "✗" if tally.failed else "✓"
    return f"{sign} customers got {tally.requests} answers, {tally.failed} of them failed"
