"""What an audit costs beside obscuring: on a million customers, and on a pharmacy with its texts."""

import statistics
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench_obscure import CUSTOMERS, KEY, POLICY, Server, tell
from postgres import server

from labkit.testdata import Policy, audit, generate, obscure, survey

ROUNDS = 3
PHARMACY = 100_000


def beside_obscure(database: Server, what: str, source: str, policy: Policy) -> None:
    """Measure obscure and both audits in turn, and print the ratios of their wall seconds."""
    seconds: dict[str, list[float]] = {"obscure": [], "audit": [], "with linkage attack": []}
    for _ in range(ROUNDS):
        with database.database() as target:
            works: dict[str, Callable[[], object]] = {
                "obscure": partial(obscure, source, target, policy, key=KEY),
                "audit": partial(audit, source, target, policy, linkage_attack=False),
                "with linkage attack": partial(audit, source, target, policy),
            }
            for name, work in works.items():
                seconds[name].append(database.cost(work)[1])
    middle = {name: statistics.median(each) for name, each in seconds.items()}
    parts = {f"{name.replace(' ', '_')}_s": round(each, 2) for name, each in middle.items()}
    tell(f"audit / obscure, {what}", middle["audit"] / middle["obscure"], "ratio", "<= 3", **parts)
    whole = middle["with linkage attack"] / middle["obscure"]
    tell(f"audit with the linkage attack / obscure, {what}", whole, "ratio", None)


if __name__ == "__main__":
    with server() as address:
        bench = Server(address)
        with bench.customers(CUSTOMERS) as production:
            beside_obscure(bench, f"{CUSTOMERS:,} customers", production, Policy.load(POLICY))
        with bench.database() as production:
            generate(production, PHARMACY)
            proposed = Policy.load(survey(production).policy())
            beside_obscure(bench, f"a pharmacy of {PHARMACY:,}", production, proposed)
