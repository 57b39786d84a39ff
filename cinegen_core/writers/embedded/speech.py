"""Puts people, places and secrets into the slots of a line."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cinegen_core.story import StoryBible
from cinegen_core.writers.embedded.cards import Person, Series
from cinegen_core.writers.embedded.grammar import PRONOUNS, forms, sentence, swap_pronouns, tidy
from cinegen_core.writers.embedded.playable import Roles

_SLOT = re.compile(r"\{([^{}]+)\}")


class OpenSlot(ValueError):
    """A slot that nothing fills: the content asks for something this series does not have."""


@dataclass(frozen=True)
class Stage:
    """Where a line is said, and who is who."""

    series: Series
    roles: Roles
    place: str = ""
    speaker: str = ""
    listener: str = ""

    def fill(self, text: str) -> str:
        """The line with its slots filled. Raises `OpenSlot`."""
        if "{" not in text:
            return text
        return tidy(_SLOT.sub(lambda match: self._slot(match.group(1)), text))

    def _slot(self, slot: str) -> str:
        if slot in ("A", "H", "X"):
            return self._person(slot).name
        if match := re.fullmatch(r"([AHX])\.(he|him|his|himself|hers)", slot, re.IGNORECASE):
            role, word = match.groups()
            he, him, his, himself, hers = PRONOUNS[self._person(role).subject]
            found = {"he": he, "him": him, "his": his, "himself": himself, "hers": hers}[word.lower()]
            return found.capitalize() if word[0].isupper() else found
        if match := re.fullmatch(r"([AHX]):([^/]+)/(.+)", slot):
            role, singular, plural = match.groups()
            return plural if self._person(role).subject == "they" else singular
        if match := re.fullmatch(r"([AHX])\.want(?:\.(my|your))?", slot):
            return self._want(*match.groups())
        fact = self.series.cards.facts.get(self.roles.fact)
        if fact is not None:
            if slot in ("thing", "Thing"):
                thing = fact.thing or "the secret"
                return thing[:1].upper() + thing[1:] if slot == "Thing" else thing
            if slot in ("you", "me", "he"):
                holder = self.series.people[fact.holder]
                said = fact.forms or forms(fact.truth, (holder.name, holder.full), holder.subject)
                return self._address(said[slot])
            if slot in ("prop", "Prop"):
                prop = self.series.cards.props.get(fact.prop or "")
                if prop is None:
                    raise OpenSlot("{prop}")
                return prop.name[:1].upper() + prop.name[1:] if slot == "Prop" else prop.name
        if slot in ("place", "other place"):
            return self._place_name(slot)
        if slot == "town":
            return self.series.bible.world.setting or "here"
        raise OpenSlot("{" + slot + "}")

    def _address(self, text: str) -> str:
        """Fills `<noor:POS>`: "my" said by Noor, "your" said to her, else "Noor's"."""

        def put(match: re.Match[str]) -> str:
            who, word = match.groups()
            person = self.series.people[who]
            if word.startswith("SUB "):
                verb = word[4:]
                if who == self.speaker:
                    return "I " + {"is": "am", "has": "have"}.get(verb, verb)
                if who == self.listener:
                    return "you " + {"is": "are", "has": "have", "was": "were"}.get(verb, verb)
                return f"{person.name} {verb}"
            index = {"OBJ": 1, "POS": 2}[word]
            if who == self.speaker:
                return ("I", "me", "my")[index]
            if who == self.listener:
                return ("you", "you", "your")[index]
            return (person.name, person.name, person.name + "'s")[index]

        return re.sub(r"<(\w+):(OBJ|POS|SUB \w+)>", put, text)

    def _person(self, role: str) -> Person:
        key = self.roles.people.get(role)
        if key is None:
            raise OpenSlot("{" + role + "}")
        return self.series.people[key]

    def _want(self, role: str, whose: str | None) -> str:
        person = self._person(role)
        character = next(c for c in self.series.bible.characters if c.name == person.full)
        want = re.sub(r"^to\s+", "", character.want.strip().rstrip("."))
        if not want:
            raise OpenSlot("{" + role + ".want}")
        want = (
            want[:1].lower() + want[1:]
            if not want.startswith(tuple(self._names(self.series.bible)))
            else want
        )
        if whose is None:
            return want
        return swap_pronouns(want, person.subject, "I" if whose == "my" else "you")

    @staticmethod
    def _names(bible: StoryBible) -> list[str]:
        return [c.short for c in bible.characters] + ["I "]

    def _place_name(self, slot: str) -> str:
        places = self.series.cards.places
        key = self.place
        if slot == "other place":
            key = next((k for k in places if k != self.place), self.place)
        card = places.get(key)
        if card is None:
            raise OpenSlot("{" + slot + "}")
        return spoken_place(card.location, tuple(p.name for p in self.series.people.values()))


def spoken_place(name: str, people: tuple[str, ...] = ()) -> str:
    """A place's name inside a sentence: "the staff kitchen", "Studio B", "Bea's office"."""
    name = name.strip()
    if re.match(r"^(the|a|an)\b", name, re.IGNORECASE):
        return name[:1].lower() + name[1:]
    first = name.split()[0] if name else ""
    owned = first.endswith(("'s", "’s"))
    capitals = sum(1 for word in name.split() if word[:1].isupper())
    if owned or first in people or capitals >= 2 or re.search(r"\d|\b[A-Z]$", name):
        return name
    return "the " + name[:1].lower() + name[1:]


__all__ = ["OpenSlot", "Stage", "sentence", "spoken_place"]
