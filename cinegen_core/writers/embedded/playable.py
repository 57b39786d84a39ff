"""Scenes and endings with their roles given to people: what the planner may choose from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from cinegen_core.engines.genre.romance_chemistry import drawn_to
from cinegen_core.writers.embedded.cards import Series
from cinegen_core.writers.embedded.notation import ChoiceScript, EndingScript, SceneScript, Script, split

_ROLE_TOKEN = re.compile(r"^([!-]?)(?:([AHX]):(truth|clue\.[\w-]+)|(prop|thing)@([AHX]|gone)|(.+))$")


OUTDOOR_KINDS = frozenset(("street", "outdoors", "boat"))


@dataclass(frozen=True)
class Roles:
    """Who plays what: role letter to person, and the fact it is all about. Empty for written scenes."""

    people: Mapping[str, str] = field(default_factory=dict)
    fact: str = ""

    def person(self, name: str) -> str:
        return self.people.get(name, name)

    @cached_property
    def key(self) -> str:
        return self.fact + ":" + "".join(f"{role}{who}." for role, who in sorted(self.people.items()))

    def token(self, token: str) -> str:
        """A library token, said of these people."""
        if not self.people:
            return token
        match = _ROLE_TOKEN.match(token)
        if not match:
            return token
        mark, role, what, prop, spot, flag = match.groups()
        if role:
            tail = "" if what == "truth" else "." + what.removeprefix("clue.")
            return f"{mark}{self.people.get(role, role)}:{self.fact}{tail}"
        if prop:
            return f"{mark}{self.fact}-prop@{self.people.get(spot, spot)}"
        if re.fullmatch(r"ep\d+", flag):
            return mark + flag
        named = re.sub(r"-([AHX])\b", lambda m: "-" + self.people.get(m.group(1), m.group(1)), flag)
        return f"{mark}{self.fact}/{named}"


@dataclass(frozen=True)
class PlayableScene:
    script: SceneScript
    roles: Roles
    people: tuple[str, ...]
    fact: str
    needs: tuple[str, ...]
    gives: tuple[str, ...]
    places: tuple[str, ...]

    @cached_property
    def id(self) -> str:
        return self.script.id + ("@" + self.roles.key if self.roles.people else "")

    @property
    def kind(self) -> str:
        return self.script.kind

    @property
    def special(self) -> bool:
        """Whether a library scene was written for this one kind of secret or for a genre, not for several or any."""
        kinds = split(self.script.head.get("secret", "any"))
        return (len(kinds) == 1 and kinds != ("any",)) or bool(self.script.head.get("genre"))

    @cached_property
    def talk(self) -> tuple[float, float]:
        """(speeches, words) of its required beats, on average over their variants."""
        cues = words = 0.0
        for beat in self.script.beats:
            if not beat.optional:
                cues += sum(t.spoken for v in beat.variants for t in v) / len(beat.variants)
                words += sum(len(t.options[0].text.split()) for v in beat.variants for t in v) / len(
                    beat.variants
                )
        return cues, words

    @cached_property
    def tension(self) -> float:
        return sum(self.script.tension) / 2


@dataclass(frozen=True)
class PlayableChoice:
    script: ChoiceScript
    gives: tuple[str, ...]
    people: tuple[str, ...]


@dataclass(frozen=True)
class PlayableEnding:
    script: EndingScript
    roles: Roles
    people: tuple[str, ...]
    fact: str
    needs: tuple[str, ...]
    choices: tuple[PlayableChoice, ...]

    @cached_property
    def speaking(self) -> frozenset[str]:
        """Who has a line in the cliff itself."""
        return frozenset(self.roles.person(t.who) for t in self.script.lines if t.who)

    @cached_property
    def id(self) -> str:
        return self.script.id + ("@" + self.roles.key if self.roles.people else "")


@dataclass(frozen=True)
class Repertoire:
    scenes: tuple[PlayableScene, ...]
    endings: tuple[PlayableEnding, ...]

    def __add__(self, other: Repertoire) -> Repertoire:
        return Repertoire(self.scenes + other.scenes, self.endings + other.endings)

    def ending(self, wanted: str) -> PlayableEnding | None:
        return next((e for e in self.endings if e.id == wanted), None)


def _places_for(series: Series, script_places: tuple[str, ...], by_kind: bool) -> tuple[str, ...]:
    places = series.cards.places
    if "any" in script_places:
        return tuple(places)
    if by_kind:
        return tuple(key for key, place in places.items() if place.kind in script_places)
    return tuple(key for key in script_places if key in places)


def _scene(series: Series, script: SceneScript, roles: Roles) -> PlayableScene | None:
    library = bool(roles.people)
    places = _places_for(series, script.places, library)
    if (
        not places and library
    ):  # no such place in this series: one that is indoors or out of doors as those are
        outside = all(kind in OUTDOOR_KINDS for kind in script.places)
        places = tuple(key for key, place in series.cards.places.items() if place.interior != outside)
    if not places:
        return None
    return PlayableScene(
        script=script,
        roles=roles,
        people=tuple(roles.person(name) for name in script.who),
        fact=roles.fact or script.fact,
        needs=tuple(roles.token(t) for t in script.needs),
        gives=tuple(roles.token(t) for t in script.gives),
        places=places,
    )


def _ending(script: EndingScript, roles: Roles) -> PlayableEnding:
    return PlayableEnding(
        script=script,
        roles=roles,
        people=tuple(roles.person(name) for name in script.who),
        fact=roles.fact or script.fact,
        needs=tuple(roles.token(t) for t in script.needs),
        choices=tuple(
            PlayableChoice(
                script=choice,
                gives=tuple(roles.token(t) for t in choice.gives),
                people=tuple(roles.person(name) for name in choice.who),
            )
            for choice in script.choices
        ),
    )


def _suits(head: Mapping[str, str], secret: str, genres: frozenset[str]) -> bool:
    kinds = split(head.get("secret", "any"))
    wanted = split(head.get("genre", ""))
    return (not kinds or "any" in kinds or secret in kinds) and (not wanted or bool(genres & set(wanted)))


def castings(series: Series, fact: str) -> Iterator[Roles]:
    """All ways of giving A, H and X to people for a fact: A wants to know, H keeps it, X is a third."""
    card = series.cards.facts[fact]
    pro = series.cards.protagonist
    others = [key for key in series.people if key != card.holder]
    askers = [pro] if card.holder != pro else [card.hurts if card.hurts in others else others[0]]
    for asker in askers:
        thirds = [key for key in others if key != asker]
        for third in thirds or [""]:
            people = {"A": asker, "H": card.holder}
            if third:
                people["X"] = third
            yield Roles(people, fact)


def _close(series: Series, roles: Roles) -> bool:
    """Whether A and H are the two of a romance: the protagonist, and whoever's secret or want is about them."""
    lead = series.protagonist
    fond = drawn_to(series.bible, lead.cue)
    pair = {series.people[roles.people[r]].cue for r in ("A", "H")}
    return pair == {lead.cue, fond} if fond else lead.cue in pair


def library_repertoire(series: Series, library: Script, genres: frozenset[str]) -> Repertoire:
    scenes: list[PlayableScene] = []
    endings: list[PlayableEnding] = []
    for fact, card in series.cards.facts.items():
        secret = card.secret or "any"
        seen: set[str] = set()
        for roles in castings(series, fact):
            for script in library.scenes:
                if script.kind == "near" and not _close(series, roles):
                    continue
                if not _suits(script.head, secret, genres) or any(w not in roles.people for w in script.who):
                    continue
                used = _only_used(script, roles)
                playable = _scene(series, script, used)
                if playable and playable.id not in seen:
                    seen.add(playable.id)
                    scenes.append(playable)
            for ending in library.endings:
                named = {*ending.who, *(w for c in ending.choices for w in c.who)}
                if roles.people["A"] != series.cards.protagonist:
                    continue  # the choice is always the protagonist's
                if not _suits(ending.head, secret, genres) or any(w not in roles.people for w in named):
                    continue
                made = _ending(ending, roles)
                if made.id not in seen:
                    seen.add(made.id)
                    endings.append(made)
    return Repertoire(tuple(scenes), tuple(endings))


def _only_used(script: SceneScript, roles: Roles) -> Roles:
    """Drop the third where a scene neither shows nor names one, so that it is not counted twice."""
    if "X" in script.who or "X" not in roles.people:
        return roles
    text = " ".join(o.text for b in script.beats for v in b.variants for t in v for o in t.options)
    tokens = " ".join((*script.needs, *script.gives, *script.head.values()))
    if re.search(r"\{X\b", text) or re.search(r"\bX\b", tokens):
        return roles
    return Roles({k: v for k, v in roles.people.items() if k != "X"}, roles.fact)


def repertoire(series: Series, library: Script, genres: frozenset[str]) -> Repertoire:
    """Everything that could be played: the series' own scenes, or the general library's where it has none."""
    if not series.written:
        return library_repertoire(series, library, genres)
    scenes = [s for script in series.script.scenes if (s := _scene(series, script, Roles()))]
    endings = [_ending(script, Roles()) for script in series.script.endings]
    return Repertoire(tuple(scenes), tuple(endings))
