"""Makes the learner's git repository of the shop: the same commits, with the same ids, on every machine."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from labkit._git import git
from labkit.errors import LabError
from labkit.workspace._course import course

AUTHOR = ("labkit", "labkit@localhost")
NO_CONFIGURATION = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}
"""Git as if the user had configured nothing: otherwise a commit's id would depend on the machine."""


@dataclass(frozen=True)
class Version:
    """A tag of the repository.

    subject and date are those of its commit. base is the tag that it builds on, "" for the first. overlays
    are folders of the course's versions/ whose files replace those of the base.
    """

    subject: str
    date: str
    base: str = "v1"
    overlays: tuple[str, ...] = ()


VERSIONS = {
    "v1": Version("Sell medicine: storefront, cart, catalog", "2026-01-05T09:00:00+0000", ""),
    "v2": Version("Discount the whole purchase, not each item", "2026-01-12T09:00:00+0000", overlays=("v2",)),
    "toggled": Version(
        "Discount the whole purchase where a toggle says so",
        "2026-01-13T09:00:00+0000",
        overlays=("toggled",),
    ),
    "pinned": Version(
        "Let the toggle decide once for each cart",
        "2026-01-14T09:00:00+0000",
        base="toggled",
        overlays=("pinned",),
    ),
    "tagged-1": Version(
        "Give carts a version, refuse those to come", "2026-01-15T09:00:00+0000", overlays=("tagged-1",)
    ),
    "tagged-2": Version(
        "Discount the whole purchase, translate older carts",
        "2026-01-16T09:00:00+0000",
        base="tagged-1",
        overlays=("v2", "tagged-2"),
    ),
}
BRANCHES = {"main": "v1", "version-2": "v2"}
NOT_THE_LEARNERS = shutil.ignore_patterns(
    "versions", "wheelhouse.*", "__pycache__", ".*_cache", ".ipynb_checkpoints", ".venv"
)
HOOK = """\
#!/bin/sh
# Runs nothing by itself: it only names the next command, and a notebook names it itself.
[ -z "$JPY_PARENT_PID" ] || exit 0
echo "labkit: send it through the pipeline with: labkit pipeline run --commit $(git rev-parse --short HEAD)"
"""


def make_repository(shop: Path, hooks: Path) -> None:
    """Make the repository at `shop`, all or nothing: a tag for each of VERSIONS, main at v1.

    hooks is the folder for its hooks. Later commits carry the learner's name of the global git configuration,
    or "Learner" where it has none.

    :raises LabError: when there is no git, or git fails.
    """
    hooks.mkdir(parents=True, exist_ok=True)
    hook = hooks / "post-commit"
    if not hook.exists():
        hook.write_text(HOOK, encoding="utf-8")
        hook.chmod(0o755)
    with TemporaryDirectory(prefix="shop-", dir=hooks.parent) as folder:
        made = Path(folder, "shop")
        made.mkdir()
        _git(made, "init", "--quiet", "--initial-branch=main", "--object-format=sha1", "--template=")
        _git(made, "fast-import", "--quiet", stdin=b"".join(_history()))
        _git(made, "reset", "--quiet", "--hard")
        _configure(made, os.path.relpath(hooks, shop))
        made.replace(shop)


def _history() -> Iterator[bytes]:
    """Yield all versions as git-fast-import(1) reads them: one process makes all commits."""
    for name, version in VERSIONS.items():
        person = f"{AUTHOR[0]} <{AUTHOR[1]}> {datetime.fromisoformat(version.date).timestamp():.0f} +0000"
        yield f"commit refs/tags/{name}\nauthor {person}\ncommitter {person}\n".encode()
        yield _data(f"{version.subject}\n".encode())
        if version.base:
            yield f"from refs/tags/{version.base}\n".encode()
        shop = course() / "labs" / "shop"
        for folder in [shop / "versions" / one for one in version.overlays] or [shop]:
            for path in _files(folder):
                yield f"M 100644 inline {path.relative_to(folder).as_posix()}\n".encode()
                yield _data(path.read_bytes())
    for branch, name in BRANCHES.items():
        yield f"reset refs/heads/{branch}\nfrom refs/tags/{name}\n".encode()


def _data(content: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(content), content)


def _files(folder: Path) -> Iterator[Path]:
    """Yield the learner's files below a folder."""
    for parent, folders, names in os.walk(folder):
        others = NOT_THE_LEARNERS(parent, [*folders, *names])
        folders[:] = [name for name in folders if name not in others]
        yield from (Path(parent, name) for name in names if name not in others)


def _configure(repository: Path, hooks: str) -> None:
    """Set in the repository what the user's global configuration could set otherwise."""
    settings = {
        "user.name": _global(repository, "user.name") or "Learner",
        "user.email": _global(repository, "user.email") or "learner@localhost",
        "core.hooksPath": hooks,
        "core.autocrlf": "false",
        "commit.gpgSign": "false",
        "tag.gpgSign": "false",
    }
    for name, value in settings.items():
        _git(repository, "config", name, value)


def _global(repository: Path, name: str) -> str:
    """Return a value of the user's global git configuration, "" where it has none."""
    # The one variable of git that says where the user's configuration is, not which repository is meant.
    chosen = {key: value for key, value in os.environ.items() if key == "GIT_CONFIG_GLOBAL"}
    done = git(repository, "config", "--global", "--get", name, check=False, variables=chosen)
    return done.stdout.decode(errors="replace").strip()


def _git(repository: Path, *arguments: str, stdin: bytes | None = None) -> None:
    """Run git in a repository as if the user had configured nothing."""
    settings = {
        "core.autocrlf": "false",
        "commit.gpgSign": "false",
        "tag.gpgSign": "false",
        "safe.directory": str(repository),
    }
    try:
        done = git(
            repository, *arguments, check=False, settings=settings, variables=NO_CONFIGURATION, stdin=stdin
        )
    except FileNotFoundError as fault:
        next_step = "install git, on Debian and Ubuntu with: apt-get install git"
        raise LabError("git on the PATH", "there is none", next_step) from fault
    if done.returncode != 0:
        seen = done.stderr.decode(errors="replace").strip() or f"exit code {done.returncode}"
        next_step = "correct what git names, then try again"
        raise LabError(f"git {arguments[0]} in {repository}", seen, next_step)
