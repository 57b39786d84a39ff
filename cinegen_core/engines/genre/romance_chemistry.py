"""RomanceChemistry: closeness that is earned, in hands before it is in words."""

from __future__ import annotations

import itertools
import re
from typing import ClassVar

from cinegen_core.engines.base import Directive, EngineContext, Line, Phase, Realisation
from cinegen_core.engines.common import by_parts, has_genre, numbered
from cinegen_core.engines.reading import lines, mentions, scene_text
from cinegen_core.story import Action, Dialogue, Episode, StoryBible
from cinegen_core.story.words import stem

TOUCH = re.compile(
    r"\b(hands?|fingers?|sleeves?|shoulders?|wrist|elbow|hair|collar|coat|scarf|cheek|knees?|arm|palm|touch\w*|brush\w*|close\w*|beside|next to|nearer|lean\w*|"
    r"hold\w*|takes? (his|her|their)|warm\w*|side by side|between them|both (of them|their)|cup|share\w*|passes|gives? (him|her|them)|thumb|glove)\b",
    re.IGNORECASE,
)
ADMISSION = re.compile(
    r"\bI('m| am| was|'ve| have| had)?\b.{0,60}\b(afraid|scared|lonely|miss(ed)?|hop(e|ed|ing)|wait(ed|ing)?|wish(ed)?|want(ed)?|like(d)?|glad|sorry|never told|don't know how|"
    r"not good at|thought (of|about) you|you|stay(ed)?|came back|practis\w+|practic\w+|nervous|happy|notice\w*|remember\w*|kept)\b",
    re.IGNORECASE,
)


GESTURES = ("sleeve", "cup", "collar", "scarf", "shoulder", "glove", "lamp", "hair", "step", "pen")
"""What hands do before mouths do: begun by one, finished by the other."""


class RomanceDirective(Directive):
    """A small `gesture` begun in the first of `scenes` and answered in the last; `closeness` more lines of it than the draft has;
    `admissions` more that are answered in the next speech; `forbidden` words unsaid."""

    pair: tuple[str, str]
    scenes: tuple[int, ...]
    gesture: str
    closeness: int = 3
    admissions: int = 2
    obstacle: str = ""
    forbidden: tuple[str, ...] = ("I love you",)


class RomanceChemistry:
    name: ClassVar[str] = "RomanceChemistry"
    phase: ClassVar[Phase] = "genre"
    job: ClassVar[str] = "Earn closeness: a gesture, an admission that is answered, an obstacle that is real."
    priority: ClassVar[int] = 47
    directive: ClassVar[type[Directive]] = RomanceDirective

    def suits(self, bible: StoryBible) -> bool:
        return has_genre(bible, "roman", "love")

    def brief(self, context: EngineContext) -> str:
        return "Which two people, in which scenes a small physical closeness, where one admits something and the other answers it at once, what stands between them, what is not said."

    def propose(self, context: EngineContext) -> RomanceDirective:
        lead = context.draft.outline.protagonist
        shared = [(n, s) for n, s in numbered(context) if lead in s.people and len(s.people) > 1]
        counts: dict[str, int] = {}
        for _, scene in shared:
            for other in scene.people:
                if other != lead:
                    counts[other] = counts.get(other, 0) + 1
        fond = drawn_to(context.bible, lead)
        other = max(sorted(counts), key=lambda c: (c == fond, counts[c])) if counts else lead
        scenes = tuple(n for n, s in shared if other in s.people) or tuple(n for n, _ in numbered(context))
        block = next((s.block for _, s in shared if s.block), "")
        text = "\n".join(scene_text(s) for s in context.draft.episode.scenes)
        start = (context.request.seed + 3 * context.request.number) % len(GESTURES)
        order = GESTURES[start:] + GESTURES[:start]
        gesture = next((g for g in order if not mentions(text, stem(g))), order[0])
        return RomanceDirective(
            engine=self.name, pair=(lead, other), scenes=scenes, gesture=gesture, obstacle=block
        )

    def realised(self, episode: Episode, directive: Directive, context: EngineContext) -> Realisation:
        assert isinstance(directive, RomanceDirective)
        names = self._names(context, directive.pair)
        noun = stem(directive.gesture)
        small = [
            line for n in dict.fromkeys((directive.scenes[0], directive.scenes[-1]))
            for line, e in lines(episode, n) if isinstance(e, Action) and mentions(e.text, noun)
        ]  # fmt: skip
        found, had = _gestures(episode, directive, names), _gestures(context.draft.episode, directive, names)
        admitted, admitted_before = (
            _admissions(episode, directive),
            _admissions(context.draft.episode, directive),
        )
        said = [
            line
            for line, e in lines(episode)
            if any(f.casefold() in e.text.casefold() for f in directive.forbidden)
        ]
        closer = max(0, len(found) - len(had))
        bolder = max(0, len(admitted) - len(admitted_before)) / 2
        parts: list[tuple[float, list[Line], str]] = [
            (
                1.0 if len(small) >= 2 else 0.0,
                small,
                f"the {directive.gesture}: begun by one, answered by the other",
            ),
            (min(1.0, closer / directive.closeness), found, "closeness between them"),
            (min(1.0, bolder / directive.admissions), admitted, "an admission that is answered"),
        ]
        if said:
            parts.append((0.0, said, "what should stay unsaid"))
        return by_parts(self.name, parts)

    @staticmethod
    def _names(context: EngineContext, pair: tuple[str, str]) -> tuple[str, ...]:
        people = context.bible.cues()
        return tuple(people[cue].short for cue in pair if cue in people)


def drawn_to(bible: StoryBible, lead: str) -> str:
    """The cue of the person whose secret, want or need is about the lead, by name or pronoun; "" where nobody's is."""
    people = bible.cues()
    me = people.get(lead)
    if me is None:
        return ""
    pronouns = {"she": "her|she", "he": "him|his|he", "they": "them|their", "it": "it"}[me.subject]
    for cue, person in people.items():
        text = f"{person.secret} {person.want} {person.need} {' '.join(person.relationships.values())}"
        same = person.subject == me.subject
        if cue != lead and (
            me.short in text or (not same and re.search(rf"\b({pronouns})\b", text, re.IGNORECASE))
        ):
            return cue
    return ""


def _gestures(episode: Episode, directive: RomanceDirective, names: tuple[str, ...]) -> list[Line]:
    return [
        line for line, e in lines(episode)
        if isinstance(e, Action) and line.scene in directive.scenes and TOUCH.search(e.text)
        and (any(name in e.text for name in names) or re.search(r"\b(they|their|both|each)\b", e.text, re.IGNORECASE))
    ]  # fmt: skip


def _admissions(episode: Episode, directive: RomanceDirective) -> list[Line]:
    found: list[Line] = []
    for scene in directive.scenes:
        spoken = [(line, e) for line, e in lines(episode, scene) if isinstance(e, Dialogue)]
        for (line, first), (after, second) in itertools.pairwise(spoken):
            pair = {first.speaker, second.speaker}
            if pair == set(directive.pair) and ADMISSION.search(first.text) and "?" not in first.text:
                found += [line, after]
    return found
