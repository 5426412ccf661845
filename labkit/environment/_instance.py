"""One running copy of a service."""

from dataclasses import dataclass, replace

from labkit.environment._faults import Faulty
from labkit.errors import LabError


@dataclass(frozen=True)
class Instance(Faulty):
    """One running copy of a service.

    name is also its name in the network. address is ip:port inside the network, "" while it is disconnected.
    state is the balancer's word (UP, DOWN, DRAIN, MAINT), "waiting" when the balancer gives it no requests
    yet, or the engine's (paused, exited …) when it does not run.
    """

    image: str
    address: str

    def slow(self, ms: int) -> None:
        """Hold each of its answers back by ms milliseconds, 0 ends that; its readiness checks are not.

        The balancer does it, through which every request goes; so it is the network that is slow, or the
        instance, which no client can tell apart.
        """
        if ms < 0:
            raise LabError("milliseconds from 0 on", str(ms), "slow(300) holds back, slow(0) ends that")
        self._do("slow", lambda: self.reach.balancer().slow(self, ms), ms=ms)

    def fail(self, share: float) -> None:
        """Turn this share (0 to 1) of its answers into errors 500, 0 ends that; its readiness checks pass.

        The balancer does it, as with slow.
        """
        if not 0 <= share <= 1:
            raise LabError("a share from 0 to 1", str(share), "fail(0.1) for a tenth, fail(0) ends that")
        self._do("fail", lambda: self.reach.balancer().fail(self, share), share=share)

    def disconnect(self) -> None:
        """Take it off the environment's network: it runs, and nobody reaches it, until reconnect()."""
        network = self.reach.scope.network
        self._do("disconnect", lambda: self._api.disconnect_container_from_network(self.container, network))

    def reconnect(self) -> None:
        """Put it into the network again; the balancer learns its address, which may be another one."""

        def work() -> None:
            scope = self.reach.scope
            self._api.connect_container_to_network(self.container, scope.network, aliases=[self.name])
            (part,) = scope.parts({"id": self.container})
            port = self.reach.balancer().servers(self.service)[self.name].address.rpartition(":")[2]
            self.reach.balancer().move(replace(self, address=f"{part.address}:{port}"))

        self._do("reconnect", work)
