"""YAML as people write bibles in it, read from the parser's events.

Narrower than YAML 1.1 on purpose: `No` is a name and 12:30 a time of day, not false and 750. Only true,
false, null and plain numbers are more than text. Merge keys, tags and more than one document are refused;
aliases are counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from cinegen_core.story.errors import KeyPath, Problem, StoryError, shorten, spell
from cinegen_core.story.positions import MAX_DEPTH, TOO_DEEP, TOO_DEEP_FIX

MAX_ALIASES = 100
MAX_NODES = 200_000
"""Values after aliases are written out: what an alias repeats counts each time."""

_PLAIN_TAGS = ("tag:yaml.org,2002:str", "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map", "!")
_NULLS = ("", "~", "null", "Null", "NULL")
_BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,14})(\.\d{1,9})?")

# libyaml where the wheel has it: thirty times faster, same events.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(text: str, file: str) -> tuple[Any, dict[KeyPath, int]]:
    """The data and the line of every key and list entry. Raises `StoryError`."""
    reader = _Reader(file)
    try:
        reader.read(yaml.parse(text, Loader=_Loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        raise StoryError([Problem(file, line, "", *_explain(error, text, line))]) from error
    except yaml.YAMLError as error:
        position = getattr(error, "position", None)
        line = text[:position].count("\n") + 1 if isinstance(position, int) else None
        raise StoryError(
            [
                Problem(
                    file,
                    line,
                    "",
                    "a character stands here that YAML does not allow",
                    "Delete it; it is usually invisible and came in with copied text.",
                )
            ]
        ) from error
    if reader.problems:
        raise StoryError(reader.problems)
    return reader.data, reader.lines


def _explain(error: yaml.MarkedYAMLError, text: str, line: int | None) -> tuple[str, str]:
    said = (error.problem or error.context or "it cannot be read").strip()
    rows = text.split("\n")
    row = rows[line - 1] if line and line <= len(rows) else ""
    if "\t" in row[: len(row) - len(row.lstrip())]:
        return "a tab indents this line", "Indent with spaces; YAML does not take tabs."
    if "mapping values are not allowed" in said:
        return "there is a second ':' on this line", "Put the text after the first ':' in quotes."
    if "alias" in said or "anchor" in said:
        return (
            f"a word starts with * or &, which YAML takes for a reference ({said})",
            "Put the text in quotes.",
        )
    if "could not find expected ':'" in said:
        return (
            "a key without a ':' stands here or on the line before",
            "Write `key: text`, or indent a text that goes on.",
        )
    if "cannot start any token" in said or "unexpected" in said:
        return (
            f"this is not valid YAML: {said}",
            "Put text that starts with a sign such as @, %, ` or { in quotes.",
        )
    if "did not find expected" in said:
        return (
            f"this is not valid YAML: {said}",
            "Keys of one block start in the same column, and a quoted text ends with its quote.",
        )
    return (
        f"this is not valid YAML: {said}",
        "Look at the quotes and the indentation of this line and the one before.",
    )


class _StoppedError(Exception):
    """Something was found after which reading on is pointless; it is in `problems`."""


class _Reader:
    def __init__(self, file: str) -> None:
        self.file = file
        self.data: Any = None
        self.lines: dict[KeyPath, int] = {(): 1}
        self.problems: list[Problem] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._open: set[str] = set()
        self._aliases = 0
        self._nodes = 0

    def read(self, events: Iterator[Any]) -> None:
        documents = 0
        try:
            for event in events:
                if isinstance(event, yaml.DocumentStartEvent):
                    documents += 1
                    if documents > 1:
                        self._stop(
                            event, (), "a second document starts here (`---`)", "One file is one bible."
                        )
                    self.data = self._node(next(events), events, (), 0)
        except _StoppedError:
            return

    def _problem(self, event: Any, path: KeyPath, what: str, fix: str) -> None:
        self.problems.append(Problem(self.file, event.start_mark.line + 1, spell(path), what, fix))

    def _stop(self, event: Any, path: KeyPath, what: str, fix: str) -> None:
        self._problem(event, path, what, fix)
        raise _StoppedError

    def _count(self, event: Any, path: KeyPath, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            self._stop(
                event,
                path,
                f"there are more than {MAX_NODES:,} values",
                "Keep the bible to what the series needs.",
            )

    def _node(self, event: Any, events: Iterator[Any], path: KeyPath, depth: int) -> Any:
        self._count(event, path, 1)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, path)
        if event.tag is not None and event.tag not in _PLAIN_TAGS:
            self._problem(
                event, path, f"the tag {shorten(str(event.tag))!r} is not allowed here", "Leave the tag out."
            )
        if depth > MAX_DEPTH:
            self._stop(event, (), TOO_DEEP, TOO_DEEP_FIX)
        if event.anchor:
            self._open.add(event.anchor)
        before = self._nodes
        if isinstance(event, yaml.ScalarEvent):
            value = _scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = self._sequence(events, path, depth)
        else:
            value = self._mapping(events, path, depth)
        if event.anchor:
            self._open.discard(event.anchor)
            self._anchors[event.anchor] = (value, self._nodes - before + 1)
        return value

    def _alias(self, event: Any, path: KeyPath) -> Any:
        self._aliases += 1
        name = shorten(event.anchor)
        if self._aliases > MAX_ALIASES:
            self._stop(
                event, path, f"there are more than {MAX_ALIASES} references (*name)", "Write the text out."
            )
        if event.anchor in self._open:
            self._stop(event, path, f"*{name} refers to the block that it stands in", "Write the text out.")
        if event.anchor not in self._anchors:
            self._problem(
                event, path, f"*{name} refers to nothing above", "Put text that starts with * in quotes."
            )
            return None
        value, size = self._anchors[event.anchor]
        self._count(event, path, size)
        return value

    def _sequence(self, events: Iterator[Any], path: KeyPath, depth: int) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            here = (*path, len(items))
            self.lines[here] = event.start_mark.line + 1
            items.append(self._node(event, events, here, depth + 1))
        return items

    def _mapping(self, events: Iterator[Any], path: KeyPath, depth: int) -> dict[str, Any]:
        items: dict[str, Any] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                self._stop(
                    event,
                    path,
                    "a key here is a list or a block",
                    "Keys are single words; put text in quotes.",
                )
            key = event.value
            here = (*path, key)
            if key == "<<" and not event.style:
                self._problem(event, here, "merge keys (<<) are not read", "Write the keys out.")
            elif key in items:
                self._problem(
                    event,
                    here,
                    f"this key was already given on line {self.lines[here]}",
                    "Keep one of the two.",
                )
            if event.anchor:
                self._anchors[event.anchor] = (key, 1)
            first = key not in items
            if first:
                self.lines[here] = event.start_mark.line + 1
            value = self._node(next(events), events, here, depth + 1)
            if first:
                items[key] = value
        return items


def _scalar(event: Any) -> Any:
    text: str = event.value
    if event.style or event.tag:
        return text
    if text in _NULLS:
        return None
    if text in _BOOLS:
        return _BOOLS[text]
    if _NUMBER.fullmatch(text):
        number = float(text) if "." in text else int(text)
        if str(number) == text:
            return number
    return text
