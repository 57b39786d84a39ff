"""Flags that come over from Unleash take the same people."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from cinegen_core.flags.evaluate import Snapshot
from cinegen_core.flags.model import Context, Declared
from cinegen_core.flags.unleash import UnleashError, context_from_unleash, from_unleash

# The published cases (github.com/Unleash/client-specification), where somebody has them: the folder, or nothing.
SPECIFICATION = os.environ.get("CINEGEN_UNLEASH_SPEC", "")
CASES = [
    pytest.param(document["state"]["features"], case, id=f"{document['name']}: {case['description']}")
    for file in (sorted(Path(SPECIFICATION).glob("[0-9]*.json")) if SPECIFICATION else [])
    for document in [json.loads(file.read_text(encoding="utf-8"))]
    for case in [*document.get("tests", []), *document.get("variantTests", [])]
]

if CASES:

    @pytest.mark.parametrize(("features", "case"), CASES)
    def test_the_published_cases_come_out_as_published(
        features: list[dict[str, Any]], case: dict[str, Any]
    ) -> None:
        asked = Snapshot(Declared(flags=from_unleash(features)))
        found = asked.evaluate(case["toggleName"], context_from_unleash(case["context"]))
        expected = case["expectedResult"]
        if isinstance(expected, bool):
            assert found.value == expected, found
        else:
            payload = expected.get("payload", {}).get("value")
            assert found.value == expected["feature_enabled"], found
            assert (found.variant or "disabled", asked.payload(found)) == (expected["name"], payload)


def feature(name: str = "new", *strategies: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "enabled": True, "strategies": list(strategies), **more}


def flexible(rollout: int = 50, *, constraints: Any = (), **parameters: str) -> dict[str, Any]:
    return {
        "name": "flexibleRollout",
        "parameters": {"rollout": str(rollout), "stickiness": "default", "groupId": "new", **parameters},
        "constraints": list(constraints),
    }


def constraint(name: str, *values: str, **more: Any) -> dict[str, Any]:
    return {"contextName": name, "operator": "IN", "values": list(values), **more}


def test_all_that_bears_on_who_is_in_comes_over() -> None:
    one = feature(
        "new",
        flexible(30, stickiness="userId", groupId="g", constraints=[constraint("environment", "prod")])
        | {"id": "1", "title": "", "sortOrder": 3, "segments": [], "disabled": False},
        description="Something new",
        type="release",
        project="default",
        stale=False,
        impressionData=True,
        variants=[
            {
                "name": "a",
                "weight": 700,
                "weightType": "fix",
                "payload": {"type": "json", "value": "{}"},
                "overrides": [],
            }
        ],
        dependencies=[{"feature": "old", "enabled": True, "variants": ["x"]}],
    )
    flag = from_unleash([one])["new"]
    assert flag.model_dump(exclude_defaults=True) == {
        "key": "new",
        "description": "Something new",
        "enabled": True,
        "depends_on": ({"flag": "old", "variants": ("x",)},),
        "strategies": (
            {"percent": 30, "group": "g", "stickiness": "user", "where": {"environment": ("prod",)}},
        ),
        "variants": ({"name": "a", "weight": 700, "payload": "{}", "stickiness": "default"},),
    }


def test_a_feature_without_strategies_is_on_for_everybody() -> None:
    assert Snapshot(Declared(flags=from_unleash([feature()]))).evaluate("new").value


def test_variants_stick_to_what_they_stuck_to() -> None:
    variants = [{"name": "a", "weight": 1, "stickiness": "team"}]
    by_user = {"name": "gradualRolloutUserId", "parameters": {"percentage": "50", "groupId": "g"}}
    flags = from_unleash(
        [
            feature("flag", flexible(stickiness="sessionId"), variants=variants),
            feature("flexible", flexible(stickiness="sessionId") | {"variants": variants}),
            feature("gradual", by_user | {"variants": variants}),
        ]
    )
    assert flags["flag"].variants[0].stickiness == "team"
    assert flags["flexible"].strategies[0].variants[0].stickiness == "session"
    assert flags["gradual"].strategies[0].variants[0].stickiness == "default"


def test_a_context_comes_over_with_its_fields_and_properties() -> None:
    given = {
        "userId": 7,
        "sessionId": "s",
        "environment": "prod",
        "appName": None,
        "properties": {"team": "red", "userId": "8"},
    }
    attributes = {"environment": "prod", "team": "red"}
    assert context_from_unleash(given) == Context("7", "s", attributes=attributes)
    assert context_from_unleash({}) == Context(attributes={})


def test_two_conditions_on_one_field_both_hold() -> None:
    flags = from_unleash(
        [feature("new", flexible(100, constraints=[constraint("c", "x", "y"), constraint("c", "y", "z")]))]
    )
    assert flags["new"].strategies[0].where == {"c": ("y",)}


def test_a_feature_whose_parent_has_a_parent_stays_off_and_says_why() -> None:
    flags = from_unleash(
        [
            feature("a"),
            feature("b", dependencies=[{"feature": "a"}]),
            feature("c", dependencies=[{"feature": "b"}]),
        ]
    )
    asked = Snapshot(Declared(flags=flags))
    assert [asked.evaluate(key).value for key in "abc"] == [True, True, False]
    assert flags["c"].description == "(off for everybody, as it was in Unleash: b depends on others itself)"


@pytest.mark.parametrize(
    ("unsupported", "named"),
    [
        (feature("new", {"name": "remoteAddress", "parameters": {"IPs": "1.2.3.4"}}), "feature new: strategies.0.name: .*remoteAddress"),
        (feature("new", flexible(constraints=[constraint("c", "x", operator="NOT_IN")])), "constraints.0.operator: .*NOT_IN"),
        (feature("new", flexible(constraints=[constraint("c", "x", inverted=True)])), "constraints.0.inverted"),
        (feature("new", flexible(constraints=[constraint("c", "x", caseInsensitive=True)])), "constraints.0.caseInsensitive"),
        (feature("new", flexible() | {"segments": [3]}), "strategies.0.segments"),
        (feature("new", flexible() | {"disabled": True}), "strategies.0.disabled"),
        (feature("new", flexible(groupId="")), "parameters.groupId"),
        (feature("new", flexible(rollout=101)), "parameters.rollout"),
        (feature("new", flexible(rollout="50.5")), "parameters.rollout"),  # type: ignore[arg-type]
        (feature("new", {"name": "flexibleRollout", "parameters": {}}), "feature new: strategy flexibleRollout has no percentage"),
        (feature("new", {"name": "gradualRolloutUserId", "parameters": {"percentage": "5"}}), "no groupId"),
        (feature("new", flexible(stickiness="user")), "the context's field user"),
        (feature("new", variants=[{"name": "a", "weight": 1, "overrides": [{"contextName": "userId", "values": ["1"]}]}]), "variants.0.overrides"),
        (feature("new", dependencies=[{"feature": "old", "enabled": False, "variants": ["a"]}]), "needs old both off and in a variant"),
        (feature("new", somethingNew=1), "feature new: somethingNew: is not supported"),
        (feature("a b"), "feature a b: key"),
        (
            feature(
                "new",
                flexible() | {"variants": [{"name": "a", "weight": 1, "payload": {"type": "string", "value": "1"}}]},
                variants=[{"name": "a", "weight": 1}],
            ),
            "two variants a have different payloads",
        ),
    ],
)  # fmt: skip
def test_what_has_no_equal_here_is_named(unsupported: dict[str, Any], named: str) -> None:
    with pytest.raises(UnleashError, match=named):
        from_unleash([unsupported])


def test_all_features_that_are_in_the_way_are_named_at_once() -> None:
    with pytest.raises(UnleashError) as refused:
        from_unleash([feature("one", flexible(101)), feature("two"), feature("three", {"name": "own"})])
    assert [line.split(":")[0] for line in str(refused.value).splitlines()] == [
        "feature one",
        "feature three",
    ]
