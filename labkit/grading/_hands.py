"""What the grader hands to an answer: data, and references to what stays on the grader's side.

A learner's function asks a running environment, or calls a function of the notebook. It gets neither. It
gets a reference, and whatever it does with that is asked here: what the lab's own solution does is done, and
everything else is refused.
"""

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from labkit.grading._sandbox import Raised
from labkit.grading._values import Reference

PLAIN = (bool, int, float, str, bytes, date, timedelta, Decimal, type(None))
OPERATIONS = {"__call__", "__contains__", "__enter__", "__getitem__", "__len__"}
"""What may be done with anything that was handed over, beside reading its attributes and going through it."""
READABLE = {"__name__"}


class Hands:
    """The things that one answer has got, by reference; attributes are the names that it may ask them for.

    refused are the attributes for which it asked in vain.
    """

    def __init__(self, attributes: frozenset[str]) -> None:
        self._attributes = {name for name in attributes if not name.startswith("_")} | READABLE
        self._lent: dict[str, Any] = {}
        self.refused: set[str] = set()

    def lend(self, value: object) -> Any:  # noqa: ANN401 - data of any kind
        """Return data as it is, and a reference in place of everything else, within containers too."""
        if is_data(value):
            return value
        if type(value) in (list, tuple, set, frozenset):
            return type(value)(self.lend(one) for one in value)  # type: ignore[attr-defined,call-arg]  # it is one of the four
        if type(value) is dict:
            return {key: self.lend(one) for key, one in value.items()}
        key = f"{type(value).__name__}-{id(value):x}"
        self._lent[key] = value  # so it lives, and no other thing gets its id
        return Reference(key)

    def returned(self, value: object) -> Any:  # noqa: ANN401 - as above
        """Return what an answer gave back, with the things themselves in place of their references."""
        if isinstance(value, Reference):
            return self._lent[value.id]
        if type(value) in (list, tuple, set, frozenset):
            return type(value)(self.returned(one) for one in value)  # type: ignore[attr-defined,call-arg]  # as above
        if type(value) is dict:
            return {self.returned(key): self.returned(one) for key, one in value.items()}
        return value

    def answer(self, reference: str, method: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:  # noqa: ANN401 - as above
        """Do what an answer asks of something that it was handed, and return the outcome to hand over.

        :raises LookupError: when that is nothing that this exercise needs.
        :raises Raised: when the thing itself raises, whatever it raises.
        """
        thing = self._lent[reference]
        if method == "__getattr__" and (name := str(args[0])) not in self._attributes:
            self.refused.add(name)
            raise LookupError(name)
        try:
            return self.lend(self._done(thing, method, args, kwargs))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it is, the answer has to meet it
            raise Raised(type(error).__name__, str(error)) from None

    def _done(self, thing: Any, method: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:  # noqa: ANN401 - as above
        given = [self.returned(one) for one in args]
        if method == "__getattr__":
            return getattr(thing, given[0])
        if method == "__iter__":
            return [*thing]
        if method == "__exit__":
            return bool(thing.__exit__(*_error(given)))
        if method == "__call__":
            return thing(*given, **{key: self.returned(one) for key, one in kwargs.items()})
        if method not in OPERATIONS:
            raise AttributeError(method)
        return getattr(thing, method)(*given)


def is_data(value: object) -> bool:
    """Return whether a value travels as itself: plain, or a container or dataclass of such."""
    if isinstance(value, PLAIN):
        return True
    if type(value) in (list, tuple, set, frozenset):
        return all(is_data(one) for one in value)  # type: ignore[attr-defined]  # it is one of the four
    if type(value) is dict:
        return all(is_data(key) and is_data(one) for key, one in value.items())
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return all(is_data(one) for one in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return all(is_data(getattr(value, one.name)) for one in dataclasses.fields(value))
    return False


def _error(given: Sequence[Any]) -> tuple[Any, Any, Any]:
    """Return what `__exit__` is told: an error of the answer's becomes one of this side."""
    if not given or given[0] is None:
        return None, None, None
    error = RuntimeError(f"{given[0]}: {given[1]}")
    return type(error), error, None


def importable(name: str) -> bool:
    """Return whether a module is Python's own, so that the sandbox has it too."""
    return name.partition(".")[0] in sys.stdlib_module_names
