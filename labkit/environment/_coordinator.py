"""etcd, as an environment starts it."""

from labkit.coordination import PORT

# Members that are alone need no long election; with etcd's defaults the start takes ten times as long.
COMMAND = [
    "etcd",
    "--data-dir=/tmp/etcd",
    f"--listen-client-urls=http://0.0.0.0:{PORT}",
    f"--advertise-client-urls=http://coordinator:{PORT}",
    "--heartbeat-interval=10",
    "--election-timeout=50",
    "--unsafe-no-fsync",
    "--log-level=warn",
]
