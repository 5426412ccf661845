"""HAProxy as the load balancer, told at run time which instances take requests, and whose.

Source: HAProxy 2.6 Management Guide, "Unix Socket commands": add server, del server, set server, show stat,
add map.
"""

import csv
import io
import socket
from collections.abc import Iterable
from dataclasses import dataclass

from labkit.environment._haproxy import CANARY_MAP, FAIL_MAP, SHARE_MAP, SLOW_MAP, WAITING, WHOLE
from labkit.environment._instance import Instance
from labkit.environment._wait import Deadline, NotReady
from labkit.errors import LabError

ANSWER_S = 5.0
READY_S = 30.0
DRAIN_S = 30.0
REMOVE_S = 10.0
PASSED = "L7OK"
"""HAProxy's word for a check that was answered as expected."""

CHECK = "check inter 200ms fastinter 50ms downinter 50ms fall 2 rise 1"


@dataclass(frozen=True)
class ServerStatus:
    """What the balancer knows of one instance.

    status is UP, DOWN, DRAIN or MAINT. check says how its last readiness check ended. sessions are the
    requests that it works on now, queued those that wait for it, requests those it was given since it was
    added.
    """

    name: str
    status: str
    address: str
    check: str
    sessions: int
    queued: int
    requests: int


class Balancer:
    """The load balancer, told through its runtime API at host:port which instances take requests."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port

    def tell(self, *commands: str) -> str:
        """Send commands of HAProxy's runtime API and return the answer.

        :raises OSError: when nothing answers.
        """
        with socket.create_connection((self.host, self.port), ANSWER_S) as line:
            line.sendall(";".join(commands).encode() + b"\n")
            return b"".join(iter(lambda: line.recv(65536), b"")).decode()

    def answers(self) -> bool:
        """Tell whether the runtime API answers; behind docker-proxy, an accepted connection says nothing."""
        return "Version" in self.tell("show info")

    def servers(self, service: str) -> dict[str, ServerStatus]:
        """Return the instances that the balancer has for a service, by name."""
        return self.all_servers().get(service, {})

    def all_servers(self) -> dict[str, dict[str, ServerStatus]]:
        """Return the instances that it has, by service and name; those that wait have a room of their own."""
        found: dict[str, dict[str, ServerStatus]] = {}
        for row in csv.DictReader(io.StringIO(self.tell("show stat -1 4 -1").removeprefix("# "))):
            status = ServerStatus(
                name=row["svname"],
                status=row["status"].partition(" ")[0],
                address=row["addr"],
                check=" ".join(filter(None, (row["check_status"], row["check_code"], row["last_chk"]))),
                sessions=int(row["scur"] or 0),
                queued=int(row["qcur"] or 0),
                requests=int(row["stot"] or 0),
            )
            found.setdefault(row["pxname"], {})[status.name] = status
        return found

    def add(self, instance: Instance, deadline_s: float = READY_S) -> None:
        """Let an instance take requests; return once its readiness check has passed.

        :raises NotReady: when it has not within deadline_s seconds; it is taken out again.
        """
        self.check_in(instance, deadline_s)
        self.admit(instance)

    def check_in(self, instance: Instance, deadline_s: float = READY_S) -> None:
        """Make an instance known and return once its readiness check has passed; it gets no requests yet.

        :raises NotReady: when it has not within deadline_s seconds; it is taken out again.
        """
        self.introduce(instance)
        try:
            late = Deadline(deadline_s).until(lambda: self.finds_ready(instance))
            seen = self.last_check(instance) if late else ""
        except BaseException:
            self.remove(instance)
            raise
        if late:
            self.remove(instance)
            mend = f"read its log: environment.logs({instance.service!r})"
            raise NotReady(f"{instance.name} is ready within {deadline_s:g} s", seen, mend)

    def introduce(self, instance: Instance, room: str = "") -> None:
        """Make an instance known, so that it is checked from now on; requests come once it is admitted.

        room WAITING is the waiting room, from which nobody is admitted.
        """
        place = f"{instance.service}{room}/{instance.name}"
        answer = self.tell(f"add server {place} {instance.address} {CHECK}")
        if "registered" not in answer:
            mend = "look at the service's instances; each name can be added once"
            raise LabError(f"the balancer takes {place} in", answer.strip() or "no answer", mend)
        # Drained, because HAProxy takes a server that was enabled for UP until its first check has failed.
        self.tell(f"set server {place} state drain", f"enable health {place}")

    def admit(self, instance: Instance) -> None:
        """Give an instance that is known its share of the requests."""
        self._undirect(instance)
        self.tell(f"set server {instance.service}/{instance.name} state ready")

    def switch(self, to: Iterable[Instance], away: Iterable[Instance]) -> None:
        """Give instances that are known their share of the requests, and others no new ones, in one go."""
        to = list(to)
        self._undirect(*to)
        ready = [f"set server {it.service}/{it.name} state ready" for it in to]
        self.tell(*ready, *(f"set server {it.service}/{it.name} state drain" for it in away))

    def finds_ready(self, instance: Instance, room: str = "") -> bool:
        """Tell whether an instance that is known in a room has passed its last readiness check."""
        status = self.all_servers().get(instance.service + room, {}).get(instance.name)
        return status is not None and status.status in {"UP", "DRAIN"} and PASSED in status.check

    def last_check(self, instance: Instance, room: str = "") -> str:
        """Return in words how the last readiness check of an instance ended."""
        status = self.all_servers().get(instance.service + room, {}).get(instance.name)
        if status is None:
            return "the balancer does not know it"
        return f"its last check ended with {status.check}" if status.check else "it was not checked yet"

    def leave_waiting(self, instance: Instance) -> None:
        """Forget an instance that stands in the waiting room."""
        self._delete(f"{instance.service}{WAITING}/{instance.name}")

    def drain(self, instance: Instance, deadline_s: float = DRAIN_S) -> None:
        """Give an instance no new requests, and wait until those it has are answered.

        :raises NotReady: when some are not within deadline_s seconds; the instance stays without new ones.
        """
        self._undirect(instance)
        self.tell(f"set server {instance.service}/{instance.name} state drain")
        left = 0

        def idle() -> bool:
            nonlocal left
            status = self.servers(instance.service).get(instance.name)
            left = status.sessions + status.queued if status else 0
            return left == 0

        if Deadline(deadline_s).until(idle) is not None:
            mend = "give the drain more seconds, or remove the instance and lose these requests"
            raise NotReady(
                f"{instance.name} has answered its requests within {deadline_s:g} s", f"{left} are open", mend
            )

    def slow(self, instance: Instance, ms: int) -> None:
        """Hold each answer of an instance back by ms milliseconds, its readiness checks not; 0 ends that."""
        self._map(SLOW_MAP, instance.name, ms)

    def slowed(self) -> dict[str, int]:
        """Return by how many milliseconds the answers of which instances are held back."""
        return {name: int(ms) for name, ms in self._mapped(SLOW_MAP).items()}

    def fail(self, instance: Instance, share: float) -> None:
        """Turn this share (0 to 1) of an instance's answers into errors 500, its readiness checks not."""
        self._map(FAIL_MAP, instance.name, round(share * WHOLE))

    def failing(self) -> dict[str, float]:
        """Return which share of the answers of which instances is turned into errors."""
        return {name: int(share) / WHOLE for name, share in self._mapped(FAIL_MAP).items()}

    def direct(self, instance: Instance, keys: Iterable[str], share: float = 0) -> None:
        """Send some requests to an instance that gets no others; keys are "group/…", "user/…" and "name/…".

        share (0 to 1) of the requests, or of the users where they are named, are sent there too. It lasts
        until the instance is admitted, drained or removed.
        """
        for key in [*keys, "lot"]:
            self._map(CANARY_MAP, f"{instance.service}/{key}", instance.name)
        self._map(CANARY_MAP, f"{instance.service}/salt", instance.container[:12])
        self._map(SHARE_MAP, instance.service, round(share * WHOLE))

    def _undirect(self, *instances: Instance) -> None:
        names = {it.name for it in instances}
        for key, name in self._mapped(CANARY_MAP).items():
            if name in names:
                self._map(CANARY_MAP, key, 0)

    def _map(self, file: str, key: str, value: object) -> None:
        """Set an entry of a map; 0 removes it."""
        self.tell(f"del map {file} {key}")
        if value:
            self.tell(f"add map {file} {key} {value}")

    def _mapped(self, file: str) -> dict[str, str]:
        told = (line.split() for line in self.tell(f"show map {file}").splitlines() if line.strip())
        return {key: value for _, key, value in told}

    def move(self, instance: Instance) -> None:
        """Learn the new address of an instance."""
        ip, _, port = instance.address.partition(":")
        self.tell(f"set server {instance.service}/{instance.name} addr {ip} port {port}")

    def remove(self, instance: Instance) -> None:
        """Forget an instance, known or not; the requests that it still has are cut off."""
        self._undirect(instance)
        self.slow(instance, 0)
        self.fail(instance, 0)
        self._delete(f"{instance.service}/{instance.name}")

    def _delete(self, place: str) -> None:
        answer = ""

        def gone() -> bool:
            nonlocal answer
            answer = self.tell(f"del server {place}").strip()
            return "deleted" in answer or "No such" in answer

        self.tell(f"set server {place} state maint", f"shutdown sessions server {place}")
        if Deadline(REMOVE_S).until(gone) is not None:
            raise NotReady(f"the balancer forgets {place} within {REMOVE_S:g} s", answer, "try again")
