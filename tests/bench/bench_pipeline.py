"""How long a one-line change of the cart takes through all four stages, with a production to upgrade."""

import json
import subprocess
import tempfile
from pathlib import Path

from labkit import Environment, Workspace
from labkit.pipeline import run

with tempfile.TemporaryDirectory() as folder:
    workspace = Workspace.create(Path(folder) / "workspace")
    try:
        first = run(workspace)
        service = workspace.shop / "cart" / "service.py"
        service.write_text(service.read_text() + "\n# one more line\n")
        subprocess.run(["git", "-C", workspace.shop, "commit", "-qam", "Add a line"], check=True)
        second = run(workspace)
        for name, done in (("first run", first), ("one-line change", second)):
            seconds = {stage.name: round(stage.seconds or 0, 1) for stage in done.stages}
            figure = {
                "figure": f"{name} through four stages",
                "value": round(done.seconds or 0, 1),
                "unit": "s",
                "aim": 60,
                "state": done.state,
                "stages": seconds,
            }
            print(json.dumps(figure))
    finally:
        Environment.clean_up_all(workspace)
