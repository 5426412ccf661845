"""Finds the Faker providers that a policy names: whoever loads a policy runs the code of its providers."""

import pkgutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from faker import Factory
from faker.providers import BaseProvider

from labkit.errors import LabError

EXAMPLE = '"my_package.my_module:MyProvider"'


def read_providers(written: object) -> list[type[BaseProvider]]:
    """Import providers by their names, such as "my_package.my_module:MyProvider".

    A module is looked for where Python looks, and in the current folder.

    :raises LabError: when one cannot be imported, or is no provider.
    """
    if not isinstance(written, list) or not all(isinstance(name, str) for name in written):
        raise LabError(f"providers = [{EXAMPLE}]", repr(written), "correct providers in the policy")
    with _current_folder():
        return [checked_provider(_imported(name), name) for name in written]


def checked_provider(provider: object, name: str) -> type[BaseProvider]:
    """Return what was given as a provider when Faker takes it.

    :raises LabError: when it is not a subclass of BaseProvider, or Faker cannot add it.
    """
    expected = f"{name}: a subclass of faker.providers.BaseProvider"
    if not isinstance(provider, type) or not issubclass(provider, BaseProvider):
        raise LabError(expected, repr(provider), "name the class, not an instance or a module")
    try:
        Factory.create().add_provider(provider)
    except Exception as problem:
        seen = f"{type(problem).__name__}: {problem}"
        raise LabError(f"{expected}, which Faker can add", seen, f"correct {provider.__name__}") from problem
    return provider


def _imported(name: str) -> object:
    try:
        return pkgutil.resolve_name(name)
    except Exception as problem:
        seen = f"{type(problem).__name__}: {problem}"
        next_step = f"write {EXAMPLE}, with a module that is installed or lies in the current folder"
        raise LabError(f"providers: {name!r}, which can be imported", seen, next_step) from problem


@contextmanager
def _current_folder() -> Iterator[None]:
    """Let Python look for modules in the current folder too, as it does in a notebook."""
    sys.path.append(folder := str(Path.cwd()))
    try:
        yield
    finally:
        sys.path.remove(folder)
