"""Plain text that looks like a screenplay page: sluglines, cues in capitals, speeches under them.

Two layouts are read: speeches set in (each kind of line at a depth of its own), and everything at the left
edge, where a cue is a line in capitals with its speech directly under it. Wrapped lines are joined again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from cinegen_core.story.episode import Action, Dialogue, Element, Transition
from cinegen_core.story.formats.ending import with_ending
from cinegen_core.story.script import Script, ScriptScene

SLUG = re.compile(
    r"(?:\d+[.)]?\s+)?(?:INT|EXT|EST|INT\.?\s?/\s?EXT|EXT\.?\s?/\s?INT|I/E)[. :\u2013-]", re.IGNORECASE
)
_CUE = re.compile(r"[^\W\d_a-z][^a-z!?:;]{0,38}?(?:\s*\([^()]{1,30}\))?\s*\^?")
_TRANSITION = re.compile(
    r"(?:[A-Z ]+ (?:TO|OUT|IN)(?: [A-Z]+)?[:.]|FADE [A-Z ]+[:.]?|[A-Z ]*CUT TO[A-Z :]*\.?)"
)
_EPISODE = re.compile(r"Episode\s+(\d{1,3})\s*[:\u2013-]?\s*[\"\u201c']?(.*?)[\"\u201d']?", re.IGNORECASE)
_RULE = re.compile(r"[-=_*#~]{3,}")


def from_page(text: str) -> Script:
    """Title lines, scenes, question and choices. Never raises: prose comes out as action alone."""
    blocks = _blocks(text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").expandtabs(8))
    first = next((i for i, block in enumerate(blocks) if SLUG.match(block[0].strip())), len(blocks))
    series, number, title = _titles(blocks[:first])
    start = first if first < len(blocks) else 0
    scenes: list[tuple[str, list[Element]]] = []
    for block in blocks[start:]:
        _read(block, scenes)
    script = Script(
        series=series,
        number=number,
        title=title,
        scenes=tuple(ScriptScene(slugline=slug, elements=tuple(rows)) for slug, rows in scenes),
    )
    return with_ending(script)


def _blocks(text: str) -> list[list[str]]:
    blocks: list[list[str]] = [[]]
    for line in text.split("\n"):
        if not line.strip() or _RULE.fullmatch(line.strip()):
            blocks.append([])
        else:
            blocks[-1].append(line.rstrip())
    return [block for block in blocks if block]


def _titles(blocks: Sequence[Sequence[str]]) -> tuple[str, int, str]:
    lines = [line.strip() for block in blocks for line in block]
    for index, line in enumerate(lines):
        match = _EPISODE.fullmatch(line)
        if match:
            return (lines[0] if index else ""), int(match.group(1)), match.group(2)
    return (lines[0] if lines else ""), 0, ""


def _read(block: Sequence[str], scenes: list[tuple[str, list[Element]]]) -> None:
    """Adds what a paragraph holds. A slugline or a cue may follow directly on other lines."""
    rest = list(block)
    while rest:
        line = rest[0].strip()
        if SLUG.match(line) and line[:4].isupper():
            scenes.append((" ".join(line.split()), []))
            rest = rest[1:]
            continue
        if not scenes:
            scenes.append(("", []))
        rows = scenes[-1][1]
        if _TRANSITION.fullmatch(line) and line.isupper():
            rows.append(Transition(text=line))
            rest = rest[1:]
        elif _starts_speech(rest):
            taken = _speech_length(rest)
            rows.append(_speech(rest[:taken]))
            rest = rest[taken:]
        else:
            taken = _action_length(rest)
            rows += _actions(rest[:taken])
            rest = rest[taken:]


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _starts_speech(lines: Sequence[str]) -> bool:
    cue = lines[0].strip()
    if len(lines) < 2 or not _CUE.fullmatch(cue) or not re.match(r"[^\W\d_]", cue):
        return False
    following = lines[1].strip()
    if SLUG.match(following):
        return False
    deep = _depth(lines[0])
    return deep > _depth(lines[1]) or (deep == _depth(lines[1]) and not following.isupper())


def _speech_length(lines: Sequence[str]) -> int:
    """A set-in speech ends where the text falls back to the left edge; another one with its paragraph."""
    if _depth(lines[0]) < 8:
        return len(lines)
    for index, line in enumerate(lines[1:], start=1):
        if _depth(line) < 4 or (index > 1 and _depth(line) >= _depth(lines[0])):
            return index
    return len(lines)


def _speech(lines: Sequence[str]) -> Dialogue:
    cue = lines[0].strip().rstrip("^ ")
    extension = None
    if cue.endswith(")") and "(" in cue:
        cue, _, inner = cue.partition("(")
        extension = inner[:-1].strip()
    words = " ".join(line.strip() for line in lines[1:])
    aside = re.match(r"\(([^()]*)\)\s*", words)
    return Dialogue(
        speaker=cue.strip(),
        extension=extension,
        parenthetical=" ".join(aside.group(1).split()) if aside else None,
        text=words[aside.end() :] if aside else words,
    )


def _action_length(lines: Sequence[str]) -> int:
    for index, (before, line) in enumerate(pairwise(lines), start=1):
        if SLUG.match(line.strip()) or (_depth(line) >= 8 > _depth(before) and _starts_speech(lines[index:])):
            return index
    return len(lines)


def _actions(lines: Sequence[str]) -> list[Element]:
    """One paragraph; in a list each item is one of its own, with the lines set in under it."""
    items: list[list[str]] = []
    for line in lines:
        numbered = re.match(r"[ \t]*\(?(?:[1-9]|[a-cA-C])[.)][ \t]+\S", line)
        if items and not numbered:
            items[-1].append(line.strip())
        else:
            items.append([line.strip()])
    joined: list[Element] = []
    for item in items:
        text = ""
        for line in item:
            arrow = line.startswith(("->", "\u2192", "=>"))
            text += ("\n" if arrow else " ") + line
        joined.append(Action(text=text.strip(" ")))
    return joined
