"""Which clients get the canary while it is one."""

import math
from dataclasses import dataclass

from labkit.errors import LabError


@dataclass(frozen=True)
class Group:
    """Some of the clients.

    keys name clients as the load balancer knows them. shares are parts (0 to 1) of the clients, chosen at
    random. With neither, the canary gets its part of all requests, as any other instance does. Of several
    shares, or numbers of instances, each is a step, and is watched before the next, larger one.
    """

    keys: tuple[str, ...] = ()
    shares: tuple[float, ...] = (0.0,)
    instances: tuple[int, ...] = (1,)

    def __post_init__(self) -> None:
        """Check the numbers.

        :raises LabError: when the steps do not grow, or a number is out of its range.
        """
        for steps, least, most in ((self.instances, 1, math.inf), (self.shares, 0, 1)):
            if not steps or sorted(set(steps)) != [*steps] or not least <= steps[0] <= steps[-1] <= most:
                expected = "growing steps, each of 1 instance or more, or a share from 0 to 1"
                raise LabError(expected, str(steps), "give share(0.1, 0.5) for a tenth, then a half")

    @property
    def is_chosen(self) -> bool:
        """Whether certain clients are sent to the canary; else any request may come to it."""
        return bool(self.keys or any(self.shares))


def everybody(*instances: int) -> Group:
    """Return all clients: any of their requests may come to a canary.

    instances are the numbers of canaries, one for each step, 1 by default. The first canaries are added to
    the N old instances; at each further step canaries replace old instances.
    """
    return Group(instances=instances or (1,))


def group(name: str) -> Group:
    """Return the clients that name this group in the header X-Group."""
    return Group((f"group/{name}",))


def users(*names: str) -> Group:
    """Return the users of these names, by the header X-User."""
    return Group(tuple(f"user/{name}" for name in names))


def share(*parts: float) -> Group:
    """Return this part (0 to 1) of the requests, or of the users where the header X-User names them.

    A user stays in or out for the whole deployment. Of several parts, each is a step, and users who are in
    stay in. One instance serves them all. Each deployment chooses anew, so no user is always the first.
    """
    return Group(shares=parts)


def discovery(name: str) -> Group:
    """Return the clients that find the service under another name: "cart-canary" is the cart's."""
    return Group((f"name/{name}",))
