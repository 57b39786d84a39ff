"""From a plan and orders to an episode: scenes in order, the cliff, the choices, and the state they leave."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cinegen_core.story import Action, Beat, Dialogue, Draft, Episode, Outline, Scene, SceneOutline
from cinegen_core.writers.embedded.budget import gives, select
from cinegen_core.writers.embedded.closing import choices, cliff
from cinegen_core.writers.embedded.memory import Memory, story_state
from cinegen_core.writers.embedded.notation import BeatScript
from cinegen_core.writers.embedded.orders import Orders
from cinegen_core.writers.embedded.plan import PlannedScene
from cinegen_core.writers.embedded.playable import Roles
from cinegen_core.writers.embedded.scribe import Element, Ledger, Scribe, Segment
from cinegen_core.writers.embedded.setting import Setting
from cinegen_core.writers.embedded.speech import Stage
from cinegen_core.writers.embedded.tokens import Truths
from cinegen_core.writers.embedded.work import (
    LEAST_CUES_PER_MINUTE,
    MOST_WORDS_PER_MINUTE,
    WORDS_PER_MINUTE,
    Work,
    segments,
    with_seconds,
)


class Composer:
    """Writes one episode. Made for one call and thrown away."""

    def __init__(self, work: Work, orders: Orders, slack: float = 1.06, lean: float = 0.0) -> None:
        self.work = work
        self.orders = orders
        self.slack = slack
        memory = work.memory
        self.ledger = Ledger(
            said=set(memory.said),
            pools=dict(memory.pools),
            seen=list(memory.seen),
            planted=set(memory.planted),
            runner=memory.runner,
        )
        self.scribe = Scribe(work.series, orders, work.chance, self.ledger, lean)
        self.truths = self._truths_before()
        self.setting = Setting(work, orders, self.scribe, frozenset())

    def _truths_before(self) -> Truths:
        truths = Truths(frozenset(self.work.memory.tokens))
        if self.work.plan.opening:
            truths = truths.after(self.work.plan.opening.choice.gives)
        return truths

    def _introduce(
        self, elements: Sequence[Element], segment: Segment, people: Sequence[str] = ()
    ) -> list[Element]:
        """Puts a line of description before the first time that a viewer meets somebody."""
        result: list[Element] = []
        for element in elements:
            for key in people or segment.people:
                person = self.work.series.people[key]
                if key in self.ledger.seen:
                    continue
                shown = (isinstance(element, Dialogue) and element.speaker == person.cue) or (
                    isinstance(element, Action) and re.search(rf"\b{re.escape(person.name)}\b", element.text)
                )
                if shown:
                    self.ledger.seen.append(key)
                    if person.card.intro:
                        result.append(Action(text=f"{person.full.upper()}: {person.card.intro.rstrip('.')}."))
            result.append(element)
        return result

    def _scene(self, segment: Segment, beats: Sequence[BeatScript], hook: Sequence[Element]) -> Scene:
        place = self.work.series.cards.places[segment.place]
        elements: list[Element] = self._introduce(hook, segment, tuple(self.work.series.people))
        is_opening = self.work.plan.opening is not None and segment.index == 1
        if segment.index == 1 and self.work.request.number == 1:
            premise = self.work.series.bible.premise
            if len(premise.split()) <= 45:
                elements.append(Action(text=f"Over black, a title: {premise.rstrip('.')}."))
                elements.reverse()
                elements = [elements[0], *reversed(elements[1:])]
        elements += self.setting.frame(segment)
        if is_opening and not self.orders.consequence:
            elements += self.setting.idle(segment)
        else:
            spoken = next((e.speaker for e in reversed(elements) if isinstance(e, Dialogue)), None)
            picks = self.scribe.arrange(beats, segment, spoken, self._next_cue(segment))
            body: list[Element] = []
            kinds = {pick.beat.kind for pick in picks}
            # Small touches stand round a scene or at its last seam, never between a speech and its answer.
            body += self.setting.background(segment, late=False)
            body += self.setting.touches(segment, kinds, late=False)
            late = [
                *self.setting.touches(segment, kinds, late=True),
                *self.setting.background(segment, late=True),
            ]
            for pick in picks:
                if segment.last and pick is picks[-1] and pick.beat.kind == "button":
                    body += late  # the cliff follows the button
                    late = []
                body += pick.elements
                if pick.beat.kind == "plant":
                    self.ledger.planted.add(pick.beat.argument)
            body += late
            elements += self._introduce(_one_cue_each(body), segment)
        self.ledger.commit(elements)
        slug = f"{place.slug} - {segment.time.upper()}"
        return Scene(slugline=slug, seconds=0, elements=tuple(elements))

    def _next_cue(self, segment: Segment) -> str | None:
        """Who speaks first in the cliff, right after the last scene."""
        if not (segment.last and self.orders.cliff):
            return None
        ending = self.work.plan.ending
        first = next((t.who for t in ending.script.lines if t.who), None)
        return self.work.series.people[ending.roles.person(first)].cue if first else None

    # -- the whole -----------------------------------------------------------------------------------------------

    def episode(self) -> Episode:
        work, plan, series = self.work, self.work.plan, self.work.series
        parts = segments(plan)
        chosen = select(self.work, self.orders, self.truths, self.ledger.planted, parts, self.slack)
        granted = frozenset(beat.kind for kept in chosen.values() for beat in kept if beat.optional)
        self.setting = Setting(self.work, self.orders, self.scribe, granted)
        scenes = []
        for segment in parts:
            hook = self.setting.hook(segment, self.truths) if segment.index == 1 else []
            scene = self._scene(segment, chosen[segment.index], hook)
            self.truths = self.truths.after(gives(self.work, segment))
            scenes.append(scene)
        last = parts[-1]
        ends = self._introduce(cliff(self.work, self.orders, self.scribe, last, scenes[-1]), last)
        scenes[-1] = scenes[-1].model_copy(
            update={"elements": (*scenes[-1].elements, *_seam(scenes[-1].elements, ends))}
        )
        self.ledger.commit(ends)
        timed = with_seconds(scenes, work.request.minutes, self.orders)
        gists = [self._gist(planned) for planned in plan.scenes]
        did = self._did()
        offered = choices(self.work, self.orders, last)
        question = Stage(series, plan.ending.roles, last.place).fill(plan.ending.script.question)
        if not self.orders.cliff:
            question = f"What does {series.protagonist.name} do?"
        memory = self._memory()
        state = story_state(
            series, work.request.state, work.request.number, self.truths, memory, (*did, *gists)
        )
        state = state.model_copy(update={"offered": offered})
        beats = []
        start = 0
        texts = ([*did[:1]] if plan.opening else []) + gists
        for scene, text in zip(timed, texts, strict=False):
            beats.append(Beat(start=start, seconds=scene.seconds, text=text))
            start += scene.seconds
        return Episode(
            series=series.bible.title,
            number=work.request.number,
            title=self._title(),
            logline=self._logline(),
            synopsis=" ".join((*did, *gists, question)),
            scenes=tuple(timed),
            question=question,
            choices=offered,
            rundown=tuple(beats),
            state=state,
        )

    def _did(self) -> tuple[str, ...]:
        opening = self.work.plan.opening
        if opening is None:
            return ()
        return (Stage(self.work.series, opening.ending.roles, opening.place).fill(opening.choice.script.did),)

    def _gist(self, planned: PlannedScene) -> str:
        scene = planned.scene
        return Stage(self.work.series, scene.roles, planned.place).fill(scene.script.head["gist"])

    def _logline(self) -> str:
        planned = next((p for p in reversed(self.work.plan.scenes) if p.scene.script.head.get("wants")), None)
        if planned is None:
            return self._gist(self.work.plan.scenes[-1])
        stage = Stage(self.work.series, planned.scene.roles, planned.place)
        wants = stage.fill(planned.scene.script.head["wants"]).rstrip(".")
        block = stage.fill(planned.scene.script.head.get("block", "")).rstrip(".")
        return f"{wants}. {block}." if block else f"{wants}."

    def _title(self) -> str:
        titles = self.work.series.cards.titles or tuple(
            p.location for p in self.work.series.cards.places.values()
        )
        fresh = [t for t in titles if t not in self.work.memory.titles] or list(titles)
        return self.work.chance.weighted(fresh, [1.0] * len(fresh), "title") if fresh else "Untitled"

    def _memory(self) -> Memory:
        plan, memory = self.work.plan, self.work.memory
        return Memory(
            tokens=tuple(sorted(self.truths.holds)),
            played=(*memory.played, *(p.scene.id for p in plan.scenes)),
            ended=(*memory.ended, plan.ending.id),
            seen=tuple(self.ledger.seen),
            titles=(*memory.titles, self._title()),
            said=tuple(sorted(self.ledger.said)),
            pools=dict(sorted(self.ledger.pools.items())),
            planted=tuple(sorted(self.ledger.planted)),
            ending=plan.ending.id,
            last_place=plan.scenes[-1].place,
            runner=self.ledger.runner,
        )


def _one_cue_each(elements: Sequence[Element]) -> list[Element]:
    """Two speeches running by one person become one; what stood between them comes first."""
    found: list[Element] = []
    for element in elements:
        if isinstance(element, Dialogue):
            last = next((i for i in range(len(found) - 1, -1, -1) if isinstance(found[i], Dialogue)), None)
            before = found[last] if last is not None else None
            if last is not None and isinstance(before, Dialogue) and before.speaker == element.speaker:
                found.append(before.model_copy(update={"text": f"{before.text} {element.text}"}))
                del found[last]
                continue
        found.append(element)
    return found


def _seam(before: Sequence[object], cliff: Sequence[Element]) -> list[Element]:
    """The cliff, without a first cue by the person who has just spoken."""
    last = next((e.speaker for e in reversed(before) if isinstance(e, Dialogue)), None)
    found: list[Element] = []
    for element in cliff:
        if isinstance(element, Dialogue):
            if element.speaker == last:
                continue
            last = element.speaker
        found.append(element)
    return found


def outline(work: Work, draft: Episode) -> Outline:
    """What is planned, in story terms, for the engines."""
    series, plan = work.series, work.plan
    found = []
    parts = segments(plan)
    for segment, scene in zip(parts, draft.scenes, strict=True):
        fact = series.cards.facts.get(segment.fact)
        offset = 1 if plan.opening else 0
        planned = plan.scenes[segment.index - 1 - offset] if segment.index > offset else None
        head = planned.scene.script.head if planned else {}
        roles = planned.scene.roles if planned else Roles()
        stage = Stage(series, roles, segment.place)
        found.append(
            SceneOutline(
                location=series.cards.places[segment.place].location,
                slugline=scene.slugline,
                people=tuple(series.people[key].cue for key in segment.people),
                wants=stage.fill(head.get("wants", "")) if head.get("wants") else "",
                block=stage.fill(head.get("block", "")) if head.get("block") else "",
                turn=stage.fill(head["gist"])
                if head
                else Stage(series, plan.opening.ending.roles).fill(plan.opening.choice.script.did)
                if plan.opening
                else "",
                subject=fact.thing if fact else "",
                holder=series.people[fact.holder].cue if fact else None,
                reveals=bool(planned and any(t.endswith(f":{segment.fact}") for t in planned.scene.gives)),
                tension=planned.scene.tension if planned else 4.0,
                seconds=scene.seconds,
            )
        )
    focus = series.cards.facts.get(plan.focus)
    return Outline(
        protagonist=series.protagonist.cue,
        question=focus.question if focus else "",
        truth=focus.truth if focus else "",
        stake=focus.stake if focus else "",
        scenes=tuple(found),
    )


def compose(work: Work, orders: Orders) -> Episode:
    """The episode; written again with fewer wishes granted where it came out too long for its running time."""
    most = MOST_WORDS_PER_MINUTE * work.request.minutes
    slack = 1.06
    while True:
        episode = Composer(work, orders, slack).episode()
        if orders.words is None or slack < 0.5 or episode.words <= most:
            break
        slack -= max(0.04, (episode.words / work.request.minutes - MOST_WORDS_PER_MINUTE) / WORDS_PER_MINUTE)
    if orders.words is None:
        return episode
    if episode.words > most:
        return min((episode, Composer(work, orders, slack, 1.0).episode()), key=lambda e: e.words)
    for more, lean in (
        (0.05, 0.0),
        (0.0, -1.0),
        (0.06, -1.0),
        (0.12, -1.0),
        (0.0, -3.0),
        (0.2, -3.0),
        (-0.1, -6.0),
    ):
        if _cues(episode) >= LEAST_CUES_PER_MINUTE * work.request.minutes:
            break
        longer = Composer(work, orders, slack + more, lean).episode()
        if longer.words <= 1.01 * most and _cues(longer) > _cues(episode):
            episode = longer
    return episode


def _cues(episode: Episode) -> int:
    return sum(isinstance(e, Dialogue) for scene in episode.scenes for e in scene.elements)


def as_draft(work: Work) -> Draft:
    episode = Composer(work, Orders()).episode()
    return Draft(outline=outline(work, episode), episode=episode)
