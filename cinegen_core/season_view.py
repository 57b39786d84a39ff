"""A season as one looks back on it: its episodes on one way through the choices, and what they did to the story."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field

from cinegen_core.revising import versions
from cinegen_core.store.episodes import Record
from cinegen_core.story import Choice, StoryBible, StoryState
from cinegen_core.story.model import Noun
from cinegen_core.story.state import ChoiceId
from cinegen_core.tiers.model import Outcome, TierName

Level = Annotated[int, Field(ge=1, le=3)]


class PathError(ValueError):
    """These episodes are no way through a season: one is not there, or does not follow the one before. The message says which."""


class ChoiceTaken(Noun):
    """The way from one episode to the next. `canonical` is the one that the series goes on with by itself."""

    id: ChoiceId
    label: str
    consequence: str
    canonical: bool


class Learned(Noun):
    """What somebody came to know in an episode. `level`: 1 suspects, 2 knows, 3 has known from the start."""

    who: str
    what: str
    level: Level
    how: str = ""


class BondChanged(Noun):
    """Trust of `who` towards `towards`, from -3 to 3, before an episode and after it."""

    who: str
    towards: str
    before: int
    after: int


class EpisodeView(Noun):
    """One episode of the way. `score` is 0 to 10, None where there was nothing to judge; `taken` is the choice that led here.

    `opened` and `closed` are the questions that it raised and answered, `happened` what later episodes have to obey.
    `versions` counts how often it was written or changed.
    """

    id: str
    number: int
    title: str
    logline: str
    tier: TierName
    outcome: Outcome | None
    score: float | None
    seconds: int
    revised: bool
    versions: Annotated[int, Field(ge=1)]
    taken: ChoiceTaken | None
    opened: tuple[str, ...]
    closed: tuple[str, ...]
    learned: tuple[Learned, ...]
    bonds: tuple[BondChanged, ...]
    happened: tuple[str, ...]


class ThreadView(Noun):
    """A question of the season. `opened` is an episode's number, 0 where the series begins with it; titles are empty for
    episodes that are not on the way."""

    question: str
    opened: int
    opened_in: str
    closed: int | None
    closed_in: str

    @property
    def open(self) -> bool:
        return self.closed is None


class Knower(Noun):
    """`since` is an episode's number, 0 for before the first."""

    who: str
    level: Level
    since: int


class FactView(Noun):
    """One thing that can be known: who does, and who of the cast does not."""

    what: str
    known_by: tuple[Knower, ...]
    hidden_from: tuple[str, ...]


class Step(Noun):
    episode: int
    trust: int


class BondView(Noun):
    """Trust of one person towards another over the season: as it is now, and each step of the way to it."""

    who: str
    towards: str
    trust: int
    steps: tuple[Step, ...]


class ThingView(Noun):
    """Where a thing is now: with a person, at a place, or gone."""

    thing: str
    kind: Literal["person", "place", "gone"]
    where: str


class SeasonView(Noun):
    """What a page about a season shows. People are called by the names that the bible gives them.

    `score` is the mean over the episodes that have one, None where none has; `offered` are the choices that stand open at the end.
    """

    title: str
    episodes: tuple[EpisodeView, ...]
    score: float | None
    threads: tuple[ThreadView, ...]
    facts: tuple[FactView, ...]
    bonds: tuple[BondView, ...]
    things: tuple[ThingView, ...]
    offered: tuple[ChoiceTaken, ...]

    @property
    def still_open(self) -> tuple[ThreadView, ...]:
        return tuple(thread for thread in self.threads if thread.open)


def path_to(records: Sequence[Record], last: str) -> tuple[str, ...]:
    """The ids of the episodes that lead to `last`, it included, the first one first. Raises `PathError`."""
    known = {record.id: record for record in records}
    path: list[str] = []
    at: str | None = last
    while at is not None:
        if at not in known:
            raise PathError(f"The episode {at} is not in this season, or not any more.")
        if at in path:
            raise PathError(f"The episode {at} comes to follow itself.")
        path.append(at)
        at = known[at].parent
    return tuple(reversed(path))


def season_view(bible: StoryBible, records: Sequence[Record], path: Sequence[str]) -> SeasonView:
    """The season along `path`, ids of `records` from the first episode to the last; empty where nothing is written yet.

    An episode may follow another version of the one before it: changing a line leaves what came after in its place.
    Raises `PathError`.
    """
    way = _way(records, path)
    names = {cue: person.name for cue, person in bible.cues().items()}
    episodes = tuple(_episodes(names, records, way))
    state = way[-1].generation.episode.state if way else StoryState(series=bible.title)
    titles = {view.number: view.title for view in episodes}
    scores = [view.score for view in episodes if view.score is not None]
    return SeasonView(
        title=bible.title,
        episodes=episodes,
        score=sum(scores) / len(scores) if scores else None,
        threads=tuple(_threads(bible, state, titles)),
        facts=tuple(_facts(names, state)),
        bonds=tuple(_bonds(names, way)),
        things=tuple(
            ThingView(thing=one.thing, kind=one.kind, where=names.get(one.where, one.where))
            for one in state.things
        ),
        offered=tuple(_as_taken(choice) for choice in (way[-1].generation.episode.choices if way else ())),
    )


def _way(records: Sequence[Record], path: Sequence[str]) -> tuple[Record, ...]:
    known = {record.id: record for record in records}
    way: list[Record] = []
    for id in path:
        record = known.get(id)
        if record is None:
            raise PathError(f"The episode {id} is not in this season, or not any more.")
        if way and (
            record.number != way[-1].number + 1
            or record.parent not in {one.id for one in versions(records, way[-1])}
        ):
            raise PathError(
                f"Episode {record.number} ({id}) does not follow episode {way[-1].number} ({way[-1].id}). "
                "Give the episodes of one way in their order."
            )
        way.append(record)
    return tuple(way)


def _episodes(
    names: Mapping[str, str], records: Sequence[Record], way: Sequence[Record]
) -> Iterator[EpisodeView]:
    before: Record | None = None
    for record in way:
        generation = record.generation
        episode, state = generation.episode, generation.episode.state
        winner, card = generation.winner, generation.scorecard
        was = before.generation.episode.state if before is not None else None
        yield EpisodeView(
            id=record.id,
            number=record.number,
            title=episode.title,
            logline=episode.logline,
            tier=generation.tier,
            outcome=winner.outcome if winner is not None else None,
            score=card.overall if card is not None else None,
            seconds=episode.seconds,
            revised=record.revises is not None,
            versions=len(versions(records, record)),
            taken=_taken(before, record),
            opened=tuple(t.question for t in state.threads if t.opened == record.number),
            closed=tuple(t.question for t in state.threads if t.closed == record.number),
            learned=tuple(_learned(names, was, state)),
            bonds=tuple(_bonds_changed(names, was, state)),
            happened=tuple(change.text for change in state.changes if change.episode == record.number),
        )
        before = record


def _taken(before: Record | None, record: Record) -> ChoiceTaken | None:
    if before is None:
        return None
    episode = before.generation.episode
    if record.choice is None:
        return _as_taken(episode.canonical)
    return _as_taken(episode.choice(record.choice))


def _as_taken(choice: Choice) -> ChoiceTaken:
    return ChoiceTaken(
        id=choice.id, label=choice.label, consequence=choice.consequence, canonical=choice.canonical
    )


def _learned(names: Mapping[str, str], before: StoryState | None, after: StoryState) -> Iterator[Learned]:
    for one in after.knowledge:
        # What somebody has known from the start is no news.
        if one.episode == after.episode and (before is None or before.knows(one.who, one.what) < one.level):
            yield Learned(who=names.get(one.who, one.who), what=one.what, level=one.level, how=one.how)


def _trust(state: StoryState | None) -> dict[tuple[str, str], int]:
    return {(bond.who, bond.towards): bond.trust for bond in state.relationships} if state is not None else {}


def _bonds_changed(
    names: Mapping[str, str], before: StoryState | None, after: StoryState
) -> Iterator[BondChanged]:
    was = _trust(before)
    for (who, towards), trust in _trust(after).items():
        if trust != was.get((who, towards), 0):
            yield BondChanged(
                who=names.get(who, who),
                towards=names.get(towards, towards),
                before=was.get((who, towards), 0),
                after=trust,
            )


def _bonds(names: Mapping[str, str], way: Sequence[Record]) -> Iterator[BondView]:
    steps: dict[tuple[str, str], list[Step]] = {}
    for record in way:
        for pair, trust in _trust(record.generation.episode.state).items():
            known = steps.setdefault(pair, [])
            if trust != (known[-1].trust if known else 0):
                known.append(Step(episode=record.number, trust=trust))
    for (who, towards), known in steps.items():
        yield BondView(
            who=names.get(who, who),
            towards=names.get(towards, towards),
            trust=known[-1].trust if known else 0,
            steps=tuple(known),
        )


def _threads(bible: StoryBible, state: StoryState, titles: Mapping[int, str]) -> Iterator[ThreadView]:
    for thread in state.threads:
        yield ThreadView(
            question=thread.question,
            opened=thread.opened,
            opened_in=titles.get(thread.opened, ""),
            closed=thread.closed,
            closed_in=titles.get(thread.closed, "") if thread.closed is not None else "",
        )
    known = {thread.question for thread in state.threads}
    for question in bible.threads:
        if question not in known:
            yield ThreadView(question=question, opened=0, opened_in="", closed=None, closed_in="")


def _facts(names: Mapping[str, str], state: StoryState) -> Iterator[FactView]:
    known: dict[str, dict[str, Knower]] = {}
    for one in state.knowledge:
        who = names.get(one.who, one.who)
        knowers = known.setdefault(one.what, {})
        if who not in knowers or knowers[who].level < one.level:
            knowers[who] = Knower(who=who, level=one.level, since=one.episode)
    for what, knowers in known.items():
        yield FactView(
            what=what,
            known_by=tuple(sorted(knowers.values(), key=lambda one: (one.since, -one.level, one.who))),
            hidden_from=tuple(name for name in names.values() if name not in knowers),
        )
