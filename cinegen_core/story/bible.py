"""The story bible: what a writers' room knows about its series."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from cinegen_core.story.model import Noun

Subject = Literal["she", "he", "they", "it"]

MAX_TEXT = 20_000
"""Characters in one text field. A field of a bible is a paragraph, not a book."""

_BIDI = {chr(c) for c in (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C)}


def clean_text(value: Any) -> Any:
    """Fold white space, and drop what no screen should obey: control and direction marks.

    Raises `ValueError` for lone surrogates and for text above `MAX_TEXT` characters.
    """
    if not isinstance(value, str):
        return value
    if any(0xD800 <= ord(ch) <= 0xDFFF for ch in value):
        raise ValueError("holds half of a character pair (a lone surrogate); save the file as UTF-8")
    if len(value) > MAX_TEXT:
        raise ValueError(f"is {len(value):,} characters long; at most {MAX_TEXT:,} fit in one field")
    kept = "".join(
        " " if ch.isspace() else ch
        for ch in value
        if ch.isspace() or (ch not in _BIDI and unicodedata.category(ch) not in ("Cc", "Cn"))
    )
    return re.sub(r" +", " ", kept).strip()


def _number_to_text(value: Any) -> Any:
    if isinstance(value, bool):  # a bare `no` in YAML
        return "yes" if value else "no"
    return str(value) if isinstance(value, int | float) else value


def _one_to_list(value: Any) -> Any:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else value


def _none_to_empty(value: Any) -> Any:
    return "" if value is None else value


Text = Annotated[
    str, BeforeValidator(clean_text), BeforeValidator(_number_to_text), BeforeValidator(_none_to_empty)
]
Name = Annotated[str, BeforeValidator(clean_text), Field(min_length=1, max_length=80)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(_one_to_list), Field(max_length=400)]


_TITLES = frozenset(
    [
        "the",
        "dr",
        "doctor",
        "mr",
        "mrs",
        "ms",
        "miss",
        "professor",
        "prof",
        "rev",
        "reverend",
        "captain",
        "capt",
        "inspector",
        "detective",
        "sergeant",
        "sgt",
        "judge",
        "colonel",
        "major",
        "lieutenant",
        "officer",
        "commander",
        "mayor",
        "senator",
        "president",
        "nurse",
        "sir",
        "lady",
        "lord",
        "dame",
        "father",
        "mother",
        "sister",
        "brother",
        "aunt",
        "uncle",
        "king",
        "queen",
        "prince",
        "princess",
        "saint",
    ]
)


class World(Noun):
    """Where and when, and what holds there."""

    setting: Text = ""
    period: Text = ""
    rules: Texts = ()
    culture: Text = ""


class Character(Noun):
    """Somebody with a want. `pronouns` is free text: "they/them", "she"."""

    name: Name
    role: Text = ""
    pronouns: Text = ""
    age: Text = ""
    look: Text = ""
    want: Text = ""
    need: Text = ""
    flaw: Text = ""
    secret: Text = ""
    voice: Text = ""
    relationships: dict[Name, Text] = Field(default_factory=dict)

    @property
    def subject(self) -> Subject:
        """The subject pronoun to use; "they" where the bible does not say."""
        words = re.findall(r"[a-z]+", self.pronouns.casefold())
        for subject in ("they", "she", "he", "it"):
            if subject in words[:1] or (words and subject in words and words[0] not in ("she", "he")):
                return subject
        return "they"

    @property
    def short(self) -> str:
        """The name that people use: the first word, past a title."""
        words = self.name.split()
        title = words[0].casefold().rstrip(".")
        if len(words) > 2 and title in _TITLES:
            return words[1]
        if title in _TITLES:
            return self.name
        return words[0]


class Location(Noun):
    name: Name
    interior: bool = True
    look: Text = ""
    sound: Text = ""
    smell: Text = ""
    activity: Text = ""


class Arc(Noun):
    title: Text = ""
    episodes: Text = ""
    events: Texts = ()


class StoryBible(Noun):
    """A series. Only title, premise and two characters with a want are required; see `gaps`."""

    title: Name
    premise: Annotated[str, BeforeValidator(clean_text), Field(min_length=1)]
    theme: Text = ""
    genres: Texts = ()
    tone: Text = ""
    world: World = World()
    characters: Annotated[tuple[Character, ...], Field(min_length=2, max_length=40)]
    locations: Annotated[tuple[Location, ...], Field(max_length=60)] = ()
    motifs: Texts = ()
    arcs: Annotated[tuple[Arc, ...], Field(max_length=60)] = ()
    threads: Texts = ()
    cards: dict[str, Any] | None = Field(
        default=None, description="What the embedded writer may use beyond the bible; see its FORMAT.md."
    )

    @model_validator(mode="after")
    def _people_can_be_told_apart(self) -> StoryBible:
        seen: dict[str, str] = {}
        for person in self.characters:
            key = person.name.casefold()
            if key in seen:
                raise ValueError(f"two characters are called {person.name!r}; give each a name of their own")
            seen[key] = person.name
        if sum(1 for person in self.characters if person.want) < 2:
            raise ValueError(
                "at least two characters need a `want`; without it nothing is at stake between them"
            )
        return self

    def cue(self, character: Character) -> str:
        """The name above this character's speeches: as short as tells everybody apart, in capitals."""
        clash = (
            sum(1 for other in self.characters if other.short.casefold() == character.short.casefold()) > 1
        )
        return (character.name if clash else character.short).upper()

    def cues(self) -> dict[str, Character]:
        return {self.cue(person): person for person in self.characters}

    def gaps(self) -> tuple[str, ...]:
        """What is missing, in words for the person who could add it. Nothing here is an error."""
        missing: list[str] = []
        if not self.genres:
            missing.append("genres: none given; the episode will be a drama")
        if not self.locations:
            missing.append("locations: none given; scenes will play where the premise leaves them")
        if not self.theme:
            missing.append("theme: what the series keeps asking")
        if not self.world.setting:
            missing.append("world.setting: where this is")
        for index, person in enumerate(self.characters):
            for key, why in (
                ("want", "scenes will not be driven by this person"),
                ("secret", "this person has nothing to hide, so nobody can find it out"),
                ("flaw", "nothing stands in this person's own way"),
                ("voice", "this person will speak plainly"),
                ("pronouns", "'they' will be used"),
            ):
                if not getattr(person, key):
                    missing.append(f"characters[{index}].{key} ({person.name}): {why}")
        if not self.motifs:
            missing.append("motifs: no thing comes back from episode to episode")
        if not self.threads:
            missing.append("threads: no open question is declared")
        return tuple(missing)
