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
        return self._details("resolve_boolean_value", flag_key, default_value, evaluation_context)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """Evaluate a flag of text."""
        return self._details("resolve_string_value", flag_key, default_value, evaluation_context)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """Evaluate a flag of whole numbers."""
        return self._details("resolve_integer_value", flag_key, default_value, evaluation_context)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """Evaluate a flag of numbers."""
        return self._details("resolve_float_value", flag_key, default_value, evaluation_context)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:
        """Evaluate a flag of JSON data."""
        return self._details("resolve_object_value", flag_key, default_value, evaluation_context)

    def _details(
        self, kind: str, name: str, default: T, context: EvaluationContext | None
    ) -> FlagResolutionDetails[T]:
        key, revision = "", None
        if context:
            key, header = context.targeting_key or "", context.attributes.get(REVISION)
            revision = int(header) if isinstance(header, (int, str)) else None
        details: FlagResolutionDetails[T] = self._watcher.snapshot(revision).evaluate(
            kind, name, default, key
        )
        return details
