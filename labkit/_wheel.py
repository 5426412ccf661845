"""Build hook: puts the course into the wheel as labkit/course, its notebooks without their solutions."""

import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

LEFT_OUT = shutil.ignore_patterns("__pycache__", ".*_cache", ".venv", "*.pyc")


class Course(BuildHookInterface[Any]):
    """Collects the course in a temporary folder for a wheel; an editable install reads the checkout."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the course into a folder and have hatch include that folder."""
        if version == "editable":
            return
        self._folder = TemporaryDirectory()
        course, checkout = Path(self._folder.name), Path(self.root)
        for folder in ("labs/shop", "datasets"):
            if checkout.joinpath(folder).is_dir():
                shutil.copytree(checkout / folder, course / folder, ignore=LEFT_OUT)
        sys.path.insert(0, str(checkout))
        try:
            from labkit.grading import learner_notebooks  # noqa: PLC0415 - the checkout was not on the path before
        finally:
            sys.path.remove(str(checkout))
        for rubric in checkout.glob("labs/[0-9]*/rubric.toml"):
            (course / rubric.relative_to(checkout)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(rubric, course / rubric.relative_to(checkout))
        for name, content in learner_notebooks().items():
            path = course / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        build_data["force_include"][str(course)] = "labkit/course"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002 - hatch's
        """Remove the temporary folder."""
        if version != "editable":
            self._folder.cleanup()
