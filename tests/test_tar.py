"""The one writer and the one reader of tar archives: what is written, and what is refused."""

import io
import os
import subprocess
import sys
import tarfile
import time
from contextlib import suppress
from pathlib import Path, PurePath

import pytest

from labkit._tar import pack, unpack

# The branch for a Python without filters, tried on one that has them and that warns of their absence.
pytestmark = pytest.mark.filterwarnings("ignore:Python 3.14 will, by default:DeprecationWarning")

DEBIAN = Path("/usr/bin/python3")
WITHOUT_FILTERS = (
    "import sys, tarfile; sys.exit(sys.version_info < (3, 11) or hasattr(tarfile, 'data_filter'))"
)


def entries(archive: bytes) -> dict[str, tarfile.TarInfo]:
    """Return the entries of an archive by name."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {entry.name: entry for entry in tar}


def archive_of(*members: tuple[str, bytes, str]) -> bytes:
    """Return an archive with entries of any kind: name, type, and content or link name."""
    store = io.BytesIO()
    with tarfile.open(fileobj=store, mode="w") as tar:
        for name, kind, text in members:
            entry = tarfile.TarInfo(name)
            entry.type = kind
            entry.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
            if kind == tarfile.REGTYPE:
                entry.size = len(text)
            else:
                entry.linkname = text
            tar.addfile(entry, io.BytesIO(text.encode()))
    return store.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a file, a program and a link, in folders of different modes."""
    root = tmp_path / "shop"
    (root / "cart").mkdir(parents=True, mode=0o700)
    (root / "cart" / "service.py").write_text("one\n")
    (root / "cart" / "service.py").chmod(0o600)
    (root / "cart" / "run").write_text("#!/bin/sh\n")
    (root / "cart" / "run").chmod(0o700)
    (root / "cart" / "newest").symlink_to("service.py")
    os.utime(root / "cart" / "service.py", (1_000_000_000, 1_000_000_000))
    return root


def test_pack_writes_contents_files_and_whole_folders_at_their_paths(folder: Path) -> None:
    """Bytes and a file come under the name that is given; a folder brings what is inside of it."""
    archive = pack({"/etc/app.toml": b"a = 1\n", "copy.py": folder / "cart" / "service.py", "shop": folder})
    assert list(entries(archive)) == [
        "etc/app.toml",
        "copy.py",
        "shop/cart",
        "shop/cart/newest",
        "shop/cart/run",
        "shop/cart/service.py",
    ]
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        content = tar.extractfile("copy.py")
        assert content is not None
        assert content.read() == b"one\n"


def test_pack_leaves_the_folders_above_a_path_alone() -> None:
    """/etc of a container keeps its owner and its mode, because the archive has no entry for it."""
    assert "etc" not in entries(pack({"/etc/app.toml": b""}))


def test_pack_at_the_root_writes_no_leading_slash(folder: Path) -> None:
    """A folder that is put at "/" is written by the paths inside of it."""
    assert "cart/service.py" in entries(pack({"/": folder}))


def test_pack_takes_only_what_is_included(folder: Path) -> None:
    """The predicate gets the path inside of the folder."""

    def is_python(path: PurePath) -> bool:
        return path.suffix == ".py"

    assert list(entries(pack({"shop": folder}, include=is_python))) == ["shop/cart/service.py"]


def test_packed_files_are_roots_and_readable_by_all(folder: Path) -> None:
    """Mode and owner do not depend on who packs: 755 for folders and programs, 644 for the rest."""
    packed = entries(pack({"shop": folder, "text": b"x"}))
    modes = {name: entry.mode for name, entry in packed.items() if not entry.issym()}
    assert modes == {
        "shop/cart": 0o755,
        "shop/cart/run": 0o755,
        "shop/cart/service.py": 0o644,
        "text": 0o644,
    }
    assert {(entry.uid, entry.gid, entry.uname, entry.gname) for entry in packed.values()} == {(0, 0, "", "")}


def test_a_link_is_packed_as_a_link(folder: Path) -> None:
    """What it leads to is not copied in its place."""
    link = entries(pack({"shop": folder}))["shop/cart/newest"]
    assert (link.issym(), link.linkname) == (True, "service.py")


def test_the_same_files_make_the_same_archive(folder: Path) -> None:
    """Without times, neither the clock nor the age of a file is in the archive."""
    files: dict[str, bytes | Path] = {"shop": folder, "text": b"x"}
    first = pack(files)
    os.utime(folder / "cart" / "service.py", (5, 5))
    assert pack(dict(reversed(files.items()))) == first


def test_times_keep_a_files_time_and_give_contents_the_present(folder: Path) -> None:
    """With times, make and Python see when a file was changed."""
    before = int(time.time())
    packed = entries(pack({"shop": folder, "text": b"x"}, times=True))
    assert packed["shop/cart/service.py"].mtime == 1_000_000_000
    assert before <= packed["text"].mtime <= time.time()


@pytest.fixture(params=["with filters", "without filters"])
def target(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder to unpack into, for a Python with tarfile's filters and for one without."""
    if request.param == "without filters":
        monkeypatch.delattr(tarfile, "data_filter", raising=False)
    path = tmp_path / "target"
    path.mkdir()
    return path


def test_unpack_gives_back_what_was_packed(folder: Path, target: Path) -> None:
    """Contents, links, times and the right to execute are as they were."""
    unpack(pack({".": folder}, times=True), target)
    cart = target / "cart"
    assert (cart / "service.py").read_text() == "one\n"
    assert (cart / "service.py").stat().st_mtime == 1_000_000_000
    assert (cart / "newest").readlink() == Path("service.py")
    assert [os.access(cart / name, os.X_OK) for name in ("run", "service.py")] == [True, False]


HARMLESS = [
    ("a", tarfile.REGTYPE, "text"),
    ("deep", tarfile.DIRTYPE, ""),
    ("deep/up", tarfile.SYMTYPE, "../a"),
    ("hard", tarfile.LNKTYPE, "a"),
]


def test_unpack_lets_links_inside_of_the_folder_pass(target: Path) -> None:
    """A link to the folder above leads outside only where the link lies at the top."""
    unpack(archive_of(*HARMLESS), target)
    assert (target / "deep" / "up").read_text() == (target / "hard").read_text() == "text"


ESCAPES = {
    "a path above": [("../evil", tarfile.REGTYPE, "x")],
    "a path above, later": [("deep/../../evil", tarfile.REGTYPE, "x")],
    "a link above": [("up", tarfile.SYMTYPE, "..")],
    "a link above from a folder": [("deep", tarfile.DIRTYPE, ""), ("deep/up", tarfile.SYMTYPE, "../..")],
    "an absolute link": [("root", tarfile.SYMTYPE, "/etc")],
    "a hard link above": [("up", tarfile.LNKTYPE, "../secret")],
    "an absolute hard link": [("root", tarfile.LNKTYPE, "/etc/passwd")],
    "a file through a link": [("up", tarfile.SYMTYPE, ".."), ("up/evil", tarfile.REGTYPE, "x")],
    "a link in the place of a link": [
        ("deep", tarfile.DIRTYPE, ""),
        ("deep/deeper", tarfile.DIRTYPE, ""),
        ("up", tarfile.SYMTYPE, "deep/deeper"),
        ("up", tarfile.SYMTYPE, ".."),
    ],
    "a device": [("null", tarfile.CHRTYPE, "")],
    "a pipe": [("pipe", tarfile.FIFOTYPE, "")],
}


@pytest.mark.parametrize("members", ESCAPES.values(), ids=ESCAPES)
def test_unpack_refuses_what_leads_outside_and_what_is_no_file(
    members: list[tuple[str, bytes, str]], target: Path
) -> None:
    """An entry above the folder, a link out of it, a device: each is an error, and nothing is outside."""
    secret = target.parent / "secret"
    secret.write_text("secret")
    with pytest.raises(tarfile.TarError):
        unpack(archive_of(*members), target)
    assert {path.name for path in target.parent.iterdir()} <= {"secret", "target"}
    assert all(not path.is_symlink() or path.resolve().is_relative_to(target) for path in target.iterdir())


def test_unpack_gives_nobody_else_the_right_to_write(target: Path) -> None:
    """What an archive says of other writers and of set-user-id is not taken over."""
    store = io.BytesIO()
    with tarfile.open(fileobj=store, mode="w") as tar:
        entry = tarfile.TarInfo("program")
        entry.mode = 0o4777
        tar.addfile(entry)
    unpack(store.getvalue(), target)
    assert (target / "program").stat().st_mode & 0o7777 == 0o755


def test_unpack_never_writes_to_an_absolute_path(tmp_path: Path, target: Path) -> None:
    """An entry's absolute path is either refused or taken as one below the folder."""
    outside = tmp_path / "outside"
    with suppress(tarfile.TarError):
        unpack(archive_of((str(outside), tarfile.REGTYPE, "x")), target)
    assert not outside.exists()


def test_unpack_works_on_debians_own_python(folder: Path, tmp_path: Path) -> None:
    """Debian 12's Python 3.11.2 has no filters: for real, files come out and a way out is refused."""
    if not DEBIAN.exists() or subprocess.run([DEBIAN, "-c", WITHOUT_FILTERS], check=False).returncode:
        pytest.skip(f"{DEBIAN} is no Python 3.11 or newer without tarfile.data_filter")
    target = tmp_path / "target"
    target.mkdir()
    for name, archive in (("good", pack({".": folder})), ("bad", archive_of(("up", tarfile.SYMTYPE, "..")))):
        (tmp_path / name).write_bytes(archive)
    code = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[1]); from labkit._tar import unpack; "
        "unpack(pathlib.Path(sys.argv[2]).read_bytes(), pathlib.Path(sys.argv[3]))"
    )
    root = Path(__file__).parents[1]
    command = [str(DEBIAN), "-I", "-c", code, str(root)]
    subprocess.run([*command, tmp_path / "good", target], check=True)
    assert (target / "cart" / "service.py").read_text() == "one\n"
    refused = subprocess.run(
        [*command, tmp_path / "bad", target], capture_output=True, text=True, check=False
    )
    assert refused.returncode != 0
    assert "leads outside" in refused.stderr


def test_the_reader_and_the_writer_need_nothing_but_the_standard_library() -> None:
    """Whatever Python labkit starts on can load them, before any dependency is there."""
    code = "import sys; from labkit import _tar; print(*{name.partition('.')[0] for name in sys.modules})"
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) - {"labkit", "__main__"} <= set(sys.stdlib_module_names)
