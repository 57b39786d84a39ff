"""What is round the beats: the place and its weather, people passing, small touches, the hook."""

from __future__ import annotations

import re

from cinegen_core.engines.world.world_building import SMELL
from cinegen_core.story import Action
from cinegen_core.writers.embedded.grammar import PRONOUNS
from cinegen_core.writers.embedded.notation import HookScript
from cinegen_core.writers.embedded.orders import Orders, Touch
from cinegen_core.writers.embedded.scribe import Element, Scribe, Segment
from cinegen_core.writers.embedded.speech import OpenSlot
from cinegen_core.writers.embedded.tokens import Truths
from cinegen_core.writers.embedded.work import Work, segments


class Setting:
    """Writes what is round the beats of a scene, for one episode. `granted` are the kinds of optional beats that are played in it."""

    def __init__(self, work: Work, orders: Orders, scribe: Scribe, granted: frozenset[str]) -> None:
        self.work = work
        self.orders = orders
        self.scribe = scribe
        self.ledger = scribe.ledger
        self.granted = granted
        self.last = len(segments(work.plan))

    def frame(self, segment: Segment) -> list[Element]:
        """What a viewer sees before anybody speaks: the place, its weather, sound and smell."""
        place = self.work.series.cards.places[segment.place]
        first = self.scribe.pool("ambience:" + segment.place, place.ambience, segment.index)
        parts = [first] if first else []
        if not place.interior:
            weather = self.scribe.pool("weather", self.work.series.cards.weather, segment.index)
            if weather and segment.index in self.orders.senses and not _has_weather(segment):
                parts.insert(0, weather)
        lent = (
            not self.work.series.written and segment.index > 1
        )  # the general library's lines are few: once is enough
        if segment.index in self.orders.senses and not lent:
            senses = [("smells", place.smells), ("sounds", place.sounds)]
            for name, options in senses[:1] if segment.index == min(2, self.last) else senses[1:]:
                line = self.scribe.pool(f"{name}:{segment.place}", options, segment.index)
                if line:
                    line = line if line.endswith((".", "!", "?")) else line + "."
                    parts.append(_as_smell(line) if name == "smells" else line)
        found: list[Element] = [Action(text=" ".join(parts))] if parts else []
        threads = self.work.series.bible.threads
        if (
            not self.work.series.written
            and threads
            and (self.work.request.number, segment.index) == (1, min(2, self.last))
        ):
            found.append(Action(text=f'Chalked up where everyone has to pass: "{threads[0]}"'))
        return found

    def idle(self, segment: Segment) -> list[Element]:
        """A day that goes on without what was chosen."""
        place = self.work.series.cards.places[segment.place]
        found: list[Element] = []
        for key in segment.people[:2]:
            habit = self.scribe.pool("business:" + segment.place, place.business, key)
            if habit:
                found.append(Action(text=f"{self.work.series.people[key].name} {habit.rstrip('.')}."))
        return found

    def background(self, segment: Segment, *, late: bool) -> list[Element]:
        """Somebody outside the cast: there when a scene begins, gone when it ends."""
        if segment.index not in self.orders.background:
            return []
        cards = [b for b in self.work.series.cards.background if not b.at or segment.place in b.at]
        if not cards:
            return []
        card = self.work.chance.best(
            cards, lambda c: -6.0 * self.ledger.pools.get("bg|" + c.who, 0), 1.0, "background", segment.index
        )
        if not late:
            return [Action(text=f"{card.enters} {card.business}")]
        self.ledger.pools["bg|" + card.who] = self.ledger.pools.get("bg|" + card.who, 0) + 1
        return [Action(text=card.leaves)]

    def touches(self, segment: Segment, played: set[str], *, late: bool) -> list[Element]:
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
            steps = cards.runner
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
        line = options[
            int(self.work.chance.roll(touch.section, touch.name) * len(options))
        ]  # the same pair both times
        for role, person in (("A", first), ("B", second)):
            if person:
                he, him, his, _, _ = PRONOUNS[series.people[person].subject]
                line = line.replace(f"{{{role}}}", series.people[person].name).replace(f"{{{role}.his}}", his)
                line = line.replace(f"{{{role}.him}}", him).replace(f"{{{role}.he}}", he)
        return [Action(text=line)]

    def hook(self, segment: Segment, truths: Truths) -> list[Element]:
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
            if fits and truths.allow((segment.roles.token(t) for t in hook.needs), number):
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


def _as_smell(line: str) -> str:
    """A fragment such as "Wet rope." said as what it is; a whole sentence stays."""
    if (
        SMELL.search(line)
        or len(line.split()) > 6
        or re.match(r"^(The|A|An|It|There|Somebody|Something|Everything|No)\b", line)
    ):
        return line
    return f"A smell of {line[:1].lower()}{line[1:]}"
