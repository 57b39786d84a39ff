"""From the text of a YAML, JSON or TOML file to plain data, remembering on which line every value stands.

Written for files from strangers: sizes, nesting and aliases are limited before anything is built, tags never
run code, and whatever is wrong comes out as one `StoryError`.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, time
from pathlib import Path
from typing import Any, Literal, NoReturn

from cinegen_core.story.errors import KeyPath, Problem, StoryError
from cinegen_core.story.positions import Positions, json_positions, toml_positions
from cinegen_core.story.yaml_source import read_yaml

Format = Literal["yaml", "json", "toml"]

MAX_BYTES = 2_000_000
"""Of one file. The longest series bibles that people keep are a tenth of this."""

SUFFIXES: Mapping[str, Format] = {".yaml": "yaml", ".yml": "yaml", ".json": "json", ".toml": "toml"}


@dataclass(frozen=True)
class Source:
    """What a file says. `lines` has the line (from 1) of every key and list entry."""

    file: str
    data: Any
    lines: Mapping[KeyPath, int] = field(default_factory=dict)

    def line(self, path: KeyPath) -> int | None:
        """The line of the value at `path`, or of the nearest thing around it."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return None


def fail(file: str, what: str, fix: str = "", line: int | None = None) -> NoReturn:
    """Raises `StoryError` with this one problem."""
    raise StoryError([Problem(file, line, "", what, fix)])


def read_text(path: Path, *, limit: int = MAX_BYTES) -> str:
    """A file's text. Raises `StoryError` where there is none, or more than `limit` bytes, or no UTF-8."""
    name = str(path)
    try:
        with path.open("rb") as stream:
            raw = stream.read(limit + 1)
    except FileNotFoundError:
        fail(
            name,
            "there is no such file",
            "Check the name; `cinegen samples` lists the series that come with the studio.",
        )
    except IsADirectoryError:
        fail(name, "this is a folder", "Name the file in it.")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        fail(name, f"the file cannot be read ({reason})", "Check its name and who may read it.")
    return decode(raw, name, limit=limit)


def decode(raw: bytes, name: str, *, limit: int = MAX_BYTES) -> str:
    """Text of bytes from a file or an upload. Raises `StoryError` as `read_text` does."""
    if len(raw) > limit:
        fail(
            name, f"the file is larger than {limit:,} bytes", "No bible or script of a series needs as much."
        )
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        fail(name, "this is not UTF-8 text", "Save the file again with the encoding UTF-8.", line)


def sniff(text: str) -> Format:
    """Which of the three formats a text is most likely in."""
    for line in text.lstrip("\ufeff").splitlines():
        words = line.strip()
        if not words or words.startswith(("#", "%", "---")):
            continue
        if words[0] == "{":
            return "json"
        if re.match(r"\[{1,2}[^\]]+\]{1,2}\s*(#.*)?$", words) or re.match(
            r"""["']?[\w.\- ]+["']?\s*=""", words
        ):
            return "toml"
        return "yaml"
    return "yaml"


def parse(text: str, format: Format, file: str) -> Source:
    """Plain data (dict, list, text, number, true/false, None) and its lines.

    Raises `StoryError` for text that is too large, too deep, broken, or says one key twice.
    """
    text = text.removeprefix("\ufeff")
    if not text.strip():
        fail(file, "nothing is written here", "A bible needs at least a title, a premise and two characters.")
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError:
        fail(
            file,
            "half of a character pair (a lone surrogate) stands in the text",
            "Save the file again as UTF-8.",
        )
    if size > MAX_BYTES:
        fail(file, f"the text is larger than {MAX_BYTES:,} bytes", "Keep the bible to what the series needs.")
    if format == "json":
        return _read_json(text, file)
    if format == "toml":
        return _read_toml(text, file)
    data, lines = read_yaml(text, file)
    return Source(file, data, lines)


def _read_json(text: str, file: str) -> Source:
    positions = json_positions(text)
    _refuse(positions, file)
    try:
        data = json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        fail(file, f"this is not valid JSON: {error.msg}", _json_fix(error.msg), error.lineno)
    except ValueError as error:
        fail(file, f"this is not valid JSON: {error}", "Write the number as text, in quotes.")
    return Source(file, data, positions.lines)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _json_fix(message: str) -> str:
    if "delimiter" in message:
        return "Look at the end of the line before: a comma or a closing bracket is missing."
    if "property name" in message:
        return "Keys stand in double quotes, and no comma follows the last one."
    if "Extra data" in message:
        return "One object, { ... }, is the whole file."
    if "control character" in message or "Unterminated string" in message:
        return "A text ends on the line it starts on, with a double quote; write a line break as \\n."
    return "Texts and keys stand in double quotes; commas stand between entries, not after the last."


def _read_toml(text: str, file: str) -> Source:
    positions = toml_positions(text)
    _refuse(positions, file)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        found = re.search(r"\s*\(at line (\d+), column \d+\)", message)
        what = message[: found.start()] if found else message.removesuffix("(at end of document)").rstrip()
        line = int(found.group(1)) if found else text.rstrip("\n").count("\n") + 1
        fail(
            file,
            f"this is not valid TOML: {what[:1].lower()}{what[1:]}",
            "Texts stand in quotes, key = value stands on one line, [tables] at the start of one.",
            line,
        )
    except (ValueError, RecursionError) as error:
        fail(file, f"this is not valid TOML: {error}", "Write long numbers as text, in quotes.")
    return Source(file, _plain(data), positions.lines)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, date | time) else value


def _refuse(positions: Positions, file: str) -> None:
    if positions.problems:
        raise StoryError(
            Problem(file, found.line, found.key, found.what, found.fix) for found in positions.problems
        )
