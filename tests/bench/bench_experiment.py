"""False alarms of the sequential test and of peeking, and how soon the canary's gate finds a bad version."""

import json
import math

import numpy as np
from numpy.typing import NDArray

from labkit.experiment import e_values

Counted = NDArray[np.int64]
EXPERIMENTS, LOOKS, TRIALS, SHARE = 10_000, 100, 100, 0.05
GATES, GATE_LOOKS, RATE, CANARY, ALPHA = 4_000, 600, 300, 1 / 11, 0.01
DRAW = np.random.default_rng(11)


def tell(figure: str, value: float, **more: object) -> None:
    """Print one figure as a JSON line."""
    print(json.dumps({"figure": figure, "value": round(value, 4), **more}))


def peeked(old: Counted, new: Counted) -> NDArray[np.bool_]:
    """Return where a z-test at 5 % finds a difference, for each experiment and look."""
    trials = np.arange(1, LOOKS + 1) * TRIALS
    a, b = old.cumsum(axis=1), new.cumsum(axis=1)
    pooled = (a + b) / (2 * trials)
    spread = np.sqrt(2 * pooled * (1 - pooled) / trials)
    differs: NDArray[np.bool_] = np.abs(b - a) / trials > 1.959964 * np.maximum(spread, 1e-12)
    return differs


def equal_versions() -> None:
    """Compare equal versions, looking a hundred times."""
    trials = np.full((EXPERIMENTS, LOOKS), TRIALS)
    old, new = DRAW.binomial(trials, SHARE), DRAW.binomial(trials, SHARE)
    sequential = (e_values(trials, old, trials, new, side="either") >= 1 / 0.05).any(axis=1).mean()
    tell("A/A, false positives of the sequential test", float(sequential), unit="share", aim=0.05)
    naive = peeked(old, new)
    tell("A/A, false positives of a z-test at every look", float(naive.any(axis=1).mean()), unit="share")
    tell("A/A, false positives of a z-test at the end", float(naive[:, -1].mean()), unit="share")


def gate(old_share: float, new_share: float) -> tuple[float, float, float]:
    """Return the share of gates that withdraw, the median seconds until then, and requests failed by then."""
    all_trials = np.full((GATES, GATE_LOOKS), RATE // 10)
    new_trials = DRAW.binomial(all_trials, CANARY)
    old_trials = all_trials - new_trials
    new = DRAW.binomial(new_trials, new_share)
    decided = e_values(old_trials, DRAW.binomial(old_trials, old_share), new_trials, new) >= 1 / ALPHA
    hit = decided.any(axis=1)
    if not hit.any():
        return 0.0, math.nan, math.nan
    first = decided.argmax(axis=1)
    failed = new.cumsum(axis=1)[np.arange(GATES), first]
    return float(hit.mean()), float(np.median(first[hit]) + 1) / 10, float(np.median(failed[hit]))


def main() -> None:
    """Print one JSON line a figure."""
    equal_versions()
    for share in (0.001, 0.01, 0.05):
        withdrawn, _, _ = gate(share, share)
        tell(f"gate, false roll backs in 600 looks at {share:.1%} errors", withdrawn, unit="share", aim=0.01)
    for share in (0.3, 0.1, 0.05):
        withdrawn, seconds, failed = gate(0.001, share)
        more = {"withdrawn": withdrawn, "failed_requests": failed, "unit": "s"}
        tell(f"gate, time to withdraw a canary with {share:.0%} errors", seconds, **more)


if __name__ == "__main__":
    main()
