"""What generated data cost: beside a raw load of the same rows, beside a loop with Faker, and in memory.

The raw load copies the rows of all tables through Python into tables without keys. CPU is that of this
process and of the database's container. Values are fields of rows: five of Faker's a person in the loop,
which writes nothing; generate makes all tables, numbers too, and has them in the database with their keys.
"""

import statistics
import subprocess
import sys
import time
from functools import partial
from importlib.resources import files
from pathlib import Path

import psycopg
from faker import Faker

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench_obscure import MIB, Server, tell
from postgres import server

from labkit.testdata import Generated, generate, survey
from labkit.testdata._generate import BEFORE
from labkit.testdata._rows import blocks

ROUNDS = 3
CUSTOMERS = 200_000
LOOPED = 5_000
SMALL, LARGE = 100_000, 1_000_000
FIELDS = {"customers": 13, "orders": 6, "order_lines": 5, "reviews": 5, "clinic.prescriptions": 7}
"""Table → columns."""

CHILD = """
import resource, sys
from labkit.testdata import generate
generate(sys.argv[1], int(sys.argv[2]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def load(source: str, target: str) -> None:
    """Copy the rows of all tables by COPY alone, in blocks."""
    with psycopg.connect(source) as out_of, psycopg.connect(target) as into:
        into.execute(files("labkit.testdata").joinpath(BEFORE).read_bytes())
        for table in FIELDS:
            with (
                out_of.cursor().copy(f"COPY {table} TO STDOUT (FORMAT csv)".encode()) as rows,
                into.cursor().copy(f"COPY {table} FROM STDIN (FORMAT csv)".encode()) as taken,
            ):
                for block in blocks(rows):
                    taken.write(block)


def looped() -> float:
    """Return the values a second of a loop with Faker as it comes."""
    faker = Faker("en_US")
    makers = [faker.name, faker.email, faker.phone_number, faker.ssn, faker.address]
    started = time.monotonic()
    for _ in range(LOOPED):
        _ = [make() for make in makers]
    return LOOPED * len(makers) / (time.monotonic() - started)


def fill(url: str, made: list[Generated]) -> None:
    """Generate into a database, and add what was made to a list."""
    made.append(generate(url, CUSTOMERS))


def beside_a_load(database: Server) -> None:
    """Measure generate and a load of what it made in turn, then the loop."""
    costs: dict[str, list[tuple[float, float]]] = {"generate": [], "load": []}
    made: list[Generated] = []
    for _ in range(ROUNDS):
        with database.database() as source, database.database() as target:
            costs["generate"].append(database.cost(partial(fill, source, made)))
            costs["load"].append(database.cost(partial(load, source, target)))
    cpu = {name: statistics.median(seconds for seconds, _ in each) for name, each in costs.items()}
    parts = {f"{name}_cpu_s": round(seconds, 2) for name, seconds in cpu.items()}
    tell("generate / raw load of its rows, CPU", cpu["generate"] / cpu["load"], "ratio", "<= 2", **parts)
    values = sum(FIELDS[table] * rows for table, rows in made[0].rows.items())
    ours = values / statistics.median(wall for _, wall in costs["generate"])
    tell("values a second: generate / loop with Faker", ours / looped(), "ratio", ">= 50", values=values)


def memory(database: Server) -> None:
    """Measure what ten times the people take of memory, and of a survey's time."""
    resident, seconds = [], []
    for customers in (SMALL, LARGE):
        with database.database() as url:
            command = [sys.executable, "-c", CHILD, url, str(customers)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            resident.append(int(done.stdout) * 1024 / MIB)
            times = [database.cost(partial(survey, url))[1] for _ in range(ROUNDS)]
            seconds.append(statistics.median(times))
    sizes = f"{LARGE:,} / {SMALL:,} people"
    mib = [round(size) for size in resident]
    tell(f"memory of generate, {sizes}", resident[1] / resident[0], "ratio", "<= 1.25", mib=mib)
    each = [round(median, 3) for median in seconds]
    tell(f"seconds of survey, {sizes}", seconds[1] / seconds[0], "ratio", "<= 2", seconds=each)


if __name__ == "__main__":
    with server() as address:
        bench = Server(address)
        beside_a_load(bench)
        memory(bench)
