"""IPython's extension in each kernel beside labkit: a missing name in a lab is a hint, no traceback.

`extension/ipython_kernel_config.py` has every kernel load it, so it is at work before a lab's first cell. It
imports nothing until a NameError comes.
"""

from types import TracebackType
from typing import Any


def load_ipython_extension(shell: Any) -> None:  # noqa: ANN401 - IPython's shell has no types
    """Show a lab's NameErrors in other words (IPython's own hook for extensions)."""
    shell.set_custom_exc((NameError,), _show)


def _show(
    shell: Any,  # noqa: ANN401 - as above
    kind: type[BaseException],
    error: NameError,
    trace: TracebackType,
    tb_offset: int | None = None,
) -> None:
    from labkit.lesson import missing_name  # noqa: PLC0415 - a kernel starts without labkit's rooms

    hint = missing_name(error)
    shown = (kind, error, trace) if hint is None else (type(hint), hint, None)
    shell.showtraceback(shown, tb_offset=tb_offset)
