"""labkit's own images: build what is missing or out of date, and carry them to machines without a network."""

import threading
import time
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

from labkit.engine._base import ensure_base
from labkit.engine._build import build
from labkit.engine._engine import Engine
from labkit.engine._errors import ImageMissing
from labkit.engine._labels import BASE, BUILD, GRADER, PYTHON, SERVERS, Label
from labkit.engine._made import is_made, remember_made
from labkit.engine._recipes import Recipe, recipes

Progress = Callable[..., Any]
"""Called with (image, line): which image, and what is done about it now."""


def images_missing(engine: Engine | None = None) -> list[str]:
    """Return which of labkit's images the engine lacks or has from elsewhere than this version's recipe.

    [] means all is well. An image is known by its digest, from its building or loading by this user.
    engine None means the one that Engine.find returns.
    """
    engine = engine or Engine.find()
    return [name for name, recipe in recipes().items() if not _current(engine, recipe)]


def recipe_digests() -> dict[str, str]:
    """Return the digest of each image's recipe."""
    return {name: recipe.digest for name, recipe in recipes().items()}


def _current(engine: Engine, recipe: Recipe) -> bool:
    try:
        return is_made(recipe.digest, engine.image(recipe.image).digest)
    except ImageMissing:
        return False


def build_images(
    progress: Progress | None = None, engine: Engine | None = None, only: Collection[str] | None = None
) -> list[str]:
    """Build every image that is missing or not of its recipe, and return which were built.

    Two are built at a time. Nothing is built or downloaded when all are there.
    progress None means silence; engine None means the one that Engine.find returns; only None means all.

    :raises LabError: when the base, a package or a wheel cannot be had, or a build fails.
    """
    engine, progress = engine or Engine.find(), progress or _silent
    missing = [name for name in images_missing(engine) if only is None or name in only]
    if not missing:
        return []
    known = recipes()
    ensure_base(engine, lambda line: progress(BASE, line))

    def make(*images: str) -> None:
        for image in images:
            if image in missing:
                _make(engine, known[image], progress)

    side_by_side(partial(make, SERVERS, GRADER), partial(make, PYTHON, BUILD))
    return missing


def _silent(*_: object) -> None:
    pass


def _make(engine: Engine, recipe: Recipe, progress: Progress) -> None:
    started = time.monotonic()
    progress(recipe.image, "gathering what goes in")
    context = recipe.context(engine.architecture)

    def step(line: str) -> None:
        if line.startswith("Step "):
            progress(recipe.image, line[:90])

    made = build(
        engine, context, recipe.image, {Label.RECIPE: recipe.digest}, target=recipe.target, progress=step
    )
    remember_made(recipe.digest, made.digest)
    progress(recipe.image, f"built in {time.monotonic() - started:.0f} s, {made.size_bytes / 1e6:.0f} MB")


def side_by_side(*jobs: Callable[[], None]) -> None:
    """Do jobs in parallel; the first failure is raised when all are over.

    The threads are daemons, so that Ctrl-C ends the program at once; the engine then drops its builds.
    """
    failures: list[BaseException] = []

    def guarded(job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as problem:  # noqa: BLE001 - raised below, in the caller's thread
            failures.append(problem)

    threads = [threading.Thread(target=guarded, args=(job,), daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
