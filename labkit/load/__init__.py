"""Load: define a mix of requests and sessions, apply it at a rate of arrival, measure the answers.

`replay` sends the requests that an environment captured instead of a mix, at the times at which they came.

The load is an open model: requests leave at their planned times, whatever the server does, and latency counts
from the planned time. So a server that stalls cannot hide the requests that were due meanwhile (G. Tene calls
that "coordinated omission"). The generator, locust, runs in a child process, never in this one.
"""

from labkit.load._apply import RunningLoad, apply
from labkit.load._define import Load
from labkit.load._histogram import Histogram
from labkit.load._measurement import Failure, Measurement, Tally
from labkit.load._rate import Rate, burst, ramp, steps
from labkit.load._replay import replay
from labkit.load._request import Request
from labkit.load._session import Session

__all__ = [
    "Failure",
    "Histogram",
    "Load",
    "Measurement",
    "Rate",
    "Request",
    "RunningLoad",
    "Session",
    "Tally",
    "apply",
    "burst",
    "ramp",
    "replay",
    "steps",
]
