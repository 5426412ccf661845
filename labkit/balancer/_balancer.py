"""HAProxy as an element, and its runtime API.

Source: HAProxy 2.6 Management Guide, "Unix Socket commands": add server, del server, set server, show stat,
add map, show table.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

from labkit.balancer import _configuration
from labkit.balancer._configuration import (
    BASIS_POINTS,
    CANARY_MAP,
    CONTROL,
    CONTROL_PORT,
    FAIL_MAP,
    READY_MAP,
    SHARE_MAP,
    SLOW_MAP,
    TRAFFIC,
    VERSION_MAP,
    Listener,
)
from labkit.balancer._control import Control, make_key_pair
from labkit.containers import SECRET, Answers, Deadline, Element, Namespace, NotReady
from labkit.engine import SERVER, SERVERS
from labkit.errors import LabError

ANSWER_S = 5.0
"""How long each step of a command may take, in seconds."""

READY_S = 30.0
DRAIN_S = 30.0
REMOVE_S = 10.0
PASSED = "L7OK"
"""HAProxy's word for a health check with the expected answer."""

RUNS, CHECK_S = "* ", 2.0
"""How HAProxy's word of a check begins that has not ended yet, and within how many seconds it does."""

CHECK = "check inter 200ms fastinter 50ms downinter 50ms fall 2 rise 1"
WRITE_AND_RUN = f"""\
umask 077
printf "%s" "${SECRET}" > {_configuration.KEY_PAIR}
printf "%s" "$CONFIGURATION" > /tmp/haproxy.cfg
printf "%s" "$SLOW" > {_configuration.SLOW_LUA}
touch {" ".join(_configuration.MAPS)}
exec haproxy -db -f /tmp/haproxy.cfg
"""


class Server(Protocol):
    """What the balancer has to know of a server: its service, its name there, its version and its address.

    ready is the path of its health check.
    """

    service: str
    name: str
    version: str
    ready: str

    @property
    def address(self) -> str:
        """Where it listens, as ip:port."""


@dataclass(frozen=True)
class ServerStatus:
    """What the balancer knows of one server.

    status is UP, DOWN, DRAIN or MAINT. address is ip:port. check says how its last health check ended, ""
    before the first. sessions counts the requests that it works on now, queued those that wait for it,
    requests those that it got since it was registered.
    """

    name: str
    status: str
    address: str
    check: str
    sessions: int
    queued: int
    requests: int


class Traffic(NamedTuple):
    """The requests of the last TRAFFIC_S seconds, and how many of them servers answered with 500 or more."""

    requests: int
    failed: int


class Balancer(Element):
    """The load balancer: every service is reached through it, under the service's own name and port.

    A server is registered, then health-checked; it gets requests once it is enabled. The verbs raise NoAnswer
    when the balancer does not answer, because it was paused, killed or removed.
    """

    role = "balancer"
    limits = SERVER
    capabilities = ("NET_BIND_SERVICE",)
    make_secret = staticmethod(make_key_pair)

    def __init__(self, namespace: Namespace, listeners: Sequence[Listener], name: str = "balancer") -> None:
        """Describe a balancer for these services; each is also found under its canary's name."""
        configuration = _configuration.configuration(listeners)
        names = [
            name for listener in listeners for name in (listener.name, listener.name + _configuration.CANARY)
        ]
        super().__init__(
            namespace,
            name,
            SERVERS,
            command=["sh", "-c", WRITE_AND_RUN],
            variables={"CONFIGURATION": configuration, "SLOW": _configuration.SLOW},
            ports=[CONTROL_PORT, *(listener.port for listener in listeners)],
            aliases=names,
        )
        # The engine's proxy accepts connections before HAProxy does, so the wait asks for HAProxy's version.
        self.waiting_for(Answers("answers its runtime API", lambda _: "Version" in self._send("show info")))

    def command(self, *commands: str) -> str:
        """Send commands of HAProxy's runtime API and return the answer.

        :raises NoAnswer: when nothing answers. A restarted balancer has another port, which is tried too.
        """
        return self.ask(lambda: self._send(*commands))

    def _send(self, *commands: str) -> str:
        host, port = self.namespace.engine.host, self.get_exposed_port(CONTROL_PORT)
        answer = self._control.ask(host, port, ";".join(commands).encode() + b"\n", ANSWER_S).decode()
        if not answer:  # HAProxy ends every answer with an empty line, so this was the engine's proxy
            message = "the connection was closed without an answer"
            raise ConnectionError(message)
        return answer

    @cached_property
    def _control(self) -> Control:
        if not self.secret:
            raise self.no_answer("it has no key pair, because another version of labkit made it")
        return Control(self.secret)

    def servers(self, service: str) -> dict[str, ServerStatus]:
        """Return the servers of a service, by name."""
        return self.all_servers().get(service, {})

    def all_servers(self) -> dict[str, dict[str, ServerStatus]]:
        """Return all servers by service and name; those that are only checked are under service + CHECKED."""
        servers: dict[str, dict[str, ServerStatus]] = {}
        for row in csv.DictReader(io.StringIO(self.command("show stat -1 4 -1").removeprefix("# "))):
            status = ServerStatus(
                name=row["svname"],
                status=row["status"].partition(" ")[0],
                address=row["addr"],
                check=" ".join(filter(None, (row["check_status"], row["check_code"], row["last_chk"]))),
                sessions=int(row["scur"] or 0),
                queued=int(row["qcur"] or 0),
                requests=int(row["stot"] or 0),
            )
            servers.setdefault(row["pxname"], {})[status.name] = status
        servers.pop(CONTROL, None)
        return servers

    def traffic(self, service: str) -> Traffic:
        """Return how many requests a service got in the last TRAFFIC_S seconds, and how many failed."""
        shown = self.command(f"show table {TRAFFIC} key {service}")
        counts = {name: int(count) for name, count in re.findall(r"(\w+)_rate\(\d+\)=(\d+)", shown)}
        # A failure is a server's own, or one that was made from its good answer.
        return Traffic(counts.get("http_req", 0), counts.get("http_fail", 0) + counts.get("gpc0", 0))

    # ---- a server comes ----

    def add(self, server: Server, deadline_s: float = READY_S) -> None:
        """Register a server, wait until its health check has passed, and enable it.

        :raises NotReady: when it has not passed within deadline_s seconds; the server is forgotten again.
        """
        self.health_check(server, deadline_s)
        self.enable(server)

    def health_check(self, server: Server, deadline_s: float = READY_S) -> None:
        """Register a server and wait until its health check has passed; it gets no requests yet.

        :raises NotReady: when it has not passed within deadline_s seconds; the server is forgotten again.
        """
        self.register(server)
        try:
            if Deadline(deadline_s).until(lambda: self.is_healthy(server)) is None:
                return
            seen = self.last_check(server, "")
        except BaseException:
            self.forget(server)
            raise
        self.forget(server)
        next_step = f"read its log: environment.logs({server.service!r})"
        raise NotReady(f"{server.name} is ready within {deadline_s:g} s", seen, next_step)

    def register(self, server: Server, backend: str = "") -> None:
        """Make a server known, so that it is health-checked from now on; it gets no requests yet.

        backend "" is the service's own, CHECKED the one whose servers never get requests. A server that is
        known under this address is no error: a command whose answer is lost is sent again.

        :raises LabError: when HAProxy refuses, for example because the name is taken.
        """
        place = f"{server.service}{backend}/{server.name}"
        ready = _entry(READY_MAP, server.name, _one_word(server.ready))
        answer = self.command(*ready, f"add server {place} {server.address} {CHECK}")
        if "registered" not in answer and not self._knows(server, backend):
            next_step = (
                f"use another name; known are those of environment.balancer.servers({server.service!r})"
            )
            seen = (answer.strip() or "no answer").splitlines()[-1]
            raise LabError(f"the balancer registers {place}", seen, next_step)
        version = [] if backend else _entry(VERSION_MAP, server.name, _one_word(server.version))
        # Drained first, because HAProxy treats an enabled server as UP until its first check fails.
        self.command(*version, f"set server {place} state drain", f"enable health {place}")

    def _knows(self, server: Server, backend: str) -> bool:
        """Return whether a server is registered under its present address."""
        known = self.servers(server.service + backend).get(server.name)
        return known is not None and known.address == server.address

    def enable(self, server: Server) -> None:
        """Give a registered server its share of the requests; a route to it ends."""
        self.unroute(server)
        self.command(f"set server {server.service}/{server.name} state ready")

    def is_healthy(self, server: Server, backend: str = "") -> bool:
        """Return whether a registered server has passed its last health check."""
        status = self.servers(server.service + backend).get(server.name)
        return status is not None and status.status in {"UP", "DRAIN"} and PASSED in status.check

    def last_check(self, server: Server, backend: str) -> str:
        """Return in words how a server's last health check in a backend ended; "" is its service's own."""
        status: ServerStatus | None = None

        def ended() -> bool:
            nonlocal status
            status = self.servers(server.service + backend).get(server.name)
            return status is None or not status.check.startswith(RUNS)

        Deadline(CHECK_S).until(ended)
        if status is None:
            return "the balancer does not know it"
        return f"its last check ended with {status.check}" if status.check else "it was not checked yet"

    def move(self, server: Server, backend: str = "") -> None:
        """Send a server's requests, and its health checks, to its present address from now on."""
        ip, _, port = server.address.partition(":")
        self.command(f"set server {server.service}{backend}/{server.name} addr {ip} port {port}")

    # ---- who gets which requests ----

    def switch(self, to: Iterable[Server], away: Iterable[Server]) -> None:
        """Give some registered servers their share of the requests, others no new ones, at one moment."""
        to = list(to)
        self.unroute(*to)
        ready = [f"set server {server.service}/{server.name} state ready" for server in to]
        drained = [f"set server {server.service}/{server.name} state drain" for server in away]
        self.command(*ready, *drained)

    def route(self, server: Server, keys: Iterable[str], share: float = 0, salt: str = "") -> None:
        """Send the requests with these keys to a server that gets no others, such as a canary.

        A key is "group/…", "user/…" or "name/…": the request's group, its user, or the name under which the
        client found the service. share (0 to 1) adds a random part of the other requests; a request that
        names a user is drawn by its user. Another salt draws other users; "" takes the server's name as salt.
        The route lasts until the server is enabled, drained or forgotten.
        """
        for key in [*keys, "split"]:
            self._set(CANARY_MAP, f"{server.service}/{key}", server.name)
        self._set(CANARY_MAP, f"{server.service}/salt", salt or server.name)
        self._set(SHARE_MAP, server.service, round(share * BASIS_POINTS))

    def routed(self) -> dict[str, float]:
        """Return the random part (0 to 1) of its service's requests that each routed server gets, by name.

        The requests with the route's keys are not in that part. A server without a route is left out.
        """
        shares, routes = self._entries(SHARE_MAP), self._entries(CANARY_MAP)
        return {
            name: int(shares.get(key.removesuffix("/split"), 0)) / BASIS_POINTS
            for key, name in routes.items()
            if key.endswith("/split")
        }

    def unroute(self, *servers: Server) -> None:
        """End the routes to servers: their clients come to the others at once."""
        names = {server.name for server in servers}
        for key, name in self._entries(CANARY_MAP).items():
            if name in names:
                self._set(CANARY_MAP, key, 0)

    # ---- faults, between a server's answer and the client ----

    def slow(self, server: Server, ms: int) -> None:
        """Delay each answer of a server by ms milliseconds, but no health check; 0 ends that."""
        self._set(SLOW_MAP, server.name, ms)

    def slowed(self) -> dict[str, int]:
        """Return the delay of each slowed server by its name, in milliseconds."""
        return {name: int(ms) for name, ms in self._entries(SLOW_MAP).items()}

    def fail(self, server: Server, share: float) -> None:
        """Turn this share (0 to 1) of a server's answers into errors 500, but no health check; 0 ends it."""
        self._set(FAIL_MAP, server.name, round(share * BASIS_POINTS))

    def failing(self) -> dict[str, float]:
        """Return the share (0 to 1) of failing answers of each failing server by its name."""
        return {name: int(share) / BASIS_POINTS for name, share in self._entries(FAIL_MAP).items()}

    def _set(self, file: str, key: str, value: object) -> None:
        """Set an entry of a map; 0 removes it."""
        self.command(*_entry(file, key, value))

    def _entries(self, file: str) -> dict[str, str]:
        rows = (line.split() for line in self.command(f"show map {file}").splitlines() if line.strip())
        return {key: value for _, key, value in rows}

    # ---- a server goes ----

    def drain(self, server: Server, deadline_s: float = DRAIN_S) -> None:
        """Give a server no new requests, and wait until it has answered those that it has.

        A session that stuck to it goes to another server at once: HAProxy's own "drain" would keep it there.

        :raises NotReady: when it has not within deadline_s seconds; it still gets no new requests.
        """
        self.unroute(server)
        self.command(f"set server {server.service}/{server.name} state maint")
        left = 0

        def idle() -> bool:
            nonlocal left
            status = self.servers(server.service).get(server.name)
            left = status.sessions + status.queued if status else 0
            return left == 0

        if Deadline(deadline_s).until(idle) is not None:
            expected = f"{server.name} has answered its requests within {deadline_s:g} s"
            next_step = "give the drain more seconds, or remove the instance and lose these requests"
            raise NotReady(expected, f"{left} are open", next_step)

    def cut_off(self, server: Server) -> None:
        """Give a server no requests at all; requests that it still has are cut off. It stays known."""
        place = f"{server.service}/{server.name}"
        self.command(f"set server {place} state maint", f"shutdown sessions server {place}")

    def forget(self, server: Server, backend: str = "") -> None:
        """Forget a server; requests that it still has are cut off. One that is not registered is no error.

        :raises NotReady: when HAProxy does not delete it within REMOVE_S seconds.
        """
        if not backend:
            self.unroute(server)
            self.command(*_entry(SLOW_MAP, server.name, 0), *_entry(FAIL_MAP, server.name, 0))
        place, answer = f"{server.service}{backend}/{server.name}", ""

        def gone() -> bool:
            nonlocal answer
            answer = self.command(f"del server {place}").strip()
            return "deleted" in answer or "No such" in answer

        self.command(f"set server {place} state maint", f"shutdown sessions server {place}")
        if Deadline(REMOVE_S).until(gone) is not None:
            raise NotReady(f"the balancer forgets {place} within {REMOVE_S:g} s", answer, "try again")
        if not backend:
            # Last, so that the requests that are cut off have a version.
            self.command(*_entry(READY_MAP, server.name, 0), *_entry(VERSION_MAP, server.name, 0))


def _entry(file: str, key: str, value: object) -> list[str]:
    """Return the commands that set an entry of a map; the value 0 removes it."""
    return [f"del map {file} {key}", *([f"add map {file} {key} {value}"] if value else [])]


def _one_word(text: str) -> str:
    """Return a text as one word of the runtime API, which a blank or a semicolon would end."""
    return re.sub(r"([\s;\\])", r"\\\1", text)
