"""Fountain read back: exactly what `to_fountain` wrote, and of other people's what we have nouns for."""

from __future__ import annotations

import re

from cinegen_core.story.episode import Action, Dialogue, Element, Transition
from cinegen_core.story.errors import Problem, StoryError
from cinegen_core.story.formats.marks import (
    CHOICES_SECTION,
    SLUG,
    body_text,
    is_capitals,
    is_centred,
    is_transition,
    unescape,
    unescaped,
)
from cinegen_core.story.script import Script, ScriptChoice, ScriptScene
from cinegen_core.story.source import MAX_BYTES

_CHOICE = re.compile(r"!?\d{1,3}\. ?(.*)", re.DOTALL)
_TITLE_KEY = re.compile(r"([^:\n]{1,60}):[ \t]*(.*)")


def from_fountain(text: str, *, name: str = "the script") -> Script:
    """Title page, scenes and choices of a Fountain document.

    Notes, boneyard, sections, synopses and page breaks are left out; lyrics and centred lines become action;
    emphasis signs stay in the text. Raises `StoryError` for a text above 2 MB.
    """
    if len(text) > MAX_BYTES:
        raise StoryError([Problem(name, None, "", f"the script is longer than {MAX_BYTES:,} characters", "")])
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    blocks = _blocks(_without(_without(text, "/*", "*/"), "[[", "]]"))
    titles = _title_page(blocks[0]) if blocks else None
    if titles is not None:
        blocks = blocks[1:]
    titles = titles or {}
    scenes: list[tuple[str, list[Element]]] = []
    rest: list[list[str]] = []
    for index, block in enumerate(blocks):
        if block == [CHOICES_SECTION]:
            rest = blocks[index + 1 :]
            break
        slug = _slugline(block)
        if slug is not None:
            scenes.append((slug, []))
            continue
        elements = _elements(block)
        if elements and not scenes:
            scenes.append(("", []))
        if elements:
            scenes[-1][1].extend(elements)
    question, choices = _choices(rest)
    number = titles.get("episode", "")
    return Script(
        series=titles.get("title", ""),
        number=int(number) if re.fullmatch(r"\d{1,3}", number) else 0,
        title=titles.get("episode title", ""),
        question=question,
        choices=choices,
        scenes=tuple(ScriptScene(slugline=slug, elements=tuple(elements)) for slug, elements in scenes),
    )


def _without(text: str, opens: str, closes: str) -> str:
    """The text less what stands between the two marks, these included; one that is never closed is text. (A search by pattern
    would look for the end anew from every opening mark.)"""
    kept: list[str] = []
    here = 0
    while (start := text.find(opens, here)) >= 0 and (end := text.find(closes, start + len(opens))) >= 0:
        kept.append(text[here:start])
        here = end + len(closes)
    return "".join((*kept, text[here:]))


def _blocks(text: str) -> list[list[str]]:
    """Paragraphs: lines that no empty line parts. A line of two blanks is not empty in Fountain."""
    blocks: list[list[str]] = [[]]
    for line in text.split("\n"):
        if line in ("", " "):
            blocks.append([])
        else:
            blocks[-1].append(line)
    return [block for block in blocks if block]


def _title_page(block: list[str]) -> dict[str, str] | None:
    values: dict[str, list[str]] = {}
    key = ""
    for line in block:
        match = _TITLE_KEY.fullmatch(line)
        if line.startswith(("   ", "\t")) and key:
            values[key].append(unescape(line.strip()))
        elif match:
            key = match.group(1).strip().casefold()
            values[key] = [unescape(match.group(2).strip(" "))]
        else:
            return None
    return {
        key: "\n".join(parts).lstrip("\n") if len(parts) > 1 else parts[0] for key, parts in values.items()
    }


def _slugline(block: list[str]) -> str | None:
    line = block[0]
    if len(block) > 1:
        return None
    forced = line.startswith(".") and not line.startswith("..")
    if not forced and not SLUG.match(line):
        return None
    line = line[1:] if forced else line
    return unescape(re.sub(r"\s*(?<!\\)#[\w\-.]+#\s*$", "", line).strip(" "))


def _elements(block: list[str]) -> list[Element]:
    first = block[0]
    if first.startswith("!"):
        return [Action(text=_action(block))]
    if len(block) == 1:
        if first.startswith(("#", "=")):
            return []
        if is_centred(first):
            return [Action(text=unescape(first.strip(" ")[1:-1].strip(" ")))]
        if first.startswith(">"):
            return [Transition(text=unescape(first[1:].strip(" ")))]
        if is_transition(first):
            return [Transition(text=unescape(first))]
    elif first.startswith("@") or (is_capitals(first) and not first.endswith("  ")):
        return _speech(block)
    kept = [line for line in block if not line.startswith(("#", "="))]
    return [Action(text=_action([_unmarked(line) for line in kept]))] if kept else []


def _unmarked(line: str) -> str:
    if is_centred(line):
        return line.strip(" ")[1:-1].strip(" ")
    return line[1:].lstrip(" ") if line.startswith("~") else line


def _action(lines: list[str]) -> str:
    return body_text([line.removeprefix("!") for line in lines])


def _speech(block: list[str]) -> list[Element]:
    speaker, extension = _cue(block[0].removeprefix("@"))
    lines = block[1:]
    parenthetical = None
    if lines[0].startswith("(") and lines[0].endswith(")"):
        parenthetical = unescape(lines[0][1:-1].strip(" "))
        lines = lines[1:]
    if not lines:
        return [Dialogue(speaker=speaker, extension=extension, parenthetical=parenthetical, text="")]
    return [
        Dialogue(speaker=speaker, extension=extension, parenthetical=parenthetical, text=body_text(lines))
    ]


def _cue(line: str) -> tuple[str, str | None]:
    line = line.strip(" ").removesuffix("^").rstrip(" ") if not line.endswith("\\^") else line
    start = unescaped(line, "(")
    if start < 0 or not line.endswith(")"):
        return unescape(line.strip(" ")), None
    return unescape(line[:start].strip(" ")), unescape(line[start + 1 : -1].strip(" "))


def _choices(blocks: list[list[str]]) -> tuple[str, tuple[ScriptChoice, ...]]:
    question = ""
    choices: list[ScriptChoice] = []
    for block in blocks:
        match = _CHOICE.fullmatch(block[0])
        if is_centred(block[0]) and not choices:
            question = unescape(block[0].strip(" ")[1:-1].strip(" "))
        elif match:
            rest = [line.removeprefix("!") for line in block[1:]]
            choices.append(
                ScriptChoice(label=unescape(match.group(1).strip(" ")), consequence=body_text(rest))
            )
    return question, tuple(choices)
