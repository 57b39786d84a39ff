"""The keys of a bible, and the other words that people use for them, the guide's camelCase JSON among them.

`WORDS` is the one table. Keys are compared without capitals, spaces, hyphens and underscores, so that
`seriesTitle`, `series_title` and `Series Title` are one word. A value that comes in another shape (a list
where one text is wanted, people as a list of objects) is brought into ours; nothing is dropped, and nothing
is made up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cinegen_core.story.errors import KeyPath

TOP = "/"
"""A word that starts with this names a key of the whole bible, wherever it was found."""

INSIDE = "*"
"""The block has no place of its own: what is in it belongs to the whole bible."""

WORDS: Mapping[str, Mapping[str, str]] = {
    "bible": {
        "title": "title",
        "seriesTitle": "title",
        "showTitle": "title",
        "series": "title",
        "name": "title",
        "premise": "premise",
        "logline": "premise",
        "concept": "premise",
        "seriesPremise": "premise",
        "theme": "theme",
        "themes": "theme",
        "centralTheme": "theme",
        "genres": "genres",
        "genre": "genres",
        "tone": "tone",
        "mood": "tone",
        "world": "world",
        "worldBuilding": "world",
        "setting": "world",
        "universe": "world",
        "characters": "characters",
        "mainCharacters": "characters",
        "cast": "characters",
        "people": "characters",
        "locations": "locations",
        "places": "locations",
        "motifs": "motifs",
        "motif": "motifs",
        "symbols": "motifs",
        "arcs": "arcs",
        "storyArcs": "arcs",
        "seasonArcs": "arcs",
        "narrativeArcs": "arcs",
        "threads": "threads",
        "plotThreads": "threads",
        "openThreads": "threads",
        "openQuestions": "threads",
        "narrativeElements": INSIDE,
        "narrative": INSIDE,
        "cards": "cards",
    },
    "world": {
        "setting": "setting",
        "place": "setting",
        "period": "period",
        "timePeriod": "period",
        "era": "period",
        "time": "period",
        "rules": "rules",
        "worldRules": "rules",
        "laws": "rules",
        "culture": "culture",
        "society": "culture",
        "customs": "culture",
        "locations": "/locations",
        "places": "/locations",
        "keyLocations": "/locations",
    },
    "character": {
        "name": "name",
        "fullName": "name",
        "role": "role",
        "occupation": "role",
        "job": "role",
        "archetype": "role",
        "pronouns": "pronouns",
        "pronoun": "pronouns",
        "age": "age",
        "look": "look",
        "appearance": "look",
        "physicalDescription": "look",
        "description": "look",
        "want": "want",
        "wants": "want",
        "motivation": "want",
        "goal": "want",
        "desire": "want",
        "objective": "want",
        "need": "need",
        "needs": "need",
        "flaw": "flaw",
        "flaws": "flaw",
        "fatalFlaw": "flaw",
        "weakness": "flaw",
        "secret": "secret",
        "secrets": "secret",
        "voice": "voice",
        "speech": "voice",
        "speechPattern": "voice",
        "speakingStyle": "voice",
        "relationships": "relationships",
        "relations": "relationships",
        "relationship": "relationships",
    },
    "location": {
        "name": "name",
        "title": "name",
        "place": "name",
        "interior": "interior",
        "indoors": "interior",
        "look": "look",
        "description": "look",
        "appearance": "look",
        "sound": "sound",
        "sounds": "sound",
        "smell": "smell",
        "smells": "smell",
        "activity": "activity",
        "activities": "activity",
        "use": "activity",
    },
    "arc": {
        "title": "title",
        "name": "title",
        "arc": "title",
        "episodes": "episodes",
        "span": "episodes",
        "events": "events",
        "beats": "events",
        "milestones": "events",
        "description": "events",
    },
}

_ONE_TEXT = {
    "bible": {"theme", "tone", "premise"},
    "world": {"setting", "period", "culture"},
    "character": {"role", "look", "want", "need", "flaw", "secret", "voice"},
    "location": {"look", "sound", "smell", "activity"},
    "arc": {"title", "episodes"},
}
_SENTENCE_KEYS = ("title", "question", "name", "thread", "motif", "rule", "text", "description", "summary")
_OTHER_PERSON = ("name", "character", "with", "to", "who", "target", "person")


def fold(key: str) -> str:
    """A key as it is compared: no capitals, spaces, hyphens, underscores."""
    return re.sub(r"[\s_\-]", "", key[:80]).casefold()


_FOLDED = {context: {fold(word): place for word, place in words.items()} for context, words in WORDS.items()}


def known(context: str) -> tuple[str, ...]:
    """The keys that a block of a bible takes, in our words."""
    words = (place.removeprefix(TOP) for place in WORDS[context].values() if place != INSIDE)
    return tuple(dict.fromkeys(words))


def spellings(context: str) -> tuple[str, ...]:
    """Every word that a block of a bible takes."""
    return tuple(WORDS[context])


def context_of(path: KeyPath) -> str | None:
    """Which block of a bible a path in our words leads to; None where keys are free."""
    names = tuple(part for part in path if isinstance(part, str))
    return {
        (): "bible",
        ("world",): "world",
        ("characters",): "character",
        ("locations",): "location",
        ("arcs",): "arc",
    }.get(names)


@dataclass
class Reworded:
    """A bible in our keys. `origin` leads from a path in it to the path in what was given.

    `clashes` are pairs of paths that were given and say the same thing.
    """

    data: Any
    origin: dict[KeyPath, KeyPath] = field(default_factory=dict)
    clashes: list[tuple[KeyPath, KeyPath]] = field(default_factory=list)

    def given(self, path: KeyPath) -> KeyPath:
        """Where the value at `path` stood in what was given."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.origin:
                return (*self.origin[path[:length]], *path[length:])
        return path


def reword(data: Mapping[str, Any]) -> Reworded:
    """The same bible in our keys. Never raises: what it cannot place is left for validation to name."""
    result = Reworded({})
    _block(result, data, "bible", result.data, (), ())
    return result


def _block(
    result: Reworded, data: Mapping[str, Any], context: str, into: dict[str, Any], path: KeyPath, old: KeyPath
) -> None:
    for key, value in data.items():
        here = (*old, key)
        place = _FOLDED[context].get(fold(key), key)
        if context == "bible" and place == "world" and fold(key) == "setting" and isinstance(value, str):
            value = {"setting": value}
        if place == INSIDE and isinstance(value, Mapping):
            _block(result, value, "bible", into, path, here)
        elif place.startswith(TOP) and len(place) > 1:
            _put(result, "bible", result.data, (), place.removeprefix(TOP), value, here)
        else:
            _put(result, context, into, path, key if place == INSIDE else place, value, here)


def _put(
    result: Reworded, context: str, into: dict[str, Any], path: KeyPath, key: str, value: Any, old: KeyPath
) -> None:
    new = (*path, key)
    if key in into:
        result.clashes.append((result.given(new), old))
        return
    result.origin[new] = old
    into[key] = None
    shape = _SHAPES.get((context, key))
    if shape is not None:
        into[key] = shape(result, value, new, old)
    elif key in _ONE_TEXT.get(context, ()) and _is_texts(value):
        into[key] = "; ".join(text.strip().rstrip(".;") if text is not value[-1] else text for text in value)
    else:
        into[key] = value


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) for item in value)


def _world(result: Reworded, value: Any, new: KeyPath, old: KeyPath) -> Any:
    if isinstance(value, str):
        return {"setting": value}
    if not isinstance(value, Mapping):
        return value
    made: dict[str, Any] = {}
    _block(result, value, "world", made, new, old)
    return made


def _listing(context: str, text_key: str | None) -> Callable[[Reworded, Any, KeyPath, KeyPath], Any]:
    """A list of blocks; `text_key` is the key of an entry that is only a text, or of a name used as a key."""

    def shape(result: Reworded, value: Any, new: KeyPath, old: KeyPath) -> Any:
        entries: list[tuple[Any, KeyPath]]
        if isinstance(value, Mapping) and value and all(isinstance(item, Mapping) for item in value.values()):
            entries = [({text_key or "name": name, **item}, (*old, name)) for name, item in value.items()]
        elif isinstance(value, list):
            entries = [(item, (*old, index)) for index, item in enumerate(value)]
        elif isinstance(value, str) and text_key:
            entries = [(value, old)]
        else:
            return value
        made: list[Any] = []
        for index, (item, at) in enumerate(entries):
            here = (*new, index)
            result.origin[here] = at
            if isinstance(item, str) and text_key:
                made.append({text_key: item})
            elif isinstance(item, Mapping):
                block: dict[str, Any] = {}
                made.append(block)
                _block(result, item, context, block, here, at)
            else:
                made.append(item)
        return made

    return shape


def _sentences(result: Reworded, value: Any, new: KeyPath, old: KeyPath) -> Any:
    """A list of texts; an entry that is a block gives its first text."""
    if not isinstance(value, list):
        return value
    made: list[Any] = []
    for index, item in enumerate(value):
        result.origin[(*new, index)] = (*old, index)
        texts = [
            str(item[key])
            for key in _SENTENCE_KEYS
            if isinstance(item, Mapping) and isinstance(item.get(key), str)
        ]
        made.append(": ".join(texts[:2]) if texts else item)
    return made


def _relationships(result: Reworded, value: Any, new: KeyPath, old: KeyPath) -> Any:
    """A phrase by name, also from a list of "Name: phrase" or of objects that name the other person."""
    pairs: list[tuple[str, Any, KeyPath]] = []
    if isinstance(value, Mapping):
        pairs = [(name, _phrase(item), (*old, name)) for name, item in value.items()]
    elif isinstance(value, list):
        for index, item in enumerate(value):
            split = (
                re.match(r"([^:(]{1,80}?)\s*(?::|\s[-\u2013\u2014]\s|\()\s*(.+?)\)?\s*$", item)
                if isinstance(item, str)
                else None
            )
            other = next(
                (
                    key
                    for key in _OTHER_PERSON
                    if isinstance(item, Mapping) and isinstance(item.get(key), str)
                ),
                None,
            )
            if split:
                pairs.append((split.group(1), split.group(2), (*old, index)))
            elif other:
                rest = {key: text for key, text in item.items() if key != other}
                pairs.append((item[other], _phrase(rest), (*old, index)))
            else:
                return value
    else:
        return {} if value is None else value
    made: dict[str, Any] = {}
    for name, phrase, at in pairs:
        result.origin[(*new, name)] = at
        made[name] = f"{made[name]}; {phrase}" if name in made else phrase
    return made


def _phrase(value: Any) -> Any:
    if isinstance(value, Mapping) and value and all(isinstance(item, str) for item in value.values()):
        return "; ".join(value.values())
    return value


_SHAPES: Mapping[tuple[str, str], Callable[[Reworded, Any, KeyPath, KeyPath], Any]] = {
    ("bible", "world"): _world,
    ("bible", "characters"): _listing("character", None),
    ("bible", "locations"): _listing("location", "name"),
    ("bible", "arcs"): _listing("arc", "title"),
    ("bible", "threads"): _sentences,
    ("bible", "motifs"): _sentences,
    ("world", "rules"): _sentences,
    ("character", "relationships"): _relationships,
}
