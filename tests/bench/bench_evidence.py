"""False roll backs by the canary's judge, `deployment.Evidence`, and how soon it withdraws a bad version.

Simulated requests, the judge that decides in a deployment: 600 looks at each of many pairs of equal versions.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from statistics import median

import numpy as np

from labkit.deployment import Evidence
from labkit.load import Measurement, Tally
from labkit.load._measurement import Key

LOOKS, EXPERIMENTS, BAD = 600, 250, 20
SHARES = (0.001, 0.005, 0.01, 0.02)
BAD_SHARE = 0.8


@dataclass(frozen=True)
class Split:
    """How requests are split: those before the judge, those of a look, and the share of the new version."""

    name: str
    before: int
    a_look: float
    share: float


SPLITS = (
    Split("1 request a look beside", 60, 1, 1 / 11),
    Split("1 request a look beside, no history", 0, 1, 1 / 11),
    Split("5 requests a look beside", 300, 5, 1 / 11),
    Split("5 requests a look, half beside, no history", 0, 5, 1 / 2),
    Split("30 requests a look beside", 3000, 30, 1 / 11),
    Split("nobody beside, long history", 3000, 5, 1),
    Split("nobody beside, history of 300", 300, 5, 1),
    Split("nobody beside, history of 50", 50, 5, 1),
    Split("nobody beside, history of 5", 5, 5, 1),
    Split("nobody beside, history of 5, 1 request a look", 5, 1, 1),
)


class Clients:
    """A source of measurements, as a running load is one."""

    def __init__(self, before: int, failed: int) -> None:
        self.tallies = {"v1": Tally(before, failed), "v2": Tally()}

    def add(self, version: str, requests: int, failed: int) -> None:
        """Count answers of a version."""
        self.tallies[version] += Tally(requests, failed)

    def snapshot(self) -> Measurement:
        """Return all of them."""
        seen = {Key(0, version, ""): tally for version, tally in self.tallies.items() if tally.requests}
        sent = sum(tally.requests for tally in seen.values())
        return Measurement(seconds=1.0 + sent, sent=sent, tallies=seen)


def judged(split: Split, old_share: float, new_share: float, seed: int) -> tuple[bool, int]:
    """Return whether the new version is withdrawn, and how many of its requests had failed by then."""
    draw = np.random.default_rng(seed)
    clients = Clients(split.before, int(draw.binomial(split.before, old_share)))
    judge = Evidence(clients, "v2")
    for requests in draw.poisson(split.a_look, LOOKS):
        new = int(draw.binomial(requests, split.share))
        clients.add("v2", new, int(draw.binomial(new, new_share)))
        clients.add("v1", int(requests) - new, int(draw.binomial(requests - new, old_share)))
        if requests and judge():
            return True, clients.tallies["v2"].failed
    return False, clients.tallies["v2"].failed


def equal(split: Split, share: float) -> int:
    """Return how many of all experiments with equal versions end in a roll back."""
    return sum(judged(split, share, share, seed)[0] for seed in range(EXPERIMENTS))


def figures() -> Iterator[tuple[str, float, dict[str, object]]]:
    """Yield each figure: its name, its value, and more about it."""
    with ProcessPoolExecutor() as pool:
        jobs = {(split, share): pool.submit(equal, split, share) for split, share in product(SPLITS, SHARES)}
        for split in SPLITS:
            wrong = {f"{share:.1%}": jobs[split, share].result() / EXPERIMENTS for share in SHARES}
            name = f"false roll backs, {split.name}"
            yield name, sum(wrong.values()) / len(SHARES), {"unit": "share", "aim": 0.01, "at": wrong}
    for split in SPLITS:
        ended = [judged(split, 0.001, BAD_SHARE, seed) for seed in range(BAD)]
        withdrawn = sum(done for done, _ in ended) / BAD
        name = f"requests failed when {BAD_SHARE:.0%} fail, {split.name}"
        yield name, median(failed for _, failed in ended), {"withdrawn": withdrawn, "aim": 10}


def main() -> None:
    """Print one JSON line a figure."""
    for name, value, more in figures():
        print(json.dumps({"figure": name, "value": round(value, 4), **more}), flush=True)


if __name__ == "__main__":
    main()
