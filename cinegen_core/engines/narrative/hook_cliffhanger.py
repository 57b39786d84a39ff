"""HookCliffhanger: a first image that asks something, a last one that something hangs on, and the answer kept back."""

from __future__ import annotations

import re
from typing import ClassVar, Literal

from cinegen_core.engines.base import Directive, EngineContext, Line, Phase, Realisation
from cinegen_core.engines.common import by_parts
from cinegen_core.engines.reading import lines
from cinegen_core.story import Episode, StoryBible
from cinegen_core.story.words import content_words

_ASKS = re.compile(
    r"\?|\b(no|not|never|nobody|nothing|no one|without|except|already|still|only|empty|missing|wrong|before|again|instead|too|yet|one more|alone|stops?|"
    r"first|last|twice|another|should|until|unless)\b|n['’]t\b",
    re.IGNORECASE,
)


class HookDirective(Directive):
    """`seconds`: by when the opening has asked its question. `withheld`: what the ending must not say."""

    seconds: int = 20
    form: Literal["event", "line", "image"] = "event"
    withheld: str = ""


class HookCliffhanger:
    name: ClassVar[str] = "HookCliffhanger"
    phase: ClassVar[Phase] = "narrative"
    job: ClassVar[str] = "Open on a question, close on an event that hangs, keep the answer back."
    priority: ClassVar[int] = 90
    directive: ClassVar[type[Directive]] = HookDirective

    def suits(self, bible: StoryBible) -> bool:
        return True

    def brief(self, context: EngineContext) -> str:
        return (
            f"The episode asks: {context.draft.outline.question or 'what will they do?'} Say by which second the opening image has made a question, in which form "
            "the last moment hangs (an event, a line, an image), and what must not be answered by then. The cliff happens because of what we watched."
        )

    def propose(self, context: EngineContext) -> HookDirective:
        outline = context.draft.outline
        revealed = any(s.reveals for s in outline.scenes)
        return HookDirective(
            engine=self.name, seconds=20, form="event", withheld="" if revealed else outline.truth
        )

    def realised(self, episode: Episode, directive: Directive, context: EngineContext) -> Realisation:
        assert isinstance(directive, HookDirective)
        drafted = context.draft.episode
        hook = _hook(episode, drafted, directive.seconds)
        cliff = _cliff(episode, drafted)
        happens = len(cliff) >= 2 if directive.form != "line" else bool(cliff)
        parts: list[tuple[float, list[Line], str]] = [
            (1.0 if hook else 0.0, hook[:2], f"an opening question within {directive.seconds} seconds"),
            (1.0 if happens else 0.0, cliff, f"an ending that hangs on an {directive.form}"),
        ]
        last = list(lines(episode, len(episode.scenes)))
        if directive.withheld:
            answer = content_words(directive.withheld)
            told = [
                line
                for line, _ in last[-6:]
                if answer and len(answer & content_words(line.text)) >= max(3, 0.6 * len(answer))
            ]
            parts.append((0.0 if told or not cliff else 1.0, [], "the answer kept back at the end"))
        return by_parts(self.name, parts)


def _hook(episode: Episode, draft: Episode, seconds: int) -> list[Line]:
    """Opening lines that ask something, before the place is described as the draft describes it; a title card does not count."""
    first = next((e.text for _, e in lines(draft, 1) if not e.text.startswith("Over black")), "")
    found: list[Line] = []
    spent = 0.0
    for line, element in lines(episode, 1):
        if element.text.startswith("Over black"):
            continue
        if spent > seconds or (first and first in element.text):
            break
        spent += len(element.text.split()) / 4.2
        found.append(line)
    return found if any(_ASKS.search(line.text) for line in found) else []


def _cliff(episode: Episode, draft: Episode) -> list[Line]:
    """What happens after the line that the draft ended on."""
    last = draft.scenes[-1].elements[-1]
    wanted = content_words(last.text)
    rows = [line for line, _ in lines(episode, len(episode.scenes))]
    for index in range(len(rows) - 1, -1, -1):
        shared = content_words(rows[index].text) & wanted
        if rows[index].text == last.text or (wanted and len(shared) >= 0.6 * len(wanted)):
            return rows[index + 1 :]
    return rows[-2:]
