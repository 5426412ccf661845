"""labkit's folder in the user's cache."""

import os
from pathlib import Path


def cache() -> Path:
    """Return labkit's folder in the user's cache ($XDG_CACHE_HOME, else ~/.cache)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "labkit"
