"""The question and its choices, found at the end of a script that has no section for them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cinegen_core.story.episode import Action, Element
from cinegen_core.story.script import Script, ScriptChoice

_ITEM = re.compile(r"[ \t]*(?:\(?(?:[1-9]|[a-c]|[A-C])[.):]|[-*\u2022])[ \t]+(\S.*)", re.DOTALL)
_COST = re.compile(r"\s*(?:->|\u2192|=>|\u2014>)\s*")
_HEADING = re.compile(r"(?:the )?choices?:?", re.IGNORECASE)
_SENTENCE = re.compile(r"(.+?[.!?][\"'\u2019\u201d]?)\s+(\S.*)", re.DOTALL)
LEAST = 2
"""Fewer numbered paragraphs at the end are no choices."""


def with_ending(script: Script) -> Script:
    """The script with question and choices taken out of its last scene, if they stand at its end."""
    if script.choices or not script.scenes:
        return script
    last = script.scenes[-1]
    rows = list(last.elements)
    texts: list[str] = []
    while rows and isinstance(rows[-1], Action):
        texts.insert(0, rows.pop().text)
    start = next((i for i, text in enumerate(texts) if _ITEM.fullmatch(text)), None)
    choices = _choices(texts[start:]) if start is not None else ()
    if start is None or len(choices) < LEAST:
        return script
    kept = texts[:start]
    if kept and _HEADING.fullmatch(kept[-1].strip()):
        kept.pop()
    question = kept.pop() if kept and kept[-1].rstrip("*_ ").endswith("?") else ""
    elements: Sequence[Element] = (*rows, *(Action(text=text) for text in kept))
    scene = last.model_copy(update={"elements": tuple(elements)})
    return script.model_copy(
        update={"scenes": (*script.scenes[:-1], scene), "question": question, "choices": choices}
    )


def _choices(texts: Sequence[str]) -> tuple[ScriptChoice, ...]:
    """One choice for each numbered paragraph; what follows it, or stands behind an arrow, is its cost."""
    found: list[list[str]] = []
    for text in texts:
        item = _ITEM.fullmatch(text)
        if item:
            found.append([item.group(1)])
        elif found:
            found[-1].append(text)
    return tuple(_choice(parts) for parts in found)


def _choice(parts: Sequence[str]) -> ScriptChoice:
    lines = [line.strip() for part in parts for line in part.split("\n") if line.strip()]
    marked = next((i for i, line in enumerate(lines) if i and _COST.match(line)), None)
    if marked is not None:
        label, cost = " ".join(lines[:marked]), " ".join(lines[marked:])
        return ScriptChoice(label=label, consequence=_COST.sub("", cost, count=1))
    whole = " ".join(lines)
    arrow = _COST.search(whole)
    if arrow:
        return ScriptChoice(label=whole[: arrow.start()], consequence=whole[arrow.end() :])
    sentence = _SENTENCE.fullmatch(whole)
    if sentence:
        return ScriptChoice(label=sentence.group(1), consequence=sentence.group(2))
    return ScriptChoice(label=whole, consequence="")
