"""Makes the learner's git repository of the shop: the same commits, with the same ids, on every machine."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
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
BRANCHES = {"version-2": "v2"}
NOT_THE_LEARNERS = shutil.ignore_patterns(
    "versions", "wheelhouse.*", "__pycache__", ".*_cache", ".ipynb_checkpoints", ".venv"
)
HOOK = """\
#!/bin/sh
# Runs nothing by itself: it only names the next command.
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
        shutil.copytree(
            course() / "labs" / "shop", made, ignore=NOT_THE_LEARNERS, copy_function=shutil.copyfile
        )
        _git(made, "init", "--quiet", "--initial-branch=main", "--object-format=sha1", "--template=")
        for name, version in VERSIONS.items():
            _make(made, name, version)
        for branch, name in BRANCHES.items():
            _git(made, "branch", branch, name)
        _git(made, "checkout", "--quiet", "main")
        _configure(made, os.path.relpath(hooks, shop))
        made.replace(shop)


def _make(repository: Path, name: str, version: Version) -> None:
    """Commit a version and tag it; the first one commits the files that are there to the current branch."""
    if version.base:
        _git(repository, "checkout", "--quiet", "--detach", version.base)
    for overlay in version.overlays:
        folder = course() / "labs" / "shop" / "versions" / overlay
        shutil.copytree(
            folder, repository, ignore=NOT_THE_LEARNERS, copy_function=shutil.copyfile, dirs_exist_ok=True
        )
    fields = {"NAME": AUTHOR[0], "EMAIL": AUTHOR[1], "DATE": version.date}
    identity = {
        f"GIT_{role}_{field}": value for role in ("AUTHOR", "COMMITTER") for field, value in fields.items()
    }
    # --force, because the user's own ignore file must not decide. Without modes, because file systems differ.
    _git(repository, "-c", "core.fileMode=false", "add", "--all", "--force")
    _git(repository, "commit", "--quiet", "--no-verify", "--message", version.subject, variables=identity)
    _git(repository, "tag", name)


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


def _git(repository: Path, *arguments: str, variables: Mapping[str, str] | None = None) -> None:
    """Run git in a repository as if the user had configured nothing."""
    settings = {
        "core.autocrlf": "false",
        "commit.gpgSign": "false",
        "tag.gpgSign": "false",
        "safe.directory": str(repository),
    }
    given = NO_CONFIGURATION | dict(variables or {})
    try:
        done = git(repository, *arguments, check=False, settings=settings, variables=given)
    except FileNotFoundError as fault:
        next_step = "install git, on Debian and Ubuntu with: apt-get install git"
        raise LabError("git on the PATH", "there is none", next_step) from fault
    if done.returncode != 0:
        seen = done.stderr.decode(errors="replace").strip() or f"exit code {done.returncode}"
        next_step = "correct what git names, then try again"
        raise LabError(f"git {arguments[0]} in {repository}", seen, next_step)
