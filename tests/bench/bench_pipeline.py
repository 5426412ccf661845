"""How long a one-line change of the cart takes through all four stages, on a production that is there already."""

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
        for name, done in (("first run, production is created", first), ("one-line change, production is rolled", second)):
            print(json.dumps({"figure": name, "value": round(done.seconds, 1), "unit": "s", "aim": 60, "state": done.state}))
            print(json.dumps({"figure": f"stages of the {name}", "value": {s.name: round(s.seconds or 0, 1) for s in done.stages}, "unit": "s"}))
    finally:
        Environment.clean_up_all(workspace)
