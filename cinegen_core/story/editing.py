"""One element of an episode changed by hand: other words, another speaker, a line more, a line less."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Literal

from pydantic import Field

from cinegen_core.story.episode import Dialogue, Element, Episode, Scene
from cinegen_core.story.model import Noun

MOST_CHARACTERS = 5000
"""A line longer than this is no line."""

MOST_CUE = 40


class RevisionError(ValueError):
    """An episode cannot be changed in this way: the message says what, where, and what to do instead. Nothing was changed."""


class Reword(Noun):
    """Another text, speaker or parenthetical for one element. What is None stays; an empty parenthetical is taken away.

    Scenes and elements count from 1, here as everywhere.
    """

    kind: Literal["reword"] = "reword"
    scene: int
    element: int
    text: str | None = None
    speaker: str | None = None
    parenthetical: str | None = None


class Insert(Noun):
    """A new element, to stand as number `element` of its scene: 1 is before all others, one above their number after them."""

    kind: Literal["insert"] = "insert"
    scene: int
    element: int
    written: Element


class Remove(Noun):
    kind: Literal["remove"] = "remove"
    scene: int
    element: int


Edit = Annotated[Reword | Insert | Remove, Field(discriminator="kind")]


def edited(episode: Episode, edit: Reword | Insert | Remove) -> Episode:
    """The episode with one element changed, and everything else as it is. Raises `RevisionError`."""
    scene = scene_of(episode, edit.scene)
    elements = list(scene.elements)
    most = len(elements) + isinstance(edit, Insert)
    if not 1 <= edit.element <= most:
        raise RevisionError(
            f"Scene {edit.scene} has no line {edit.element}; it has {len(elements)}. Give a number from 1 to {most}."
        )
    at = edit.element - 1
    if isinstance(edit, Insert):
        elements.insert(at, _checked(edit.written))
    elif isinstance(edit, Remove):
        if len(elements) == 1:
            raise RevisionError(
                f"Line 1 is all that scene {edit.scene} has; a scene needs one. Edit it instead."
            )
        del elements[at]
    else:
        elements[at] = _reworded(elements[at], edit)
    return with_elements(episode, edit.scene, tuple(elements))


def scene_of(episode: Episode, number: int) -> Scene:
    """The scene of this number, from 1. Raises `RevisionError`."""
    if not 1 <= number <= len(episode.scenes):
        raise RevisionError(
            f"There is no scene {number}; the episode has {len(episode.scenes)}. "
            f"Give a number from 1 to {len(episode.scenes)}."
        )
    return episode.scenes[number - 1]


def with_elements(episode: Episode, number: int, elements: tuple[Element, ...]) -> Episode:
    """The episode with other elements in one scene, and everything else as it is."""
    scenes = list(episode.scenes)
    scenes[number - 1] = scenes[number - 1].model_copy(update={"elements": elements})
    return episode.model_copy(update={"scenes": tuple(scenes)})


def _reworded(element: Element, edit: Reword) -> Element:
    changes: dict[str, object] = {}
    if edit.text is not None:
        changes["text"] = edit.text
    if edit.speaker is not None or edit.parenthetical is not None:
        if not isinstance(element, Dialogue):
            raise RevisionError(
                f"Line {edit.element} of scene {edit.scene} is not a speech, so nobody speaks it. Remove it and insert a speech."
            )
        if edit.speaker is not None:
            changes["speaker"] = edit.speaker
        if edit.parenthetical is not None:
            changes["parenthetical"] = edit.parenthetical or None
    return _checked(element.model_copy(update=changes))


def _checked(element: Element) -> Element:
    """The element with blanks at its edges gone and its cue in capitals. Raises `RevisionError` for what no page can show."""
    changes: dict[str, object] = {"text": _line(element.text, "text", MOST_CHARACTERS)}
    if isinstance(element, Dialogue):
        changes["speaker"] = _line(element.speaker, "speaker", MOST_CUE).upper()
        for name in ("parenthetical", "extension"):
            words = getattr(element, name)
            if words is not None:
                changes[name] = _line(words, name, MOST_CHARACTERS).strip("()").strip() or None
    return element.model_copy(update=changes)


def _line(text: str, name: str, most: int) -> str:
    kept = re.sub(r"\r\n?", "\n", text).strip()
    if name != "text":
        kept = " ".join(kept.split())
    if not kept:
        raise RevisionError(f"The {name} is empty. Write something, or remove the line.")
    if len(kept) > most:
        raise RevisionError(f"The {name} has {len(kept):,} characters; at most {most:,} fit. Shorten it.")
    if any(unicodedata.category(ch) in ("Cc", "Cs") and ch not in "\n\t" for ch in kept):
        raise RevisionError(f"The {name} holds control characters, which no page shows. Type it anew.")
    return kept
