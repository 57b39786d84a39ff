"""Flags for code that asks by OpenFeature (https://openfeature.dev/specification): any of its clients can ask ours."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType, Reason
from openfeature.provider import AbstractProvider, Metadata

from cinegen_core.flags.evaluate import Snapshot, variants_of
from cinegen_core.flags.model import NOBODY, Context, Evaluation
from cinegen_core.flags.model import Reason as OurReason

_REASONS: Mapping[OurReason, Reason] = {
    "STATIC": Reason.STATIC,
    "SPLIT": Reason.SPLIT,
    "TARGETING_MATCH": Reason.TARGETING_MATCH,
    "DISABLED": Reason.DISABLED,
    "EMERGENCY": Reason.DISABLED,
    "DEPENDENCY": Reason.DISABLED,
    "ERROR": Reason.ERROR,
}
_Objects = Sequence[FlagValueType] | Mapping[str, FlagValueType]
_T = TypeVar("_T")


class FlagProvider(AbstractProvider):
    """Answers from the snapshot that `snapshot` gives at that moment.

    A boolean is whether the flag is on. Of a flag with variants, a string is the payload of the one that somebody is in, or its
    name if it carries none; integers, floats and objects are read from a payload in JSON. Where the flag is off, these answer
    the caller's default. The targeting key is the user id; the attributes `session` (text) and `beta` (true) are what they say.
    Metadata have our own reason, because, and bucket and percent where one was drawn.
    """

    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        super().__init__()
        self._snapshot = snapshot
        self._metadata = Metadata("cinegen-flags")

    def get_metadata(self) -> Metadata:
        return self._metadata

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        snapshot = self._snapshot()
        evaluation = snapshot.evaluate(flag_key, context_of(evaluation_context), default=default_value)
        if evaluation.reason == "ERROR":
            return _failed(snapshot, evaluation, default_value)
        return _details(evaluation, evaluation.value)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        return self._from_variant(flag_key, default_value, evaluation_context, "text", _text)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        return self._from_variant(flag_key, default_value, evaluation_context, "integer", _integer)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        return self._from_variant(flag_key, default_value, evaluation_context, "float", _float)

    def resolve_object_details(
        self, flag_key: str, default_value: _Objects, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[_Objects]:
        return self._from_variant(flag_key, default_value, evaluation_context, "object", _object)

    def _from_variant(
        self,
        flag_key: str,
        default_value: _T,
        evaluation_context: EvaluationContext | None,
        kind: str,
        read: Callable[[str, str], _T | None],
    ) -> FlagResolutionDetails[_T]:
        snapshot = self._snapshot()
        evaluation = snapshot.evaluate(flag_key, context_of(evaluation_context))
        if evaluation.reason == "ERROR":
            return _failed(snapshot, evaluation, default_value)
        if not variants_of(snapshot.declared.flags[flag_key]):
            return _mismatched(default_value, f"{flag_key} has no variants: ask whether it is on")
        if evaluation.variant is None:
            return _details(evaluation, default_value)
        value = read(evaluation.variant, snapshot.payload(evaluation) or "")
        if value is None:
            return _mismatched(
                default_value, f"{flag_key} is in {evaluation.variant}, which carries no {kind}"
            )
        return _details(evaluation, value)


def context_of(context: EvaluationContext | None) -> Context:
    """For whom OpenFeature asks. Numbers, booleans and times become text; lists and tables are left out."""
    if context is None:
        return NOBODY
    if not context.attributes:
        return Context(context.targeting_key)
    attributes = dict(context.attributes)
    session, beta = attributes.pop("session", None), attributes.pop("beta", False)
    return Context(
        user=context.targeting_key,
        session=session if isinstance(session, str) else None,
        beta=beta is True,
        attributes={
            name: text for name, value in attributes.items() if (text := _as_text(value)) is not None
        },
    )


def _as_text(value: object) -> str | None:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case datetime():
            return value.isoformat()
        case _:
            return None


def _details(evaluation: Evaluation, value: _T) -> FlagResolutionDetails[_T]:
    metadata: dict[str, bool | int | float | str] = {
        "reason": evaluation.reason,
        "because": evaluation.because,
    }
    if evaluation.bucket is not None:
        metadata["bucket"] = evaluation.bucket
    if evaluation.percent is not None:
        metadata["percent"] = evaluation.percent
    return FlagResolutionDetails(value, None, None, _REASONS[evaluation.reason], evaluation.variant, metadata)


def _failed(snapshot: Snapshot, evaluation: Evaluation, default: _T) -> FlagResolutionDetails[_T]:
    known = evaluation.flag in snapshot.declared.flags
    code = ErrorCode.GENERAL if known else ErrorCode.FLAG_NOT_FOUND
    return FlagResolutionDetails(default, code, evaluation.because, Reason.ERROR)


def _mismatched(default: _T, words: str) -> FlagResolutionDetails[_T]:
    return FlagResolutionDetails(default, ErrorCode.TYPE_MISMATCH, words, Reason.ERROR)


def _text(variant: str, payload: str) -> str:
    return payload or variant


def _integer(_variant: str, payload: str) -> int | None:
    value = _json(payload)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _float(_variant: str, payload: str) -> float | None:
    value = _json(payload)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _object(_variant: str, payload: str) -> _Objects | None:
    value = _json(payload)
    return value if isinstance(value, dict | list) else None


def _json(payload: str) -> object:
    try:
        return json.loads(payload)
    except ValueError:
        return None
