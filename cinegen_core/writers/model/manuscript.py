"""What a model writes down of an episode, and how that becomes a draft, an episode, and the state it leaves."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import from_json

from cinegen_core.story import (
    Action,
    Beat,
    Change,
    Choice,
    Dialogue,
    Draft,
    Effect,
    Element,
    Episode,
    EpisodeRequest,
    Knowledge,
    Outline,
    Relationship,
    Scene,
    SceneOutline,
    StoryBible,
    StoryState,
    Thread,
)

KNOWN_SPEECHES = 0.5
"""At least this share of speeches must be by people of the bible; below it, the answer is about another series."""

WORDS_A_SECOND = 2.9
"""Where a scene names no running time: the middle of 150 to 230 words of script to a minute is 3.2, less some air."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class LinePart(_Part):
    """One line: who speaks (empty for what is seen and heard), in what manner (mostly empty), and the text."""

    speaker: str
    manner: str
    text: str


class ScenePart(_Part):
    """`tension` from 0 to 10; `subject` is the thing or secret the scene is about, `holder` who keeps it."""

    slugline: str
    seconds: int
    wants: str
    block: str
    turn: str
    subject: str
    holder: str
    reveals: bool
    tension: int
    lines: tuple[LinePart, ...] = Field(min_length=1)


class EffectPart(_Part):
    kind: Literal["knows", "prop", "bond", "flag"]
    subject: str
    value: str


class ChoicePart(_Part):
    label: str = Field(min_length=1)
    consequence: str
    axis: str
    anchor: str
    effects: tuple[EffectPart, ...]


class LearnedPart(_Part):
    who: str
    what: str
    how: str


class BondPart(_Part):
    """`change` of trust from `who` to `towards`: -2 to 2."""

    who: str
    towards: str
    change: int


class Manuscript(_Part):
    """An episode as a model writes it down. The first of the choices is the one that the series goes on with."""

    title: str = Field(min_length=1)
    logline: str
    synopsis: str
    protagonist: str
    question: str
    truth: str
    stake: str
    scenes: tuple[ScenePart, ...] = Field(min_length=2, max_length=12)
    choices: tuple[ChoicePart, ...] = Field(min_length=3, max_length=3)
    learned: tuple[LearnedPart, ...]
    bonds: tuple[BondPart, ...]
    threads_opened: tuple[str, ...]
    threads_closed: tuple[str, ...]
    happened: tuple[str, ...]


class PatchedScene(_Part):
    """The lines of one scene, counted from 1, written anew."""

    scene: int
    lines: tuple[LinePart, ...] = Field(min_length=1)


class Patch(_Part):
    """Only what changes. `choices` is empty where they stay."""

    scenes: tuple[PatchedScene, ...]
    choices: tuple[ChoicePart, ...] = Field(max_length=3)


def as_draft(manuscript: Manuscript, request: EpisodeRequest) -> Draft:
    """Raises `ValueError`, in words for the model, where the answer is not about this series or is no screenplay."""
    bible = request.bible
    names = _names(bible)
    _about_this_series(manuscript, names)
    scenes = tuple(_scene(part, names) for part in manuscript.scenes)
    outlines = tuple(
        SceneOutline(
            location=_place(scene.slugline),
            slugline=scene.slugline,
            people=_people(scene, names),
            wants=part.wants,
            block=part.block,
            turn=part.turn,
            subject=part.subject,
            holder=_known(part.holder, names),
            reveals=part.reveals,
            tension=float(min(10, max(0, part.tension))),
            seconds=scene.seconds,
        )
        for part, scene in zip(manuscript.scenes, scenes, strict=True)
    )
    protagonist = _known(manuscript.protagonist, names) or next(
        (cue for scene in scenes for cue in scene.speakers), bible.cue(bible.characters[0])
    )
    outline = Outline(
        protagonist=protagonist,
        question=manuscript.question,
        truth=manuscript.truth,
        stake=manuscript.stake,
        scenes=outlines,
    )
    return Draft(outline=outline, episode=_episode(manuscript, request, scenes, names))


def as_manuscript(episode: Episode, outline: Outline, before: StoryState | None = None) -> Manuscript:
    """An episode as it would be written down: what a model is shown, and asked to change. `before` is the state it began from."""
    known = {(k.who, k.what) for k in before.knowledge} if before else set()
    was = {(b.who, b.towards): b.trust for b in before.relationships} if before else {}
    return Manuscript(
        title=episode.title,
        logline=episode.logline,
        synopsis=episode.synopsis,
        protagonist=outline.protagonist,
        question=outline.question or episode.question,
        truth=outline.truth,
        stake=outline.stake,
        scenes=tuple(_scene_part(i, scene, outline) for i, scene in enumerate(episode.scenes)),
        choices=tuple(
            _choice_part(choice)
            for choice in sorted(episode.choices, key=lambda choice: not choice.canonical)
        ),
        learned=tuple(
            LearnedPart(who=k.who, what=k.what, how=k.how)
            for k in episode.state.knowledge
            if k.episode == episode.number and k.level < 3 and (k.who, k.what) not in known
        ),
        bonds=tuple(
            BondPart(who=b.who, towards=b.towards, change=b.trust - was.get((b.who, b.towards), 0))
            for b in episode.state.relationships
            if b.trust != was.get((b.who, b.towards), 0)
        ),
        threads_opened=tuple(t.question for t in episode.state.threads if t.opened == episode.number),
        threads_closed=tuple(t.question for t in episode.state.threads if t.closed == episode.number),
        happened=tuple(c.text for c in episode.state.changes if c.episode == episode.number),
    )


def patched(episode: Episode, patch: Patch, bible: StoryBible) -> Episode:
    """The episode with some scenes, and perhaps the choices, written anew. Raises `ValueError` for a scene that is not there."""
    names = _names(bible)
    scenes = list(episode.scenes)
    for part in patch.scenes:
        if not 1 <= part.scene <= len(scenes):
            raise ValueError(f"there is no scene {part.scene}; the episode has {len(scenes)}")
        scenes[part.scene - 1] = scenes[part.scene - 1].model_copy(
            update={"elements": _elements(part.lines, names)}
        )
    changes: dict[str, object] = {"scenes": tuple(scenes)}
    if patch.choices:
        choices = _choices(patch.choices)
        changes |= {"choices": choices, "state": episode.state.model_copy(update={"offered": choices})}
    return episode.model_copy(update=changes)


def text_so_far(answer: str) -> str:
    """What can be read of an answer that is still being written: sluglines, description, speeches."""
    try:
        begun = from_json(answer, allow_partial="trailing-strings")
    except ValueError:
        return ""
    if not isinstance(begun, Mapping):
        return ""
    return "\n\n".join(_readable(begun))


def _readable(begun: Mapping[str, object]) -> Iterator[str]:
    title = begun.get("title")
    if isinstance(title, str) and title:
        yield title
    for scene in _rows(begun.get("scenes")):
        slugline = scene.get("slugline")
        if isinstance(slugline, str):
            yield slugline
        for line in _rows(scene.get("lines")):
            text, speaker = line.get("text"), line.get("speaker")
            if isinstance(text, str) and text:
                yield f"{speaker.upper()}: {text}" if isinstance(speaker, str) and speaker else text


def _rows(value: object) -> Iterator[Mapping[str, object]]:
    if isinstance(value, list):
        yield from (row for row in value if isinstance(row, Mapping))


def _names(bible: StoryBible) -> dict[str, str]:
    """Everything that people of the bible may be called, folded, to their cue."""
    names: dict[str, str] = {}
    for cue, person in bible.cues().items():
        for name in (person.name, person.short, cue):
            names[name.casefold()] = cue
    return names


def _known(name: str, names: Mapping[str, str]) -> str | None:
    return names.get(_bare(name).casefold())


def _bare(speaker: str) -> str:
    return " ".join(re.sub(r"\([^)]*\)", "", speaker).split()).strip(" :.")


def _about_this_series(manuscript: Manuscript, names: Mapping[str, str]) -> None:
    speakers = [line.speaker for scene in manuscript.scenes for line in scene.lines if _bare(line.speaker)]
    if not speakers:
        raise ValueError("nobody speaks; give the speeches a `speaker`")
    known = sum(_known(speaker, names) is not None for speaker in speakers)
    if known < KNOWN_SPEECHES * len(speakers):
        raise ValueError(
            f"only {known} of {len(speakers)} speeches are by people of this series; name them by their `cue`"
        )


def _scene(part: ScenePart, names: Mapping[str, str]) -> Scene:
    elements = _elements(part.lines, names)
    seconds = part.seconds
    if not 5 <= seconds <= 600:
        seconds = max(10, round(sum(len(e.text.split()) for e in elements) / WORDS_A_SECOND))
    return Scene(slugline=_slugline(part.slugline), seconds=seconds, elements=elements)


def _elements(lines: Sequence[LinePart], names: Mapping[str, str]) -> tuple[Element, ...]:
    elements: list[Element] = []
    for line in lines:
        text = " ".join(line.text.split())
        speaker = _bare(line.speaker)
        if not text:
            continue
        if not speaker:
            elements.append(Action(text=text))
            continue
        manner = " ".join(line.manner.split()).strip("()")
        cue = _known(line.speaker, names) or speaker.upper()[:40]
        elements.append(Dialogue(speaker=cue, text=text, parenthetical=manner or None))
    if not elements:
        raise ValueError("a scene has no lines with text in them")
    return tuple(elements)


def _slugline(text: str) -> str:
    line = " ".join(text.split()).upper()
    return line if re.match(r"(INT|EXT|EST|I/E|INT\./EXT)\b", line) else f"INT. {line or 'A ROOM'}"


def _place(slugline: str) -> str:
    return re.sub(r"^[A-Z./]+\s+", "", slugline).split(" - ")[0].strip()


def _people(scene: Scene, names: Mapping[str, str]) -> tuple[str, ...]:
    cues = set(names.values())
    return tuple(cue for cue in scene.speakers if cue in cues) or scene.speakers


def _choices(parts: Sequence[ChoicePart]) -> tuple[Choice, Choice, Choice]:
    if len({" ".join(part.label.casefold().split()) for part in parts}) != 3:
        raise ValueError("the choices must be three, each different from the others")
    ids: tuple[Literal["a", "b", "c"], ...] = ("a", "b", "c")
    a, b, c = (
        Choice(
            id=id,
            label=part.label,
            consequence=part.consequence,
            axis=part.axis,
            anchor=part.anchor,
            canonical=id == "a",
            effects=tuple(Effect(kind=e.kind, subject=e.subject, value=e.value) for e in part.effects),
        )
        for id, part in zip(ids, parts, strict=True)
    )
    return a, b, c


def _episode(
    manuscript: Manuscript, request: EpisodeRequest, scenes: Sequence[Scene], names: Mapping[str, str]
) -> Episode:
    choices = _choices(manuscript.choices)
    starts = [sum(scene.seconds for scene in scenes[:index]) for index in range(len(scenes))]
    return Episode(
        series=request.bible.title,
        number=request.number,
        title=manuscript.title,
        logline=manuscript.logline,
        synopsis=manuscript.synopsis,
        scenes=tuple(scenes),
        question=manuscript.question,
        choices=choices,
        rundown=tuple(
            Beat(start=start, seconds=scene.seconds, text=part.turn or scene.slugline)
            for start, scene, part in zip(starts, scenes, manuscript.scenes, strict=True)
        ),
        state=_state(manuscript, request, choices, names),
    )


def _state(
    manuscript: Manuscript,
    request: EpisodeRequest,
    choices: tuple[Choice, Choice, Choice],
    names: Mapping[str, str],
) -> StoryState:
    number = request.number
    before = request.state or StoryState(series=request.bible.title)
    knowledge = before.knowledge + tuple(
        Knowledge(
            who=_known(part.who, names) or part.who, what=part.what, level=2, episode=number, how=part.how
        )
        for part in manuscript.learned
        if part.what and before.knows(_known(part.who, names) or part.who, part.what) < 2
    )
    trust = {(bond.who, bond.towards): bond.trust for bond in before.relationships}
    for bond in manuscript.bonds:
        pair = (_known(bond.who, names), _known(bond.towards, names))
        if pair[0] and pair[1] and pair[0] != pair[1]:
            known = (pair[0], pair[1])
            trust[known] = max(-3, min(3, trust.get(known, 0) + max(-2, min(2, bond.change))))
    closed = {" ".join(question.casefold().split()) for question in manuscript.threads_closed}
    threads = tuple(
        thread.model_copy(update={"closed": number})
        if thread.closed is None and " ".join(thread.question.casefold().split()) in closed
        else thread
        for thread in before.threads
    )
    asked = {thread.question.casefold() for thread in threads}
    threads += tuple(
        Thread(question=question, opened=number)
        for question in dict.fromkeys(manuscript.threads_opened)
        if question and question.casefold() not in asked
    )
    changes = before.changes
    if request.taken is not None:
        changes += (Change(episode=number - 1, text=request.taken.label),)
    return StoryState(
        series=request.bible.title,
        episode=number,
        knowledge=knowledge,
        relationships=tuple(Relationship(who=a, towards=b, trust=value) for (a, b), value in trust.items()),
        things=before.things,
        threads=threads,
        changes=changes + tuple(Change(episode=number, text=text) for text in manuscript.happened if text),
        offered=choices,
        memory=before.memory,
    )


def _scene_part(index: int, scene: Scene, outline: Outline) -> ScenePart:
    plan = outline.scenes[index] if index < len(outline.scenes) else None
    return ScenePart(
        slugline=scene.slugline,
        seconds=scene.seconds,
        wants=plan.wants if plan else "",
        block=plan.block if plan else "",
        turn=plan.turn if plan else "",
        subject=plan.subject if plan else "",
        holder=(plan.holder or "") if plan else "",
        reveals=plan.reveals if plan else False,
        tension=round(plan.tension) if plan else 5,
        lines=tuple(
            LinePart(
                speaker=element.speaker if isinstance(element, Dialogue) else "",
                manner=(element.parenthetical or "") if isinstance(element, Dialogue) else "",
                text=element.text,
            )
            for element in scene.elements
        ),
    )


def _choice_part(choice: Choice) -> ChoicePart:
    return ChoicePart(
        label=choice.label,
        consequence=choice.consequence,
        axis=choice.axis,
        anchor=choice.anchor,
        effects=tuple(EffectPart(kind=e.kind, subject=e.subject, value=e.value) for e in choice.effects),
    )
