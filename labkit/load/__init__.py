"""Load: define a mix of requests and users, apply it at a rate of arrival, measure the answers.

A `Load` is an open model: requests leave at their planned times, whatever the server does, and latency
counts from the planned time. So a server that stalls cannot hide the requests that were due meanwhile
(G. Tene calls that "coordinated omission"). `replay` sends the requests that an environment captured instead
of a mix, at the times at which they came.

`apply` takes ordinary locust users too: a User class or a locustfile, in locust's own closed model. All give
the same `Measurement`. The generator runs in a child process, and so does locust, which only users need. So
`import locust` leaves this process without gevent's patches when it comes after `import labkit.load`.
"""

from labkit.load import _unpatched
from labkit.load._apply import RunningLoad, Target, apply
from labkit.load._define import Arrival, Load
from labkit.load._histogram import Histogram
from labkit.load._measurement import Failure, Measurement, Tally
from labkit.load._outcome import BROKEN_OFF, outcome
from labkit.load._rate import Rate, burst, ramp, steps
from labkit.load._replay import replay
from labkit.load._request import Request

_unpatched.install()

__all__ = [
    "BROKEN_OFF",
    "Arrival",
    "Failure",
    "Histogram",
    "Load",
    "Measurement",
    "Rate",
    "Request",
    "RunningLoad",
    "Tally",
    "Target",
    "apply",
    "burst",
    "outcome",
    "ramp",
    "replay",
    "steps",
]
