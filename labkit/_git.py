"""The one way to run git in a repository.

A repository that somebody handed in may have a configuration that names programs: a monitor of its files,
hooks, filters, a checker of signatures. labkit runs none of them, and lets git fetch nothing. Source:
git-config(1), gitattributes(5).
"""

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

HARMLESS = {
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "log.showSignature": "false",
    **{f"gpg.{name}program": "false" for name in ("", "openpgp.", "x509.", "ssh.")},
}
"""Settings that count more than the repository's own; the program `false` takes no signature for good."""

OFFLINE = {"GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0"}
"""A partial clone would fetch what it lacks, by a program that its configuration names."""

FILTER = re.compile(r"filter\..*\.(clean|smudge|process|required)", re.DOTALL)
READS_NO_FILES = {
    "cat-file",
    "config",
    "fast-import",
    "for-each-ref",
    "init",
    "notes",
    "rev-list",
    "rev-parse",
    "tag",
}


def git(
    repository: Path,
    *arguments: str,
    check: bool = True,
    settings: Mapping[str, str] | None = None,
    variables: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
) -> "subprocess.CompletedProcess[bytes]":
    """Run git in a repository and return the ended process; its standard output and error are bytes.

    stdin is its standard input, None is labkit's own. settings are passed as `-c key=value`, variables are
    added to the environment; None means none. Git's own variables are left out, because in a hook they name
    the repository and index of the commit in progress. No program runs that the repository's configuration
    names.

    :raises subprocess.CalledProcessError: when git fails and check is true.
    :raises FileNotFoundError: when there is no git.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= OFFLINE | dict(variables or {})
    if arguments[0] not in READS_NO_FILES:
        environment |= _no_filters(repository, environment)
    return _run(repository, arguments, HARMLESS | dict(settings or {}), environment, check=check, stdin=stdin)


def _run(
    repository: Path,
    arguments: Sequence[str],
    settings: Mapping[str, str],
    environment: Mapping[str, str],
    *,
    check: bool,
    stdin: bytes | None = None,
) -> "subprocess.CompletedProcess[bytes]":
    given = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
    command = ["git", "-C", str(repository), *given, *arguments]
    return subprocess.run(command, check=check, capture_output=True, env=environment, input=stdin)


def _no_filters(repository: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Return variables that switch off the filters of the repository's own configuration, by their names.

    Those of the user's own configuration, such as git-lfs, stay. Variables, because `-c` ends a name at "=".
    """
    ask = ("config", "--list", "--null", "--name-only", "--show-scope")
    fields = _run(repository, ask, HARMLESS, environment, check=False).stdout
    words = fields.decode(errors="surrogateescape").split("\0")  # scope and name in turn
    pairs = zip(words[::2], words[1::2], strict=False)
    own = sorted({name for scope, name in pairs if scope in {"local", "worktree"} and FILTER.fullmatch(name)})
    variables = {"GIT_CONFIG_COUNT": str(len(own))}
    for number, name in enumerate(own):
        variables[f"GIT_CONFIG_KEY_{number}"] = name
        variables[f"GIT_CONFIG_VALUE_{number}"] = "false" if name.endswith(".required") else ""
    return variables


def git_text(repository: Path, *arguments: str) -> str:
    """Return what git prints, without the last line's end; "" when git fails or is not installed."""
    try:
        done = git(repository, *arguments, check=False)
    except OSError:
        return ""
    return done.stdout.decode(errors="replace").rstrip("\n") if done.returncode == 0 else ""
