"""A bible while somebody fills it in: every field may be empty yet, nothing typed is refused before it is used."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from cinegen_core.access import Action, require
from cinegen_core.acting import Acting
from cinegen_core.store import Season
from cinegen_core.story import StoryBible
from cinegen_core.story.errors import KeyPath, Problem, StoryError
from cinegen_core.story.load import bible_from
from cinegen_core.story.model import Noun
from cinegen_core.story.source import Source

FORM = "the form"
"""What problems name as their place."""

_WORDS = {
    "characters": "people",
    "locations": "places",
    "world": "world",
    "interior": "inside or outside",
    "look": "look",
    "activity": "what people do there",
}


class PersonDraft(Noun):
    """`relationships` has a line for each: "Ansel Roe: her father's oldest friend"."""

    name: str = ""
    role: str = ""
    pronouns: str = ""
    age: str = ""
    look: str = ""
    want: str = ""
    need: str = ""
    flaw: str = ""
    secret: str = ""
    voice: str = ""
    relationships: str = ""

    @property
    def blank(self) -> bool:
        return not any(str(value).strip() for value in self.model_dump().values())


class PlaceDraft(Noun):
    name: str = ""
    interior: bool = True
    look: str = ""
    sound: str = ""
    smell: str = ""
    activity: str = ""

    @property
    def blank(self) -> bool:
        return not any(str(v).strip() for key, v in self.model_dump().items() if key != "interior")


class ArcDraft(Noun):
    """`events` has one on each line."""

    title: str = ""
    episodes: str = ""
    events: str = ""

    @property
    def blank(self) -> bool:
        return not any(value.strip() for value in self.model_dump().values())


class BibleDraft(Noun):
    """What is in the form. `genres` are parted by commas or lines; `rules`, `motifs` and `threads` have one on each line.

    `cards` are those of a sample, written for the people in `cards_for` and the places; `source` is the sample's name, or empty.
    """

    title: str = ""
    premise: str = ""
    theme: str = ""
    genres: str = ""
    tone: str = ""
    setting: str = ""
    period: str = ""
    rules: str = ""
    culture: str = ""
    people: tuple[PersonDraft, ...] = (PersonDraft(), PersonDraft())
    places: tuple[PlaceDraft, ...] = ()
    motifs: str = ""
    arcs: tuple[ArcDraft, ...] = ()
    threads: str = ""
    source: str = ""
    cards: dict[str, Any] | None = None
    cards_for: frozenset[str] = frozenset()

    @property
    def blank(self) -> bool:
        return self == BibleDraft()


def draft_of(bible: StoryBible, *, source: str = "") -> BibleDraft:
    """A bible as a form shows it: `bible_of` gives the same bible back."""
    return BibleDraft(
        title=bible.title,
        premise=bible.premise,
        theme=bible.theme,
        genres=", ".join(bible.genres),
        tone=bible.tone,
        setting=bible.world.setting,
        period=bible.world.period,
        rules="\n".join(bible.world.rules),
        culture=bible.world.culture,
        people=tuple(
            PersonDraft(
                **person.model_dump(exclude={"relationships"}),
                relationships="\n".join(f"{name}: {words}" for name, words in person.relationships.items()),
            )
            for person in bible.characters
        ),
        places=tuple(PlaceDraft(**place.model_dump()) for place in bible.locations),
        motifs="\n".join(bible.motifs),
        arcs=tuple(
            ArcDraft(title=arc.title, episodes=arc.episodes, events="\n".join(arc.events))
            for arc in bible.arcs
        ),
        threads="\n".join(bible.threads),
        source=source,
        cards=bible.cards,
        cards_for=_names(bible.characters) | _names(bible.locations) if bible.cards else frozenset(),
    )


def bible_of(draft: BibleDraft) -> StoryBible:
    """The bible that a form holds; people, places and arcs without a word in them are passed over.

    Raises `StoryError` with everything that keeps it from being one, in the form's words.
    """
    problems: list[Problem] = []
    people = [person for person in draft.people if not person.blank]
    data: dict[str, Any] = {
        "title": draft.title,
        "premise": draft.premise,
        "theme": draft.theme,
        "genres": _lines(draft.genres.replace(",", "\n")),
        "tone": draft.tone,
        "world": {
            "setting": draft.setting,
            "period": draft.period,
            "rules": _lines(draft.rules),
            "culture": draft.culture,
        },
        "characters": [_person(person, people, problems) for person in people],
        "locations": [place.model_dump() for place in draft.places if not place.blank],
        "motifs": _lines(draft.motifs),
        "arcs": [
            {"title": arc.title, "episodes": arc.episodes, "events": _lines(arc.events)}
            for arc in draft.arcs
            if not arc.blank
        ],
        "threads": _lines(draft.threads),
    }
    try:
        bible = bible_from(Source(FORM, data))
    except StoryError as error:
        problems += [_in_form_words(problem, people) for problem in error.problems]
    if problems:
        raise StoryError(problems)
    return bible.model_copy(update={"cards": draft.cards}) if keeps_cards(draft) else bible


def keeps_cards(draft: BibleDraft) -> bool:
    """Whether the scenes that were written for a sample can still be played: everybody and every place has its name."""
    there = _names(draft.people) | _names(draft.places)
    return draft.cards is not None and draft.cards_for <= there


def needed(draft: BibleDraft) -> tuple[str, ...]:
    """What has to be filled in before an episode can be written, in words; empty where all of it is there."""
    wanting = [person for person in draft.people if person.name.strip() and person.want.strip()]
    missing: list[str] = []
    if not draft.title.strip():
        missing.append("a title")
    if not draft.premise.strip():
        missing.append("a premise")
    if len(wanting) < 2:
        missing.append(
            "two people with a name who want something"
            if not wanting
            else "one more person with a name who wants something"
        )
    return tuple(missing)


def advice(bible: StoryBible) -> tuple[str, ...]:
    """What would make a bible richer, in the form's words: `gaps`, and two people who want the same. None of it is an error."""
    wants = [person.want.casefold().rstrip(". ") for person in bible.characters if person.want]
    same = len(set(wants)) == 1
    found = ["People: all want the same; a story begins where two want different things"] if same else []
    return (*found, *map(_gap_in_words, bible.gaps()))


def keep_bible(me: Acting, season: Season, bible: StoryBible) -> Season:
    """Gives a season this bible: its first episode is written by it, and those to come are once there are some.

    A store keeps one bible for each season. Episodes that are written stay as they are; what looks at them anew (a score after an
    edit, a scene written anew) looks through the new bible. The title is what a season's memory is known by, so it is settled with
    the first episode. Raises `NotAllowedError`, `StoryError` for another title then, and `StoreError`.
    """
    require(me.person, Action.WRITE)
    store = me.studio.store
    before = store.bible(season.id)
    if before is not None and before.title != bible.title and store.record_ids(season.id):
        raise StoryError(
            [
                Problem(
                    FORM,
                    None,
                    "Title",
                    f"this season has episodes, and goes on as {before.title!r}",
                    "Keep its title, or begin a new series with this bible.",
                )
            ]
        )
    own = season if before == bible else season.model_copy(update={"title": bible.title, "source": ""})
    store.add_season(own, bible)
    return own


def _names(things: Iterable[Any]) -> frozenset[str]:
    return frozenset(thing.name.strip().casefold() for thing in things)


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _person(person: PersonDraft, people: Sequence[PersonDraft], problems: list[Problem]) -> dict[str, Any]:
    data: dict[str, Any] = person.model_dump(exclude={"relationships"})
    data["relationships"] = dict(_relationships(person, people, problems))
    return data


def _relationships(
    person: PersonDraft, people: Sequence[PersonDraft], problems: list[Problem]
) -> Iterator[tuple[str, str]]:
    # The longest first: a name may hold a colon, or begin like another's.
    names = sorted((other.name.strip() for other in people), key=len, reverse=True)
    for line in _lines(person.relationships):
        known = next((name for name in names if name and line.startswith(f"{name}:")), None)
        name, colon, words = (known, ":", line[len(known) + 1 :]) if known else line.partition(":")
        if not colon or not name.strip():
            problems.append(
                Problem(
                    FORM,
                    None,
                    f"{person.name.strip() or 'Somebody'}, relationships",
                    f"{line[:60]!r} does not say with whom",
                    "Write a name, a colon, and how they stand to each other.",
                )
            )
            continue
        yield name.strip(), words.strip()


def _in_form_words(problem: Problem, people: Sequence[PersonDraft]) -> Problem:
    keys: KeyPath = tuple(
        int(part) if part.isdigit() else part for part in re.findall(r"\w+", problem.key.split(".want (")[0])
    )
    return Problem(FORM, None, _in_words(keys, people), problem.what, _fix(problem.fix))


def _fix(fix: str) -> str:
    """A piece of advice without how it is spelled in a file."""
    return "" if "`" in fix else fix


def _in_words(keys: KeyPath, people: Sequence[PersonDraft]) -> str:
    if not keys:
        return ""
    first, *rest = keys
    named = str(_WORDS.get(str(first), first))
    if len(keys) > 1 and isinstance(keys[1], int):
        index = keys[1]
        name = people[index].name.strip() if first == "characters" and index < len(people) else ""
        named = name or {"characters": "Person", "locations": "Place", "arcs": "Arc"}.get(
            str(first), named.capitalize()
        )
        named += "" if name else f" {index + 1}"
        rest = rest[1:]
    elif first == "world" and rest:
        named = ""
    parts = [part for part in (named, *(str(_WORDS.get(str(key), key)) for key in rest)) if part]
    text = ", ".join(parts)
    return text[:1].upper() + text[1:]


def _gap_in_words(gap: str) -> str:
    person = re.fullmatch(r"characters\[\d+\]\.(\w+) \((.*)\): (.*)", gap, re.DOTALL)
    if person:
        return f"{person[2]}, {person[1]}: {person[3]}"
    key, _, why = gap.partition(": ")
    words = {"locations": "places", "world.setting": "setting"}.get(key, key)
    return f"{words[:1].upper()}{words[1:]}: {why}"
