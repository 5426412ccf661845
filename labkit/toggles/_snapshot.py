"""The flags as they were at one revision of the store, evaluated by flagd's own evaluator."""

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import FlagNotFoundError
from openfeature.flag_evaluation import FlagResolutionDetails, Reason


class FlagSnapshot:
    """All flags at a revision; a snapshot does not change. flags maps a name to its definition as JSON."""

    def __init__(self, revision: int, flags: Mapping[str, str]) -> None:
        self.revision, self._flags = revision, dict(flags)
        self._static: dict[tuple[str, str], Any] = {}

    @cached_property
    def _evaluator(self) -> FlagdCore:
        """The evaluator, made when the first request needs it: no request asks for most revisions."""
        evaluator = FlagdCore()
        evaluator.set_flags({"flags": {name: json.loads(text) for name, text in self._flags.items()}})
        return evaluator

    def enabled(self, name: str, *, key: str = "", default: bool = False) -> bool:
        """Return whether a toggle is on for a key; default is for a toggle that is not set."""
        return bool(self.evaluate("resolve_boolean_value", name, default, key).value)

    def evaluate(self, kind: str, name: str, default: Any, key: str) -> Any:  # noqa: ANN401 - flagd's own
        """Return OpenFeature's details of an evaluation; kind is the method of flagd's evaluator."""
        if (known := self._static.get((kind, name))) is not None:
            return known
        try:
            details = getattr(self._evaluator, kind)(name, default, EvaluationContext(targeting_key=key))
        except FlagNotFoundError:
            return FlagResolutionDetails(default, reason=Reason.DEFAULT)
        # A static answer depends on the flag alone: neither on the key, nor on the caller's default.
        if details.reason == Reason.STATIC:
            self._static[kind, name] = details
        return details
