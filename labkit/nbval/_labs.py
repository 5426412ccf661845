"""What pytest calls while nbval runs cells. Cells of notebooks without labkit's metadata are left alone."""

from collections.abc import Generator
from functools import cached_property
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest
from nbval.kernel import CURRENT_ENV_KERNEL_NAME
from nbval.plugin import IPyNbCell, IPyNbFile, coalesce_streams, get_sanitize_patterns

from labkit.errors import LabError
from labkit.nbval._kernel import KernelDied, notice_death
from labkit.nbval._outputs import compared, write_outputs

if TYPE_CHECKING:
    from labkit.lesson import RunWorkspace

TAG = "nbval-check-output"
NBVAL_TIMEOUT_S = 2000.0
TIMEOUT_S = 300.0
"""How long a lab's cell may take without --nbval-cell-timeout; labkit's own waits end before."""


class Labs:
    """The labs of one run. store is whether their outputs are stored instead of compared."""

    def __init__(self, *, store: bool) -> None:
        self._store = store
        self._changed: list[int] = []
        self._failed_before = 0

    @cached_property
    def _workspace(self) -> "RunWorkspace":
        """The workspace, made for the first lab; the one that the user works in is not touched."""
        from labkit.lesson import RunWorkspace  # noqa: PLC0415 - loads the rooms, which only a lab needs

        return RunWorkspace()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: IPyNbCell) -> Generator[None]:
        """Start a lab's kernel: with this Python, in the run's workspace, without a learner."""
        lab = _lab(item)
        if lab is None or lab.kernel is not None:
            yield
            return
        self._changed, self._failed_before = [], item.session.testsfailed
        lab.nb.metadata["kernelspec"] = {"name": CURRENT_ENV_KERNEL_NAME}
        with pytest.MonkeyPatch.context() as environment:
            for name, value in self._workspace.variables.items():
                environment.setenv(name, value)
            yield
        notice_death(lab.kernel)
        patterns = files("labkit.nbval").joinpath("sanitize.cfg").read_text(encoding="utf-8")
        lab.sanitize_patterns.update(get_sanitize_patterns(patterns))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: IPyNbCell) -> Generator[None]:
        """Run a lab's cell within the lab's own time, and keep its result when that was asked for."""
        lab = _lab(item)
        if lab is None:
            yield
            return
        with pytest.MonkeyPatch.context() as options:
            if item.config.option.nbval_cell_timeout == NBVAL_TIMEOUT_S:
                options.setattr(item.config.option, "nbval_cell_timeout", TIMEOUT_S)
            if self._store:
                options.setitem(item.options, "check", value=False)
            try:
                yield
            except KernelDied:
                item.raise_cell_error("The kernel died")
        if self._store and TAG in item.cell.metadata.get("tags", ()):
            self._keep(lab, item)

    def _keep(self, lab: IPyNbFile, item: IPyNbCell) -> None:
        """Put a cell's result into the notebook, unless nbval takes it for the one that is there."""
        cell, count = item.cell, item.cell_num + 1
        outputs = compared(item.test_outputs, lab.skip_compare, count)
        if not item.compare_outputs(outputs, coalesce_streams(cell.outputs)):
            cell.outputs, cell.execution_count = outputs, count
            self._changed += [place for place, other in enumerate(lab.nb.cells) if other is cell]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: IPyNbCell, nextitem: pytest.Item | None) -> Generator[None]:
        """After a lab's last cell, look for what is left, and remove it.

        :raises LabError: when something was left although no cell failed.
        """
        lab = _lab(item)
        if lab is None or (nextitem is not None and nextitem.parent is lab):
            yield
            return
        left = self._workspace.left()  # before the kernel ends, because what it owns ends with it
        yield
        if self._changed:
            write_outputs(item.path, lab.nb, self._changed)
        self._workspace.clean_up()
        if left and item.session.testsfailed == self._failed_before:
            raise LabError(
                "nothing of a lab is left after its last cell",
                ", ".join(left),
                "end the notebook with lab.close(), and production with Environment.clean_up_all(workspace)",
            )

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Remove the workspace, and with it what an interrupted run left."""
        if "_workspace" in vars(self):
            self._workspace.close()


def _lab(item: pytest.Item) -> IPyNbFile | None:
    """Return the notebook that an item is a cell of, when it is a lab."""
    if isinstance(item, IPyNbCell) and "labkit" in item.parent.nb.metadata:
        return item.parent
    return None
