"""PostgreSQL in a container: the server, its databases, and the ways to keep a state and put it back."""

from labkit.postgres._database import Database
from labkit.postgres._fingerprint import fingerprint
from labkit.postgres._migrations import migrate
from labkit.postgres._server import PORT, Postgres
from labkit.postgres._strategies import STRATEGIES, SnapshotStrategy

__all__ = ["PORT", "STRATEGIES", "Database", "Postgres", "SnapshotStrategy", "fingerprint", "migrate"]
