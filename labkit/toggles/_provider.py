"""An OpenFeature provider over a flag watcher (https://openfeature.dev/specification/sections/providers)."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from openfeature.evaluation_context import EvaluationContext
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType
from openfeature.provider import AbstractProvider, Metadata

from labkit.toggles._watcher import FlagWatcher

T = TypeVar("T")
REVISION = "revision"
"""The attribute of an evaluation context that holds the revision from the request's header."""


class ToggleProvider(AbstractProvider):
    """Evaluates at the revision that the context has as its attribute "revision", else at the newest one."""

    def __init__(self, watcher: FlagWatcher) -> None:
        super().__init__()
        self._watcher = watcher

    def get_metadata(self) -> Metadata:
        """Return the provider's name."""
        return Metadata("labkit")

    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,  # noqa: FBT001 - OpenFeature's signature
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        """Evaluate a toggle."""
        return self._details("boolean", flag_key, default_value, evaluation_context)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """Evaluate a flag of text."""
        return self._details("string", flag_key, default_value, evaluation_context)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """Evaluate a flag of whole numbers."""
        return self._details("integer", flag_key, default_value, evaluation_context)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """Evaluate a flag of numbers."""
        return self._details("float", flag_key, default_value, evaluation_context)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:
        """Evaluate a flag of JSON data."""
        return self._details("object", flag_key, default_value, evaluation_context)

    def _details(
        self, kind: str, name: str, default: T, context: EvaluationContext | None
    ) -> FlagResolutionDetails[T]:
        header = context.attributes.get(REVISION) if context else None
        key = (context.targeting_key or "") if context else ""
        revision = int(header) if isinstance(header, int | str) else None
        snapshot = self._watcher.snapshot(revision)
        details: FlagResolutionDetails[T] = snapshot.evaluate(f"resolve_{kind}_value", name, default, key)
        return details
