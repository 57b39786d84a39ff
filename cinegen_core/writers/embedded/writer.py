"""The writer's three verbs, on top of plan, scribe and composer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from importlib.resources import files
from typing import ClassVar

from cinegen_core.engines.base import Directive
from cinegen_core.story import Draft, Episode, EpisodeRequest, Policy, StoryBible
from cinegen_core.writers.base import Desk
from cinegen_core.writers.embedded.cards import Series, read_cards
from cinegen_core.writers.embedded.chance import Chance
from cinegen_core.writers.embedded.compose import as_draft, compose
from cinegen_core.writers.embedded.derive import derive_series
from cinegen_core.writers.embedded.directives import orders_from
from cinegen_core.writers.embedded.memory import KEY, Memory, recall
from cinegen_core.writers.embedded.notation import Script, parse
from cinegen_core.writers.embedded.plan import NoPlan, Opening, Plan, Situation, make_plan
from cinegen_core.writers.embedded.playable import Repertoire, library_repertoire, repertoire
from cinegen_core.writers.embedded.tokens import Truths
from cinegen_core.writers.embedded.work import WORDS_PER_MINUTE, Work, expected_cues, expected_words

ENOUGH = 0.6
"""The share of the running time that required beats should fill; optional beats that engines ask for fill the rest."""

CUES_PER_WORD = 0.039
"""Speeches for each word of running time, for certain, optional beats aside: 40 in five minutes."""

MOST_SCENES = 4
"""An episode has two to four scenes, its opening or its first find among them."""

LEAST = 0.5
"""Below this share the episode would come out too short; wider sources of scenes are tried first."""

KNOWN_GENRES = ("comedy", "romance", "horror", "mystery", "thriller", "drama")


def genres_of(bible: StoryBible) -> frozenset[str]:
    """The genres that content is written for, found in the bible's own words."""
    text = " ".join(bible.genres).casefold()
    return frozenset(g for g in KNOWN_GENRES if g[:5] in text)


def load_library() -> Script:
    """The general library as shipped. Raises `NotationError` for a text that does not follow the notation."""
    folder = files("cinegen_core.writers.embedded") / "library"
    script = Script()
    for path in sorted((p for p in folder.iterdir() if p.name.endswith(".txt")), key=lambda p: p.name):
        script += parse(path.read_text(encoding="utf-8"), path.name)
    return script


class EmbeddedWriter:
    """Writes without a model, a key or a network. The same request gives the same bytes."""

    name: ClassVar[str] = "embedded"
    profile: ClassVar[str] = "embedded"

    def __init__(self, library: Script | None = None) -> None:
        self._library = library if library is not None else load_library()
        self._prepared = lru_cache(maxsize=8)(self._prepare)
        self._planned = lru_cache(maxsize=4)(self._plan)

    def _prepare(self, fingerprint: str, complete: bool) -> tuple[Series, Repertoire]:
        bible = StoryBible.model_validate_json(fingerprint)
        series = read_cards(bible) if bible.cards else derive_series(bible, self._library)
        return series, repertoire(series, self._library, genres_of(bible))

    def series(self, bible: StoryBible, *, complete: bool = True) -> tuple[Series, Repertoire]:
        """The playable series and what can be played in it. Raises `CardError` or `NotationError`."""
        bible = bible if complete else _leads_only(bible)
        return self._prepared(bible.model_dump_json(), complete)

    def work(self, request: EpisodeRequest, policy: Policy) -> Work:
        """The plan of an episode and all that writing it out needs. Draft and synthesis of one request share it."""
        return self._planned(request.model_dump_json(), policy.complete_context, policy.high_temperature)

    def _plan(self, asked: str, complete_context: bool, sample: bool) -> Work:
        request = EpisodeRequest.model_validate_json(asked)
        series, rep = self.series(request.bible, complete=complete_context)
        memory = recall(request.state, series)
        chance = Chance(f"{request.bible.title}|{request.seed}|{request.number}|{request.direction}")
        genres = genres_of(request.bible)
        opening = _opening(
            request, memory, rep, series, chance, lambda: library_repertoire(series, self._library, genres)
        )
        truths = Truths(frozenset(memory.tokens))
        if opening:
            truths = truths.after(opening.choice.gives)
        situation = Situation(
            request.number,
            truths,
            frozenset(memory.played),
            frozenset(memory.ended),
            request.seed,
            request.direction,
        )
        drawn = Chance(f"{request.bible.title}|{request.number}|{request.direction}|{memory.ending}")
        words = WORDS_PER_MINUTE * request.minutes
        plan: Plan | None = None
        for wider in range(3):
            if wider == 1 and series.written:
                rep += library_repertoire(series, self._library, genres)
            if wider == 2:  # everything has been played: a season so long may come back to something
                situation = replace(situation, played=frozenset(), ended=frozenset(), loose=True)
            try:
                found = _fitting_plan(series, rep, situation, opening, drawn, genres, words, sample)
            except NoPlan:
                if wider == 2 and plan is None:
                    raise
                continue
            if plan is None or expected_words(found) > expected_words(plan):
                plan = found
            if expected_words(plan) >= LEAST * words:
                break
        assert plan is not None
        return Work(request, series, self._library, plan, memory, chance, genres)

    async def draft(self, request: EpisodeRequest, policy: Policy, desk: Desk) -> Draft:
        draft = as_draft(self.work(request, policy))
        desk.said(_text(draft.episode))
        return draft

    async def synthesise(
        self,
        request: EpisodeRequest,
        policy: Policy,
        draft: Draft,
        directives: Sequence[Directive],
        desk: Desk,
    ) -> Episode:
        work = self.work(request, policy)
        episode = compose(work, orders_from(directives, work))
        desk.said(_text(episode))
        return episode

    async def repair(
        self,
        request: EpisodeRequest,
        policy: Policy,
        draft: Draft,
        episode: Episode,
        directives: Sequence[Directive],
        missing: Sequence[Directive],
        desk: Desk,
    ) -> Episode:
        """Writes again with the missing directives put first when time is short."""
        work = self.work(request, policy)
        repaired = compose(work, orders_from(directives, work, first=missing))
        desk.said(_text(repaired))
        return repaired


def _fitting_plan(
    series: Series,
    rep: Repertoire,
    situation: Situation,
    opening: Opening | None,
    chance: Chance,
    genres: frozenset[str],
    words: float,
    sample: bool,
) -> Plan:
    """The plan with as many scenes as the running time asks for."""
    plan = make_plan(series, rep, situation, opening, chance, scenes=2, genres=genres, sample=sample)
    for scenes in range(3, MOST_SCENES):
        if expected_words(plan) >= ENOUGH * words and expected_cues(plan) >= CUES_PER_WORD * words:
            break
        longer = make_plan(
            series, rep, situation, opening, chance, scenes=scenes, genres=genres, sample=sample
        )
        if len(longer.scenes) <= len(plan.scenes) or expected_words(longer) > 1.15 * words:
            break
        plan = longer
    return plan


def _opening(
    request: EpisodeRequest,
    memory: Memory,
    rep: Repertoire,
    series: Series,
    chance: Chance,
    spare: Callable[[], Repertoire],
) -> Opening | None:
    taken = request.taken
    ending = rep.ending(memory.ending) if memory.ending else None
    if ending is None and memory.ending and series.written:
        ending = spare().ending(memory.ending)
    if taken is None or ending is None:
        return None
    choice = next(c for c in ending.choices if c.script.id == taken.id)
    place = choice.script.place
    places = series.cards.places
    if place not in places:
        if place == "here" and memory.last_place in places:
            place = memory.last_place
        else:
            owner = ending.roles.people.get(place, "")
            owned = [k for k, p in places.items() if owner and owner in p.whose]
            others = [k for k in places if k != memory.last_place] or list(places)
            place = chance.weighted(owned or others, [1.0] * len(owned or others), "opening place")
    return Opening(ending, choice, place, choice.script.time)


def _leads_only(bible: StoryBible) -> StoryBible:
    """What is left with the complete context switched off: the two leads and one location."""
    return bible.model_copy(
        update={
            "characters": bible.characters[:2],
            "locations": bible.locations[:1],
            "motifs": bible.motifs[:1],
            "cards": None,
        }
    )


def _text(episode: Episode) -> str:
    return "\n\n".join(e.text for scene in episode.scenes for e in scene.elements)


__all__ = ["KEY", "EmbeddedWriter", "genres_of", "load_library"]
