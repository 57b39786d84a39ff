"""GenreMastery: what the genre leads us to expect, set up and then given differently."""

from __future__ import annotations

import re
from typing import ClassVar

from cinegen_core.engines.base import Directive, EngineContext, Line, Phase, Realisation
from cinegen_core.engines.common import by_parts, has_genre, numbered, talked
from cinegen_core.engines.reading import lines, mentions, stem
from cinegen_core.story import Action, Dialogue, Episode, StoryBible

EXPECTATION = re.compile(
    r"\b(ought to|oughtn|should(n['’]t)? (have|be|go|say|tell|call|put|take|make|do)|supposed to|expect\w*|thought (that )?(you|he|she|they|it|I|we)\b|(always|had|I['’]d) thought|"
    r"imagin\w+|going to (tell|ask|say|call|shout|hit|arrest|cry|confess|kiss|be)|(aren['’]t|weren['’]t|not) (you |we |I )?going to|this is (where|when|how)|in (films|books|stories)|"
    r"people (always|usually|say|do)|usually|normally|you['’]d (think|have thought)|is this (a|the|where|how)|trick|waiting for|(was|were) (told|ready|sure|prepared)|"
    r"must be|always (the|been|comes|goes|happens)|would (normally|usually|have)|somebody (ought|should)|like (in )?a (film|story|play)|"
    r"(isn['’]t|aren['’]t) (it|that|you|we|they|this))\b",
    re.IGNORECASE,
)
"""How people say what they expect to happen, in their own story as in any other."""


OMENS: dict[str, tuple[str, ...]] = {
    "mystery": ("stranger", "scream", "locksmith", "bundle", "gloves"),
    "drama": ("suitcase", "telegram", "doctor", "quarrel", "bells"),
    "romance": ("bouquet", "doorway", "ring", "serenade", "farewell"),
    "comedy": ("paint", "cake", "peel", "disguise", "speech"),
    "horror": ("scratching", "candle", "mirror", "cradle", "power"),
    "thriller": ("watcher", "satchel", "engine", "blade", "countdown"),
}
"""What each genre's audience has seen before: it is set up early, and comes to something else late."""
SIGNS: dict[str, str] = {
    "locksmith": "keyhole", "bundle": "carpet", "telegram": "messenger", "ring": "knee", "serenade": "guitar", "farewell": "two", "paint": "tin", "peel": "peel",
    "disguise": "moustache", "power": "lights", "watcher": "window", "countdown": "counting", "cradle": "chair", "scratching": "door", "bells": "bells",
}  # fmt: skip
"""The word by which an omen is seen in a script, where that is not its name."""


class GenreDirective(Directive):
    """`twists` more than the draft in `scenes`: an expectation is voiced, and the next speech answers it otherwise."""

    genre: str
    omen: str
    early: int
    late: int
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
        omens = OMENS[genre]
        scenes = [n for n, _ in numbered(context)]
        return GenreDirective(
            engine=self.name,
            genre=genre,
            omen=omens[(context.request.seed + context.request.number) % len(omens)],
            early=scenes[len(scenes) // 2 - 1] if len(scenes) > 1 else scenes[0],
            late=scenes[-1],
            scenes=tuple(n for n, _ in talked(context)),
            expected=expected,
            delivered=delivered,
            forbidden=forbidden,
        )

    def realised(self, episode: Episode, directive: Directive, context: EngineContext) -> Realisation:
        assert isinstance(directive, GenreDirective)
        found = _twists(episode, directive)
        had = _twists(context.draft.episode, directive)
        sign = stem(SIGNS.get(directive.omen, directive.omen))
        early = [
            line
            for line, e in lines(episode, directive.early)
            if isinstance(e, Action) and mentions(e.text, sign)
        ]
        late = [line for line, e in lines(episode, directive.late) if isinstance(e, Action)]
        late = [
            line for line in late if mentions(line.text, sign) or mentions(line.text, stem(directive.omen))
        ]
        parts: list[tuple[float, list[Line], str]] = [
            (
                1.0 if early and late else 0.0,
                [*early, *late],
                f"the {directive.omen}, set up in scene {directive.early}, another thing in {directive.late}",
            ),
            (
                min(1.0, max(0, len(found) - len(had)) / 2 / directive.twists),
                found,
                f"{directive.expected} set up, {directive.delivered} given",
            ),
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
