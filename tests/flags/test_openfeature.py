"""Code that asks by OpenFeature gets our answers, with their reasons."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason

from cinegen_core.flags.evaluate import Snapshot
from cinegen_core.flags.model import (
    Context,
    Declared,
    Dependency,
    EmergencyOverlay,
    Flag,
    FlagOverlay,
    Overlay,
    Strategy,
    Variant,
)
from cinegen_core.flags.openfeature import FlagProvider, context_of

ADA = EvaluationContext("ada")


def flag(key: str, percent: int = 100, *payloads: str, **more: Any) -> Flag:
    variants = tuple(Variant(name=f"v{n}", weight=1, payload=payload) for n, payload in enumerate(payloads))
    strategies = (Strategy(percent=percent),)
    return Flag.model_validate(
        {"key": key, "enabled": True, "strategies": strategies, "variants": variants, **more}
    )


FLAGS = [
    flag("all"),
    flag("quarter", 25),
    flag("listed", 0, users={"ada"}),
    flag("off", enabled=False),
    flag("child", depends_on=[Dependency(flag="off")]),
    flag("plain", 100, ""),
    flag("text", 100, "blue"),
    flag("whole", 100, "42"),
    flag("half", 100, "0.5"),
    flag("table", 100, '{"colour": "blue"}'),
    flag("list", 100, "[1, 2]"),
    flag("nobody", 0, "1"),
    flag("yes", 100, "true"),
]
DECLARED = Declared(flags={one.key: one for one in FLAGS})


class Installed:
    """Flags whose snapshot can be exchanged, as a change at run time does."""

    def __init__(self) -> None:
        self.snapshot = Snapshot(DECLARED)
        api.set_provider(FlagProvider(lambda: self.snapshot))
        self.client: OpenFeatureClient = api.get_client()

    def overlay(self, overlay: Overlay) -> None:
        self.snapshot = Snapshot(DECLARED, overlay)


@pytest.fixture
def installed() -> Iterator[Installed]:
    yield Installed()
    api.clear_providers()


@pytest.mark.parametrize(
    ("key", "value", "reason", "metadata"),
    [
        ("all", True, Reason.STATIC, {"reason": "STATIC", "because": "100 percent", "percent": 100}),
        (
            "quarter",
            True,
            Reason.SPLIT,
            {"reason": "SPLIT", "because": "25 percent", "bucket": 21, "percent": 25},
        ),
        ("listed", True, Reason.TARGETING_MATCH, {"reason": "TARGETING_MATCH", "because": "user listed"}),
        ("off", False, Reason.DISABLED, {"reason": "DISABLED", "because": "not enabled"}),
        (
            "child",
            False,
            Reason.DISABLED,
            {"reason": "DEPENDENCY", "because": "needs off, which is off: not enabled"},
        ),
    ],
)
def test_a_boolean_is_whether_the_flag_is_on(
    installed: Installed, key: str, value: bool, reason: Reason, metadata: dict[str, Any]
) -> None:
    found = installed.client.get_boolean_details(key, not value, ADA)
    assert (found.value, found.reason, found.flag_metadata) == (value, reason, metadata)
    assert found.error_code is None


def test_changes_are_seen_at_the_next_question(installed: Installed) -> None:
    assert installed.client.get_boolean_value("all", False, ADA)
    installed.overlay(Overlay(flags={"all": FlagOverlay(latched="too slow")}))
    found = installed.client.get_boolean_details("all", True, ADA)
    assert (found.value, found.reason, found.flag_metadata["because"]) == (
        False,
        Reason.DISABLED,
        "rolled back: too slow",
    )
    now = datetime(2026, 1, 5, tzinfo=UTC)
    installed.overlay(Overlay(emergency=EmergencyOverlay(why="down", who="grace", since=now)))
    found = installed.client.get_boolean_details("listed", True, ADA)
    assert (found.value, found.reason, found.flag_metadata["reason"]) == (False, Reason.DISABLED, "EMERGENCY")


@pytest.mark.parametrize("default", [True, False])
def test_an_unknown_flag_is_not_found(installed: Installed, default: bool) -> None:
    found = installed.client.get_boolean_details("al", default, ADA)
    assert (found.value, found.reason, found.error_code) == (default, Reason.ERROR, ErrorCode.FLAG_NOT_FOUND)
    assert found.error_message == "there is no flag 'al'"
    text = installed.client.get_string_details("al", "mine", ADA)
    assert (text.value, text.error_code) == ("mine", ErrorCode.FLAG_NOT_FOUND)


def test_a_context_that_cannot_be_used_is_an_error(installed: Installed) -> None:
    found = installed.client.get_boolean_details("quarter", True, EvaluationContext("\ud800"))
    assert (found.value, found.reason, found.error_code) == (True, Reason.ERROR, ErrorCode.GENERAL)


def test_variants_give_texts_numbers_and_tables(installed: Installed) -> None:
    client = installed.client
    text = client.get_string_details("text", "mine", ADA)
    assert (text.value, text.variant, text.reason) == ("blue", "v0", Reason.STATIC)
    assert client.get_string_value("plain", "mine", ADA) == "v0"
    assert client.get_integer_value("whole", 0, ADA) == 42
    assert client.get_float_value("half", 0.0, ADA) == 0.5
    assert client.get_float_value("whole", 0.0, ADA) == 42.0
    assert client.get_object_value("table", {}, ADA) == {"colour": "blue"}
    assert client.get_object_value("list", [], ADA) == [1, 2]
    assert client.get_boolean_details("whole", False, ADA).variant == "v0"


@pytest.mark.parametrize(
    ("kind", "key", "default", "words"),
    [
        ("string", "all", "mine", "all has no variants: ask whether it is on"),
        ("string", "off", "mine", "off has no variants: ask whether it is on"),
        ("integer", "half", 7, "half is in v0, which carries no integer"),
        ("integer", "yes", 7, "yes is in v0, which carries no integer"),
        ("integer", "text", 7, "text is in v0, which carries no integer"),
        ("float", "yes", 7.0, "yes is in v0, which carries no float"),
        ("float", "plain", 7.0, "plain is in v0, which carries no float"),
        ("object", "whole", {"a": 1}, "whole is in v0, which carries no object"),
    ],
)
def test_what_a_flag_does_not_carry_is_a_mismatch_of_types(
    installed: Installed, kind: str, key: str, default: Any, words: str
) -> None:
    found = getattr(installed.client, f"get_{kind}_details")(key, default, ADA)
    assert (found.value, found.error_code, found.error_message) == (default, ErrorCode.TYPE_MISMATCH, words)


def test_a_flag_that_is_off_gives_the_callers_text_and_says_why(installed: Installed) -> None:
    found = installed.client.get_integer_details("nobody", 7, ADA)
    assert (found.value, found.variant, found.reason, found.error_code) == (7, None, Reason.STATIC, None)


async def test_questions_can_be_awaited(installed: Installed) -> None:
    assert await installed.client.get_boolean_value_async("all", False, ADA)
    assert await installed.client.get_string_value_async("text", "mine", ADA) == "blue"


def test_the_context_says_who_asks() -> None:
    given = EvaluationContext(
        "ada",
        {
            "session": "s1",
            "beta": True,
            "country": "fr",
            "age": 36,
            "pro": False,
            "since": datetime(2026, 1, 5, tzinfo=UTC),
            "teams": ["red"],
        },
    )
    attributes = {"country": "fr", "age": "36", "pro": "false", "since": "2026-01-05T00:00:00+00:00"}
    assert context_of(given) == Context("ada", "s1", True, attributes)
    assert context_of(EvaluationContext("ada")) == Context("ada")
    assert context_of(EvaluationContext(attributes={"session": 7, "beta": "no"})) == Context()
    assert context_of(None) == Context()


def test_the_provider_has_a_name() -> None:
    assert FlagProvider(lambda: Snapshot(DECLARED)).get_metadata().name == "cinegen-flags"
