"""How many requests arrive a second, and how that changes."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, pairwise

from labkit.errors import LabError


@dataclass(frozen=True)
class Rate:
    """Arrivals a second over time: points (second, arrivals a second), straight lines between them.

    Seconds rise from 0; two points at one second are a jump. After the last point the rate stays.

    :raises LabError: when seconds do not rise from 0, or no point has a rate above 0.
    """

    points: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        """Check the points."""
        seconds = [at for at, _ in self.points]
        rates = [rate for _, rate in self.points]
        valid = all(math.isfinite(number) and number >= 0 for number in chain(seconds, rates))
        if not (valid and seconds == sorted(seconds) and seconds[:1] == [0] and any(rates)):
            seen = f"the points {self.points}"
            next_step = "for example rate_per_s=steps((10, 5), (20, 5))"
            raise LabError("rate_per_s above 0 from second 0 on, seconds that rise", seen, next_step)

    def at(self, second: float) -> float:
        """Return the arrivals a second at a moment."""
        for (start, low), (end, high) in pairwise(self.points):
            if start <= second < end:
                return low + (high - low) * (second - start) / (end - start)
        return self.points[-1][1]

    def arrivals(self, gaps: Iterable[float]) -> Iterator[float]:
        """Yield the seconds of arrivals, given the gaps between the arrivals of a rate of 1.

        The arrivals of a rate r(t) are those of rate 1 with t put where the integral of r reaches them (time
        rescaling; E. Çınlar, "Introduction to Stochastic Processes", 1975, 4.7).
        """
        due, passed, index = 0.0, 0.0, 0
        for gap in gaps:
            due += gap
            while index + 1 < len(self.points) and passed + self._area(index) <= due:
                passed += self._area(index)
                index += 1
            start, low = self.points[index]
            if index + 1 == len(self.points):
                if not low:
                    return
                yield start + (due - passed) / low
            else:
                yield start + self._seconds_until(index, due - passed)

    def _area(self, index: int) -> float:
        """Return how many arrivals are due between a point and the next."""
        (start, low), (end, high) = self.points[index : index + 2]
        return (end - start) * (low + high) / 2

    def _seconds_until(self, index: int, area: float) -> float:
        """Return the seconds after a point by which area arrivals are due; the rate rises or falls."""
        (start, low), (end, high) = self.points[index : index + 2]
        slope = (high - low) / (end - start)
        return 2 * area / (low + math.sqrt(max(0.0, low * low + 2 * slope * area))) if area else 0.0


def steps(*rates: tuple[float, float]) -> Rate:
    """Return rates that follow each other: (arrivals a second, for how many seconds); the last one stays."""
    points, at = [], 0.0
    for rate, seconds in rates:
        points += [(at, rate), (at + seconds, rate)]
        at += seconds
    return Rate(tuple(points))


def ramp(start: float, end: float, seconds: float) -> Rate:
    """Return a rate that grows or falls evenly from start to end within some seconds, and stays there."""
    return Rate(((0.0, start), (seconds, end)))


def burst(rate: float, peak: float, at_s: float, seconds: float) -> Rate:
    """Return a rate that jumps to a peak at a second, for some seconds, and falls back."""
    return steps((rate, at_s), (peak, seconds), (rate, 0.0))
