"""Looks for contradictions in a season, from scripts and states alone: it knows no writer and no plan."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from cinegen_core.story import Action, Dialogue, Episode, StoryBible
from cinegen_core.story.model import Noun

_STOP = frozenset(
    [
        "the",
        "and",
        "that",
        "this",
        "with",
        "from",
        "what",
        "who",
        "where",
        "when",
        "why",
        "how",
        "was",
        "were",
        "has",
        "had",
        "have",
        "did",
        "does",
        "not",
        "but",
        "for",
        "you",
        "your",
        "his",
        "her",
        "their",
        "they",
        "them",
        "there",
        "here",
        "into",
        "out",
        "about",
        "which",
        "would",
        "could",
        "been",
        "being",
        "than",
        "then",
        "its",
        "it's",
        "she",
        "him",
    ]
)


class Contradiction(Noun):
    episode: int
    what: str


def _words(text: str) -> frozenset[str]:
    found = set()
    for word in re.findall(r"[a-z][a-z'-]{2,}", text.casefold()):
        word = re.sub(r"'s$", "", word)
        if word in _STOP:
            continue
        for ending in ("ing", "ed", "es", "s"):
            if word.endswith(ending) and len(word) - len(ending) >= 3:
                word = word[: -len(ending)]
                break
        found.add(word)
    return frozenset(found)


def contradictions(bible: StoryBible, season: Sequence[Episode]) -> list[Contradiction]:
    """Everything that cannot be true together: strangers who speak, people unseen before they speak, knowledge lost or gained twice,
    clues spoken by those who have not learned them, things in two places or back from where nothing comes back, questions closed and open again."""
    found: list[Contradiction] = []
    cast = bible.cues()
    seen: set[str] = set()
    for index, episode in enumerate(season):
        found += _people(cast, episode, seen)
        before = season[index - 1] if index else None
        found += _state(episode, before)
        if index + 1 <= len(season):
            found += _early_knowledge(bible, episode, before, season)
    return found


def _people(cast: Mapping[str, object], episode: Episode, seen: set[str]) -> list[Contradiction]:
    found = []
    shown = ""
    for scene in episode.scenes:
        shown += " ".join(e.text for e in scene.elements if isinstance(e, Action)).casefold()
        for element in scene.elements:
            if not isinstance(element, Dialogue):
                continue
            if element.speaker not in cast:
                found.append(
                    Contradiction(
                        episode=episode.number, what=f"{element.speaker} speaks and is not in the bible"
                    )
                )
            elif (
                element.speaker not in seen
                and element.speaker.split()[0].casefold() not in shown
                and not element.extension
            ):
                found.append(
                    Contradiction(
                        episode=episode.number,
                        what=f"{element.speaker} speaks before being seen in any scene",
                    )
                )
            seen.add(element.speaker)
    return found


def _state(episode: Episode, before: Episode | None) -> list[Contradiction]:
    found = []
    things = [t.thing for t in episode.state.things]
    for name in sorted({t for t in things if things.count(t) > 1}):
        found.append(Contradiction(episode=episode.number, what=f"{name} is in two places"))
    if before is None:
        return found
    gone = {t.thing for t in before.state.things if t.kind == "gone"}
    for thing in episode.state.things:
        if thing.thing in gone and thing.kind != "gone":
            found.append(
                Contradiction(episode=episode.number, what=f"{thing.thing} is back, and it was gone")
            )
    levels = {(k.who, k.what): k for k in episode.state.knowledge}
    for known in before.state.knowledge:
        now = levels.get((known.who, known.what))
        if now is None or now.level < known.level:
            found.append(
                Contradiction(episode=episode.number, what=f"{known.who} no longer knows: {known.what}")
            )
        elif now.level == known.level and now.episode != known.episode:
            found.append(
                Contradiction(episode=episode.number, what=f"{known.who} learns again: {known.what}")
            )
    closed = {t.question: t.closed for t in before.state.threads if t.closed is not None}
    for thread in episode.state.threads:
        if thread.question in closed and thread.closed != closed[thread.question]:
            found.append(
                Contradiction(
                    episode=episode.number,
                    what=f"closed in episode {closed[thread.question]}, open again: {thread.question}",
                )
            )
    return found


def _early_knowledge(
    bible: StoryBible, episode: Episode, before: Episode | None, season: Sequence[Episode]
) -> list[Contradiction]:
    """Speeches that say a clue nearly whole before the state has the speaker learn it (this episode at the latest)."""
    found = []
    clues = {k.what for ep in season for k in ep.state.knowledge if k.level == 1}
    now = {(k.who, k.what) for k in episode.state.knowledge}
    names = frozenset(w for c in bible.characters for w in _words(c.name))
    for clue in clues:
        wanted = _words(clue) - names
        if len(wanted) < 4:
            continue
        for scene in episode.scenes:
            heard = False
            for element in scene.elements:
                hit = len(wanted & _words(element.text)) >= 0.85 * len(wanted)
                if isinstance(element, Dialogue) and hit and not heard and (element.speaker, clue) not in now:
                    found.append(
                        Contradiction(
                            episode=episode.number,
                            what=f"{element.speaker} says what nobody told them: {clue}",
                        )
                    )
                heard = heard or hit
    return found
