"""The coordinator: etcd in a container."""

from labkit.containers import Answers, Element, Namespace
from labkit.coordination import PORT, Coordinator
from labkit.engine import SERVER, SERVERS

__all__ = ["COMMAND", "Etcd"]

# One member alone needs no long election: with etcd's defaults the start takes ten times as long.
COMMAND = (
    "etcd",
    "--data-dir=/tmp/etcd",
    f"--listen-client-urls=http://0.0.0.0:{PORT}",
    f"--advertise-client-urls=http://coordinator:{PORT}",
    "--heartbeat-interval=10",
    "--election-timeout=50",
    "--unsafe-no-fsync",
    "--log-level=warn",
)


class Etcd(Element):
    """A coordinator with one member; its keys live as long as its container."""

    role = "coordinator"
    limits = SERVER
    capabilities = ()

    def __init__(self, namespace: Namespace, name: str = "coordinator") -> None:
        super().__init__(namespace, name, SERVERS, command=COMMAND, ports=[PORT], user="nobody")
        self.waiting_for(Answers("has a leader", lambda _: self.client().answers()))

    def client(self) -> Coordinator:
        """Return a client of it that works on this machine.

        :raises NoAnswer: when it does not run.
        """
        return Coordinator(self.namespace.engine.host, self.get_exposed_port(PORT))
