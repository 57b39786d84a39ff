"""Which scenes are played, in which order: chains over what is true, each scene made possible by what came before."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

from cinegen_core.story.words import content_words
from cinegen_core.writers.embedded.cards import Series
from cinegen_core.writers.embedded.chance import Chance
from cinegen_core.writers.embedded.notation import TIMES
from cinegen_core.writers.embedded.playable import PlayableChoice, PlayableEnding, PlayableScene, Repertoire
from cinegen_core.writers.embedded.tokens import Truths, is_knowledge

CHAINS = 28
"""Chains tried per episode. Measured: more costs time and finds no better ones on the sample series."""

TALK = 0.061
"""Speeches to a word of script that a chain should have, so that an episode comes to forty: half again more than 40 / 1,000."""

HEED = 0.7
"""How far a step follows its weight: 1 draws in proportion to weights, 0 draws blindly."""

FIRST_HEED = 0.5
"""The same for a first episode: seasons should begin in many ways."""

OWN_KIND = 30.0
"""How much a library scene written for this kind of secret is preferred to one that fits any."""

ASKED_FOR = 9.0
"""What a scene gains for each person, place or secret that a note to the writers names."""

BOLDNESS = 2.5
"""How much worse than the best chain a chain may be and still be drawn often (a third as often at this difference)."""

GENRE_KINDS: Mapping[str, Mapping[str, float]] = {
    "romance": {"near": 2.2, "reckon": 1.2},
    "comedy": {"plan": 1.8, "tell": 1.1},
    "horror": {"alone": 1.8, "find": 1.3},
    "thriller": {"own": 1.5, "plan": 1.2},
    "mystery": {"ask": 1.4},
}


class NoPlan(RuntimeError):
    """Nothing can be played: the series has no scene whose needs hold."""


@dataclass(frozen=True)
class Opening:
    """How an episode opens because of the choice that was made."""

    ending: PlayableEnding
    choice: PlayableChoice
    place: str
    time: str


@dataclass(frozen=True)
class PlannedScene:
    scene: PlayableScene
    place: str
    time: str
    links: int = 0


@dataclass(frozen=True)
class Plan:
    opening: Opening | None
    scenes: tuple[PlannedScene, ...]
    ending: PlayableEnding
    focus: str
    truths: Truths
    score: float = 0.0


@dataclass(frozen=True)
class Situation:
    """What the planner must respect: the episode's number, what is true, and what the season has used up.

    `loose`: flags that only keep a scene from being played twice no longer count.
    """

    number: int
    truths: Truths
    played: frozenset[str]
    ended: frozenset[str]
    seed: int = 0
    direction: str = ""
    loose: bool = False

    def needed(self, needs: tuple[str, ...]) -> tuple[str, ...]:
        """The needs that count: all of them, or without the negated flags."""
        if not self.loose:
            return needs
        return tuple(t for t in needs if not t.startswith("!") or ":" in t or "@" in t)

    @cached_property
    def scripts(self) -> frozenset[str]:
        """Scripts that have been played by whomever."""
        return frozenset(name.split("@")[0] for name in (*self.played, *self.ended))


def open_facts(series: Series, truths: Truths) -> list[str]:
    """Facts that the protagonist does not know yet, or still keeps from everybody; the ones a season starts with first."""
    pro = series.cards.protagonist
    facts = series.cards.facts
    known = {f for f in facts if f"{pro}:{f}" in truths and facts[f].holder != pro}
    known |= {f for f in facts if facts[f].holder == pro and not series.written}
    known |= {
        f
        for f in facts
        if facts[f].holder == pro and any(f"{who}:{f}" in truths for who in series.people if who != pro)
    }
    opened = {target for f in known for target in facts[f].opens}
    unknown = [f for f in facts if f not in known]
    return sorted(unknown, key=lambda f: (facts[f].order - (1.5 if f in opened else 0), f))


def _focus(
    series: Series, situation: Situation, opening: Opening | None, chance: Chance, attempt: int
) -> str:
    facts = series.cards.facts
    remaining = open_facts(series, situation.truths)
    if opening and opening.ending.fact in facts and chance.roll("keep focus", attempt) < 0.75:
        return opening.ending.fact
    if not remaining:
        return chance.weighted(list(facts), [1.0] * len(facts), "focus", attempt)
    least = facts[remaining[0]].order
    near = [f for f in remaining if facts[f].order <= least + 1] or remaining
    return chance.weighted(
        near,
        [2.0 if facts[f].order == least and situation.number > 1 else 1.2 for f in near],
        "focus",
        attempt,
    )


def _walk(plans: Sequence[Plan], weights: Sequence[float], seed: int, chance: Chance) -> Plan:
    """Draws by weight so that seeds in a row spread evenly over the plans (steps of the golden ratio, modulo 1).

    The plans themselves do not depend on the seed: two seeds choose from the same list.
    """
    point = (seed * 0.6180339887498949 + chance.roll("walk")) % 1.0 * sum(weights)
    for plan, weight in zip(plans, weights, strict=True):
        point -= weight
        if point < 0:
            return plan
    return plans[-1]


def _gumbel(roll: float) -> float:
    """Adding this to log-weights and taking the greatest draws in proportion to the weights (the Gumbel-max trick)."""
    return -math.log(-math.log(min(max(roll, 1e-12), 1 - 1e-12)))


def _links(scene: PlayableScene, fresh: frozenset[str]) -> int:
    return sum(1 for token in scene.needs if token in fresh)


def _weight(  # noqa: C901 - flat: one consideration after the other
    series: Series,
    scene: PlayableScene,
    chain: Sequence[PlannedScene],
    opening: Opening | None,
    focus: str,
    fresh: frozenset[str],
    situation: Situation,
    genres: frozenset[str],
    last: bool,
    slots: int,
) -> float:
    pro = series.cards.protagonist
    facts = series.cards.facts
    weight = 1.0
    previous = chain[-1].scene if chain else None
    before_people = previous.people if previous else (opening.choice.people if opening else ())
    if pro not in scene.people:
        if last or (not chain and not opening) or any(pro not in p.scene.people for p in chain):
            return 0.0
        weight *= 0.45
    if scene.roles.people and series.written:
        weight *= 0.03
    if scene.roles.people and scene.special:
        weight *= OWN_KIND
    if scene.roles.people and scene.script.id in situation.scripts:
        weight *= 0.004
    weight *= 4.0 if scene.fact == focus else 0.5
    if previous and scene.fact == previous.fact:
        weight *= 2.5
    weight *= 1.0 + 2.5 * min(2, _links(scene, fresh))
    if previous is None and opening is not None and scene.fact == opening.ending.fact:
        weight *= 2.0
    if before_people:
        shared = set(before_people) & set(scene.people)
        weight *= 1.3 if shared else 0.6
        if set(before_people) == set(scene.people):
            weight *= 0.35
    if scene.kind in ("find", "alone") and any(p.scene.kind in ("find", "alone") for p in chain):
        return 0.0  # two scenes with hardly a word said make half an episode
    if scene.kind == "find":
        if last:
            return 0.0
        weight *= 3.0 if not chain and opening is None else 0.5 if not chain else 0.12
    elif not chain and opening is None and situation.number == 1:
        weight *= 0.25
    if any(p.scene.kind == scene.kind for p in chain):
        weight *= 0.35
    if any(set(p.scene.people) == set(scene.people) for p in chain):
        weight *= 0.4
    fact = facts.get(scene.fact)
    if fact is not None:
        known = open_facts(series, situation.truths)
        least = facts[known[0]].order if known else fact.order
        if fact.order > least + 1 and f"{pro}:{scene.fact}" not in situation.truths:
            weight *= 0.2
    reveals = f"{pro}:{scene.fact}" in scene.gives
    if reveals:
        weight *= 0.08 if situation.number == 1 else (1.6 if last else 0.8)
    if not any(is_knowledge(t) or "@" in t for t in scene.gives):
        weight *= 0.6
    weight *= _asked_for(series, scene, situation.direction)
    for genre in genres:
        weight *= GENRE_KINDS.get(genre, {}).get(scene.kind, 1.0)
    wanted = 3.0 + 4.5 * (len(chain) + (1 if opening else 0)) / max(1, slots)
    weight *= math.exp(-abs(scene.tension - wanted) / 4)
    return weight


def _asked_for(series: Series, scene: PlayableScene, direction: str) -> float:
    """How much a note to the writers speaks for a scene: by the people, the places and the secret that it names."""
    if not direction:
        return 1.0
    words = content_words(direction)
    weight = 1.0
    for key in scene.people:
        weight *= ASKED_FOR if content_words(series.people[key].name) & words else 1.0
    places = [series.cards.places[key] for key in scene.places]
    if len(places) < len(series.cards.places) and any(content_words(p.location) & words for p in places):
        weight *= ASKED_FOR
    fact = series.cards.facts.get(scene.fact)
    if fact is not None and content_words(fact.thing) & words:
        weight *= ASKED_FOR
    return weight


def _place(
    series: Series, scene: PlayableScene, avoid: Sequence[str], seen: Sequence[str], chance: Chance
) -> str:
    def worth(key: str) -> float:
        card = series.cards.places[key]
        value = 1.5 if scene.people[-1] in card.whose else 0.0
        value += 0.5 if scene.people[0] in card.whose else 0.0
        value -= 3.0 if avoid and key == avoid[-1] else 0.0
        value -= 1.0 if key in seen else 0.0
        return value

    return chance.best(scene.places, worth, 1.2, "place", scene.id)


def _time(scene: PlayableScene, before: str | None, last: bool, chance: Chance) -> str:
    if scene.script.time in TIMES:
        return scene.script.time
    if before == "night" and chance.roll("next day", scene.id) < 0.6:
        return "night" if last else ("dawn", "day")[chance.roll("dawn", scene.id) < 0.5]
    start = TIMES.index(before) if before else 0
    later = TIMES[min(3, start + 1) :] if before else TIMES[:2]
    if last:
        later = TIMES[max(2, start) :]
    return later[0] if chance.roll("time", scene.id) < 0.75 else later[-1]


def _endings(
    repertoire: Repertoire, series: Series, scene: PlannedScene, truths: Truths, situation: Situation
) -> list[tuple[float, PlayableEnding]]:
    found = []
    people = set(scene.scene.people)
    used_turns = {scene.scene.script.id}
    for ending in repertoire.endings:
        if ending.fact != scene.scene.fact and ending.script.fact not in ("any", ""):
            continue
        if ending.roles.people and ending.fact != scene.scene.fact:
            continue
        if ending.id in situation.ended or not ending.speaking <= people:
            continue
        if not set(ending.people) <= people | {series.cards.protagonist}:
            continue
        if ending.script.turns and not used_turns & set(ending.script.turns):
            continue
        if (
            "any" not in ending.script.places
            and not ending.roles.people
            and scene.place not in ending.script.places
        ):
            continue
        if not truths.allow(situation.needed(ending.needs), situation.number):
            continue
        score = 1.0 + (1.5 if ending.script.turns else 0) + (1.0 if ending.fact == scene.scene.fact else -1.0)
        score += 0.35 * len([n for n in ending.needs if not n.startswith("!")])
        if ending.roles.people and series.written:
            score -= 3.0
        if ending.roles.people and ending.script.head.get("secret", "any") != "any":
            score += 6.0
        if ending.script.id in situation.scripts:
            score -= 2.5
        found.append((score, ending))
    return found


def make_plan(
    series: Series,
    repertoire: Repertoire,
    situation: Situation,
    opening: Opening | None,
    chance: Chance,
    *,
    scenes: int,
    genres: frozenset[str],
    sample: bool = True,
    narrow: bool = True,
) -> Plan:
    """The chain to play. `scenes` full scenes after the opening (or after a first `find`).

    With `sample` off the best-scored chain is taken; on, one of the best few, by chance. `narrow` looks at the facts
    at hand first where the general library is played. Raises `NoPlan`.
    """
    pool = [s for s in repertoire.scenes if s.id not in situation.played]
    known: dict[tuple[str, Truths], list[PlayableScene]] = {}

    def possible(focus: str, truths: Truths) -> list[PlayableScene]:
        if (focus, truths) not in known:
            near = {focus, opening.ending.fact if opening else focus}
            allowed = [s for s in pool if truths.allow(situation.needed(s.needs), situation.number)]
            if not series.written and narrow:
                close = [s for s in allowed if s.fact in near]
                close = [s for s in close if s.special and s.script.id not in situation.scripts] or close
                fresh = [s for s in close if s.script.id not in situation.scripts]
                allowed = fresh or [s for s in allowed if s.script.id not in situation.scripts] or close
            known[focus, truths] = allowed
        return known[focus, truths]

    found: list[Plan] = []
    for attempt in range(CHAINS if situation.number > 1 else 3 * CHAINS):
        focus = _focus(series, situation, opening, chance, attempt)
        plan = _chain(
            series,
            repertoire,
            partial(possible, focus),
            situation,
            opening,
            focus,
            chance,
            attempt,
            scenes,
            genres,
        )
        if plan is not None:
            found.append(plan)
    if not found and narrow and not series.written:
        return make_plan(
            series,
            repertoire,
            situation,
            opening,
            chance,
            scenes=scenes,
            genres=genres,
            sample=sample,
            narrow=False,
        )
    if not found and scenes > 1:
        return make_plan(
            series, repertoire, situation, opening, chance, scenes=scenes - 1, genres=genres, sample=sample
        )
    if not found:
        raise NoPlan(f"{series.bible.title}: no scene can be played in episode {situation.number}")
    found.sort(key=lambda plan: (-plan.score, [p.scene.id for p in plan.scenes], plan.ending.id))
    if not sample:
        return found[0]
    best = list({tuple(p.scene.id for p in plan.scenes): plan for plan in reversed(found)}.values())
    best.sort(key=lambda plan: (-plan.score, [p.scene.id for p in plan.scenes]))
    boldness = BOLDNESS * (4 if situation.number == 1 else 1)
    return _walk(best, [math.exp((p.score - best[0].score) / boldness) for p in best], situation.seed, chance)


def _chain(
    series: Series,
    repertoire: Repertoire,
    possible: Callable[[Truths], list[PlayableScene]],
    situation: Situation,
    opening: Opening | None,
    focus: str,
    chance: Chance,
    attempt: int,
    scenes: int,
    genres: frozenset[str],
) -> Plan | None:
    truths = situation.truths
    fresh: frozenset[str] = frozenset(opening.choice.gives) if opening else frozenset()
    chain: list[PlannedScene] = []
    score = 0.0
    slots = scenes + (1 if opening is None else 0)
    where = [opening.place] if opening else []
    time = opening.time if opening else None
    for step in range(slots):
        last = step == slots - 1
        used = {p.scene.script.id for p in chain}
        options = []
        weights = []
        for scene in possible(truths):
            if scene.script.id in used:
                continue
            weight = _weight(series, scene, chain, opening, focus, fresh, situation, genres, last, slots)
            if weight > 0:
                options.append(scene)
                weights.append(weight)
        if not options:
            if step == slots - 1 and step > 0 and series.cards.protagonist in chain[-1].scene.people:
                break
            return None
        keyed = [
            (HEED if situation.number > 1 else FIRST_HEED) * math.log(w)
            + _gumbel(chance.roll("step", attempt, step, s.id))
            for s, w in zip(options, weights, strict=True)
        ]
        index = max(range(len(options)), key=lambda i: (keyed[i], options[i].id))
        scene = options[index]
        score += math.log(weights[index] + 0.05)
        links = _links(scene, fresh)
        score += 1.2 * min(2, links)
        place = _place(series, scene, where, [p.place for p in chain], chance)
        time = _time(scene, time, last, chance)
        chain.append(PlannedScene(scene, place, time, links))
        where.append(place)
        truths = truths.after(scene.gives)
        fresh = fresh | frozenset(scene.gives)
    endings = _endings(repertoire, series, chain[-1], truths, situation)
    if not endings:
        return None
    value, ending = max(
        endings, key=lambda pair: (pair[0] + 3.0 * chance.roll("ending", attempt, pair[1].id), pair[1].id)
    )
    score += (
        value + 0.6 * len({p.place for p in chain}) + 0.5 * len({q for p in chain for q in p.scene.people})
    )
    cues = sum(p.scene.talk[0] for p in chain)
    words = sum(p.scene.talk[1] for p in chain)
    score -= 150 * max(0.0, TALK - cues / max(1.0, words))
    score += 1.5 * chance.roll("chain", attempt)
    return Plan(opening, tuple(chain), ending, focus, truths, score)
