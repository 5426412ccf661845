"""How long `import labkit` takes, beside the interpreter's own start."""

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


bare, loaded = seconds("pass"), seconds("import labkit")
milliseconds = round((loaded - bare) * 1000, 1)
name = "import labkit, above the bare interpreter"
print(json.dumps({"figure": name, "value": milliseconds, "unit": "ms", "aim": 100}))
