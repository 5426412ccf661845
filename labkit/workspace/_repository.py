"""Makes the learner's git repository of the shop: the same commits, with the same ids, on every machine."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from labkit.errors import LabError
from labkit.workspace._course import course

AUTHOR = ("labkit", "labkit@localhost")


@dataclass(frozen=True)
class Version:
    """A tag of the repository: what its commit says, when, on which version it stands, and with which files.

    overlays are folders of the course's versions/, laid over the one it stands on.
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
# Runs nothing by itself: only says how this commit gets on.
echo "labkit: send it through the pipeline with: labkit pipeline run --commit $(git rev-parse --short HEAD)"
"""


def make_repository(shop: Path, hooks: Path) -> None:
    """Make the repository at `shop`, all or nothing: a tag for each of VERSIONS, main at v1.

    hooks is the folder for its hooks. Later commits are the learner's own, by the name in their global git
    configuration if there is one.
    """
    hooks.mkdir(parents=True, exist_ok=True)
    hook = hooks / "post-commit"
    if not hook.exists():
        hook.write_text(HOOK)
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
    """Commit a version and tag it; the first stands on what lies there, on the branch that is."""
    if version.base:
        _git(repository, "checkout", "--quiet", "--detach", version.base)
    for overlay in version.overlays:
        folder = course() / "labs" / "shop" / "versions" / overlay
        shutil.copytree(
            folder, repository, ignore=NOT_THE_LEARNERS, copy_function=shutil.copyfile, dirs_exist_ok=True
        )
    dates = _identity(version.date)
    who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in dates}
    # Forced, because the user's own ignore file must not decide; without modes, because file systems differ.
    _git(repository, "-c", "core.fileMode=false", "add", "--all", "--force")
    _git(repository, "commit", "--quiet", "--no-verify", "--message", version.subject, environment=who)
    _git(repository, "tag", name)


def _identity(date: str) -> list[tuple[str, str]]:
    return [("NAME", AUTHOR[0]), ("EMAIL", AUTHOR[1]), ("DATE", date)]


def _configure(repository: Path, hooks: str) -> None:
    """Settle in the repository what the user's global configuration could say otherwise."""
    settings = {
        "user.name": _global("user.name") or "Learner",
        "user.email": _global("user.email") or "learner@localhost",
        "core.hooksPath": hooks,
        "core.autocrlf": "false",
        "commit.gpgSign": "false",
        "tag.gpgSign": "false",
    }
    for name, value in settings.items():
        _git(repository, "config", name, value)


def _global(name: str) -> str:
    done = subprocess.run(
        ["git", "config", "--global", "--get", name], check=False, capture_output=True, text=True
    )
    return done.stdout.strip()


def _git(repository: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
    """Run git in a repository as if the user had configured nothing."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    clean |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"} | dict(
        environment or {}
    )
    settled = [
        "core.autocrlf=false",
        "commit.gpgSign=false",
        "tag.gpgSign=false",
        f"safe.directory={repository}",
    ]
    command = ["git", "-C", str(repository), *(word for item in settled for word in ("-c", item)), *arguments]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=clean)
    except FileNotFoundError as fault:
        mend = "install git, on Debian and Ubuntu with: apt-get install git"
        raise LabError("git on the PATH", "there is none", mend) from fault
    if done.returncode != 0:
        seen = done.stderr.strip() or f"exit code {done.returncode}"
        raise LabError(f"git {arguments[0]} in {repository}", seen, "mend what git names, then try again")
