"""How long `import labkit` and the command line's import take, beside the interpreter's own start."""

import json
import statistics
import subprocess
import sys
import time

RUNS = 11


def seconds(code: str) -> float:
    """Return the median wall seconds of an interpreter that runs the code."""
    taken = []
    for _ in range(RUNS):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


bare = seconds("pass")
for module, aim in (
    ("labkit", 100),
    ("labkit.cli", 300),
):  # the second is what `labkit --help` and Tab wait for
    milliseconds = round((seconds(f"import {module}") - bare) * 1000, 1)
    name = f"import {module}, above the bare interpreter"
    print(json.dumps({"figure": name, "value": milliseconds, "unit": "ms", "aim": aim}))
