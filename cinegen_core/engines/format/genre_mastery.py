"""GenreMastery: what the genre leads us to expect, set up and then given differently."""

from __future__ import annotations

import re
from typing import ClassVar

from cinegen_core.engines.base import Directive, EngineContext, Line, Phase, Realisation
from cinegen_core.engines.common import by_parts, has_genre, talked
from cinegen_core.engines.reading import lines
from cinegen_core.story import Dialogue, Episode, StoryBible

EXPECTATION = re.compile(
    r"\b(ought to|oughtn|should(n['’]t)? (have|be|go|say|tell|call|put|take|make|do)|supposed to|expect\w*|thought (that )?(you|he|she|they|it|I|we)\b|(always|had|I['’]d) thought|"
    r"imagin\w+|going to (tell|ask|say|call|shout|hit|arrest|cry|confess|kiss|be)|(aren['’]t|weren['’]t|not) (you |we |I )?going to|this is (where|when|how)|in (films|books|stories)|"
    r"people (always|usually|say|do)|usually|normally|you['’]d (think|have thought)|is this (a|the|where|how)|trick|waiting for|(was|were) (told|ready|sure|prepared)|"
    r"must be|always (the|been|comes|goes|happens)|would (normally|usually|have)|somebody (ought|should)|like (in )?a (film|story|play)|"
    r"(isn['’]t|aren['’]t) (it|that|you|we|they|this))\b",
    re.IGNORECASE,
)
"""How people say what they expect to happen, in their own story as in any other."""


class GenreDirective(Directive):
    """`twists` more than the draft in `scenes`: an expectation is voiced, and the next speech answers it otherwise."""

    genre: str
    scenes: tuple[int, ...]
    twists: int = 2
    expected: str
    delivered: str
    forbidden: tuple[str, ...] = ()


_PAIRS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "mystery": (
        "an accusation that settles it",
        "an answer that opens another question",
        ("I confess to everything",),
    ),
    "horror": ("something at the door", "something already inside", ("blood everywhere",)),
    "romance": ("a declaration", "something done instead of said", ("I love you",)),
    "comedy": ("a public disaster", "a smaller, worse one", ("That's hilarious",)),
    "thriller": ("violence", "a quiet offer", ("Freeze!",)),
    "drama": ("a reconciliation", "a truth that makes it harder", ("I forgive you",)),
}


class GenreMastery:
    name: ClassVar[str] = "GenreMastery"
    phase: ClassVar[Phase] = "format"
    job: ClassVar[str] = "Set up what the genre promises, deliver it with a twist."
    priority: ClassVar[int] = 55
    directive: ClassVar[type[Directive]] = GenreDirective

    def suits(self, bible: StoryBible) -> bool:
        return True

    def brief(self, context: EngineContext) -> str:
        return f"Genres: {', '.join(context.bible.genres) or 'drama'}. A convention the audience expects, in which scene it is set up, what comes instead, what must not be said."

    def propose(self, context: EngineContext) -> GenreDirective:
        genre = next((g for g in _PAIRS if has_genre(context.bible, g[:5])), "drama")
        expected, delivered, forbidden = _PAIRS[genre]
        return GenreDirective(
            engine=self.name,
            genre=genre,
            scenes=tuple(n for n, _ in talked(context)),
            expected=expected,
            delivered=delivered,
            forbidden=forbidden,
        )

    def realised(self, episode: Episode, directive: Directive, context: EngineContext) -> Realisation:
        assert isinstance(directive, GenreDirective)
        found = _twists(episode, directive)
        had = _twists(context.draft.episode, directive)
        parts: list[tuple[float, list[Line], str]] = [
            (
                min(1.0, max(0, len(found) - len(had)) / 2 / directive.twists),
                found,
                f"{directive.expected} set up, {directive.delivered} given",
            )
        ]
        said = [
            line
            for line, e in lines(episode)
            if any(f.casefold() in e.text.casefold() for f in directive.forbidden)
        ]
        if said:
            parts.append((0.0, said, "what this genre has said too often"))
        return by_parts(self.name, parts)


def _twists(episode: Episode, directive: GenreDirective) -> list[Line]:
    """Lines that voice an expectation, each with the next speech by somebody else, which answers it."""
    found: list[Line] = []
    for scene in directive.scenes:
        rows = list(lines(episode, scene))
        for index, (line, element) in enumerate(rows):
            if not EXPECTATION.search(line.text):
                continue
            speaker = element.speaker if isinstance(element, Dialogue) else None
            turn = next(
                (
                    after
                    for after, e in rows[index + 1 : index + 4]
                    if isinstance(e, Dialogue) and e.speaker != speaker
                ),
                None,
            )
            if turn is not None:
                found += [line, turn]
    return list(dict.fromkeys(found))
