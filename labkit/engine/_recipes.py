"""What each image is made from, and the digest of that, which tells when an image is out of date."""

import hashlib
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from labkit._tar import pack
from labkit.engine._labels import BUILD, GRADER, PYTHON, SERVERS
from labkit.engine._wheelhouse import unpack, wheelhouse

HERE = Path(__file__).parent / "recipes"
LABKIT = Path(__file__).parents[1]
CARRIED = ("__init__.py", "_http.py", "errors.py", "coordination.py", "service", "toggles", "skew")
"""What of labkit runs inside the system's containers."""

GRADED = (
    "__init__.py",
    "errors.py",
    "experiment",
    "skew",
    "model",
    "grading/_codec.py",
    "grading/_values.py",
    "grading/sandbox",
)
"""What of labkit runs where learners' code is graded: nothing that knows a check."""


@dataclass(frozen=True)
class Recipe:
    """An image's recipe.

    inputs are all files that decide what the image is (name → content). context makes the tar that the build
    gets, for an architecture (amd64, arm64). target is the Dockerfile's stage that becomes the image, None
    means the last.
    """

    image: str
    inputs: dict[str, bytes]
    context: Callable[[str], bytes]
    target: str | None = None

    @property
    def digest(self) -> str:
        """Return the SHA-256 over the inputs, in hexadecimal."""
        total = hashlib.sha256()
        for name, content in sorted(self.inputs.items()):
            total.update(f"{name}\0{len(content)}\0".encode())
            total.update(content)
        return total.hexdigest()


def recipes() -> dict[str, Recipe]:
    """Return the recipes of labkit's images by image, in the order of building."""
    return {recipe.image: recipe for recipe in (_servers(), *_python_and_build(), _grader())}


def lock() -> Path:
    """Return the lock file of the wheelhouse."""
    from labkit.workspace import course  # noqa: PLC0415 - the workspace brings the artifact database's libraries

    return course() / "labs" / "shop" / "wheelhouse.lock"


def dockerfile(name: str) -> bytes:
    """Return the Dockerfile of one recipe: servers, python or grader."""
    return (HERE / name / "Dockerfile").read_bytes()


def _servers() -> Recipe:
    inputs = {"Dockerfile": dockerfile("servers")}
    inputs["labkit-postgres"] = (HERE / "servers" / "labkit-postgres").read_bytes()
    return Recipe(SERVERS, inputs, lambda _architecture: pack(inputs))


def _python_and_build() -> tuple[Recipe, Recipe]:
    requirements = HERE / "python" / "requirements.lock"
    files = {"Dockerfile": dockerfile("python"), **carried()}
    inputs = files | {"requirements.lock": requirements.read_bytes()}

    @cache
    def modules(architecture: str) -> dict[str, bytes]:
        with tempfile.TemporaryDirectory() as folder:
            unpack(requirements, architecture, wheelhouse(lock(), architecture), Path(folder))
            return dict(_under(Path(folder), "modules"))

    def context(architecture: str) -> bytes:
        return pack(files | modules(architecture))

    def context_with_wheels(architecture: str) -> bytes:
        return pack(
            files | modules(architecture) | dict(_under(wheelhouse(lock(), architecture), "wheelhouse"))
        )

    return (
        Recipe(PYTHON, inputs, context, "python"),
        Recipe(BUILD, inputs | {"wheelhouse.lock": lock().read_bytes()}, context_with_wheels, "build"),
    )


def _grader() -> Recipe:
    requirements = HERE / "grader" / "requirements.lock"
    # The room's own first file imports what knows the checks.
    files = {"Dockerfile": dockerfile("grader"), **carried(GRADED), "labkit/labkit/grading/__init__.py": b""}

    def context(architecture: str) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            unpack(requirements, architecture, wheelhouse(requirements, architecture), Path(folder))
            return pack(files | dict(_under(Path(folder), "modules")))

    return Recipe(GRADER, files | {"requirements.lock": requirements.read_bytes()}, context)


def carried(names: Iterable[str] = CARRIED) -> dict[str, bytes]:
    """Return labkit's own files for an image, with the metadata that tells the package's version."""
    files = {}
    for name in names:
        path = LABKIT / name
        if path.is_file():
            files[f"labkit/labkit/{name}"] = path.read_bytes()
        elif path.is_dir():
            files |= dict(_under(path, f"labkit/labkit/{name}"))
    version = _version()
    fields = f"Metadata-Version: 2.1\nName: pipeline-labkit\nVersion: {version}\n"
    return files | {f"labkit/pipeline_labkit-{version}.dist-info/METADATA": fields.encode()}


def _version() -> str:
    """Return labkit's version: from the checkout, which is used before it is installed, else as installed."""
    checkout = LABKIT.parent / "pyproject.toml"
    if checkout.is_file():
        return str(tomllib.loads(checkout.read_text(encoding="utf-8"))["project"]["version"])
    return metadata.version("pipeline-labkit")


def _under(folder: Path, name: str) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield f"{name}/{path.relative_to(folder).as_posix()}", path.read_bytes()
