"""Which images labkit made, or loaded, for this user: by digest, because anybody can write a name or a label.

Where the engine is does not matter, because a digest is computed from what is in the image. When the file is
lost, images are built again, mostly from the builder's own cache.
"""

from labkit._lock_file import open_lock
from labkit.engine._cache import cache

MADE = "images"
"""The file in the user's cache: on each line what an image was made from, and its digest."""


def is_made(source: str, digest: str) -> bool:
    """Return whether labkit made this image from this source for this user.

    :raises LabError: when the file cannot be trusted; see open_lock.
    """
    with open_lock(cache() / MADE) as file:
        file.seek(0)
        return _line(source, digest) in file


def remember_made(source: str, digest: str) -> None:
    """Remember that an image was made from a source, a text of one line.

    :raises LabError: as is_made.
    """
    if not is_made(source, digest):
        with open_lock(cache() / MADE) as file:
            file.write(_line(source, digest))


def _line(source: str, digest: str) -> str:
    return f"{source} {digest}\n"
