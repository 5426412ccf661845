"""The deployment board: the live state of a fleet, below the controls that deploy to it."""

from collections.abc import Mapping

from labkit.deployment import Fleet
from labkit.errors import LabError
from labkit.load import RunningLoad
from labkit.toggles import ToggleStore
from labkit.widgets._deployment_controls import Controls
from labkit.widgets._deployment_drawing import draw, tables
from labkit.widgets._deployment_state import StateReader
from labkit.widgets._views import LiveViews

GONE_S = 10
"""After so many seconds in which it could not be seen, a fleet is gone."""

CODE = """\
control = deployment.Control()
deployment.rolling(fleet, images["v2"], surge=1, unavailable=0, control=control)
control.pause()                          # resume(), promote(), abort(), all from another thread
deployment.roll_back(fleet)
fleet.instances[-1].fail(0.1)            # slow(300), pause(), resume()
environment.element("coordinator").pause()"""


class DeploymentBoard(LiveViews):
    """Shows a fleet, four times a second, and does what its controls say."""

    PAUSE_S = 0.25

    def __init__(
        self, fleet: Fleet, images: Mapping[str, str], load: RunningLoad | None, store: ToggleStore | None
    ) -> None:
        super().__init__(f"{fleet.service} in {fleet.environment.name}", CODE)
        self.controls = Controls(fleet, images, load, has_toggles=store is not None)
        self._fleet, self._reader = fleet, StateReader(fleet, store)
        self._svg, self._missed = "", 0
        self.children = (*self.controls.rows, *self.children)
        self.look()
        self.follow()

    @property
    def load(self) -> RunningLoad | None:
        """The load by which new versions are judged; None judges nothing."""
        return self.controls.load

    @load.setter
    def load(self, load: RunningLoad | None) -> None:
        self.controls.load = load

    def look(self) -> None:
        """Show the fleet, and apply the faults of the sliders; end when the fleet is gone."""
        controls = self.controls
        try:
            instances = self._fleet.instances
            state = self._reader.read(instances, controls.load, controls.evidence, controls.events)
            controls.apply_faults(instances, state.instances)
        except (LabError, OSError):
            self._missed += 1
            if self._missed * self.PAUSE_S > GONE_S:
                self.end()
            return
        self._missed = 0
        svg = draw(state)
        if svg != self._svg:
            self._svg = svg
            self.update(svg, *tables(state))


def deployment_board(
    fleet: Fleet,
    images: Mapping[str, str],
    *,
    load: RunningLoad | None = None,
    store: ToggleStore | None = None,
) -> DeploymentBoard:
    """Return the board of a fleet; images maps each version that can be deployed to its image.

    With a load that is applied to the fleet, the board shows what customers measure, and judges new versions
    by it; `board.load` can be set later. With a store, the board shows its toggles. None leaves these out.
    """
    return DeploymentBoard(fleet, images, load, store)
