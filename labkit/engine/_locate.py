"""Where the engine is: DOCKER_HOST, then the current docker context, then the default socket."""

import hashlib
import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from labkit.engine._errors import no_engine, no_permission

DEFAULT = "unix:///var/run/docker.sock"
PROBE_S = 5.0
"""How long a remote engine may take to accept a connection, in seconds."""

PORTS = {"tcp": 2375, "http": 2375, "https": 2376}
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Address:
    """Where an engine listens, and the certificates it asks for.

    url is as in DOCKER_HOST; certificates is the folder of ca.pem, cert.pem and key.pem, None without TLS.
    verify is whether the engine's own certificate is checked.
    """

    url: str
    certificates: Path | None = None
    verify: bool = field(default=True)

    def variables(self) -> dict[str, str]:
        """Return the environment variables by which a docker client in another process finds this engine."""
        variables = {"DOCKER_HOST": self.url}
        if self.certificates:
            variables["DOCKER_CERT_PATH"] = str(self.certificates)
            variables["DOCKER_TLS_VERIFY"] = "1" if self.verify else ""
        return variables

    @property
    def local(self) -> bool:
        """Return whether the engine is reached by a socket file, so that it runs on this machine."""
        return urlsplit(self.url).scheme == "unix"

    @property
    def host(self) -> str:
        """Return the host where the engine's published ports are reached."""
        named = os.environ.get("TESTCONTAINERS_HOST_OVERRIDE")
        return named or urlsplit(self.url).hostname or LOOPBACK


def locate(environment: Mapping[str, str] | None = None, settings: Path | None = None) -> Address:
    """Return where the engine should be; nothing is contacted.

    environment None means this process's; settings None means $DOCKER_CONFIG, else ~/.docker.
    """
    environment = os.environ if environment is None else environment
    settings = settings or Path(environment.get("DOCKER_CONFIG") or Path.home() / ".docker")
    if host := environment.get("DOCKER_HOST"):
        folder = environment.get("DOCKER_CERT_PATH")
        verify = bool(environment.get("DOCKER_TLS_VERIFY"))
        certificates = Path(folder) if folder else settings if verify else None
        return Address(host, certificates, verify)
    name = environment.get("DOCKER_CONTEXT") or _json(settings / "config.json").get("currentContext")
    if not name or name == "default":
        return Address(DEFAULT)
    return _context(name, settings)


def _context(name: str, settings: Path) -> Address:
    """Read a docker context as the docker command stores it: by the SHA-256 of the context's name."""
    folder = hashlib.sha256(name.encode()).hexdigest()
    endpoint = (
        _json(settings / "contexts" / "meta" / folder / "meta.json").get("Endpoints", {}).get("docker", {})
    )
    if not endpoint.get("Host"):
        where, seen = f"the docker context {name!r}", f"it is not in {settings / 'contexts'}"
        raise no_engine(where, seen)
    certificates = settings / "contexts" / "tls" / folder / "docker"
    usable = certificates if certificates.is_dir() else None
    return Address(endpoint["Host"], usable, not endpoint.get("SkipTLSVerify", False))


def _json(path: Path) -> dict[str, Any]:
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return fields if isinstance(fields, dict) else {}


def probe(address: Address) -> None:
    """Open and close one connection to the engine.

    :raises NoPermission: when the socket is there and this user may not open it.
    :raises NoEngine: when nothing listens.
    """
    url = urlsplit(address.url)
    try:
        if url.scheme == "unix":
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(PROBE_S)
                connection.connect(url.path)
        elif url.scheme in PORTS:
            where = (url.hostname or LOOPBACK, url.port or PORTS[url.scheme])
            socket.create_connection(where, PROBE_S).close()
    except PermissionError as problem:
        raise no_permission(address.url) from problem
    except OSError as problem:
        raise no_engine(address.url, _reason(problem)) from problem


def _reason(problem: OSError) -> str:
    if isinstance(problem, FileNotFoundError):
        return "there is no such socket"
    if isinstance(problem, ConnectionRefusedError):
        return "nothing listens there"
    if isinstance(problem, TimeoutError):
        return f"no answer within {PROBE_S:.0f} s"
    return problem.strerror or str(problem)
