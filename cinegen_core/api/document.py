"""The OpenAPI document, from the endpoints themselves."""

from __future__ import annotations

import http
import re
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from cinegen_core import __version__
from cinegen_core.api.answers import JobEnd
from cinegen_core.api.endpoint import Endpoint
from cinegen_core.api.problems import ProblemDetails
from cinegen_core.story import StoryBible
from cinegen_core.story.model import Noun
from cinegen_core.tiers.model import (
    AttemptEnded,
    CallEnded,
    EngineFinished,
    PhaseStarted,
    TextGrew,
    TierStarted,
)

_ONE_PART = {"type": "string", "minLength": 1, "pattern": "^[^/]+$"}
_ALWAYS = (401, 403, 429, 500, 503)
_OF_BODIES = (400, 413, 415, 422)
_UPDATES = (TierStarted, PhaseStarted, EngineFinished, CallEnded, TextGrew, AttemptEnded, JobEnd)


def document_of(endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """OpenAPI 3.1 of these endpoints, without the servers."""
    taken: set[type[BaseModel]] = {StoryBible, *(one.body for one in endpoints if one.body is not None)}
    told: set[type[BaseModel]] = {ProblemDetails, *_UPDATES}
    for one in endpoints:
        for kinds in one.answers.values():
            told.update(kinds if isinstance(kinds, tuple) else ())
    keys = [
        *((kind, "validation") for kind in sorted(taken, key=lambda kind: kind.__name__)),
        *((kind, "serialization") for kind in sorted(told, key=lambda kind: kind.__name__)),
    ]
    names, definitions = models_json_schema(keys, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]

    event = {
        "description": "One of the events that follow each other.",
        "type": "object",
        "required": ["event", "data"],
        "properties": {
            "id": {"type": "string", "pattern": "^[0-9]+$"},
            "event": {"enum": ["tier", "phase", "engine", "call", "text", "attempt", "end"]},
            "data": {
                "type": "string",
                "contentMediaType": "application/json",
                "contentSchema": {"anyOf": [names[kind, "serialization"] for kind in _UPDATES]},
            },
        },
    }

    def content(kinds: tuple[type[Noun], ...] | str) -> dict[str, Any]:
        if isinstance(kinds, str):
            plain = {"type": "object" if kinds == "application/json" else "string"}
            return {kinds: {"schema": event if kinds == "text/event-stream" else plain}}
        schemas = [names[kind, "serialization"] for kind in kinds]
        return {"application/json": {"schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas}}}

    problem = {"application/problem+json": {"schema": names[ProblemDetails, "serialization"]}}
    paths: dict[str, dict[str, Any]] = {}
    for one in endpoints:
        parameters = [
            {"name": name, "in": "path", "required": True, "schema": _ONE_PART}
            for name in re.findall(r"{(\w+)}", one.path)
        ]
        parameters += [
            {
                "name": query.name,
                "in": "query",
                "required": query.required,
                "schema": query.schema,
                "description": query.words,
            }
            for query in one.query
        ]
        refusals = sorted({*_ALWAYS, *one.refusals, *(_OF_BODIES if one.body is not None else ())})
        operation: dict[str, Any] = {
            "operationId": _operation_id(one),
            "description": one.words,
            "security": [{"token": []}] if one.writes else [{}, {"token": []}],
            "parameters": parameters,
            "responses": {
                **{
                    str(status): {"description": http.HTTPStatus(status).phrase, "content": content(kinds)}
                    for status, kinds in one.answers.items()
                },
                **{
                    str(status): {"description": http.HTTPStatus(status).phrase, "content": problem}
                    for status in refusals
                },
            },
        }
        if one.body is not None:
            schema = names[one.body, "validation"]
            operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
        paths.setdefault(one.path, {})[one.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Cinegen Studio",
            "version": __version__,
            "description": "Percentages are 0 to 100, times milliseconds; null where there is no data yet. Reading is open on the "
            "loopback address; writing, and reading from elsewhere, needs the studio's token.",
        },
        "paths": paths,
        "components": {
            "schemas": definitions.get("$defs", {}),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation_id(endpoint: Endpoint) -> str:
    words = re.findall(r"[A-Za-z]+", endpoint.path)
    return endpoint.method.lower() + "".join(word[:1].upper() + word[1:] for word in words)
