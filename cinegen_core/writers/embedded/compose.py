"""From a plan and orders to an episode: scenes in order, the cliff, the choices, and the state they leave."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cinegen_core.engines.reading import content_words
from cinegen_core.engines.world.world_building import SMELL
from cinegen_core.story import (
    Action,
    Beat,
    Choice,
    Dialogue,
    Draft,
    Effect,
    Episode,
    EpisodeRequest,
    Outline,
    Scene,
    SceneOutline,
)
from cinegen_core.writers.embedded.cards import Series
from cinegen_core.writers.embedded.chance import Chance
from cinegen_core.writers.embedded.grammar import PRONOUNS
from cinegen_core.writers.embedded.memory import Memory, story_state
from cinegen_core.writers.embedded.notation import BeatScript, HookScript, Script
from cinegen_core.writers.embedded.orders import Orders, Touch
from cinegen_core.writers.embedded.plan import Plan
from cinegen_core.writers.embedded.playable import PlayableChoice, PlayableEnding, Roles
from cinegen_core.writers.embedded.scribe import Element, Ledger, Scribe, Segment, wished
from cinegen_core.writers.embedded.speech import OpenSlot, Stage
from cinegen_core.writers.embedded.tokens import Truths, is_knowledge, knower

WORDS_PER_MINUTE = 205
"""A five-minute episode of this form runs to about 750 to 1,150 words of script (design of the embedded writer)."""

MOST_WORDS_PER_MINUTE = 226

FRAME_WORDS = 150.0
"""What places, people's first appearances, the cliff and small touches come to, about."""

MOST_IN_A_SCENE = 4
"""Optional beats in one scene: more of them, and a scene circles instead of going on."""

URGENT = 3.0
"""A wish worth this much is granted whether there is time or not: a repair names nothing else."""

WORTH: Mapping[str, float] = {
    "layer": 1.6, "deflect": 1.5, "cut": 1.5, "stake": 1.5, "quick": 1.5, "gesture": 1.6, "admit": 1.5, "gag": 1.5, "cue": 1.7,
    "pause": 1.3, "clue": 1.4, "herring": 1.3, "callback": 1.3, "convention": 1.2, "rule": 1.2, "runner": 1.2, "trade": 1.0,
    "motif": 0.9, "plant": 0.8, "payoff": 0.8,
}  # fmt: skip
"""Which optional beats get time first."""

GENRE_BEATS: Mapping[str, str] = {
    "gag": "comedy", "runner": "comedy", "cue": "horror", "gesture": "romance", "admit": "romance", "clue": "mystery", "herring": "mystery",
}  # fmt: skip

LEAST_CUES_PER_MINUTE = 8

PLAIN_CHOICES = (
    ("Go on asking about {thing}.", "It may cost more than it has so far."),
    ("Leave {thing} alone for now.", "It will still be there tomorrow."),
    ("Talk to somebody else about {thing}.", "There is no telling what they will do."),
)


@dataclass(frozen=True)
class Work:
    """Everything that composing needs to know of one episode."""

    request: EpisodeRequest
    series: Series
    library: Script
    plan: Plan
    memory: Memory
    chance: Chance
    genres: frozenset[str]


def _words_of(scenes: Mapping[int, Sequence[BeatScript]]) -> float:
    return sum(_mean_words(b) for kept in scenes.values() for b in kept)


def _few_presses(beats: Sequence[BeatScript], most: int) -> list[BeatScript]:
    presses = [b for b in beats if b.kind == "press"][:most]
    return [b for b in beats if b.kind != "press" or b in presses]


def suits_genres(beat: str, genres: frozenset[str]) -> bool:
    """Whether a kind of optional beat belongs in such a series: the genre engines' own kinds only in their genre."""
    wanted = GENRE_BEATS.get(beat)
    return wanted is None or wanted in genres


def _mean_words(beat: BeatScript) -> float:
    return sum(sum(len(t.options[0].text.split()) for t in v) for v in beat.variants) / len(beat.variants)


def expected_words(plan: Plan) -> float:
    """About how long the required beats of a plan are, with the usual frame around them."""
    total = 110.0
    if plan.opening:
        total += sum(len(t.options[0].text.split()) for t in plan.opening.choice.script.lines)
    for planned in plan.scenes:
        total += 18 + sum(_mean_words(b) for b in planned.scene.script.beats if not b.optional)
    return total


def expected_cues(plan: Plan) -> float:
    """About how many speeches a plan has for certain: its required beats, and of the presses the first."""
    total = 0.0
    if plan.opening:
        total += sum(t.spoken for t in plan.opening.choice.script.lines)
    for planned in plan.scenes:
        for beat in _few_presses(planned.scene.script.beats, 1):
            if not beat.optional:
                total += sum(sum(t.spoken for t in v) for v in beat.variants) / len(beat.variants)
    return total


def segments(plan: Plan) -> list[Segment]:
    """The episode's scenes as the scribe sees them; the opening counts as scene 1 where there is one."""
    found = []
    if plan.opening:
        opening = plan.opening
        lines = opening.choice.script.lines
        beats = (
            (BeatScript("open", False, "", False, (), (lines,), opening.choice.script.number),)
            if lines
            else ()
        )
        found.append(
            Segment(
                1,
                beats,
                opening.ending.roles,
                opening.choice.people,
                opening.place,
                opening.time,
                False,
                opening.ending.fact,
            )
        )
    for planned in plan.scenes:
        scene = planned.scene
        found.append(
            Segment(
                len(found) + 1,
                scene.script.beats,
                scene.roles,
                scene.people,
                planned.place,
                planned.time,
                False,
                scene.fact,
            )
        )
    last = found[-1]
    found[-1] = Segment(
        last.index, last.beats, last.roles, last.people, last.place, last.time, True, last.fact
    )
    return found


class Composer:
    """Writes one episode. Made for one call and thrown away."""

    def __init__(self, work: Work, orders: Orders, slack: float = 1.06) -> None:
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
        self.scribe = Scribe(work.series, orders, work.chance, self.ledger)
        self.truths = self._truths_before()
        self.granted: set[str] = set()
        self.last = 1

    def _truths_before(self) -> Truths:
        truths = Truths(frozenset(self.work.memory.tokens))
        if self.work.plan.opening:
            truths = truths.after(self.work.plan.opening.choice.gives)
        return truths

    # -- which beats ---------------------------------------------------------------------------------------------

    def _selected(self, all_segments: Sequence[Segment]) -> dict[int, list[BeatScript]]:
        """The beats to play by scene: the required ones, and those wishes for which there is time.

        Who gets time is settled as if everything were wished for: switching one engine off frees no time for others.
        """
        orders = self.orders
        whole = {s.index: [b for b in s.beats if not b.optional] for s in all_segments}
        limit = orders.words * self.slack if orders.words is not None else float("inf")
        self._make_room(whole, FRAME_WORDS + _words_of(whole), limit)
        chosen = {index: _few_presses(kept, orders.presses.get(index, 1)) for index, kept in whole.items()}
        timely = self._timely(all_segments, limit - FRAME_WORDS - _words_of(whole))
        for segment in all_segments:
            wishes = [w for w in orders.wishes if w.scene == segment.index]
            granted = [
                beat
                for wish, beat in wished(segment.beats, wishes)
                if (segment.index, beat.number) in timely or wish.worth >= URGENT
            ]
            kept = chosen[segment.index]
            chosen[segment.index] = self._with_pairs([b for b in segment.beats if b in kept or b in granted])
        return chosen

    def _timely(self, all_segments: Sequence[Segment], room: float) -> set[tuple[int, int]]:
        """Optional beats (scene, line number) that fit into `room` words, each kind once before any kind twice."""
        possible = []
        truths = self.truths
        for segment in all_segments:
            for beat in segment.beats:
                if not beat.optional or not suits_genres(beat.kind, self.work.genres):
                    continue
                if truths.allow((segment.roles.token(t) for t in beat.needs), self.work.request.number):
                    worth = WORTH.get(beat.kind, 1.0) + 0.6 * self.work.chance.roll(
                        "wish", beat.number, beat.kind
                    )
                    possible.append((worth, segment, beat))
            truths = truths.after(self._gives(segment))
        possible.sort(key=lambda item: (-item[0], item[1].index, item[2].number))
        granted: dict[tuple[int, str], int] = {}
        for everyone_first in (True, False):
            for _, segment, beat in possible:
                served = {kind for _, kind in granted}
                if sum(index == segment.index for index, _ in granted) >= MOST_IN_A_SCENE:
                    continue
                if (segment.index, beat.kind) in granted or (everyone_first and beat.kind in served):
                    continue
                size = _mean_words(beat)
                if size <= room:
                    granted[segment.index, beat.kind] = beat.number
                    room -= size
        return {(index, number) for (index, _), number in granted.items()}

    @staticmethod
    def _make_room(chosen: dict[int, list[BeatScript]], total: float, limit: float) -> None:
        """Takes out presses beyond the first, from the fullest scene on, until a quarter of the time is left for wishes;
        where that does not bring a script under its limit, a scene starts at once with what it is about."""

        def take_out(kind: str, least: int, share: float, total: float) -> float:
            while total > limit * share:
                spare = [
                    (sum(_mean_words(b) for b in kept), index, [b for b in kept if b.kind == kind][-1])
                    for index, kept in chosen.items()
                    if sum(b.kind == kind for b in kept) > least and any(b.kind == "raise" for b in kept)
                ]
                if not spare:
                    break
                _, index, beat = max(spare, key=lambda item: (item[0], item[1]))
                chosen[index] = [b for b in chosen[index] if b is not beat]
                total -= _mean_words(beat)
            return total

        total = take_out("press", 1, 0.75, total)
        take_out("open", 0, 0.97, total)

    def _gives(self, segment: Segment) -> tuple[str, ...]:
        offset = 1 if self.work.plan.opening else 0
        index = segment.index - 1 - offset
        return self.work.plan.scenes[index].scene.gives if index >= 0 else ()

    def _with_pairs(self, beats: Sequence[BeatScript]) -> list[BeatScript]:
        """Drops a payoff whose plant is not played."""
        planted = self.ledger.planted | {b.argument for b in beats if b.kind == "plant"}
        return [b for b in beats if b.kind != "payoff" or b.argument in planted]

    # -- scenes --------------------------------------------------------------------------------------------------

    def _frame(self, segment: Segment) -> list[Element]:
        """What a viewer sees before anybody speaks: the place, its weather, sound and smell."""
        place = self.work.series.cards.places[segment.place]
        first = self.scribe.pool("ambience:" + segment.place, place.ambience, segment.index)
        parts = [first] if first else []
        if not place.interior:
            weather = self.scribe.pool("weather", self.work.series.cards.weather, segment.index)
            if weather and segment.index in self.orders.senses and not _has_weather(segment):
                parts.insert(0, weather)
        if segment.index in self.orders.senses:
            senses = [("smells", place.smells), ("sounds", place.sounds)]
            for name, options in senses[:1] if segment.index == min(2, self.last) else senses[1:]:
                line = self.scribe.pool(f"{name}:{segment.place}", options, segment.index)
                if line:
                    line = line if line.endswith((".", "!", "?")) else line + "."
                    parts.append(_as_smell(line) if name == "smells" else line)
        return [Action(text=" ".join(parts))] if parts else []

    def _introduce(self, elements: Sequence[Element], segment: Segment) -> list[Element]:
        """Puts a line of description before the first time that a viewer meets somebody."""
        result: list[Element] = []
        for element in elements:
            for key in segment.people:
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
        elements: list[Element] = [*hook]
        is_opening = self.work.plan.opening is not None and segment.index == 1
        if segment.index == 1 and self.work.request.number == 1:
            premise = self.work.series.bible.premise
            if len(premise.split()) <= 45:
                elements.append(Action(text=f"Over black, a title: {premise.rstrip('.')}."))
                elements.reverse()
                elements = [elements[0], *reversed(elements[1:])]
        elements += self._frame(segment)
        if is_opening and not self.orders.consequence:
            elements += self._idle(segment)
        else:
            spoken = next((e.speaker for e in reversed(elements) if isinstance(e, Dialogue)), None)
            picks = self.scribe.arrange(beats, segment, spoken, self._next_cue(segment))
            body: list[Element] = []
            kinds = {pick.beat.kind for pick in picks}
            early, late = self._touches(segment, kinds, late=False), self._touches(segment, kinds, late=True)
            for position, pick in enumerate(picks):
                if segment.index in self.orders.background:
                    body += self._background(segment, position, len(picks))
                if len(picks) == 1:
                    body += [*early, *pick.elements, *late]
                    continue
                body += _due(early, position - 1, len(picks) - 1)
                body += _due(late, len(picks) - 1 - position, len(picks) - 1)
                body += pick.elements
                if pick.beat.kind == "plant":
                    self.ledger.planted.add(pick.beat.argument)
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

    def _idle(self, segment: Segment) -> list[Element]:
        """A day that goes on without what was chosen."""
        place = self.work.series.cards.places[segment.place]
        found: list[Element] = []
        for key in segment.people[:2]:
            habit = self.scribe.pool("business:" + segment.place, place.business, key)
            if habit:
                found.append(Action(text=f"{self.work.series.people[key].name} {habit.rstrip('.')}."))
        return found

    def _background(self, segment: Segment, position: int, length: int) -> list[Element]:
        """Somebody outside the cast: comes early, and goes before the end."""
        cards = [b for b in self.work.series.cards.background if not b.at or segment.place in b.at]
        if not cards:
            return []
        card = self.work.chance.best(
            cards, lambda c: -6.0 * self.ledger.pools.get("bg|" + c.who, 0), 1.0, "background", segment.index
        )
        if length < 3:
            return [Action(text=f"{card.enters} {card.business}")] if position == 0 else []
        if position == 1:
            return [Action(text=card.enters)]
        if position == length - 1:
            self.ledger.pools["bg|" + card.who] = self.ledger.pools.get("bg|" + card.who, 0) + 1
            return [Action(text=f"{card.business} {card.leaves}" if length < 5 else card.leaves)]
        return []

    def _touches(self, segment: Segment, played: set[str], *, late: bool) -> list[Element]:
        """Wishes that need no written beat: a motif's touch, the next step of the running joke, a silence, a set-up."""
        cards = self.work.series.cards
        found: list[Element] = []
        wish = self.orders.wants(segment.index, "motif")
        if wish and "motif" not in played and late == wish.inverted:
            motif = cards.motifs.get(wish.argument)
            if motif and motif.at in (None, segment.place):
                options = motif.inverted if wish.inverted else motif.touches
                line = self.scribe.pool("motif:" + motif.name, options, segment.index)
                found += [Action(text=line)] if line else []
        wish = self.orders.wants(segment.index, "runner")
        if wish and "runner" not in played and not late:
            steps = cards.runner or self._stock("runner", wish.argument, "step")
            if self.ledger.runner < len(steps):
                found.append(Action(text=steps[self.ledger.runner]))
                self.ledger.runner += 1
        for touch in self.orders.touches:
            if touch.section in self.granted:
                continue  # a written beat of this kind is played already
            if (segment.index, late) in ((touch.early, False), (touch.late, True)):
                found += self._touch(touch, "late" if late else "early", segment)
        if self.orders.wants(segment.index, "pause") and "pause" not in played and late:
            place = cards.places[segment.place]
            line = self.scribe.pool("sounds:" + segment.place, place.sounds, "pause", segment.index)
            found += [Action(text=line)] if line else []
        return found

    def _stock(self, section: str, name: str, key: str) -> tuple[str, ...]:
        """Plain lines of the general library."""
        return tuple(
            v
            for s, n, pairs in self.work.library.blocks
            if s == section and n == name
            for k, v in pairs
            if k == key
        )

    def _touch(self, touch: Touch, part: str, segment: Segment) -> list[Element]:
        """One half of a small thing that is begun early and answered late, carried by the protagonist where they are there."""
        series = self.work.series
        pro = series.cards.protagonist
        first = pro if pro in segment.people else segment.people[0]
        second = next((k for k in segment.people if k != first), "")
        key = part if touch.section != "pair" else {"early": "plant", "late": "payoff"}[part]
        options = self._stock(touch.section, touch.name, key)
        if touch.section == "pair" and not options:
            options = (
                (f"{{A}} moves a {touch.name} out of the way.",)
                if part == "early"
                else (f"{{A}} picks up the {touch.name}.",)
            )
        options = tuple(o for o in options if second or "{B" not in o)
        if not options:
            return []
        line = self.work.chance.best(options, lambda o: 0.0, 1.0, touch.section, touch.name, part)
        for role, person in (("A", first), ("B", second)):
            if person:
                he, him, his, _, _ = PRONOUNS[series.people[person].subject]
                line = line.replace(f"{{{role}}}", series.people[person].name).replace(f"{{{role}.his}}", his)
                line = line.replace(f"{{{role}.him}}", him).replace(f"{{{role}.he}}", he)
        return [Action(text=line)]

    # -- hook, cliff, choices ------------------------------------------------------------------------------------

    def _hook(self, segment: Segment) -> list[Element]:
        if not self.orders.hook:
            return []
        place = self.work.series.cards.places[segment.place]
        number = self.work.request.number
        options: list[HookScript] = []
        own = self.work.series.script.hooks
        for hook in own or self.work.library.hooks:
            written = bool(own)
            fits = "any" in hook.places or (
                segment.place in hook.places if written else place.kind in hook.places
            )
            if hook.genre and hook.genre not in self.work.genres:
                continue
            if fits and self.truths.allow((segment.roles.token(t) for t in hook.needs), number):
                options.append(hook)

        def worth(hook: HookScript) -> float:
            spent = sum(self.ledger.spent(t.options[0].text) for t in hook.lines)
            return (0.5 if "any" not in hook.places else 0.0) - 5.0 * spent

        for _ in range(4):
            if not options:
                return []
            hook = self.work.chance.best(options, worth, 1.5, "hook", segment.place)
            try:
                return list(self.scribe.lines(hook.lines, segment, "hook", hook.id))
            except (OpenSlot, KeyError):
                options.remove(hook)
        return []

    def _cliff(self, ending: PlayableEnding, segment: Segment, scene: Scene) -> list[Element]:
        """What happens at the end, and a look at what the choices are about where it has not been seen yet."""
        stage = Segment(
            segment.index, (), ending.roles, ending.people, segment.place, segment.time, True, segment.fact
        )
        found = (
            list(self.scribe.lines(ending.script.lines, stage, "cliff", ending.id))
            if self.orders.cliff
            else []
        )
        if self.orders.anchored_choices:
            speak = Stage(self.work.series, ending.roles, segment.place)
            seen = content_words(" ".join(e.text for e in (*scene.elements, *found)))
            images = [
                image
                for choice in ending.choices
                if choice.script.image and not content_words(image := speak.fill(choice.script.image)) & seen
            ]
            if images:
                found.append(
                    Action(text=" ".join(i if i.endswith((".", "!", "?")) else i + "." for i in images))
                )
        return found

    def _choices(self, ending: PlayableEnding, segment: Segment) -> tuple[Choice, Choice, Choice]:
        stage = Stage(self.work.series, ending.roles, segment.place)
        fact = self.work.series.cards.facts.get(ending.fact) or next(
            iter(self.work.series.cards.facts.values()), None
        )
        thing = (fact.thing if fact else "") or "it"
        found = []
        for index, choice in enumerate(ending.choices):
            if self.orders.anchored_choices:
                label, cost = stage.fill(choice.script.label), stage.fill(choice.script.cost)
            else:
                label, cost = (text.format(thing=thing) for text in PLAIN_CHOICES[index])
            found.append(
                Choice(
                    id=choice.script.id,
                    label=label,
                    consequence=cost,
                    effects=tuple(self._effects(choice)),
                    canonical=index == 0,
                    axis=_axis(choice) if self.orders.anchored_choices else "",
                    anchor=stage.fill(choice.script.image)
                    if choice.script.image and self.orders.anchored_choices
                    else "",
                )
            )
        return (found[0], found[1], found[2])

    def _effects(self, choice: PlayableChoice) -> list[Effect]:
        series = self.work.series
        effects = []
        for token in choice.gives:
            if is_knowledge(token):
                who, what = knower(token)
                fact, _, clue = what.partition(".")
                card = series.cards.facts.get(fact)
                if who in series.people and card:
                    text = card.clues.get(clue, clue) if clue else card.question
                    effects.append(Effect(kind="knows", subject=series.people[who].cue, value=text))
            elif "@" in token:
                prop, _, spot = token.partition("@")
                card_ = series.cards.props.get(prop)
                where = series.people[spot].cue if spot in series.people else spot
                effects.append(Effect(kind="prop", subject=card_.name if card_ else prop, value=where))
            else:
                effects.append(
                    Effect(
                        kind="flag", subject=token.lstrip("-"), value="no" if token.startswith("-") else "yes"
                    )
                )
        return effects

    # -- the whole -----------------------------------------------------------------------------------------------

    def episode(self) -> Episode:
        work, plan, series = self.work, self.work.plan, self.work.series
        parts = segments(plan)
        chosen = self._selected(parts)
        self.last = len(parts)
        self.granted = {beat.kind for kept in chosen.values() for beat in kept if beat.optional}
        scenes = []
        for segment in parts:
            hook = self._hook(segment) if segment.index == 1 else []
            scene = self._scene(segment, chosen[segment.index], hook)
            self.truths = self.truths.after(self._gives(segment))
            scenes.append(scene)
        last = parts[-1]
        cliff = self._introduce(self._cliff(plan.ending, last, scenes[-1]), last)
        scenes[-1] = scenes[-1].model_copy(
            update={"elements": (*scenes[-1].elements, *_seam(scenes[-1].elements, cliff))}
        )
        self.ledger.commit(cliff)
        timed = _with_seconds(scenes, work.request.minutes, self.orders)
        gists = [self._gist(planned) for planned in plan.scenes]
        did = self._did()
        choices = self._choices(plan.ending, last)
        question = Stage(series, plan.ending.roles, last.place).fill(plan.ending.script.question)
        if not self.orders.cliff:
            question = f"What does {series.protagonist.name} do?"
        memory = self._memory()
        state = story_state(
            series, work.request.state, work.request.number, self.truths, memory, (*did, *gists)
        )
        state = state.model_copy(update={"offered": choices})
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
            choices=choices,
            rundown=tuple(beats),
            state=state,
        )

    def _did(self) -> tuple[str, ...]:
        opening = self.work.plan.opening
        if opening is None:
            return ()
        return (Stage(self.work.series, opening.ending.roles, opening.place).fill(opening.choice.script.did),)

    def _gist(self, planned: object) -> str:
        scene = planned.scene  # type: ignore[attr-defined]
        return Stage(self.work.series, scene.roles, planned.place).fill(scene.script.head["gist"])  # type: ignore[attr-defined]

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
            last_fact=plan.ending.fact,
            last_place=plan.scenes[-1].place,
            runner=self.ledger.runner,
        )


_WEATHER = re.compile(
    r"\b(rain\w*|wind\w*|snow\w*|fog\w*|mist\w*|sun\w*|storm\w*|hail|frost\w*|gust\w*|drizzl\w+|thunder|bright|breeze|calm)\b",
    re.IGNORECASE,
)


def _has_weather(segment: Segment) -> bool:
    """Whether the scene brings its own weather."""
    return any(
        turn.who is None and _WEATHER.search(option.text)
        for beat in segment.beats for variant in beat.variants for turn in variant for option in turn.options
    )  # fmt: skip


def _due(touches: Sequence[Element], place: int, places: int) -> list[Element]:
    """The touches whose turn it is: one at each place in order, the rest at the last place that is left."""
    if place < 0 or (place > 0 and place >= len(touches)):
        return []
    if place == max(0, places - 1):
        return list(touches[place:])
    return [touches[place]] if place < len(touches) else []


def _as_smell(line: str) -> str:
    """A fragment such as "Wet rope." said as what it is; a whole sentence stays."""
    if (
        SMELL.search(line)
        or len(line.split()) > 6
        or re.match(r"^(The|A|An|It|There|Somebody|Something|Everything|No)\b", line)
    ):
        return line
    return f"A smell of {line[:1].lower()}{line[1:]}"


def _axis(choice: PlayableChoice) -> str:
    if any(is_knowledge(t) for t in choice.gives):
        return "tell / keep"
    if any("@" in t for t in choice.gives):
        return "hold / give up"
    return "act / wait"


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


def estimated_seconds(scene: Scene) -> float:
    """Running time of a scene by its words: speech at 2.7 words a second, description at 4.2, 0.35 s between cues."""
    spoken = sum(len(e.text.split()) for e in scene.elements if isinstance(e, Dialogue))
    cues = sum(isinstance(e, Dialogue) for e in scene.elements)
    return spoken / 2.7 + (scene.words - spoken) / 4.2 + 0.35 * cues


def _with_seconds(scenes: Sequence[Scene], minutes: float, orders: Orders) -> list[Scene]:
    raw = [estimated_seconds(scene) for scene in scenes]
    if orders.words is not None:
        scale = minutes * 60 / sum(raw)
        scale = min(1.25, max(0.8, scale))
        raw = [value * scale for value in raw]
    return [
        scene.model_copy(update={"seconds": max(1, round(value))})
        for scene, value in zip(scenes, raw, strict=True)
    ]


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
        if orders.words is None or slack < 0.7 or episode.words <= most:
            break
        slack -= max(0.04, (episode.words / work.request.minutes - MOST_WORDS_PER_MINUTE) / WORDS_PER_MINUTE)
    if orders.words is not None and _cues(episode) < LEAST_CUES_PER_MINUTE * work.request.minutes:
        longer = Composer(work, orders, slack + 0.08).episode()
        if longer.words <= 1.02 * most and _cues(longer) > _cues(episode):
            return longer
    return episode


def _cues(episode: Episode) -> int:
    return sum(isinstance(e, Dialogue) for scene in episode.scenes for e in scene.elements)


def as_draft(work: Work) -> Draft:
    episode = Composer(work, Orders()).episode()
    return Draft(outline=outline(work, episode), episode=episode)
