"""GenreMastery: what the genre leads us to expect, set up and then given differently."""

from __future__ import annotations

import re
from typing import ClassVar

from cinegen_core.engines.base import Directive, EngineContext, Line, Phase, Realisation
from cinegen_core.engines.common import by_parts, has_genre, talked
from cinegen_core.engines.reading import lines
from cinegen_core.story import Episode, StoryBible

EXPECTED: dict[str, str] = {
    "mystery": r"confess\w*|police|evidence|suspect\w*|proof|prove\w*|alibi|witness\w*|blood|finger\w*|detective|murder\w*|guilty|arrest\w*|clue\w*|who did|did it|denied?|lie[sd]?\b|lying|motive|question\w*|statement|inspector|body",
    "horror": r"behind|dark\w*|scream\w*|door|stairs|cellar|footstep\w*|shadow\w*|knife|ghost\w*|dead|grave|window|lights?|alone|blood|run|monster|child\w*|knock\w*|handle|corridor|face|mirror|cupboard|wardrobe",
    "romance": r"kiss\w*|love\w*|marr\w+|ring|rain|leav\w+|train|station|stay\w*|heart|flowers?|dance|goodbye|date|dinner|proposal|kneel\w*|close\w*|lean\w*|lips|door|wait\w*|always|chase|letter",
    "comedy": r"fall\w*|fell|slip\w*|hide\w*|hid\w*|caught|disguise|behind the|under the|cupboard|pretend\w*|mistake\w*|wrong|trouser\w*|vicar|cake|naked|embarrass\w*|speech|everyone|marrow|scream\w*|faint\w*|accident\w*|explain\w*|punch\w*|throw\w*|trap",
    "thriller": r"gun|weapon|knife|threat\w*|bomb|chase|follow\w*|car|police|shoot|kill\w*|phone|deadline|run|door|money|passport|bag|camera|watch\w*|key|envelope|blackmail\w*|hurt|safe|tape|wire|recorder",
    "drama": r"sorry|forgiv\w*|hospital|funeral|truth|father|mother|home|leav\w+|cry\w*|tears?|promise\w*|goodbye|last|embrace|hug\w*|apolog\w*|confess\w*|shout\w*|slap\w*|door|argu\w*|hit\w*|hold\w*|arms|together",
}  # fmt: skip
_TWIST = re.compile(
    r"\b(instead|not|only|just|but|turns? out|empty|nobody|nothing|never|no|other|wrong|actually|puts? (it|them) (back|down)|laughs?|stops?|without)\b|n['’]t\b",
    re.IGNORECASE,
)


class GenreDirective(Directive):
    """In each of `scenes` something of the kind `expected` is set up, and `delivered` otherwise within four lines."""

    genre: str
    scenes: tuple[int, ...]
    expected: str
    delivered: str
    forbidden: tuple[str, ...] = ()


_PAIRS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "mystery": ("an accusation that settles it", "an answer that opens another question", ("I confess to everything",)),
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
        genre = next((g for g in EXPECTED if has_genre(context.bible, g[:5])), "drama")
        expected, delivered, forbidden = _PAIRS[genre]
        return GenreDirective(
            engine=self.name, genre=genre, scenes=tuple(n for n, _ in talked(context)), expected=expected, delivered=delivered, forbidden=forbidden
        )

    def realised(self, episode: Episode, directive: Directive, context: EngineContext) -> Realisation:
        assert isinstance(directive, GenreDirective)
        found = _twists(episode, directive)
        had = _twists(context.draft.episode, directive)
        parts: list[tuple[float, list[Line], str]] = [
            (1.0 if len(found) > len(had) else 0.0, found, f"{directive.expected} set up, {directive.delivered} given")
        ]
        said = [line for line, e in lines(episode) if any(f.casefold() in e.text.casefold() for f in directive.forbidden)]
        if said:
            parts.append((0.0, said, "what this genre has said too often"))
        return by_parts(self.name, parts)


def _twists(episode: Episode, directive: GenreDirective) -> list[Line]:
    expected = re.compile(rf"\b({EXPECTED[directive.genre]})\b", re.IGNORECASE)
    found: list[Line] = []
    for scene in directive.scenes:
        rows = [line for line, _ in lines(episode, scene)]
        for index, line in enumerate(rows):
            if not expected.search(line.text):
                continue
            turn = next((after for after in rows[index + 1 : index + 5] if _TWIST.search(after.text)), None)
            if turn is not None:
                found += [line, turn]
    return list(dict.fromkeys(found))
