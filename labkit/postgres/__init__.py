"""PostgreSQL in a container: the server, its databases, and strategies to snapshot and restore a state."""

from labkit.postgres._database import Database
from labkit.postgres._fingerprint import fingerprint
from labkit.postgres._migrations import migrate
from labkit.postgres._server import PORT, Postgres
from labkit.postgres._strategies import STRATEGIES, SnapshotStrategy
from labkit.postgres._url import DatabaseUrl

__all__ = [
    "PORT",
    "STRATEGIES",
    "Database",
    "DatabaseUrl",
    "Postgres",
    "SnapshotStrategy",
    "fingerprint",
    "migrate",
]
