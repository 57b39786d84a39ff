"""An episode as Fountain, the plain-text format of screenplays (fountain.io).

Any text survives: `from_fountain(to_fountain(episode))` has the same scenes and choices, character for
character. Running times, rundown, synopsis and state are not part of a screenplay; JSON keeps those.
"""

from __future__ import annotations

import re

from cinegen_core.story.episode import Action, Dialogue, Element, Episode
from cinegen_core.story.formats.marks import (
    CHOICES_SECTION,
    SLUG,
    body_lines,
    escape,
    is_capitals,
    is_centred,
    is_transition,
)

_PLAIN_CUE = re.compile(r"[^\W\d_][\w .'’&-]*")


def to_fountain(episode: Episode) -> str:
    """The episode as Fountain: title page, scenes, and the choices as a last section. Ends in one newline."""
    blocks = [_title_page(episode)]
    for scene in episode.scenes:
        blocks.append(_slugline(scene.slugline))
        blocks.extend(_element(element) for element in scene.elements)
    blocks.append(CHOICES_SECTION)
    blocks.append(f"> {escape(episode.question)} <")
    for number, choice in enumerate(episode.choices, start=1):
        lines = [f"{number}. {escape(choice.label)}"]
        if choice.consequence:
            lines += body_lines(choice.consequence)
        blocks.append("\n".join(_forced(lines)))
    return "\n\n".join(blocks) + "\n"


def _title_page(episode: Episode) -> str:
    return (
        f"Title: {escape(episode.series)}\nEpisode: {episode.number}\nEpisode Title: {escape(episode.title)}"
    )


def _slugline(text: str) -> str:
    line = escape(text, also="#")
    if SLUG.match(line):
        return line
    return "." + ("\\" + line if line.startswith(".") else line)


def _element(element: Element) -> str:
    if isinstance(element, Action):
        return "\n".join(_forced(body_lines(element.text)))
    if isinstance(element, Dialogue):
        return "\n".join(_speech(element))
    line = escape(element.text)
    plain = is_transition(line) and not SLUG.match(line) and line[0] not in _LINE_MARKS
    return line if plain else "> " + (line[:-1] + "\\<" if line.endswith("<") else line)


_LINE_MARKS = ".!>~#=@"


def _forced(lines: list[str]) -> list[str]:
    """Action lines, with `!` before each that a reader would take for something else."""
    marked = [("!" + line if line[0] in _LINE_MARKS else line) for line in lines]
    first = marked[0]
    if not first.startswith("!") and (
        any(line.startswith("!") for line in marked)
        or not first.strip()
        or SLUG.match(first)
        or is_transition(first)
        or is_centred(first)
        or (len(lines) > 1 and is_capitals(first))
    ):
        marked[0] = "!" + first
    return marked


def _speech(speech: Dialogue) -> list[str]:
    cue = escape(speech.speaker, also="()^")
    if not (_PLAIN_CUE.fullmatch(cue) and cue.isupper() and not SLUG.match(cue)):
        cue = "@" + cue
    if speech.extension is not None:
        cue += f" ({escape(speech.extension, also='()^')})"
    lines = [cue]
    if speech.parenthetical is not None:
        lines.append(f"({escape(speech.parenthetical)})")
    for line in body_lines(speech.text):
        lines.append("\\" + line if line.startswith("(") and line.endswith(")") else line)
    return lines
