"""The coordinator: etcd in a container, with a password of its environment.

Source: etcd 3.4, "Configuration flags": bcrypt-cost; "Role-based access control".
"""

from secrets import token_urlsafe
from typing import Self

from labkit.containers import Answers, Element, Namespace
from labkit.coordination import PORT, Coordinator
from labkit.engine import NO_USER, SERVER, SERVERS

__all__ = ["COMMAND", "Etcd"]

# One member alone needs no long election: with the defaults the start takes ten times as long. And a random
# password needs no slow hash.
COMMAND = (
    "etcd",
    "--data-dir=/tmp/etcd",
    f"--listen-client-urls=http://0.0.0.0:{PORT}",
    f"--advertise-client-urls=http://coordinator:{PORT}",
    "--heartbeat-interval=10",
    "--election-timeout=50",
    "--unsafe-no-fsync",
    "--bcrypt-cost=4",
    "--log-level=warn",
)


class Etcd(Element):
    """A coordinator with one member; its keys live as long as its container. Its password is its secret."""

    role = "coordinator"
    limits = SERVER
    capabilities = ()
    make_secret = staticmethod(token_urlsafe)

    def __init__(self, namespace: Namespace, name: str = "coordinator") -> None:
        super().__init__(namespace, name, SERVERS, command=COMMAND, ports=[PORT], user=NO_USER)
        self.waiting_for(Answers("has a leader", lambda _: self.client().answers()))

    def start(self) -> Self:
        """Start it, and return it when nobody gets in without the password.

        One that was killed has its password and its keys.

        :raises LabError: as Element.start, and when somebody has used it before its password was set.
        """
        before = self.container
        super().start()
        if self.container == before:
            return self
        with self.all_or_nothing():
            self.client().require_password()
        return self

    def client(self) -> Coordinator:
        """Return a client of it that works on this machine.

        :raises NoAnswer: when it does not run.
        """
        host, port = self.namespace.engine.host, self.get_exposed_port(PORT)
        return Coordinator(host, port, password=self.secret)
