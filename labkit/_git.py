"""The one way to run git in a repository."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path


def git(
    repository: Path,
    *arguments: str,
    check: bool = True,
    settings: Mapping[str, str] | None = None,
    variables: Mapping[str, str] | None = None,
) -> "subprocess.CompletedProcess[bytes]":
    """Run git in a repository and return the ended process; its standard output and error are bytes.

    settings are passed as `-c key=value`, variables are added to the environment; None means none. Git's own
    variables are left out, because in a hook they name the repository and index of the commit in progress.

    :raises subprocess.CalledProcessError: when git fails and check is true.
    :raises FileNotFoundError: when there is no git.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    given = [word for key, value in (settings or {}).items() for word in ("-c", f"{key}={value}")]
    return subprocess.run(
        ["git", "-C", str(repository), *given, *arguments],
        check=check,
        capture_output=True,
        env=environment | dict(variables or {}),
    )


def git_text(repository: Path, *arguments: str) -> str:
    """Return what git prints, without the last line's end; "" when git fails or is not installed."""
    try:
        done = git(repository, *arguments, check=False)
    except OSError:
        return ""
    return done.stdout.decode(errors="replace").rstrip("\n") if done.returncode == 0 else ""
