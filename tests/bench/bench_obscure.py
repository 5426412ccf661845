"""What obscuring costs: beside a raw pipe of the same rows, beside other tools, and in memory.

The raw pipe is COPY to COPY through Python into a table without a key; obscure reads the schema, makes the
key and gathers statistics as well. CPU is that of this process and of the database's container. The others
are compared per row on the same machine in turn, each at a size at which it ends in a minute or so.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import psycopg
from faker import Faker

sys.path.insert(0, str(Path(__file__).parents[1]))

from peers import NotRun, Peers
from postgres import server

from labkit.engine import Engine, Label, Owner
from labkit.testdata import Policy, obscure, subset
from labkit.testdata._ff1 import ff1

ROUNDS = 5
CUSTOMERS = 1_000_000
MANY = 10
LOOPED = 5_000
PEERS = {
    "masker-db": (20_000, ">= 50"),
    "pganonymize": (20_000, ">= 50"),
    "pynonymizer": (CUSTOMERS, ">= 3"),
    "pg_anon": (CUSTOMERS, ">= 1.5"),
}
BLOCK = 4 << 20
KEY = bytes(range(32))
MIB = 1 << 20

COLUMNS = """
(id bigint, name text NOT NULL, email text NOT NULL, phone text, ssn text, address text, created date,
 balance numeric(12, 2))
"""
CUSTOMER_ROWS = """
INSERT INTO customers
SELECT i, 'Ann' || i % 691 || ' Lee' || i % 1009, 'ann.lee' || i || '@gmail.com',
       to_char((i * 2654435761) % 10000000000, 'FM"("000") "000"-"0000'),
       to_char((i * 7919 + 13) % 1000000000, 'FM000"-"00"-"0000'),
       i % 9999 || ' Main Street, Town' || i % 4001 || ', CA ' || 10000 + i % 80000,
       date '2020-01-01' + (i % 1000)::int, i % 5000
  FROM generate_series(1::bigint, {customers}) AS i
"""
ORDER_ROWS = """
CREATE TABLE orders (id bigint PRIMARY KEY, customer bigint NOT NULL, contact text, total numeric(10, 2));
INSERT INTO orders SELECT i, c, 'ann.lee' || c || '@gmail.com', i % 700
  FROM generate_series(1::bigint, {orders}) AS i, LATERAL (SELECT 1 + (i * i) % {customers} AS c) AS it;
ALTER TABLE orders ADD FOREIGN KEY (customer) REFERENCES customers;
"""
POLICY = """
[customers]
id = "keep"
name = {fake = "name", by = "email"}
email = {fake = "email"}
phone = {format_preserving = "(###) ###-####"}
ssn = {format_preserving = "###-##-####"}
address = {fake = "address", by = "email"}
created = "keep"
balance = "keep"
"""
CHILD = """
import resource, sys
from labkit.testdata import Policy, obscure
obscure(sys.argv[1], sys.argv[2], Policy.load(sys.argv[3]), key=bytes(range(32)))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def tell(figure: str, value: float, unit: str, aim: str | None, **more: object) -> None:
    """Print one figure as a line of JSON; aim None means that there is none."""
    print(
        json.dumps({"figure": figure, "value": round(value, 3), "unit": unit, "aim": aim, **more}), flush=True
    )


class Server:
    """The databases of one server, and the CPU that its container has used."""

    def __init__(self, address: str) -> None:
        self._address = address
        mine = Engine.find().owned({Label.OWNER: str(Owner.process()), Label.ROLE: "test-database"})
        self._container = next(owned.id for owned in mine if owned.kind == "container")
        self.do("postgres", "ALTER SYSTEM SET autovacuum = off", "SELECT pg_reload_conf()")

    def do(self, database: str, *statements: str) -> None:
        """Run statements in a database, each by itself."""
        with psycopg.connect(f"{self._address}/{database}", autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    @contextmanager
    def database(self, *statements: str) -> Iterator[str]:
        """Make a database with what the statements make, give its URL, and drop it."""
        name = f"bench_{uuid.uuid4().hex[:12]}"
        self.do("postgres", f"CREATE DATABASE {name} STRATEGY file_copy")
        try:
            self.do(name, *statements, "CHECKPOINT")
            yield f"{self._address}/{name}"
        finally:
            self.do("postgres", f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def customers(self, count: int, *more: str) -> AbstractContextManager[str]:
        """Make a database of customers, and what else the statements make."""
        rows = CUSTOMER_ROWS.format(customers=count)
        return self.database(
            f"CREATE TABLE customers {COLUMNS}", rows, "ALTER TABLE customers ADD PRIMARY KEY (id)", *more
        )

    def cpu_s(self) -> float:
        """Return the CPU seconds that this process and the container have used."""
        stats = Engine.find().client.api.stats(self._container, stream=False, one_shot=True)
        container: float = stats["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9
        return time.process_time() + container

    def cost(self, work: Callable[[], object]) -> tuple[float, float]:
        """Return the CPU seconds and the wall seconds of a piece of work."""
        cpu, wall = self.cpu_s(), time.monotonic()
        work()
        wall = time.monotonic() - wall
        return self.cpu_s() - cpu, wall


def pipe(source: str, target: str) -> None:
    """Copy the customers by COPY alone, in blocks as obscure does."""
    with (
        psycopg.connect(source) as out_of,
        psycopg.connect(target) as into,
        out_of.cursor().copy("COPY customers TO STDOUT (FORMAT csv)") as rows,
        into.cursor().copy("COPY customers FROM STDIN (FORMAT csv)") as taken,
    ):
        buffer = bytearray()
        for row in rows:
            buffer += row
            if len(buffer) >= BLOCK:
                taken.write(bytes(buffer))
                buffer.clear()
        taken.write(bytes(buffer))


def loop(source: str, target: str) -> None:
    """Copy some customers row by row with Faker as it comes, seeded by the person."""
    faker = Faker("en_US")
    makers = [faker.name, faker.email, faker.phone_number, faker.ssn, faker.address]
    with (
        psycopg.connect(source) as out_of,
        psycopg.connect(target) as into,
        into.cursor().copy("COPY customers FROM STDIN") as taken,
    ):
        for row in out_of.execute("SELECT * FROM customers LIMIT %s", [LOOPED]):
            faker.seed_instance(row[2])
            taken.write_row([row[0], *(make() for make in makers), *row[6:]])


def beside_the_pipe(database: Server, source: str) -> float:
    """Measure obscure, the raw pipe and Faker's row loop in turn; return obscure's median wall seconds."""
    rounds: list[dict[str, tuple[float, float]]] = []
    for _ in range(ROUNDS):
        with database.database(f"CREATE TABLE customers {COLUMNS}") as plain, database.database() as target:
            raw = database.cost(lambda: pipe(source, plain))
            ours = database.cost(lambda: obscure(source, target, Policy.load(POLICY), key=KEY))
            rows = database.cost(lambda: loop(source, plain))
            rounds.append({"raw": raw, "obscure": ours, "loop": rows})
    middle = {
        name: [statistics.median(costs[name][place] for costs in rounds) for place in (0, 1)]
        for name in rounds[0]
    }
    parts = {f"{name}_cpu_s": round(seconds[0], 2) for name, seconds in middle.items()}
    parts |= {f"{name}_wall_s": round(seconds[1], 2) for name, seconds in middle.items()}
    each = [round(costs["obscure"][0] / costs["raw"][0], 2) for costs in rounds]
    ratio = middle["obscure"][0] / middle["raw"][0]
    tell("obscure / raw pipe, CPU", ratio, "ratio", "<= 2.2", **parts, rounds=each)
    faster = middle["loop"][1] / LOOPED * CUSTOMERS / middle["obscure"][1]
    tell("rows a second: obscure / Faker's row loop", faster, "ratio", ">= 50", rows=LOOPED)
    return middle["obscure"][1]


def beside_the_others(database: Server, wall_s: float, peers: Peers) -> None:
    """Measure each peer, and print how many times faster obscure is for each row."""
    ours = CUSTOMERS / wall_s
    for peer, (rows, aim) in PEERS.items():
        figure = f"rows a second: obscure / {peer}"
        with database.customers(rows) as theirs, database.database() as target:
            try:
                seconds = peers.seconds(peer, theirs, target)
            except NotRun as reason:
                print(json.dumps({"figure": figure, "value": None, "aim": aim, "not run": str(reason)}))
            else:
                tell(figure, ours / (rows / seconds), "ratio", aim, peer_s=round(seconds, 1), rows=rows)


def format_preserving(peers: Peers) -> None:
    """Measure FF1 against two packages for single values."""
    numbers, permuted = np.arange(CUSTOMERS, dtype=np.uint64), ff1(KEY)
    started = time.process_time()
    permuted(numbers, 9)
    ours = CUSTOMERS / (time.process_time() - started)
    try:
        theirs = peers.values_per_second()
    except NotRun as reason:
        print(json.dumps({"figure": "FF1", "value": None, "not run": str(reason)}))
        return
    for name, speed in theirs.items():
        tell(f"values a second: FF1 / {name}", ours / speed, "ratio", ">= 100", ff1_a_second=round(ours))


def subsets(database: Server) -> None:
    """Measure 5 % of three million rows against all of them."""
    sizes = {"customers": CUSTOMERS, "orders": 2 * CUSTOMERS}
    with database.customers(CUSTOMERS, ORDER_ROWS.format(**sizes), "ANALYZE") as source:
        seconds: dict[str, list[float]] = {"part": [], "whole": []}
        for _ in range(3):
            for name, where in (("part", {"customers": "id % 20 = 0"}), ("whole", {})):
                with database.database() as target:
                    seconds[name].append(database.cost(partial(subset, source, target, where))[1])
        part, whole = (statistics.median(seconds[name]) for name in ("part", "whole"))
        tell(
            "subset of 5 % / whole copy",
            part / whole,
            "ratio",
            "<= 0.333",
            part_s=round(part, 2),
            whole_s=round(whole, 2),
        )


def memory(database: Server, folder: Path) -> None:
    """Measure the resident memory of a process that obscures ten million rows."""
    policy = folder / "policy.toml"
    policy.write_text(POLICY)
    with database.customers(MANY * CUSTOMERS) as source, database.database() as target:
        command = [sys.executable, "-c", CHILD, source, target, str(policy)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    tell(f"memory at {MANY} million rows", int(done.stdout) * 1024 / MIB, "MiB", "<= 500")


if __name__ == "__main__":
    with server() as address, tempfile.TemporaryDirectory() as place:
        bench, others = Server(address), Peers(Path(place))
        format_preserving(others)
        with bench.customers(CUSTOMERS) as production:
            seconds_of_obscure = beside_the_pipe(bench, production)
            beside_the_others(bench, seconds_of_obscure, others)
        subsets(bench)
        memory(bench, Path(place))
