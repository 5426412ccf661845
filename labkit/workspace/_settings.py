"""The settings of a workspace: where its artifact database is, and who lets a run into production."""

import os
import pwd
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from labkit.errors import LabError
from labkit.system import TomlTable

PLACE = ".labkit/settings.toml"
NEW = """\
# Settings of this workspace.
# artifacts = "postgresql+psycopg://user@host/name"   # the artifact database; without it .labkit/artifacts.db
# approval = true                # a run waits before production until somebody approves it
# approvers = ["alice", "bob"]   # who may; without it, the folder's owner. A name is a claim, not a proof
# approval_timeout_s = 86400     # how long a run waits
"""


@dataclass(frozen=True)
class Settings:
    """What the workspace decides, and no commit.

    artifacts is the database's URL or path, None for the workspace's own file. approval says whether a run
    waits before production, approval_timeout_s how long, and approvers who may decide.
    """

    artifacts: str | None
    approval: bool
    approvers: tuple[str, ...]
    approval_timeout_s: float

    @classmethod
    def load(cls, file: Path) -> Self:
        """Read the settings; a missing file has only defaults.

        :raises LabError: when the file is not TOML, or a setting is unknown or of the wrong type.
        """
        table = TomlTable(_read(file), PLACE)
        read = cls(
            artifacts=table.text("artifacts", "a path or a database URL", default=None),
            approval=table.boolean("approval", default=False),
            approvers=table.texts("approvers", (owner(file.parent),)),
            approval_timeout_s=table.number("approval_timeout_s", default=86400.0),
        )
        table.refuse_unknown()
        return read


def owner(path: Path) -> str:
    """Return the name of the user whom a file or folder belongs to."""
    return _name(path.stat().st_uid)


def user() -> str:
    """Return the name of this process's user: the system's, which no variable changes."""
    return _name(os.getuid())


def _name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:  # a container may run under a number that has no name
        return f"user {number}"


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        next_step = f"correct that line of {PLACE}, or remove the file"
        raise LabError(f"{PLACE} is TOML in UTF-8", str(fault), next_step) from fault
