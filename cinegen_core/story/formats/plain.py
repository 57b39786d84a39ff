"""An episode as plain text that looks like a screenplay page, and as JSON."""

from __future__ import annotations

import textwrap
import unicodedata

from cinegen_core.story.episode import Action, Dialogue, Element, Episode, Scene
from cinegen_core.story.load import episode_from_json

ACTION_WIDTH = 64
SPEECH_INDENT, SPEECH_WIDTH = 10, 35
PARENTHETICAL_INDENT, PARENTHETICAL_WIDTH = 16, 28
CUE_INDENT = 22


def to_text(episode: Episode) -> str:
    """The episode as one reads it, in lines of at most 64 characters. Ends in one newline."""
    blocks = [f'{_fold(episode.series).upper()}\nEpisode {episode.number}: "{_fold(episode.title)}"']
    for scene in episode.scenes:
        blocks += _scene(scene)
    blocks += _question(episode.question)
    for number, choice in enumerate(episode.choices, start=1):
        start = f"{number}. "
        lines = textwrap.wrap(start + _fold(choice.label), ACTION_WIDTH, subsequent_indent="   ")
        lines += textwrap.wrap(
            _fold(choice.consequence), ACTION_WIDTH, initial_indent="   ", subsequent_indent="   "
        )
        blocks.append("\n".join(lines))
    return "\n\n".join(block for block in blocks if block) + "\n"


def _scene(scene: Scene) -> list[str]:
    return [_fold(scene.slugline), *(_element(element) for element in scene.elements)]


def _element(element: Element) -> str:
    if isinstance(element, Action):
        return "\n".join(
            line for part in element.text.split("\n") for line in textwrap.wrap(_fold(part), ACTION_WIDTH)
        )
    if isinstance(element, Dialogue):
        return _speech(element)
    return _fold(element.text).rjust(ACTION_WIDTH)


def _speech(speech: Dialogue) -> str:
    cue = _fold(speech.speaker) + (f" ({_fold(speech.extension)})" if speech.extension is not None else "")
    lines = [" " * CUE_INDENT + cue]
    if speech.parenthetical is not None:
        words = textwrap.wrap(f"({_fold(speech.parenthetical)})", PARENTHETICAL_WIDTH, subsequent_indent=" ")
        lines += [" " * PARENTHETICAL_INDENT + line for line in words]
    lines += [" " * SPEECH_INDENT + line for line in textwrap.wrap(_fold(speech.text), SPEECH_WIDTH)]
    return "\n".join(lines)


def _question(question: str) -> list[str]:
    """The last sentence in capitals, as the screen shows it; what leads up to it as it is."""
    words = _fold(question)
    cut = max(words.rfind(". "), words.rfind("! "), words.rfind("? "))
    before, asked = (words[: cut + 1], words[cut + 2 :]) if cut >= 0 else ("", words)
    return ["\n".join(textwrap.wrap(part, ACTION_WIDTH)) for part in (before, asked.upper())]


def _fold(text: str) -> str:
    """One line without what a terminal would obey."""
    kept = (
        " " if ch.isspace() else ch
        for ch in text
        if ch.isspace() or unicodedata.category(ch) not in ("Cc", "Cs")
    )
    return " ".join("".join(kept).split())


def to_json(episode: Episode) -> str:
    """Everything about the episode, with the state that it leaves: what `--from` takes. Indented by two."""
    return episode.model_dump_json(indent=2) + "\n"


def from_json(text: str, *, name: str = "the episode") -> Episode:
    """The episode that `to_json` wrote. Raises `StoryError`."""
    return episode_from_json(text, name=name)
