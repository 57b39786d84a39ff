"""A series as the embedded writer needs it: the bible's people, places and secrets in playable form.

Written by hand (`cards` in a bible, see FORMAT.md) or derived from free text (`derive.py`): one shape for both.
"""

from __future__ import annotations

from itertools import chain, count
from typing import Any, Literal

from pydantic import ConfigDict, Field, ValidationError

from cinegen_core.story import Character, StoryBible
from cinegen_core.story.bible import Subject, Text, Texts
from cinegen_core.story.model import Noun
from cinegen_core.writers.embedded.notation import NotationError, Script, parse

Register = Literal["plain", "terse", "talker", "formal", "quick", "gentle", "wry"]


class CardError(ValueError):
    """Cards that cannot be used. The message names the key and the fix."""


class CastCard(Noun):
    manner: Register = Field(default="plain", alias="register")
    intro: Text = ""
    tells: Texts = ()
    tics: Texts = ()
    never: Texts = ()
    trade: Texts = ()


class FactCard(Noun):
    holder: str
    hurts: str = ""
    order: int = 1
    question: Text
    truth: Text
    thing: Text = ""
    stake: Text = ""
    prop: str | None = None
    opens: Texts = ()
    clues: dict[str, Text] = Field(default_factory=dict)
    secret: str = Field(
        default="", description="kind of secret, for the general library; empty for written series"
    )
    forms: dict[str, str] = Field(default_factory=dict, description="sentences for slots: you, me, he")


class PropCard(Noun):
    name: Text
    look: Text = ""
    at: str | None = None
    by: str | None = None


class PlaceCard(Noun):
    location: Text
    slug: Text
    whose: Texts = ()
    kind: str = Field(default="", description="kind of place, for the general library")
    ambience: Texts = ()
    sounds: Texts = ()
    smells: Texts = ()
    business: Texts = ()

    @property
    def interior(self) -> bool:
        return not self.slug.upper().startswith("EXT")


class MotifCard(Noun):
    name: Text
    touches: Texts = ()
    inverted: Texts = ()
    at: str | None = None


class BackgroundCard(Noun):
    who: Text
    enters: Text
    business: Text
    leaves: Text
    at: Texts = ()


class RuleCard(Noun):
    rule: Text
    shown: Texts = ()
    cost: Texts = ()


class ConventionCard(Noun):
    expected: Text
    delivered: Text
    forbidden: Text = ""


class Cards(Noun):
    """`cards.yaml`; keys are short names (of people, places, facts, props)."""

    protagonist: str
    titles: Texts = ()
    cast: dict[str, CastCard]
    facts: dict[str, FactCard]
    props: dict[str, PropCard] = Field(default_factory=dict)
    places: dict[str, PlaceCard]
    motifs: dict[str, MotifCard] = Field(default_factory=dict)
    background: tuple[BackgroundCard, ...] = ()
    rules: dict[str, RuleCard] = Field(default_factory=dict)
    weather: Texts = ()
    runner: Texts = ()
    conventions: tuple[ConventionCard, ...] = ()


class Person(Noun):
    """One of the cast, with everything a line may need to know of them."""

    key: str
    name: str
    full: str
    cue: str
    subject: Subject
    card: CastCard


class Series(Noun):
    """The playable series. `written` is true where scenes were written for it."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    bible: StoryBible
    cards: Cards
    people: dict[str, Person]
    script: Script
    written: bool

    @property
    def protagonist(self) -> Person:
        return self.people[self.cards.protagonist]

    def by_cue(self, cue: str) -> Person | None:
        return next((p for p in self.people.values() if p.cue == cue), None)


def key_of(name: str) -> str:
    return "".join(ch for ch in name.casefold() if ch.isalnum()) or "someone"


def short_names(bible: StoryBible) -> dict[str, Character]:
    """Everybody by a short name of their own: of those who share one, the first has it, and the others their whole name, or
    that with a number where it is somebody's already (Ann after Ann Lee)."""
    taken: dict[str, Character] = {}
    for character in bible.characters:
        full = key_of(character.name)
        candidates = chain((key_of(character.short), full), (f"{full}{number}" for number in count(2)))
        taken[next(key for key in candidates if key not in taken)] = character
    return taken


def people_of(bible: StoryBible, cast: dict[str, CastCard]) -> dict[str, Person]:
    """The cast by short name. Raises `CardError` for a short name that no character of the bible has."""
    people = {}
    taken = short_names(bible)
    for key, card in cast.items():
        if key not in taken:
            raise CardError(
                f"cards.cast.{key}: no character of the bible has this short name; there are {', '.join(taken)}"
            )
        character = taken[key]
        people[key] = Person(
            key=key,
            name=character.short,
            full=character.name,
            cue=bible.cue(character),
            subject=character.subject,
            card=card,
        )
    return people


def read_cards(bible: StoryBible) -> Series:
    """A series from a bible with cards. Raises `CardError` or `NotationError`."""
    raw: dict[str, Any] = dict(bible.cards or {})
    texts = {name: raw.pop(name, "") for name in ("scenes", "hooks", "endings")}
    try:
        cards = Cards.model_validate(raw)
    except ValidationError as problem:
        first = problem.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise CardError(f"cards.{where}: {first['msg']}") from problem
    script = Script()
    for name, text in texts.items():
        if not isinstance(text, str):
            raise CardError(f"cards.{name}: expected a text in the writers' notation")
        script += parse(text, f"cards.{name}")
    people = people_of(bible, cards.cast)
    check_references(bible, cards, people)
    return Series(bible=bible, cards=cards, people=people, script=script, written=bool(script.scenes))


def check_references(bible: StoryBible, cards: Cards, people: dict[str, Person]) -> None:
    """Raises `CardError` for the first name in the cards that nothing has."""

    def known(where: str, name: str | None, names: dict[str, Any]) -> None:
        if name and name not in names:
            raise CardError(f"cards.{where}: {name!r} is not one of {', '.join(names)}")

    known("protagonist", cards.protagonist, people)
    for key, fact in cards.facts.items():
        known(f"facts.{key}.holder", fact.holder, people)
        known(f"facts.{key}.hurts", fact.hurts, people)
        known(f"facts.{key}.prop", fact.prop, cards.props)
        for target in fact.opens:
            known(f"facts.{key}.opens", target, cards.facts)
    for key, prop in cards.props.items():
        known(f"props.{key}.at", prop.at, cards.places)
        known(f"props.{key}.by", prop.by, people)
    locations = {location.name: location for location in bible.locations}
    for key, place in cards.places.items():
        known(f"places.{key}.location", place.location, locations)
        for who in place.whose:
            known(f"places.{key}.whose", who, people)
    for key, motif in cards.motifs.items():
        known(f"motifs.{key}.at", motif.at, cards.places)
    for index, extra in enumerate(cards.background):
        for where in extra.at:
            known(f"background[{index}].at", where, cards.places)


__all__ = [
    "BackgroundCard", "CardError", "Cards", "CastCard", "ConventionCard", "FactCard", "MotifCard", "NotationError",
    "Person", "PlaceCard", "PropCard", "Register", "RuleCard", "Series", "check_references", "key_of", "people_of",
    "read_cards",
]  # fmt: skip
