"""Who gets the canary, as long as it is one."""

import math
from dataclasses import dataclass

from labkit.errors import LabError


@dataclass(frozen=True)
class Group:
    """Some of the clients.

    keys are those that the load balancer knows them by, a share (0 to 1) is drawn by lot; with neither,
    chance leads everybody now and then to one of the canaries, as to any other instance. Of several shares,
    or numbers of instances, each is a step, watched before the next, larger one.
    """

    keys: tuple[str, ...] = ()
    shares: tuple[float, ...] = (0.0,)
    instances: tuple[int, ...] = (1,)

    def __post_init__(self) -> None:
        """Check the numbers."""
        for steps, least, most in ((self.instances, 1, math.inf), (self.shares, 0, 1)):
            if not steps or sorted(set(steps)) != [*steps] or not least <= steps[0] <= steps[-1] <= most:
                expected = "growing steps, each of 1 instance or more, or a share from 0 to 1"
                raise LabError(expected, str(steps), "give share(0.1, 0.5) for a tenth, then a half")

    @property
    def is_chosen(self) -> bool:
        """Tell whether somebody is sent to the canary, rather than everybody by chance."""
        return bool(self.keys or any(self.shares))


def everybody(*instances: int) -> Group:
    """Return all clients: each request meets one of the canaries by chance.

    instances, 1 by default, is their number, first beside the N old ones; at each further number canaries
    take the place of old ones, until there are so many.
    """
    return Group(instances=instances or (1,))


def group(name: str) -> Group:
    """Return the clients that say that they belong to a group, by the header X-Group."""
    return Group((f"group/{name}",))


def users(*names: str) -> Group:
    """Return the users of these names, by the header X-User."""
    return Group(tuple(f"user/{name}" for name in names))


def share(*parts: float) -> Group:
    """Return this part (0 to 1) of the requests; of the users, where X-User names them: each stays in or out.

    Of several parts, each is a step, and who was in stays in. One instance serves them all. Another canary
    draws other users: no user is always the first.
    """
    return Group(shares=parts)


def discovery(name: str) -> Group:
    """Return the clients that find the service under another name: "cart-canary" is the cart's."""
    return Group((f"name/{name}",))
