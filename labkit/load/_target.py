"""Where a load may go: to this machine, or to a host that the caller names."""

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from labkit.errors import LabError


def check_target(url: str, hosts: Collection[str]) -> None:
    """Check that a URL names a server on this machine or on one of hosts.

    :raises LabError: when it does not.
    """
    parts = urlsplit(url)
    try:
        port, host = parts.port, parts.hostname or ""
    except ValueError:
        port, host = None, ""
    plain = parts.scheme == "http" and parts.path in {"", "/"} and not parts.query and "@" not in parts.netloc
    if not plain or not host or port == 0:
        raise LabError(
            expected="a target like http://127.0.0.1:8080",
            seen=repr(url),
            next_step="put paths into the mix, not into the URL",
        )
    if not is_allowed(host, hosts):
        raise LabError(
            expected="a load on this machine or on the container engine's host",
            seen=f"the host {host}",
            next_step="give the environment's url, or name the host in hosts=[…] when the server is yours",
        )


def is_allowed(host: str, hosts: Collection[str]) -> bool:
    """Return whether a host is this machine or one of hosts."""
    return host in hosts or host == "localhost" or _is_loopback(host)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
