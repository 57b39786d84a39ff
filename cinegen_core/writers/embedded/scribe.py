"""Writes one planned scene: which beats are played, in which of their variants, in whose words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from cinegen_core.engines.format.genre_mastery import EXPECTATION
from cinegen_core.engines.genre.horror import DREAD
from cinegen_core.engines.genre.mystery import EVIDENCE
from cinegen_core.engines.genre.romance_chemistry import ADMISSION, TOUCH
from cinegen_core.engines.reading import is_formal, is_round, says_stake, tension
from cinegen_core.story import Action, Dialogue, Scene
from cinegen_core.story.words import content_words
from cinegen_core.writers.embedded.cards import Person, Series
from cinegen_core.writers.embedded.chance import Chance
from cinegen_core.writers.embedded.grammar import expand_contractions, tidy
from cinegen_core.writers.embedded.memory import keys_of
from cinegen_core.writers.embedded.notation import Alternative, BeatScript, Lines, Turn
from cinegen_core.writers.embedded.orders import Orders, Wish
from cinegen_core.writers.embedded.playable import Roles
from cinegen_core.writers.embedded.speech import OpenSlot, Stage

Element = Action | Dialogue


@dataclass
class Ledger:
    """What this episode has used so far; thrown away with the episode, its sum goes into `Memory`."""

    said: set[str]
    pools: dict[str, int]
    seen: list[str]
    planted: set[str]
    runner: int = 0
    shown: set[str] = field(default_factory=set)
    fresh: set[str] = field(default_factory=set)

    def spent(self, text: str) -> int:
        """How many sentences of this text have been said before in the season."""
        return sum(1 for key in keys_of(text) if key in self.said)

    def commit(self, elements: Iterable[Element]) -> None:
        for element in elements:
            for key in keys_of(element.text):
                self.said.add(key)
                self.fresh.add(key)


@dataclass(frozen=True)
class Segment:
    """A scene's beats with what the scribe must know to write them."""

    index: int
    beats: tuple[BeatScript, ...]
    roles: Roles
    people: tuple[str, ...]
    place: str
    time: str
    last: bool
    fact: str


@dataclass(frozen=True)
class Pick:
    beat: BeatScript
    variant: int
    elements: tuple[Element, ...]
    score: float

    @property
    def first(self) -> str | None:
        return next((e.speaker for e in self.elements if isinstance(e, Dialogue)), None)

    @property
    def last(self) -> str | None:
        return next((e.speaker for e in reversed(self.elements) if isinstance(e, Dialogue)), None)


VARIETY = 2.0
"""How much chance has to say in choosing among variants, beside what the engines prefer."""

BREVITY = 0.12
"""How much each word of mean speech length above eight counts against a variant: speeches should run to 5 to 10 words."""

_FLAT = (
    (
        r"^(Well|Oh|Ah|Right|Now then|Now|Look|Listen|Aye|Yeah|No|Yes|Honest to God|So|And|But|Because|God)[,.!] (?=\S)",
        "",
    ),
    # Only what a comma sets off is a form of address; "your friend." is what the sentence is about.
    (r", (love|lass|darling|dear|pet|mate|skipper|sir|madam|miss|my dear|man|son|friend)(?=[.?!,])", ""),
    (r"\b(Yeah|Aye|Yep)\b", "Yes"),
    (r"\b(?:an? )?(?:sort|kind) of (?=an? )", ""),
    (r"(?<!what )(?<!What )(?<!this )(?<!that )(?<!the )(?<!some )(?<!any )(?<!a )\b(?:sort|kind) of ", ""),
    (r"\b(like,|you know,|I mean,) ?", ""),
    (r"!", "."),
)


def flatten(text: str) -> str:
    """A speech with its manner taken out: no fillers, no forms of address, no exclamations, full forms."""
    for pattern, replacement in _FLAT:
        text = re.sub(pattern, replacement, text)
    return tidy(expand_contractions(text)) or text


class Scribe:
    """Writes scenes one after the other; `ledger` remembers what has been used.

    `lean` above 0 prefers short variants (a script that came out too long), below 0 those with more speeches.
    """

    def __init__(
        self, series: Series, orders: Orders, chance: Chance, ledger: Ledger, lean: float = 0.0
    ) -> None:
        self.lean = lean
        self.series = series
        self.orders = orders
        self.chance = chance
        self.ledger = ledger

    # -- lines ---------------------------------------------------------------------------------------------------

    def _option(
        self, turn: Turn, person: Person | None, stage: Stage, key: tuple[object, ...]
    ) -> Alternative:
        """The alternative to use: in the speaker's voice where voices are wanted, unsaid before, else by chance."""
        options = list(turn.options)
        voiced = [o for o in options if o.register]
        if voiced and person is not None:
            own = [o for o in voiced if o.register == person.card.manner]
            neutral = [o for o in options if not o.register]
            options = (own or neutral) if self.orders.voices else neutral
        options = options or list(turn.options)

        def worth(option: Alternative) -> float:
            try:
                return -4.0 * self.ledger.spent(stage.fill(option.text))
            except OpenSlot:
                return -50.0

        return self.chance.best(options, worth, 1.0, *key, turn.number)

    def _element(self, turn: Turn, segment: Segment, key: tuple[object, ...]) -> Element:
        stage = Stage(self.series, segment.roles, segment.place)
        if turn.who is None:
            return Action(text=stage.fill(self._option(turn, None, stage, key).text))
        person = self.series.people[segment.roles.person(turn.who)]
        listener = next(
            (segment.roles.person(p) for p in segment.people if segment.roles.person(p) != person.key), ""
        )
        stage = Stage(self.series, segment.roles, segment.place, person.key, listener)
        option = self._option(turn, person, stage, key)
        text = stage.fill(option.text)
        if not self.orders.voices:
            text = flatten(text)
        elif self.orders.contractions and self._formal(person):
            text = tidy(expand_contractions(text))
        parenthetical = stage.fill(option.parenthetical) if option.parenthetical else None
        if parenthetical and option.parenthetical and option.parenthetical[0].islower():
            parenthetical = parenthetical[0].lower() + parenthetical[1:]
        return Dialogue(
            speaker=person.cue, text=text, parenthetical=parenthetical, extension=option.extension
        )

    def _formal(self, person: Person) -> bool:
        voice = next(c.voice for c in self.series.bible.characters if c.name == person.full)
        return is_formal(voice) or (not self.series.written and person.card.manner == "formal")

    def lines(self, lines: Lines, segment: Segment, *key: object) -> tuple[Element, ...]:
        """All lines of a script in order. Raises `OpenSlot`."""
        return tuple(self._element(turn, segment, key) for turn in lines)

    # -- beats ---------------------------------------------------------------------------------------------------

    def picks(self, beat: BeatScript, segment: Segment) -> list[Pick]:
        """The variants of a beat that can be played here, best first."""
        found = []
        for number, variant in enumerate(beat.variants):
            key = (segment.index, segment.roles.key, beat.number, number)
            try:
                elements = self.lines(variant, segment, *key)
            except OpenSlot:
                continue
            spoken = [e for e in elements if isinstance(e, Dialogue)]
            score = VARIETY * self.chance.roll("variant", *key)
            score -= 1.5 * sum(self.ledger.spent(e.text) for e in spoken)
            score -= 0.5 * sum(self.ledger.spent(e.text) for e in elements if isinstance(e, Action))
            score += self._preference(elements, spoken, segment)
            found.append(Pick(beat, number, elements, score))
        return sorted(found, key=lambda pick: (-pick.score, pick.variant))

    def _preference(self, elements: Sequence[Element], spoken: Sequence[Dialogue], segment: Segment) -> float:
        """How well a variant serves its length and what the engines asked for."""
        score = 0.0
        if self.lean > 0:
            score -= self.lean * sum(len(e.text.split()) for e in elements) / 8
        elif self.lean < 0:
            score -= self.lean * len(spoken)
        if spoken:
            length = sum(len(e.text.split()) for e in spoken) / len(spoken)
            score -= BREVITY * max(0.0, length - 8)
        if self.orders.rising and spoken:
            score += (0.8 if segment.last else -0.3) * tension(
                Scene(slugline="", seconds=0, elements=tuple(elements))
            )
        if self.orders.conflict:
            score += 0.6 * sum(
                is_round(left.text, right.text)
                for left, right in pairwise(spoken)
                if left.speaker != right.speaker
            )
        if segment.index in self.orders.stakes:
            score += 0.8 * sum(says_stake(e.text) for e in spoken)
        if self.orders.twists:
            score += 0.9 * sum(bool(EXPECTATION.search(e.text)) for e in elements)
        if self.orders.evidence:
            score += 0.5 * sum(bool(EVIDENCE.search(e.text)) for e in elements if isinstance(e, Action))
        if self.orders.dread:
            score += 0.6 * sum(bool(DREAD.search(e.text)) for e in elements if isinstance(e, Action))
        if self.orders.closeness:
            score += 0.6 * sum(bool(TOUCH.search(e.text)) for e in elements if isinstance(e, Action))
            score += 0.5 * sum(bool(ADMISSION.search(e.text)) for e in spoken)
        if self.orders.terms:
            score += 0.7 * len(content_words(" ".join(e.text for e in spoken)) & self.orders.terms)
        if spoken and self.orders.fast == segment.index:
            score -= 0.06 * sum(len(e.text.split()) for e in spoken) / len(spoken)
        if spoken and self.orders.slow == segment.index:
            score += 0.06 * sum(len(e.text.split()) for e in spoken) / len(spoken)
        return score

    def arrange(
        self,
        beats: Sequence[BeatScript],
        segment: Segment,
        before: str | None = None,
        then: str | None = None,
    ) -> list[Pick]:
        """One variant for each beat so that nobody speaks twice running; optional beats give way where that fails.

        `before` is the cue that has just spoken, `then` the one that speaks next, after these beats.
        """
        table = [(beat, self.picks(beat, segment)) for beat in beats]
        table = [(beat, picks) for beat, picks in table if picks]
        for _ in range(len(table) + 1):
            answer = _search(table, before, then) or _search(table, before, None)
            if answer is not None:
                return answer
            spare = [i for i, (beat, _) in enumerate(table) if beat.optional]
            spare = spare or [i for i, (beat, _) in enumerate(table) if beat.kind in ("press", "open")]
            if not spare:
                break
            worst = min(spare, key=lambda i: self._worth(table[i][0], segment))
            table.pop(worst)
        return [picks[0] for _, picks in table]

    def _worth(self, beat: BeatScript, segment: Segment) -> float:
        wish = self.orders.wants(segment.index, beat.kind)
        return wish.worth if wish else 0.0

    # -- pools ---------------------------------------------------------------------------------------------------

    def pool(self, name: str, options: Sequence[str], *key: object) -> str | None:
        """A line from a pool, the least used first; None when the pool is empty or all of it was said."""
        if not options:
            return None

        def worth(option: str) -> float:
            return -6.0 * self.ledger.pools.get(f"{name}|{option[:40]}", 0) - 2.0 * self.ledger.spent(option)

        choice = self.chance.best(options, worth, 1.0, "pool", name, *key)
        if choice in self.ledger.shown or (self.ledger.spent(choice) and keys_of(choice)):
            return None
        self.ledger.shown.add(choice)
        self.ledger.pools[f"{name}|{choice[:40]}"] = self.ledger.pools.get(f"{name}|{choice[:40]}", 0) + 1
        return choice


def _search(
    table: Sequence[tuple[BeatScript, list[Pick]]], before: str | None, then: str | None
) -> list[Pick] | None:
    """Depth first, best variants first: the first arrangement without two cues running by one speaker."""
    chosen: list[Pick] = []

    def step(index: int, last: str | None) -> bool:
        if index == len(table):
            return then is None or last != then
        for pick in table[index][1]:
            if pick.first is not None and pick.first == last:
                continue
            chosen.append(pick)
            if step(index + 1, pick.last or last):
                return True
            chosen.pop()
        return False

    return chosen if step(0, before) else None


def words(elements: Iterable[Element]) -> int:
    return sum(len(e.text.split()) for e in elements)


def wished(beats: Sequence[BeatScript], wishes: Sequence[Wish]) -> Iterator[tuple[Wish, BeatScript]]:
    """The optional beats of a scene that are wanted, each with the wish that wants it most."""
    for beat in beats:
        if not beat.optional:
            continue
        fitting = [
            w
            for w in wishes
            if w.beat == beat.kind
            and (beat.kind != "motif" or not w.argument or not beat.argument or w.argument == beat.argument)
        ]
        if beat.kind == "motif":
            fitting = [w for w in fitting if w.inverted == beat.inverted]
        if fitting:
            yield max(fitting, key=lambda w: w.worth), beat
