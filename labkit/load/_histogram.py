"""A histogram of times, 64 buckets an octave: at most 0.8 % wrong at any size, merged by addition."""

import math
from collections.abc import Iterable, Mapping

_US_PER_MS = 1000
_BUCKET_BITS = 7  # 2**7 values stand exactly; above, the leading 7 bits choose the bucket: 64 an octave


def lower_edge(microseconds: int) -> int:
    """Return the lower edge of a time's bucket."""
    drop = microseconds.bit_length() - _BUCKET_BITS
    return microseconds if drop <= 0 else (microseconds >> drop) << drop


def middle_ms(edge: int) -> float:
    """Return the time in the middle of the bucket with this lower edge."""
    drop = edge.bit_length() - _BUCKET_BITS
    return (edge if drop <= 0 else edge + (1 << drop) / 2) / _US_PER_MS


class Histogram:
    """Counts of times by bucket; immutable in use: `+` and `-` make new histograms.

    counts maps the lower edge of a bucket, in microseconds, to the number of times in it. The log-linear
    buckets are those of HdrHistogram (G. Tene) with 64 sub-buckets an octave.
    """

    __slots__ = ("counts",)

    def __init__(self, counts: Mapping[int, int] | Iterable[tuple[int, int]] = ()) -> None:
        self.counts: dict[int, int] = dict(counts)

    def __len__(self) -> int:
        return sum(self.counts.values())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Histogram) and self.counts == other.counts

    def __hash__(self) -> int:
        return hash(frozenset(self.counts.items()))

    def __add__(self, other: "Histogram") -> "Histogram":
        both = dict(self.counts)
        for edge, count in other.counts.items():
            both[edge] = both.get(edge, 0) + count
        return Histogram(both)

    def __sub__(self, earlier: "Histogram") -> "Histogram":
        left = {edge: count - earlier.counts.get(edge, 0) for edge, count in self.counts.items()}
        return Histogram({edge: count for edge, count in left.items() if count})

    def quantile(self, share: float) -> float:
        """Return the time in ms that this share (0 to 1) of values does not exceed; NaN without values."""
        rank, seen = max(1, math.ceil(len(self) * share)), 0
        for edge in sorted(self.counts):
            seen += self.counts[edge]
            if seen >= rank:
                return middle_ms(edge)
        return math.nan

    def count_above(self, milliseconds: float) -> int:
        """Return how many values lie above a time in ms, to the precision of the buckets."""
        return sum(count for edge, count in self.counts.items() if middle_ms(edge) > milliseconds)
