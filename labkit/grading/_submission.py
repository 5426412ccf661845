"""What learners handed in: one folder a learner, and in it notebooks that say which lab they are of.

Everything in the folder may be hostile. Links and special files are never opened, what is read has limits,
and what cannot be graded is a `Result` with its reason, so that no submission stops the others.
"""

import hashlib
import json
import os
import shutil
import stat
import tempfile
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import IO

from labkit.artifacts import HandedIn, Kind, PublicKey
from labkit.errors import LabError
from labkit.grading._notebook import Cell, Refused, read_notebook, text
from labkit.grading._result import LABKIT, LEARNER, Result, State

ENTRIES = 5_000
"""How many files and folders a learner's folder may have."""
NOTEBOOK_BYTES, ARTIFACTS_BYTES, KEY_BYTES = 256_000_000, 64_000_000, 1_000
ANSWER = 20_000
"""How many characters of an answer are kept."""
OWN = ".labkit"
"""Where a workspace keeps the artifact database; any other hidden folder is passed over."""


@dataclass(frozen=True)
class Submission:
    """What is graded of one learner's notebook of one lab.

    cells are the code cells in the learner's order; of a doubled id the last one. answers holds what the
    learner wrote, by the name of the question. artifacts is the artifact database that was handed in, None
    without one. public_key is the key by which all of it was verified, "" without one. record is the SHA-256
    of the lab's checks in it.
    """

    learner: str
    lab: str
    cells: tuple[Cell, ...]
    answers: Mapping[str, str] = field(default_factory=dict)
    artifacts: Path | None = None
    public_key: str = ""
    record: str = ""

    @property
    def digest(self) -> str:
        """The SHA-256 of learner, lab, cells, answers, key and record."""
        cells = [[cell.id, cell.source] for cell in self.cells]
        content = [self.learner, self.lab, cells, dict(self.answers), self.public_key, self.record]
        return digest_of(content)

    def source(self, cell_id: str) -> str | None:
        """Return the source of the cell with this id; None when it was deleted."""
        return next((cell.source for cell in self.cells if cell.id == cell_id), None)

    def helpers(self, known: Collection[str]) -> tuple[Cell, ...]:
        """Return the learner's own cells: those whose ids are none of the lab's."""
        return tuple(cell for cell in self.cells if cell.id not in known)


def digest_of(content: object) -> str:
    """Return the SHA-256 of JSON data."""
    return f"sha256:{hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()}"


def read_class(folder: Path, labs: Collection[str]) -> Iterator[Submission | Result]:
    """Yield what each learner handed in for these labs, by their slugs: a submission, or why there is none.

    A subfolder is a learner, and its name the learner's. Notebooks of other labs are left out.

    :raises LabError: when there is no such folder.
    """
    try:
        with os.scandir(folder) as entries:
            found = sorted(
                (entry for entry in entries if not entry.name.startswith(".") and not Path(entry).is_file()),
                key=lambda entry: entry.name,
            )
    except OSError as fault:
        raise LabError("a folder with one folder a learner", str(fault), "name that folder") from fault
    same = defaultdict(list)
    for entry in found:
        same[_one_name(entry.name)].append(entry.name)
    for entry in found:
        learner, names = text(os.fsencode(entry.name).decode(errors="replace")), same[_one_name(entry.name)]
        if len(names) > 1:
            reason = f"{len(names)} folders have names that count as one: {', '.join(map(repr, names))}"
            yield Result(learner, "", State.NEEDS_A_PERSON, text(reason))
        else:
            yield from _read_learner(Path(entry.path), learner, labs)


def _one_name(name: str) -> str:
    """Return what all spellings of a name have in common, in upper and lower case and in Unicode's forms."""
    name = os.fsencode(name).decode(errors="replace")
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).strip()


def _read_learner(folder: Path, learner: str, labs: Collection[str]) -> Iterator[Submission | Result]:
    try:
        by_lab: dict[str, list[tuple[Path, tuple[Cell, ...]]]] = defaultdict(list)
        refused = []
        for path in _notebooks(folder):
            try:
                lab, cells = _read(path)
                by_lab[lab].append((path, cells))
            except Refused as refusal:
                reason = text(f"{path.relative_to(folder)}: {refusal}")
                refused.append(Result(learner, refusal.lab, refusal.state, reason, refusal.whose))
        good = [_submission(folder, learner, lab, by_lab[lab]) for lab in labs if lab in by_lab]
        # A broken notebook of nobody knows which lab matters only where there is no other.
        bad = [result for result in refused if result.lab in labs or (not good and not result.lab)]
        reason = "there is no notebook of the lab in the folder"
        yield from (*bad, *good) or [Result(learner, "", State.NOT_GRADED, reason, LEARNER)]
    except Refused as refusal:
        yield Result(learner, "", refusal.state, str(refusal), refusal.whose)
    except Exception as fault:  # noqa: BLE001 - one submission must not stop the others
        reason = f"labkit could not read it: {type(fault).__name__}: {fault}"
        yield Result(learner, "", State.NOT_GRADED, text(reason), LABKIT)


def _notebooks(folder: Path) -> Iterator[Path]:
    """Yield the notebooks below a folder, whatever kind of file they are; no link is followed.

    :raises Refused: when the folder is a link, or has too many files.
    """
    if not stat.S_ISDIR(folder.lstat().st_mode):
        message = "it is a link or a special file, which is never opened"
        raise Refused(message)
    waiting, count = [folder], 0
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                count += 1
                if count > ENTRIES:
                    message = f"there are more than {ENTRIES:,} files in the folder"
                    raise Refused(message)
                if entry.is_dir(follow_symlinks=False):
                    waiting += [] if entry.name.startswith(".") else [Path(entry.path)]
                elif entry.name.endswith(".ipynb") and not entry.name.startswith("."):
                    yield Path(entry.path)


@contextmanager
def _opened(path: Path, most: int) -> Iterator[IO[bytes]]:
    """Open a regular file of at most `most` bytes.

    :raises Refused: when it is a link, a special file, or larger.
    """
    if not stat.S_ISREG(path.lstat().st_mode):
        message = "it is a link or a special file, which is never opened"
        raise Refused(message)
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            message = f"it has {size:,} bytes, and {most:,} are the most"
            raise Refused(message)
        yield file


def _read(path: Path) -> tuple[str, tuple[Cell, ...]]:
    with _opened(path, NOTEBOOK_BYTES) as file:
        if not os.fstat(file.fileno()).st_size:
            message = "it is empty, and no notebook"
            raise Refused(message)
        with mmap(file.fileno(), 0, access=ACCESS_READ) as content:
            return read_notebook(content)


def _submission(
    folder: Path, learner: str, lab: str, copies: list[tuple[Path, tuple[Cell, ...]]]
) -> Submission | Result:
    if len(copies) > 1:
        names = ", ".join(str(path.relative_to(folder)) for path, _ in copies)
        reason = f"there are {len(copies)} notebooks of this lab: {names}"
        return Result(learner, lab, State.NEEDS_A_PERSON, text(reason), LEARNER)
    path, cells = copies[0]
    artifacts = _artifacts(folder, path)
    if artifacts is None:
        return Submission(learner, lab, cells)
    try:
        answers, key, record = _read_artifacts(artifacts, lab)
    except (Refused, LabError) as fault:
        seen = fault.seen if isinstance(fault, LabError) else str(fault)
        reason = f"{artifacts.relative_to(folder)}: {seen}"
        return Result(learner, lab, State.NEEDS_A_PERSON, text(reason), LEARNER)
    return Submission(learner, lab, cells, answers, artifacts, key, record)


def _artifacts(folder: Path, notebook: Path) -> Path | None:
    """Return the artifact database of a notebook: the nearest one, beside it or in a .labkit."""
    for parent in notebook.parents:
        for place in (parent / "artifacts.db", parent / OWN / "artifacts.db"):
            if os.path.lexists(place) and not (parent / OWN).is_symlink():
                return place
        if parent == folder:
            break
    return None


@contextmanager
def handed_in(artifacts: Path) -> Iterator[HandedIn]:
    """Give a private copy of an artifact database that was handed in; the learner's files stay as they are.

    :raises Refused: when it is a link, a special file, or too large.
    """
    with tempfile.TemporaryDirectory(prefix="labkit-") as scratch:
        copy = Path(scratch) / "artifacts.db"
        for suffix in ("", "-wal"):  # the newest facts may be in the second file alone
            source = artifacts.with_name(artifacts.name + suffix)
            if suffix and not os.path.lexists(source):
                continue
            with (
                _opened(source, ARTIFACTS_BYTES) as file,
                copy.with_name(copy.name + suffix).open("wb") as to,
            ):
                shutil.copyfileobj(file, to)
        with HandedIn(copy) as database:
            yield database


def _read_artifacts(artifacts: Path, lab: str) -> tuple[dict[str, str], str, str]:
    """Return a lab's answers, the public key by which all facts were verified, and its checks' digest.

    An empty database is verified by any key, so it has none.

    :raises Refused: as handed_in.
    :raises LabError: when the database or its key cannot be read, or a fact was changed since it was signed.
    """
    key = None
    with suppress(FileNotFoundError), _opened(artifacts.with_suffix(".pub"), KEY_BYTES) as file:
        key = PublicKey.read(file.read().decode(errors="replace"))
    with handed_in(artifacts) as database:
        if key is not None and not (verified := database.verify(key)).ok:
            seen = f"row {verified.row}: {verified.problem}" if verified.row else verified.problem
            raise LabError("facts as they were signed", seen, "hand in the database as labkit wrote it")
        key = key if key is not None and verified.facts else None
        facts, checks = database.history(Kind.REFLECTED), database.history(Kind.CHECKED)
    answers = {
        text(str(fact.predicate.get("name", ""))): text(str(fact.predicate.get("answer", ""))[:ANSWER])
        for fact in facts
        if fact.subject.name == f"lab/{lab}" and isinstance(fact.predicate, dict)
    }
    record = digest_of([str(fact.predicate) for fact in checks if fact.subject.name == f"lab/{lab}"])
    return answers, key.text if key else "", record
