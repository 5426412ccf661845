"""Saves what is to outlive an environment."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit.errors import LabError

if TYPE_CHECKING:
    from labkit.environment._environment import Environment


def save_results(environment: "Environment", folder: Path) -> list[str]:
    """Write the logs and the calls of the stubs into a folder, as JSON; return the names of the files.

    The calls of a stub that does not answer any more are null.
    """
    folder.mkdir(parents=True, exist_ok=True)
    logs, calls = folder / f"{environment.name}.logs.jsonl", folder / f"{environment.name}.calls.json"
    logs.write_text("".join(f"{json.dumps(line)}\n" for line in environment.logs()))
    called = {name: _calls(environment, name) for name in environment.stubs}
    calls.write_text(json.dumps(called, indent=1))
    return [logs.name, calls.name]


def _calls(environment: "Environment", stub: str) -> list[dict[str, Any]] | None:
    try:
        return environment.stub(stub).calls()
    except LabError:
        return None
