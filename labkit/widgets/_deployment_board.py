"""The deployment board: the live state of a fleet, below the controls that deploy to it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import ipywidgets
import traitlets

from labkit.deployment import Fleet
from labkit.errors import LabError
from labkit.load import RunningLoad
from labkit.toggles import ToggleStore
from labkit.widgets._deployment_controls import MOST_LATENCY_MS, MOST_SURGE, STRATEGIES, Controls
from labkit.widgets._deployment_drawing import draw, tables
from labkit.widgets._deployment_state import BoardState, StateReader
from labkit.widgets._live import SelectableViews
from labkit.widgets._picture import Picture

GONE_S = 10
"""After so many seconds in which it could not be seen, a fleet is gone."""

CODE = """\
control = deployment.Control()
deployment.rolling(fleet, images["v2"], surge=1, unavailable=0, control=control)
control.pause()                          # resume(), promote(), abort(), all from another thread
deployment.roll_back(fleet)
fleet.instances[-1].fail(0.1)            # slow(300), pause(), resume()
environment.element("coordinator").pause()"""


class DeploymentBoard(SelectableViews):
    """Shows a fleet, four times a second, and does what its controls say.

    `state` maps each instance to the balancer's word for it. The selected instance is the one that the button
    stalls. The traits version to latency_ms are the controls; setting one is moving it.
    """

    PAUSE_S = 0.25

    status = traitlets.Unicode(
        read_only=True, help='the status of the fleet, as deployment.status has it; "gone" without a fleet'
    )
    instances = traitlets.Tuple(read_only=True, help="an InstanceReading of each instance")
    load = traitlets.Instance(
        RunningLoad, allow_none=True, help="the load by which versions are judged; None judges nothing"
    )
    version = traitlets.Unicode(help="the version to deploy, one of images")
    strategy = traitlets.Enum(STRATEGIES, STRATEGIES[0], help="how to deploy it")
    surge = traitlets.Int(1, min=0, max=MOST_SURGE, help="how many instances more, in a rolling upgrade")
    unavailable = traitlets.Int(0, min=0, max=MOST_SURGE, help="how many fewer, in a rolling upgrade")
    errors = traitlets.Float(0.0, min=0, max=1, help="the share of the version's answers that fail")
    latency_ms = traitlets.Int(0, min=0, max=MOST_LATENCY_MS, help="by how much its answers are delayed")

    def __init__(
        self,
        fleet: Fleet,
        images: Mapping[str, str],
        *,
        load: RunningLoad | None = None,
        store: ToggleStore | None = None,
    ) -> None:
        """Show a fleet; images maps each version that can be deployed to its image.

        With a load that is applied to the fleet, the board shows what customers measure, and judges new
        versions by it. With a store, the board shows its toggles. None leaves these out.
        """
        self.controls = Controls(fleet, images, load, has_toggles=store is not None)
        super().__init__("instance", CODE, *self.controls.rows)
        self._reader, self._missed = StateReader(fleet, store, tuple(images)), 0
        self._board = BoardState(str(fleet), "", ())
        self.load, self.version = load, self.controls.version.value
        for name, control in self.controls.inputs.items():
            ipywidgets.link((self, name), (control, "value"))
        self._follow()

    @traitlets.validate("version")
    def _deployable(self, proposal: Any) -> str:  # noqa: ANN401 - traitlets' own kind of dictionary
        if proposal.value not in self.controls.version.options:
            known = ", ".join(self.controls.version.options)
            message = f"expected: one of the versions {known}; seen: {proposal.value!r}"
            raise traitlets.TraitError(message)
        return str(proposal.value)

    @traitlets.observe("load", "selected")
    def _tell_controls(self, _: object) -> None:
        self.controls.load, self.controls.selected = self.load, self.selected

    def _read(self) -> None:
        """Read the fleet; end when it is gone."""
        controls = self.controls
        try:
            if controls.evidence and self._board.status == "paused":
                controls.evidence()  # a deployment that is held does not ask, and customers go on
            board = self._reader.read(controls.load, controls.evidence, controls.events)
        except (LabError, OSError):
            self._missed += 1
            if self._missed * self.PAUSE_S <= GONE_S:
                return
            self._end()
            board = replace(self._board, status="gone", instances=())
        else:
            self._missed = 0
        controls.show(board)
        self._board = board
        self._set(
            instances=tuple(board.instances),
            state={instance.name: instance.state for instance in board.instances},
            status=board.status,
            running=board.status in {"progressing", "paused"},
        )

    def _draw(self) -> Picture:
        board = replace(self._board, selected=self.selected)
        return Picture(draw(board), tables(board), CODE)
