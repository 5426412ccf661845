"""What containers and builds may use and do: the one place where these values stand.

The limits are ceilings, not reservations. They are there so that a service that forks, allocates or logs
without end ends alone. Sources: Docker's "Runtime options with Memory, CPUs, and GPUs"; capabilities(7).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from labkit.system import Limits

MIB = 1 << 20
CPU_PERIOD_US = 100_000

SERVER = Limits(memory_bytes=512 * MIB, pids=256, cpus=1.0)
"""A service, and labkit's own small servers; system.toml may say otherwise for a service."""

WORK = Limits(memory_bytes=2048 * MIB, pids=1024, cpus=2.0)
"""A database, a command or test, and containers that somebody else has brought."""

LOGS = {"type": "json-file", "config": {"max-size": "10m", "max-file": "2"}}
"""A container's log keeps its newest 10 to 20 MB."""

OUTPUT = {"type": "json-file", "config": {"max-size": "200m", "max-file": "1"}}
"""The log of a container whose output is its result: it must not lose its beginning."""

BEGINS_AS_ROOT = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID")
"""The capabilities of an image that begins as root, prepares its files and goes on as another user."""

NO_USER = "65532:65532"
"""A user and group that no machine has by custom, as those of distroless images. A user of the same number on
the engine's machine may read a process's variables, and `nobody` runs other programs there too."""

BUILD_LIMITS = {"memory": 2048 * MIB, "memswap": 2048 * MIB, "cpushares": 512}
"""What a step of a build may use; the legacy builder takes half a container's share of processor time."""

BUILD_S = 600.0
"""How long the build of a service's image may take, in seconds."""

ALTERNATIVES = (
    {"mem_limit", "memswap_limit"},
    {"pids_limit"},
    {"cpu_period", "cpu_quota", "nano_cpus", "cpuset_cpus"},
    {"cap_drop", "cap_add", "privileged"},
    {"security_opt"},
    {"log_config"},
    {"use_config_proxy"},
)
"""Settings that belong together: who gives one of them replaces all of its group."""


def restricted(
    given: Mapping[str, Any],
    limits: Limits = WORK,
    capabilities: Sequence[str] = BEGINS_AS_ROOT,
    logs: Mapping[str, Any] = LOGS,
) -> dict[str, Any]:
    """Return a container's settings with its limits, in the words of the engine's library.

    What is given stays as it is.
    """
    limits = limits.over(WORK)
    own = {
        "mem_limit": limits.memory_bytes,
        "memswap_limit": limits.memory_bytes,  # memory and swap together: none of it is swap
        "pids_limit": limits.pids,
        "cpu_period": CPU_PERIOD_US,
        "cpu_quota": int((limits.cpus or 1) * CPU_PERIOD_US),  # `cpus` is refused where there are fewer
        "cap_drop": ["ALL"],
        "cap_add": list(capabilities),
        "security_opt": ["no-new-privileges"],
        "log_config": dict(logs),
        "use_config_proxy": False,  # the proxy of this machine's docker client is nothing to containers
    }
    replaced = {name for group in ALTERNATIVES if group & given.keys() for name in group}
    return {name: value for name, value in own.items() if name not in replaced} | dict(given)
