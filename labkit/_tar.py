"""The one writer and the one reader of tar archives."""

import io
import tarfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath

Files = Mapping[str, bytes | Path]
"""Path in the archive → bytes, a file, or a folder that is packed whole; a path with "/" last is a folder."""


def pack(files: Files, *, times: bool = False, include: Callable[[PurePath], bool] = lambda _: True) -> bytes:
    """Return a tar of files in the order of their paths, all of them root's.

    times keeps the time of each file, and gives contents given as bytes the present time. Without it every
    time is zero, so that the same files make the same archive. include gets each path inside a folder and
    returns whether it is packed; without it everything is. The folders above what is packed get no entry, so
    they keep their owner and mode.
    """
    store = io.BytesIO()
    with tarfile.open(fileobj=store, mode="w") as archive:
        for target, content in sorted(files.items()):
            name = target.strip("/")
            if isinstance(content, bytes):
                _add_bytes(archive, target, content, time.time() if times else 0)
            elif content.is_dir():
                for path in sorted(content.rglob("*")):
                    inside = path.relative_to(content)
                    if include(inside):
                        _add_path(archive, f"{name}/{inside.as_posix()}".lstrip("/"), path, times=times)
            else:
                _add_path(archive, name, content.resolve(), times=times)
    return store.getvalue()


def _add_bytes(archive: tarfile.TarFile, name: str, content: bytes, at_s: float) -> None:
    entry = tarfile.TarInfo(name.strip("/"))
    entry.size, entry.mode, entry.mtime = len(content), 0o644, int(at_s)
    if name.endswith("/"):
        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
    archive.addfile(entry, io.BytesIO(content))


def _add_path(archive: tarfile.TarFile, name: str, path: Path, *, times: bool) -> None:
    entry = archive.gettarinfo(path, name)
    entry.uid, entry.gid, entry.uname, entry.gname = 0, 0, "", ""
    entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
    entry.mtime = entry.mtime if times else 0
    if entry.isfile():
        with path.open("rb") as file:
            archive.addfile(entry, file)
    else:
        archive.addfile(entry)


def unpack(archive: bytes, folder: Path) -> None:
    """Write the files of a tar archive into a folder, never outside of it.

    :raises tarfile.TarError: when an entry leads outside of the folder, or is neither file, folder nor link.
    """
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        if hasattr(tarfile, "data_filter"):
            tar.extractall(folder, filter="data")
            return
        for member in tar:  # Python before 3.11.4, such as Debian 12's own, has no filters
            if not _stays_inside(member, folder.resolve()):
                message = f"{member.name!r} leads outside of {folder}, or is no file"
                raise tarfile.ExtractError(message)
            member.mode &= 0o755  # as the filter does: no right to write for others, no set-user-id
            tar.extract(member, folder)


def _stays_inside(member: tarfile.TarInfo, folder: Path) -> bool:
    """Return whether an entry is a file, a folder or a link, and lies in a folder with what it links to."""
    path = folder / member.name
    # A symbolic link's target is relative to its own folder, a hard link's to the top of the archive. Only
    # the folder is resolved: a link that lies at the entry's own place is replaced, not followed.
    link = path.parent.resolve() / member.linkname if member.issym() else folder / member.linkname
    is_known = member.isfile() or member.isdir() or member.issym() or member.islnk()
    return is_known and all(place.resolve().is_relative_to(folder) for place in (path, link))
