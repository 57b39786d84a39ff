"""The last resort: three short scenes that any bible can be put into, without model, network or disk.

One found paper, one question, three ways on. Its lines stand in this file and not in one beside it, since
reading a file can fail. It carries out no directives: what it writes is the same with and without engines.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import ClassVar

from cinegen_core.engines.base import Directive
from cinegen_core.story import (
    Action,
    Beat,
    Change,
    Character,
    Choice,
    Dialogue,
    Draft,
    Element,
    Episode,
    EpisodeRequest,
    Knowledge,
    Outline,
    Policy,
    Relationship,
    Scene,
    SceneOutline,
    StoryState,
    Thread,
)
from cinegen_core.writers.base import Desk

TITLES = ("The Paper", "One Sentence", "Under the Name", "Folded Twice", "Who Writes Like That", "By Hand")

ARRIVALS = (
    ("You're late.", "You told me to wait until they'd gone."),
    ("I thought you'd turned back.", "I did. Then I turned round again."),
    ("You took the long way.", "It's the only one without people on it."),
)
FINDS = (
    ("Somebody pushed this under my door.", "Who?", "There's no name on it. Only yours."),
    ("This was in my coat. I didn't put it there.", "Then who did?", "Ask the other name on it. It's yours."),
    ("I found this where I keep my keys.", "What is it?", "A paper, folded twice. With your name outside."),
)
REFUSALS = (
    ("If it has my name on it, it's mine.", "It was left for me. I'll read it first."),
    ("Give it here.", "When I know what I'd be giving."),
    ("Then hand it over, unopened.", "You'd have asked what it says, if you didn't know."),
)
WITNESSED = (
    ("Did you write this?", "I'd have signed it.", "Who's been asking about it?", "{other}. Twice, today."),
    (
        "Whose writing is this?",
        "Nobody's. That's somebody hiding a hand.",
        "Has anyone else seen it?",
        "{other} was looking for it.",
    ),
    (
        "Were you at my door last night?",
        "No. But I saw who was.",
        "Who?",
        "{other}. For a long time, without knocking.",
    ),
)
BARGAINS = (
    (
        "What would you take for it?",
        "What's it worth to you?",
        "More than I'd like you to know.",
        "Now I do know.",
    ),
    (
        "Put a price on it.",
        "I haven't opened it yet.",
        "That's when it's cheapest.",
        "Then I can't afford to sell.",
    ),
    (
        "We could burn it, you and I.",
        "Why would you want that?",
        "So that it's over.",
        "So something has begun.",
    ),
)
READINGS = (
    ("Don't read it here.", "So you know what it says.", "I know who'd write it."),
    ("Leave it folded. Please.", "You've never said please to me.", "I've never had to."),
    ("Last chance to give it back.", "It's already open.", "Then read it to the end."),
)
ANSWERS = (
    ("Is it true?", "Who else has seen it?", "That isn't a no."),
    ("Tell me it's a lie.", "What would you do, if I couldn't?", "I'd have to choose."),
    ("How long?", "Longer than you've been asking.", "And you'd never have told me."),
)


class TemplateWriter:
    """Writes from the bible alone. The same request gives the same episode."""

    name: ClassVar[str] = "template"
    profile: ClassVar[str] = "template"

    async def draft(self, request: EpisodeRequest, policy: Policy, desk: Desk) -> Draft:
        """The whole of it: about 250 words, which play in about two minutes whatever `minutes` asks for."""
        return _Page(request).draft()

    async def synthesise(
        self,
        request: EpisodeRequest,
        policy: Policy,
        draft: Draft,
        directives: Sequence[Directive],
        desk: Desk,
    ) -> Episode:
        """The draft's episode as it is."""
        return draft.episode

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
        """The episode as it is."""
        return episode


class _Page:
    """One request being written."""

    def __init__(self, request: EpisodeRequest) -> None:
        self.request = request
        self.bible = request.bible
        self.rng = random.Random(f"template {request.seed} {request.number}")  # noqa: S311 (a story, not a secret)
        self.before = request.state or StoryState(series=self.bible.title)
        self.lead = self.bible.characters[0]
        self.other = self._opponent()
        rest = [person for person in self.bible.characters if person not in (self.lead, self.other)]
        self.third = self.rng.choice(rest) if rest else None
        self.a, self.b = self.bible.cue(self.lead), self.bible.cue(self.other)
        self.lead_name, self.other_name = self.lead.short, self.other.short
        self.paper = _secret_of(self.other)

    def _opponent(self) -> Character:
        """Somebody else, in turn; first those whose secret the lead does not know."""
        others = self.bible.characters[1:]
        cue = self.bible.cue(self.lead)
        unknown = [p for p in others if p.secret and not self.before.knows(cue, p.secret)]
        pool = unknown or list(others)
        return pool[(self.request.number - 1) % len(pool)]

    def draft(self) -> Draft:
        scenes = (self._first(), self._second(), self._third())
        outlines = tuple(
            SceneOutline(
                location=scene.slugline, slugline=scene.slugline, seconds=scene.seconds,
                people=scene.speakers, wants=wants, block=block, turn=turn, tension=tension,
                subject="the paper", holder=self.b, reveals=reveals,
            )
            for scene, (wants, block, turn, reveals, tension) in zip(scenes, self._turns(), strict=True)
        )  # fmt: skip
        question = f"What does {self.lead_name} do?"
        episode = Episode(
            series=self.bible.title,
            number=self.request.number,
            title=self.rng.choice(TITLES),
            logline=f"{self.lead.name} is left a paper with {_possessive(self.other_name)} name on it.",
            synopsis=" ".join(turn for _, _, turn, _, _ in self._turns()),
            scenes=scenes,
            question=question,
            choices=self._choices(),
            rundown=self._rundown(scenes),
            state=self._state(),
        )
        return Draft(outline=Outline(protagonist=self.a, question=question, scenes=outlines), episode=episode)

    def _turns(self) -> tuple[tuple[str, str, str, bool, float], ...]:
        a, b = self.lead_name, self.other_name
        asked = self.third.short if self.third else b
        return (
            (f"{a} wants to know why the paper names {b}.", f"{b} wants it back unread.",
             f"{a} keeps a paper that names {b}.", False, 4.0),
            (f"{a} wants to know who wrote it.", "Nobody owns up to it.",
             f"{a} learns from {asked} how much {b} wants it.", False, 5.0),
            (f"{a} wants the truth of it.", f"{b} will not say yes or no.",
             f"{a} reads it in front of {b}, who does not deny it.", True, 7.0),
        )  # fmt: skip

    def _first(self) -> Scene:
        a, b = self.lead_name, self.other_name
        taken = self.request.taken
        opening: list[Element] = []
        if taken is not None:
            opening.append(
                Action(text=f"On screen: Last time. {_sentence(taken.label)} {_sentence(taken.consequence)}")
            )
        elif self.bible.premise:
            opening.append(Action(text=f"On screen: {_sentence(self.bible.premise)}"))
        opening += [
            Action(text=f"On screen: {_want(self.lead)}"),
            Action(text=f"{a} is waiting, one hand in a pocket. {b} stops a few steps away."),
        ]
        find = self.rng.choice(FINDS)
        return self._scene(
            0, opening,
            self._talk(self.a, self.b, self.rng.choice(ARRIVALS)),
            [Action(text=f"{a} takes out a paper, folded twice. {_possessive(b)} name is on it.")],
            self._talk(self.a, self.b, find),
            self._talk(self.b, self.a, self.rng.choice(REFUSALS)),
            [Action(text=f"{a} puts it away again. {b} watches the pocket.")],
        )  # fmt: skip

    def _second(self) -> Scene:
        a, b = self.lead_name, self.other_name
        show = Action(text=f"On screen: {_want(self.other)}")
        if self.third is None:
            start = Action(text=f"{b} has been standing here for a while. {a} sees it too late.")
            end = Action(text=f"{a} walks past. {b} counts the steps.")
            talk = self._talk(self.b, self.a, self.rng.choice(BARGAINS))
            return self._scene(1, [show, start], talk, [end])
        start = Action(text=f"{a} lays the paper down, folded, in front of {self.third.short}.")
        end = Action(text=f"{self.third.short} pushes it back with one finger.")
        lines = tuple(line.replace("{other}", self.other_name) for line in self.rng.choice(WITNESSED))
        return self._scene(1, [show, start], self._talk(self.a, self.bible.cue(self.third), lines), [end])

    def _third(self) -> Scene:
        a, b = self.lead_name, self.other_name
        return self._scene(
            2,
            [Action(text=f"Nobody else is here. {a} holds the paper to the light. {b} sees which.")],
            self._talk(self.b, self.a, self.rng.choice(READINGS)),
            [Action(text=f"{a} unfolds it. {_possessive(b)} name stands at the top. {self.paper}")],
            self._talk(self.a, self.b, self.rng.choice(ANSWERS)),
            [Action(text=f"{b} holds out a hand for the paper. {a} has not let go of it.")],
        )  # fmt: skip

    @staticmethod
    def _talk(starts: str, answers: str, lines: Sequence[str]) -> list[Element]:
        return [Dialogue(speaker=(starts, answers)[turn % 2], text=line) for turn, line in enumerate(lines)]

    def _scene(self, index: int, *parts: Sequence[Element]) -> Scene:
        elements = tuple(element for part in parts for element in part)
        words = sum(len(element.text.split()) for element in elements)
        return Scene(slugline=self._slugline(index), seconds=15 + words // 3, elements=elements)

    def _slugline(self, index: int) -> str:
        when = ("DAY", "DUSK", "NIGHT")[index]
        if not self.bible.locations:
            return ("INT. A ROOM WITH ONE DOOR", "EXT. THE WAY BACK", "INT. THE SAME ROOM")[
                index
            ] + f" - {when}"
        places = self.bible.locations
        place = places[(self.request.number - 1 + index) % len(places)]
        return f"{'INT.' if place.interior else 'EXT.'} {place.name.upper()} - {when}"

    def _choices(self) -> tuple[Choice, Choice, Choice]:
        a, b = self.lead_name, self.other_name
        c = self.third.short if self.third else None
        other_way = (
            (
                f"Take it to {c}.",
                f"{c} will have to stand on one side, and {b} will see which.",
                "alone / together",
            )
            if c
            else (
                f"Burn it, with {b} looking on.",
                "Nobody can prove it afterwards, whoever needs to.",
                "proof / peace",
            )
        )
        ways = (
            (
                f"Ask {b} for all of it, here and now.",
                f"{b} can never again think that {a} does not know.",
                "truth / trust",
            ),
            (
                "Fold it up again and say nothing.",
                "Whoever wrote it will try the next person.",
                "silence / safety",
            ),
            other_way,
        )
        ids = ("a", "b", "c")
        return tuple(  # type: ignore[return-value]
            Choice(id=id, label=label, consequence=cost, canonical=id == "a", axis=axis, anchor="the paper")
            for id, (label, cost, axis) in zip(ids, ways, strict=True)
        )

    @staticmethod
    def _rundown(scenes: Sequence[Scene]) -> tuple[Beat, ...]:
        starts = [sum(scene.seconds for scene in scenes[:index]) for index in range(len(scenes))]
        return tuple(
            Beat(start=start, seconds=scene.seconds, text=scene.slugline)
            for start, scene in zip(starts, scenes, strict=True)
        )

    def _state(self) -> StoryState:
        a, b = self.lead_name, self.other_name
        before, number = self.before, self.request.number
        knowledge = before.knowledge
        if self.other.secret and before.knows(self.a, self.other.secret) < 2:
            knowledge += (
                Knowledge(
                    who=self.a, what=self.other.secret, level=2, episode=number, how="read it on a paper"
                ),
            )
        trust = {(bond.who, bond.towards): bond.trust for bond in before.relationships}
        trust[(self.a, self.b)] = max(-3, trust.get((self.a, self.b), 0) - 1)
        question = "Who wrote the paper?"
        threads = before.threads
        if question not in {thread.question for thread in threads}:
            threads += (Thread(question=question, opened=number),)
        changes = before.changes
        if self.request.taken is not None:
            changes += (Change(episode=number - 1, text=_sentence(self.request.taken.label)),)
        read = f"{a} read a paper with {_possessive(b)} name on it."
        return StoryState(
            series=self.bible.title,
            episode=number,
            knowledge=knowledge,
            relationships=tuple(
                Relationship(who=who, towards=towards, trust=value) for (who, towards), value in trust.items()
            ),
            things=before.things,
            threads=threads,
            changes=(*changes, Change(episode=number, text=read)),
            offered=self._choices(),
            memory=before.memory,
        )


def _possessive(name: str) -> str:
    return f"{name}'" if name.casefold().endswith("s") else f"{name}'s"


def _sentence(text: str) -> str:
    words = text.strip()
    return words if not words or words[-1] in ".!?…" else f"{words}."


def _want(person: Character) -> str:
    """The want as a caption; bibles say "to leave", "a way out", "She wants to leave", or nothing."""
    want = person.want.strip()
    if not want:
        return f"{person.name}."
    if (
        re.match(r"(i|you|she|he|they|it|we|wants?)\b", want, re.IGNORECASE)
        or want.split()[0] in person.name.split()
    ):
        return f"{person.name}: {_sentence(want)}"
    if want.startswith(("To ", "A ", "An ")):
        want = want[0].lower() + want[1:]
    return f"{person.name} wants {_sentence(want)}"


def _secret_of(person: Character) -> str:
    if not person.secret:
        return "Under it, nothing. Somebody meant to go on, and stopped."
    return f'Under it, in another hand: "{_sentence(person.secret)}"'
