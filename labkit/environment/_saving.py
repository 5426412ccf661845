"""Saves what is to outlive an environment."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labkit.environment._environment import Environment


def save_results(environment: "Environment", folder: Path) -> list[str]:
    """Write the logs and the calls of the stubs into a folder, as JSON; return the names of the files."""
    folder.mkdir(parents=True, exist_ok=True)
    logs, calls = folder / f"{environment.name}.logs.jsonl", folder / f"{environment.name}.calls.json"
    logs.write_text("".join(f"{json.dumps(line)}\n" for line in environment.logs()))
    called = {name: environment.stub(name).calls() for name in environment.stubs}
    calls.write_text(json.dumps(called, indent=1))
    return [logs.name, calls.name]
