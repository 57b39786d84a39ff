"""What the embedded writer carries from one episode to the next, inside `StoryState.memory`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

from pydantic import Field

from cinegen_core.story import Change, Knowledge, StoryState, Thread, Whereabouts
from cinegen_core.story.model import Noun
from cinegen_core.writers.embedded.cards import Series
from cinegen_core.writers.embedded.tokens import GONE, Truths, is_knowledge, knower

KEY = "embedded"


class Memory(Noun):
    """Plain JSON. `said` holds short hashes of sentences of four words or more; `pools` how often each pool line was used."""

    tokens: tuple[str, ...] = ()
    played: tuple[str, ...] = ()
    ended: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()
    titles: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    pools: dict[str, int] = Field(default_factory=dict)
    planted: tuple[str, ...] = ()
    ending: str = ""
    last_place: str = ""
    runner: int = 0


def sentence_key(sentence: str) -> str | None:
    """A short stable hash of a sentence of four words or more; None for shorter ones, which may come back."""
    words = re.sub(r"[^a-z0-9' ]", "", sentence.casefold()).split()
    if len(words) < 4:
        return None
    return blake2b(" ".join(words).encode(), digest_size=5).hexdigest()


def sentences_of(text: str) -> list[str]:
    return [s for s in re.split(r"(?<=[.?!…])[\"”'’)]*\s+", text) if s.strip()]


def keys_of(text: str) -> list[str]:
    return [key for s in sentences_of(text) if (key := sentence_key(s))]


def recall(state: StoryState | None, series: Series) -> Memory:
    """The writer's notes from the last episode; rebuilt from the state's facts where another writer left it."""
    if state is None:
        return Memory(tokens=tuple(sorted(Truths.at_start(series.cards).holds)))
    raw: Any = state.memory.get(KEY)
    if isinstance(raw, dict):
        return Memory.model_validate(raw)
    tokens = set(Truths.at_start(series.cards).holds)
    by_name = {p.cue: p.key for p in series.people.values()} | {p.full: p.key for p in series.people.values()}
    questions = {fact.question: key for key, fact in series.cards.facts.items()}
    for item in state.knowledge:
        who, what = by_name.get(item.who), questions.get(item.what)
        if who and what and item.level >= 2:
            tokens.add(f"{who}:{what}")
    return Memory(tokens=tuple(sorted(tokens)), seen=tuple(series.people))


def story_state(
    series: Series,
    before: StoryState | None,
    number: int,
    truths: Truths,
    memory: Memory,
    changes: Iterable[str],
) -> StoryState:
    """The public state: who knows what, where things are, which questions are open, what happened."""
    cards = series.cards
    old = before or StoryState(series=series.bible.title)
    since = {(k.who, k.what): k for k in old.knowledge}
    knowledge = []
    for token in sorted(truths.holds):
        if not is_knowledge(token):
            continue
        who, what = knower(token)
        fact, _, clue = what.partition(".")
        if who not in series.people or fact not in cards.facts:
            continue
        card = cards.facts[fact]
        cue = series.people[who].cue
        text = card.clues.get(clue, clue) if clue else card.question
        level = 3 if card.holder == who else 1 if clue else 2
        known = since.get((cue, text))
        episode = known.episode if known else (0 if level == 3 and before is None else number)
        if level == 3 and known is None:
            episode = 0
        knowledge.append(Knowledge(who=cue, what=text, level=level, episode=episode))
    return StoryState(
        series=series.bible.title,
        episode=number,
        knowledge=tuple(knowledge),
        relationships=old.relationships,
        things=tuple(_things(series, truths)),
        threads=tuple(_threads(series, old, number, truths)),
        changes=(*old.changes, *(Change(episode=number, text=text) for text in changes)),
        memory={KEY: memory.model_dump(mode="json")},
    )


def _things(series: Series, truths: Truths) -> list[Whereabouts]:
    things = []
    for token in sorted(truths.holds):
        if is_knowledge(token) or "@" not in token:
            continue
        prop, _, spot = token.partition("@")
        card = series.cards.props.get(prop)
        if card is None:
            continue
        if spot == GONE:
            things.append(Whereabouts(thing=card.name, kind="gone"))
        elif spot in series.people:
            things.append(Whereabouts(thing=card.name, kind="person", where=series.people[spot].cue))
        elif spot in series.cards.places:
            things.append(
                Whereabouts(thing=card.name, kind="place", where=series.cards.places[spot].location)
            )
    return things


def _threads(series: Series, old: StoryState, number: int, truths: Truths) -> list[Thread]:
    pro = series.cards.protagonist
    known = {t.question: t for t in old.threads}
    threads = []
    for key, fact in series.cards.facts.items():
        answered = (
            f"{pro}:{key}" in truths
            if fact.holder != pro
            else any(f"{who}:{key}" in truths for who in series.people if who != pro)
        )
        raised = answered or any(
            knower(t)[1].startswith(f"{key}.") and knower(t)[0] in series.people and knower(t)[0] != fact.holder
            for t in truths.holds if is_knowledge(t)
        )  # fmt: skip
        thread = known.get(fact.question)
        if thread is None and raised:
            thread = Thread(question=fact.question, opened=number)
        if thread is not None and answered and thread.closed is None:
            thread = thread.model_copy(update={"closed": number})
        if thread is not None:
            threads.append(thread)
    for question in series.bible.threads:
        if question not in {t.question for t in threads}:
            threads.append(known.get(question) or Thread(question=question, opened=0))
    return threads
