"""Who gets the canary, as long as it is one."""

from dataclasses import dataclass

from labkit.errors import LabError


@dataclass(frozen=True)
class Group:
    """Some of the clients.

    keys are those that the load balancer knows them by, share (0 to 1) is drawn by lot; with neither, chance
    leads everybody now and then to one of `instances` canaries, as to any other instance.
    """

    keys: tuple[str, ...] = ()
    share: float = 0.0
    instances: int = 1

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.instances < 1 or not 0 <= self.share <= 1:
            seen = f"instances = {self.instances}, share = {self.share}"
            raise LabError("1 instance or more, a share from 0 to 1", seen, "give 0.1 for a tenth")

    @property
    def is_chosen(self) -> bool:
        """Tell whether somebody is sent to the canary, rather than everybody by chance."""
        return bool(self.keys or self.share)


def everybody(instances: int = 1) -> Group:
    """Return all clients: each request meets a canary with the chance instances / (N + instances)."""
    return Group(instances=instances)


def group(name: str) -> Group:
    """Return the clients that say that they belong to a group, by the header X-Group."""
    return Group((f"group/{name}",))


def users(*names: str) -> Group:
    """Return the users of these names, by the header X-User."""
    return Group(tuple(f"user/{name}" for name in names))


def share(part: float) -> Group:
    """Return this part (0 to 1) of the requests; of the users, where X-User names them: each stays in or out.

    Another canary draws other users: no user is always the first.
    """
    return Group(share=part)


def discovery(name: str) -> Group:
    """Return the clients that find the service under another name: "cart-canary" is the cart's."""
    return Group((f"name/{name}",))
