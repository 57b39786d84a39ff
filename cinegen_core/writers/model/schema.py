"""JSON schemas as plain as servers need them: strict, closed, without bounds that slow a grammar down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from pydantic import BaseModel

_DROPPED = frozenset(
    ("title", "default", "minLength", "maxLength", "pattern", "minimum", "maximum", "exclusiveMinimum",
     "exclusiveMaximum", "multipleOf", "uniqueItems", "format")
)  # fmt: skip


@lru_cache(maxsize=64)
def plain_schema(model: type[BaseModel], *, without: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The schema that a model's answer is held to; `without` names fields of the outermost object that are not asked for.

    Bounds of numbers and texts are left to validation: grammars with them are slow on local servers, and strict modes refuse
    some of them.
    """
    schema = model.model_json_schema()
    for name in without:
        schema["properties"].pop(name, None)
    plain = _plain(schema)
    assert isinstance(plain, dict)
    return plain


def _plain(node: Any) -> Any:
    if isinstance(node, list):
        return [_plain(part) for part in node]
    if not isinstance(node, dict):
        return node
    kept = {key: value for key, value in node.items() if key not in _DROPPED}
    if node.get("type") == "object":
        properties = node.get("properties", {})
        return {
            **{key: _plain(value) for key, value in kept.items() if key != "properties"},
            "properties": {key: _plain(value) for key, value in properties.items()},
            "required": list(properties),
            "additionalProperties": False,
        }
    if "prefixItems" in kept:  # a tuple of one kind; strict modes know no others
        first, *_ = kept.pop("prefixItems")
        kept["items"] = first
    if "$defs" in kept:
        kept["$defs"] = {key: _plain(value) for key, value in kept["$defs"].items()}
    return {key: value if key == "$defs" else _plain(value) for key, value in kept.items()}


_PEOPLE = frozenset(("speaker", "protagonist", "holder", "who", "towards"))


def tight_schema(
    schema: Mapping[str, Any], people: Sequence[str], *, text: int, items: int
) -> dict[str, Any]:
    """The schema for a small model that might never end otherwise: texts of at most `text` characters, lists of at most
    `items` (more only where the form needs it), and `people` (or nobody) wherever a person is named."""
    tight = _tight(dict(schema), "", ["", *people], text, items)
    assert isinstance(tight, dict)
    return tight


def _tight(node: Any, name: str, people: Sequence[str], text: int, items: int) -> Any:
    if isinstance(node, list):
        return [_tight(part, name, people, text, items) for part in node]
    if not isinstance(node, dict):
        return node
    if node.get("type") == "string" and "enum" not in node and "const" not in node:
        return {**node, "enum": list(people)} if name in _PEOPLE else {**node, "maxLength": text}
    held = {
        key: {inner: _tight(value, inner, people, text, items) for inner, value in part.items()}
        if key in ("properties", "$defs")
        else _tight(part, name, people, text, items)
        for key, part in node.items()
    }
    if node.get("type") == "array":
        held["maxItems"] = max(min(node.get("maxItems", items), items), node.get("minItems", 0))
    return held
