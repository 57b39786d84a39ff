"""On which line each key and list entry of a JSON or TOML text stands.

Both are read by the standard library, which does not say where things were; these two walk the same text
beside it. They also find what must be refused before the standard readers see it: deep nesting, and a key
written twice. A text that is broken in other ways is left to the standard readers to explain.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from cinegen_core.story.errors import KeyPath, Problem, spell

MAX_DEPTH = 40
"""Levels of lists and blocks within each other. A bible needs five."""

TOO_DEEP = f"lists and blocks are nested more than {MAX_DEPTH} deep here"
TOO_DEEP_FIX = "A bible needs about five levels; look for a bracket that is never closed."


@dataclass
class Positions:
    """`problems` have an empty `file`; whoever knows the file's name puts it in."""

    lines: dict[KeyPath, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def mark(self, path: KeyPath, line: int) -> None:
        if path in self.lines:
            first = self.lines[path]
            self.problems.append(
                Problem(
                    "",
                    line,
                    spell(path),
                    f"this key was already given on line {first}",
                    "Keep one of the two.",
                )
            )
        else:
            self.lines[path] = line


_JSON_TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|[{}\[\],:]|\n|[^\s{}\[\],:"]+')


@dataclass
class _Open:
    """A list or block that has not been closed yet; `index` is None in a block."""

    path: KeyPath
    index: int | None
    key: str | None = None
    awaits_key: bool = True


def json_positions(text: str) -> Positions:
    """The positions in a JSON text. Never raises; stops at what it does not understand."""
    found = Positions({(): 1})
    stack: list[_Open] = []
    line = 1
    for match in _JSON_TOKEN.finditer(text):
        token = match.group()
        top = stack[-1] if stack else None
        if token == "\n":
            line += 1
        elif token in "}]":
            if top is None:
                return found
            stack.pop()
        elif token == ",":
            if top is None:
                return found
            if top.index is None:
                top.awaits_key = True
            else:
                top.index += 1
        elif token == ":":
            continue
        elif token[0] == '"' and top is not None and top.index is None and top.awaits_key:
            try:
                top.key = json.loads(token)
            except ValueError:
                return found  # the reader proper says what is wrong with this string
            top.awaits_key = False
            found.mark((*top.path, top.key), line)
        else:
            path = _place(top)
            if top is not None and top.index is not None:
                found.lines.setdefault(path, line)
            if token in "{[":
                stack.append(_Open(path, None if token == "{" else 0))
                if len(stack) > MAX_DEPTH:
                    found.problems = [Problem("", line, "", TOO_DEEP, TOO_DEEP_FIX)]
                    return found
    return found


def _place(top: _Open | None) -> KeyPath:
    if top is None:
        return ()
    return (*top.path, top.index if top.index is not None else top.key or "")


_TOML_TOKEN = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
    r"|#[^\n]*|\n|\[\[|\]\]|[\[\]{}=,.]|[^\s\[\]{}=,.\"'#]+",
    re.DOTALL,
)


def toml_positions(text: str) -> Positions:
    """The positions in a TOML text. Never raises; stops at what it does not understand."""
    return _TomlWalk(text).found


class _TomlWalk:
    def __init__(self, text: str) -> None:
        self.found = Positions({(): 1})
        self.tokens: list[tuple[str, int]] = []
        self.counts: dict[KeyPath, int] = {}
        line = 1
        for match in _TOML_TOKEN.finditer(text):
            if not match.group().startswith("#"):
                self.tokens.extend(self._split(match.group(), line))
            line += match.group().count("\n")
        self.at = 0
        table: KeyPath = ()
        while self.at < len(self.tokens) and not self.found.problems:
            token, line = self.tokens[self.at]
            if token == "\n":
                self.at += 1
            elif token == "[":
                table = self._header(line)
            else:
                self._pair(table, line)

    @staticmethod
    def _split(token: str, line: int) -> list[tuple[str, int]]:
        return [(token[0], line), (token[0], line)] if token in ("[[", "]]") else [(token, line)]

    def _peek(self) -> str:
        return self.tokens[self.at][0] if self.at < len(self.tokens) else "\n"

    def _header(self, line: int) -> KeyPath:
        entry = self.tokens[self.at + 1 : self.at + 2] == [("[", line)]
        self.at += 2 if entry else 1
        parts = self._key(line)
        path: KeyPath = ()
        for part in parts[:-1]:
            path = (*path, part)
            if path in self.counts:
                path = (*path, self.counts[path] - 1)
        path = (*path, *parts[-1:])
        if entry:
            self.found.lines.setdefault(path, line)
            self.counts[path] = self.counts.get(path, 0) + 1
            path = (*path, self.counts[path] - 1)
        self.found.lines.setdefault(path, line)
        self._skip_line()
        return path

    def _pair(self, table: KeyPath, line: int) -> None:
        path = (*table, *self._key(line))
        self.found.lines.setdefault(path, line)
        if self._peek() == "=":
            self.at += 1
            self._value(path)
        self._skip_line()

    def _key(self, line: int) -> KeyPath:
        parts: list[str] = []
        while self._peek() not in ("=", "]", "\n", "[", "{", "}", ","):
            token = self.tokens[self.at][0]
            if token != ".":
                parts.append(_unquote(token))
            if len(parts) > MAX_DEPTH:
                self.found.problems.append(Problem("", line, "", TOO_DEEP, TOO_DEEP_FIX))
                self.at = len(self.tokens)
            self.at += 1
        return tuple(parts)

    def _value(self, path: KeyPath) -> None:
        """Walks over one value: iterative, as a hostile file may nest as deep as it likes."""
        stack: list[_Open] = []
        here: KeyPath = path
        while self.at < len(self.tokens):
            token, line = self.tokens[self.at]
            top = stack[-1] if stack else None
            if token == "\n" and top is None:
                return
            if top is not None and token not in "\n,]}":
                if top.index is not None:
                    here = (*top.path, top.index)
                    self.found.lines.setdefault(here, line)
                elif top.awaits_key:
                    here = (*top.path, *self._key(line))
                    self.found.lines.setdefault(here, line)
                    top.awaits_key = False
                    if self._peek() == "=":
                        self.at += 1
                    continue
            if token in "[{":
                stack.append(_Open(here, 0 if token == "[" else None))
                if len(stack) > MAX_DEPTH:
                    self.found.problems.append(Problem("", line, "", TOO_DEEP, TOO_DEEP_FIX))
                    self.at = len(self.tokens)
                    return
            elif token in "]}" and stack:
                stack.pop()
            elif token == "," and top is not None:
                if top.index is not None:
                    top.index += 1
                else:
                    top.awaits_key = True
            self.at += 1

    def _skip_line(self) -> None:
        while self.at < len(self.tokens) and self.tokens[self.at][0] != "\n":
            self.at += 1


def _unquote(token: str) -> str:
    if token[0] == "'":
        return token[1:-1]
    if token[0] == '"':
        try:
            return str(json.loads(token))
        except ValueError:
            return token[1:-1]
    return token
