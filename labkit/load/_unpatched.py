"""Lets `import locust` leave this process as it is: gevent's patches hang a notebook's kernel for good.

The child process, where the users run, is patched as locust wants it.
"""

import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType

_SKIP = "LOCUST_SKIP_MONKEY_PATCH"


class _UnpatchedLoader(SourceFileLoader):
    """Sets locust's own switch while locust is imported; processes started later must not inherit it."""

    def exec_module(self, module: ModuleType) -> None:
        """Import locust without its patches."""
        before = os.environ.get(_SKIP, "")
        os.environ[_SKIP] = "1"
        try:
            super().exec_module(module)
        finally:
            os.environ[_SKIP] = before  # locust takes "" for not set


class UnpatchedLocust:
    """A finder for `sys.meta_path` that finds locust alone."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return how locust is imported; None for every other module."""
        spec = PathFinder.find_spec(name, path) if name == "locust" else None
        if spec and spec.origin:
            spec.loader = _UnpatchedLoader(name, spec.origin)
        return spec


def install() -> None:
    """Install the finder. A process that has imported locust before stays as it is."""
    if UnpatchedLocust not in sys.meta_path:
        sys.meta_path.insert(0, UnpatchedLocust)
