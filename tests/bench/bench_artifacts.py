"""How fast the artifact database records and answers, at 50,000 references from 1,100 builds."""

import json
import random
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from labkit.artifacts import ArtifactDatabase, Kind, Reference, Subject

BUILDS = 1100
SERVICES = 10
ASKED = 21
POOL = [f"pkg:pypi/part{number}@1.{version}" for number in range(100) for version in range(5)]
EVERYWHERE = "debian:bookworm-slim"


def record_builds(database: ArtifactDatabase) -> tuple[int, int]:
    """Record what a pipeline records of each build; return the counts of facts and references."""
    facts = references = 0
    chosen = random.Random(6)  # noqa: S311 - the same parts in each run
    for number in range(BUILDS):
        service = f"service{number % SERVICES}"
        image = Subject(f"labkit/{service}:{number}", f"{number:064x}")
        into = [Reference("code", f"git+shop@{number:040x}", f"gitCommit:{number:040x}")]
        into += [Reference("tool", "pkg:pypi/pip@26.3"), Reference("base", EVERYWHERE)]
        parts = [Reference("dependency", part) for part in chosen.sample(POOL, 40)]
        settings = [Reference("config", f"DISCOUNT_PERCENT={number % 7}")]
        database.record(Kind.BUILT, image, references=into)
        database.record(Kind.BILL_OF_MATERIALS, image, references=parts)
        database.record(Kind.TESTED, image, references=[Reference("test", "tests")], outcome="pass")
        for stage in ("staging", "production"):
            database.record(Kind.SERVICE_DEPLOYED, image, stage=stage, service=service, references=settings)
        facts, references = facts + 5, references + len(into) + len(parts) + 3
    return facts, references


def seconds(work: Callable[[], object]) -> float:
    """Return the wall seconds of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def median_ms(work: Callable[[], object]) -> float:
    """Return the median wall milliseconds of a call, over ASKED calls."""
    return statistics.median(seconds(work) for _ in range(ASKED)) * 1000


def report(figure: str, value: float, unit: str, aim: float | None = None) -> None:
    """Print one figure as a JSON line; with None there is no aim."""
    print(json.dumps({"figure": f"artifacts: {figure}", "value": round(value, 2), "unit": unit, "aim": aim}))


with tempfile.TemporaryDirectory() as folder:
    shop = Path(folder) / "shop"
    commit = (
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@localhost",
        "commit",
        "-q",
        "--allow-empty",
        "-m",
        "first",
    )
    subprocess.run(["git", "init", "-q", shop], check=True)
    subprocess.run(["git", "-C", shop, *commit], check=True)
    with ArtifactDatabase.open(Path(folder) / "artifacts.db", notes=shop) as database:
        started = time.perf_counter()
        facts, references = record_builds(database)
        report("appends", facts / (time.perf_counter() - started), "1/s")
        report("references", references, "1")
        report("what went in", median_ms(lambda: database.what_runs("service3")), "ms", 20)
        report("where is, one part", median_ms(lambda: database.where_is(POOL[36])), "ms", 20)
        report("where is, a part of every image", median_ms(lambda: database.where_is(EVERYWHERE)), "ms", 20)
        report("history of one artifact", median_ms(lambda: database.history(digest=f"{7:064x}")), "ms")
        report(f"verify {facts} facts", facts / seconds(database.verify), "1/s", 4000)
