"""The workspace: made once, opened often, never overwritten."""

import json
import os
import secrets
import shlex
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from labkit.errors import LabError
from labkit.system import System
from labkit.workspace._course import course
from labkit.workspace._lock import hold
from labkit.workspace._repository import make_repository
from labkit.workspace._settings import NEW, Settings

if TYPE_CHECKING:
    from labkit.artifacts import ArtifactDatabase

OWN = ".labkit"
PRIVATE = 0o700
"""The mode of labkit's own folder: predictions, answers and the key are nobody else's."""


class Workspace:
    """A learner's folder. root is its absolute path; id is 12 hexadecimal digits, made with the workspace."""

    def __init__(self, root: Path, identity: str) -> None:
        self.root = root
        self.id = identity

    @classmethod
    def create(cls, root: Path | str, *, notebooks: Mapping[str, bytes] | None = None) -> Self:
        """Make a workspace, or complete one: what is there already stays as it is.

        notebooks maps a path in the workspace to a notebook's content; None adds none.

        :raises LabError: when the folder cannot be written, lies inside the course's own folder, or has a
            `shop` that is no git repository.
        """
        folder = Path(root).expanduser().absolute()
        if folder.resolve().is_relative_to(course().resolve()):
            next_step = "name another folder, for example: labkit start ~/pipeline"
            raise LabError("a folder outside of the course's own", str(folder), next_step)
        try:
            return cls._complete(folder, notebooks or {})
        except OSError as fault:
            next_step = "make the folder writable, or name another one: labkit start DIR"
            seen = f"{fault.strerror}: {fault.filename}"
            raise LabError(f"a workspace can be made in {folder}", seen, next_step) from fault

    @classmethod
    def _complete(cls, folder: Path, notebooks: Mapping[str, bytes]) -> Self:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / OWN).mkdir(mode=PRIVATE, exist_ok=True)
        (folder / OWN).chmod(PRIVATE)  # also that of a workspace made before
        with hold(folder / OWN / "locks", "start"):
            _write_new(folder / OWN / ".gitignore", b"*\n")
            _write_new(folder / OWN / "settings.toml", NEW.encode())
            _make_shop(folder)
            for name, content in notebooks.items():
                _write_new(folder / name, content)
            # The id comes last: `open` takes a folder with an id for a whole workspace.
            _write_new(folder / OWN / "id", f"{secrets.token_hex(6)}\n".encode())
        return cls.open(folder)

    @classmethod
    def open(cls, root: Path | str | None = None) -> Self:
        """Open a workspace.

        None takes the folder that $LABKIT_WORKSPACE names, else the nearest folder upwards that is one.

        :raises LabError: when there is none.
        """
        named = root or os.environ.get("LABKIT_WORKSPACE") or None
        start = Path(named or Path.cwd()).expanduser().absolute()
        for folder in (start,) if named else (start, *start.parents):
            file = folder / OWN / "id"
            if file.is_file():
                return cls(folder, file.read_text(encoding="utf-8").strip())
        where = f"{start} is none" if named else f"neither {start} nor a folder above it is one"
        place = shlex.quote(str(start)) if named else "~/labkit"
        raise LabError("a workspace", where, f"make one: labkit start {place}")

    @property
    def shop(self) -> Path:
        """The git repository of the system under deployment."""
        return self.root / "shop"

    @property
    def checkout(self) -> Path:
        """The folder for the files of the commit that a run takes; the lock "pipeline" protects it."""
        return self.root / OWN / "checkout"

    @property
    def system(self) -> System:
        """The system as the repository's working tree declares it now.

        :raises LabError: when its system.toml has a mistake.
        """
        return System.load(self.shop)

    @property
    def settings(self) -> Settings:
        """The workspace's settings as they stand in .labkit/settings.toml now.

        :raises LabError: when the file has a mistake.
        """
        return Settings.load(self.root / OWN / "settings.toml")

    @cached_property
    def artifacts(self) -> "ArtifactDatabase":
        """The artifact database, opened when first used; its head hash is kept as a note in `shop`.

        It closes with the workspace: when nobody refers to it any more, or when the program ends.

        :raises LabError: when the database that the settings name cannot be opened.
        """
        from labkit.artifacts import ArtifactDatabase  # noqa: PLC0415 - a command line that asks nothing stays quick

        own = self.root / OWN
        place = self.settings.artifacts or own / "artifacts.db"
        return ArtifactDatabase.open(place, key=own / "artifacts.key", notes=self.shop)

    def lock(self, name: str) -> AbstractContextManager[None]:
        """Hold a lock of this workspace for one block. However its process ends, the lock ends with it.

        :raises LabError: when somebody holds it, also when this process does.
        """
        return hold(self.root / OWN / "locks", name)

    def reset(self, lab: str, *, notebooks: Mapping[str, bytes]) -> Path | None:
        """Put one lab's notebook back as it was; the shop's git history stays as it is.

        lab is its slug. Return the path of the learner's copy, a dated file beside the notebook; None when
        there was no notebook or nothing in it had changed.

        :raises LabError: when there is no such lab.
        """
        labs = {_slug(name, content): name for name, content in notebooks.items()}
        if lab not in labs:
            raise LabError(f"one of the labs {', '.join(sorted(labs))}", repr(lab), "name one of them")
        path, content = self.root / labs[lab], notebooks[labs[lab]]
        kept = None
        if path.exists() and path.read_bytes() != content:
            kept = _beside(path)
            path.rename(kept)
        _write_new(path, content)
        return kept


def _make_shop(folder: Path) -> None:
    shop = folder / "shop"
    if (shop / ".git").exists():
        return
    if shop.exists() and any(shop.iterdir()):
        seen, next_step = f"{shop} holds something else", "move that folder away, then try again"
        raise LabError("an empty place for the shop's git repository", seen, next_step)
    make_repository(shop, folder / OWN / "hooks")


def _write_new(path: Path, content: bytes) -> None:
    """Write a file, all or nothing; a file that exists stays as it is."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    part.replace(path)


def _slug(name: str, content: bytes) -> str:
    """Return a lab's identity from its notebook's metadata; the file's name where there is none."""
    try:
        return str(json.loads(content)["metadata"]["labkit"]["id"])
    except (ValueError, KeyError, TypeError):
        return Path(name).stem


def _beside(path: Path) -> Path:
    """Return a path beside a file with the date and time in its name that does not exist yet."""
    moment = datetime.now().astimezone().strftime("%Y-%m-%d-%H%M%S")
    names: Iterator[str] = (
        f"{path.stem}.{moment}{more}{path.suffix}" for more in ("", *(f"-{n}" for n in range(2, 100)))
    )
    return next(free for name in names if not (free := path.with_name(name)).exists())
