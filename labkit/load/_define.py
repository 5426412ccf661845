"""The definition of a load: requests, their weights, the rate of arrival."""

import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate, chain, repeat
from typing import Any, Literal

from labkit.errors import LabError
from labkit.load._rate import Rate
from labkit.load._request import Request
from labkit.load._users import is_user

Arrival = Request | str | type[Any]
"""What may stand in a mix."""


@dataclass(frozen=True)
class Load:
    """A mix of requests, and of users, that arrive at a rate: an open model.

    mix maps a `Request`, its text ("GET /items") or a locust User class to its weight, in proportion to the
    others. rate_per_s is the mean number of arrivals a second, or a `Rate` (`ramp`, `burst`, `steps`). The
    load lasts duration_s seconds; None lasts until stopped.

    A user who arrives runs `on_start`, one task and `on_stop`, and leaves. A SequentialTaskSet is run
    through once; another TaskSet ends with `self.interrupt()`, as it does in locust.

    arrivals "poisson" draws the gaps between arrivals as independent customers make them, "even" makes them
    equal; the same seed gives the same plan. A request of the mix that takes longer than timeout_s seconds is
    a failure. At the end of the load, users have timeout_s seconds left.

    :raises LabError: when a number is not above 0, or the mix has no weight above 0 or one below it, or a
        class that is no locust User.
    """

    mix: Mapping[Arrival, float] | Mapping[Request, float] | Mapping[str, float] | Mapping[type[Any], float]
    rate_per_s: float | Rate
    duration_s: float | None
    arrivals: Literal["poisson", "even"] = "poisson"
    seed: int = 1
    timeout_s: float = 10.0

    def __post_init__(self) -> None:
        """Check the numbers, and parse the requests that were given as text."""
        for name in ("rate_per_s", "duration_s", "timeout_s"):
            value = getattr(self, name)
            if value is None or isinstance(value, Rate):
                continue
            if not (math.isfinite(value) and value > 0):
                raise LabError(
                    expected=f"{name} above 0",
                    seen=f"{name} = {value}",
                    next_step=f"give {name} as a positive number",
                )
        if self.arrivals not in {"poisson", "even"}:
            raise LabError(
                expected='arrivals "poisson" or "even"',
                seen=repr(self.arrivals),
                next_step="choose one of the two",
            )
        weights = list(self.mix.values())
        if not weights or min(weights) < 0 or not math.isfinite(sum(weights)) or sum(weights) == 0:
            raise LabError(
                expected="a mix of requests with weights above 0",
                seen=str(dict(self.mix)),
                next_step='for example {"GET /": 1}',
            )
        for key in self.mix:
            if isinstance(key, type) and not is_user(key):
                next_step = "derive it from locust.HttpUser"
                raise LabError("requests and locust User classes in the mix", repr(key), next_step)
        parsed = {
            Request.parse(key) if isinstance(key, str) else key: weight for key, weight in self.mix.items()
        }
        object.__setattr__(self, "mix", parsed)

    @property
    def requests(self) -> tuple[Request | type, ...]:
        """The requests and User classes of the mix, in its order."""
        return tuple(key for key in self.mix if not isinstance(key, str))

    @property
    def rate(self) -> Rate:
        """The rate of arrival over time."""
        return self.rate_per_s if isinstance(self.rate_per_s, Rate) else Rate(((0.0, self.rate_per_s),))

    def plan(self) -> Iterator[tuple[float, int]]:
        """Yield every arrival: seconds since the start, and the index of its request in `requests`."""
        # Two streams, so that the gaps stay the same when only the weights change.
        choose, gaps = random.Random(self.seed), random.Random(f"{self.seed} gaps")  # noqa: S311 - no secret, a plan
        cumulated = list(accumulate(self.mix.values()))
        indices, end_s = range(len(cumulated)), math.inf if self.duration_s is None else self.duration_s
        even = chain([0.0], repeat(1.0))
        drawn = (gaps.expovariate(1.0) for _ in repeat(None))
        for at_s in self.rate.arrivals(even if self.arrivals == "even" else drawn):
            if at_s >= end_s:
                return
            yield at_s, choose.choices(indices, cum_weights=cumulated)[0]
