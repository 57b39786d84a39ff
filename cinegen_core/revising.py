"""An episode changed after it was written: a line by hand, a scene anew, and back again. Nothing is ever overwritten.

Every change makes a new record that `revises` the one it was made from, judged anew. How the episode came about stays
with it: tier, writer and attempts are the old ones, and an attempt is added that says who changed what.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from cinegen_core.clock import Clock
from cinegen_core.engines import Directive, Engine, EngineContext, all_engines, by_priority, realisation
from cinegen_core.store.episodes import EpisodeStore, Record
from cinegen_core.story import (
    Draft,
    Episode,
    EpisodeRequest,
    Outline,
    Policy,
    Scene,
    SceneOutline,
    StoryBible,
)
from cinegen_core.story.differences import applied, diff
from cinegen_core.story.editing import (
    Edit,
    Insert,
    Remove,
    RevisionError,
    Reword,
    edited,
    scene_of,
    with_elements,
)
from cinegen_core.story.words import content_words
from cinegen_core.tiers.judging import Judge
from cinegen_core.tiers.model import Attempt, EngineRun, Generation
from cinegen_core.writers.base import Call, Desk, Writer
from cinegen_core.writers.embedded.compose import as_draft
from cinegen_core.writers.embedded.memory import keys_of
from cinegen_core.writers.embedded.plan import NoPlan
from cinegen_core.writers.embedded.rewrite import MOST_SHARED, CannotRewriteError, rewrite
from cinegen_core.writers.embedded.writer import EmbeddedWriter
from cinegen_core.writers.model import ModelError
from cinegen_core.writers.template import TemplateWriter

SECONDS = 60.0
"""What a scene may take to be written anew."""

MOST_REPEATED = 0.2
"""The share of a model's new scene that may stand in other scenes: an answer may pick something up, not copy."""

LENGTHS = (0.4, 2.5)
"""How long a new scene may be, beside the one it replaces."""

BY_HAND = "Lines of this episode were edited by hand."
NOT_LOOKED_FOR = "What the engines asked for was not looked for again after the last change."


def edit_line(record: Record, scene: int, element: int, text: str) -> Episode:
    """The record's episode with another text in one element. Raises `RevisionError`."""
    return edited(record.generation.episode, Reword(scene=scene, element=element, text=text))


# -- versions ----------------------------------------------------------------------------------------------------------


def versions(records: Sequence[Record], record: Record) -> tuple[Record, ...]:
    """All versions of this episode, oldest first: what it was made from, back to the first, and all that was made of those.

    Two versions may have been made from one: `revises` says which comes from which. A version whose own source is gone is a
    first one.
    """
    known = {one.id: one for one in (*records, record)}
    first = known[record.id]
    seen = {first.id}
    while first.revises in known and first.revises not in seen:
        first = known[first.revises]
        seen.add(first.id)
    family = {first.id}
    grown = True
    while grown:
        more = {one.id for one in known.values() if one.revises in family} - family
        family |= more
        grown = bool(more)
    return tuple(
        sorted((known[id] for id in family), key=lambda one: (one.id != first.id, one.saved, one.id))
    )


def undo(records: Sequence[Record], record: Record) -> Record:
    """The version that this one was made from; both stay. Raises `RevisionError` where there is none."""
    if record.revises is None:
        raise RevisionError("This is the first version of the episode; there is nothing to undo.")
    for one in records:
        if one.id == record.revises:
            return one
    raise RevisionError(
        f"The version that this one was made from ({record.revises}) is not there any more. Keep this one, or edit it."
    )


# -- kept as a new version ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Workshop:
    """What changing an episode needs of a studio. `writers` are those that may write a scene anew, the one in force first."""

    store: EpisodeStore
    judge: Judge
    writers: Sequence[Writer]
    clock: Clock
    new_id: Callable[[], str]
    engines: Sequence[Engine] = ()


def edit(shop: Workshop, record: Record, change: Reword | Insert | Remove, *, who: str = "") -> Record:
    """The episode with one line changed by hand, judged and kept as a new version. Raises `RevisionError` and `StoreError`."""
    bible = _bible(shop, record)
    episode = edited(record.generation.episode, change)
    if episode == record.generation.episode:
        raise RevisionError(f"Line {change.element} of scene {change.scene} reads so already.")
    done = {"reword": "edited", "insert": "inserted", "remove": "removed"}[change.kind]
    words = f"scene {change.scene}, line {change.element} {done} by hand"
    attempt = Attempt(tier=record.generation.tier, writer=record.generation.writer, outcome="accepted")
    new = _revised(shop, record, bible, episode, attempt, words, BY_HAND, who)
    shop.store.save(new)
    return new


async def rewrite_scene(
    shop: Workshop,
    record: Record,
    scene: int,
    *,
    seed: int,
    direction: str = "",
    policy: Policy | None = None,
    who: str = "",
    said: Callable[[str], None] = lambda text: None,
    seconds: float = SECONDS,
) -> Record:
    """One scene written anew and everything else kept, judged and kept as a new version.

    By the first of the workshop's writers that can: the embedded writer its own episodes, a model any. `direction` is a note to
    the writer, `said` gets its text as it grows, `seconds` is all the time it has. Raises `RevisionError` and `StoreError`, and
    then nothing has changed.
    """
    old = record.generation.episode
    scene_of(old, scene)
    bible = _bible(shop, record)
    writer = _who_can(shop, record)
    started = shop.clock.monotonic()
    calls: list[Call] = []
    desk = Desk(
        said=said,
        called=calls.append,
        left=lambda: started + seconds - shop.clock.monotonic(),
        clock=shop.clock.monotonic,
    )
    policy = policy or _policy(record.generation)
    try:
        async with asyncio.timeout(seconds):
            if isinstance(writer, EmbeddedWriter):
                episode, note = _by_rules(shop, record, bible, writer, policy, scene, seed, direction)
            else:
                episode, note = await _by_model(
                    shop, record, bible, writer, policy, scene, seed, direction, desk
                )
    except TimeoutError:
        raise RevisionError(
            f"{writer.name} did not write scene {scene} in {seconds:g} s. Try again, or edit its lines by hand."
        ) from None
    except ModelError as error:
        raise RevisionError(
            f"Scene {scene} was not written: {error}. Try again later, or edit its lines by hand."
        ) from error
    finally:
        await desk.close()
    _still_leans(old, episode, scene)
    said(_text(episode.scenes[scene - 1]))
    attempt = Attempt(
        tier=record.generation.tier,
        writer=writer.name,
        outcome="accepted",
        seconds=max(0.0, shop.clock.monotonic() - started),
        calls=len(calls),
        tokens=sum(call.prompt_tokens + call.completion_tokens for call in calls),
        cached_tokens=sum(call.cached_tokens for call in calls),
        cost=sum(call.cost for call in calls),
        log=tuple(calls),
    )
    words = f"scene {scene} written anew" + (f": {direction}" if direction else "")
    notice = f"Scene {scene} was written anew by {_called(writer)}.{note}"
    new = _revised(shop, record, bible, episode, attempt, words, notice, who)
    await asyncio.to_thread(shop.store.save, new)
    return new


def _called(writer: Writer) -> str:
    return "the embedded writer" if isinstance(writer, EmbeddedWriter) else writer.name


def _bible(shop: Workshop, record: Record) -> StoryBible:
    bible = shop.store.bible(record.season)
    if bible is None:
        raise RevisionError(f"The season {record.season} of this episode is not there any more.")
    return bible


def _who_can(shop: Workshop, record: Record) -> Writer:
    own = record.generation.writer == EmbeddedWriter.name
    for writer in shop.writers:
        if isinstance(writer, EmbeddedWriter) and not own:
            continue
        if not isinstance(writer, TemplateWriter):
            return writer
    raise RevisionError(
        f"Nobody here can write one scene of this episode anew: it is by {record.generation.writer}, and the embedded writer "
        "only knows its own plans. Set up a language model, edit lines by hand, or write the whole episode again."
    )


def _by_rules(
    shop: Workshop,
    record: Record,
    bible: StoryBible,
    writer: EmbeddedWriter,
    policy: Policy,
    scene: int,
    seed: int,
    direction: str,
) -> tuple[Episode, str]:
    request = _request(shop, record, bible)
    if request is None:
        raise RevisionError(
            "The episode that this one follows is not there any more, so its plan cannot be made again. Edit lines by hand."
        )
    runs = [run for run in record.generation.engines if run.directive is not None]
    directives = [run.directive for run in runs if run.directive is not None]
    repaired = [run.directive for run in runs if run.repaired and run.directive is not None]
    old = record.generation.episode
    try:
        new = rewrite(
            writer,
            request,
            policy,
            by_priority(directives, shop.engines or all_engines()),
            old,
            scene,
            seed=seed,
            direction=direction,
            repaired=repaired,
        )
    except (CannotRewriteError, NoPlan) as error:
        raise RevisionError(str(error)) from error
    episode = with_elements(old, scene, new.elements).model_copy(update={"state": new.state})
    unheard = bool(direction) and not new.heeded
    return episode, " It found nothing that speaks to the note." if unheard else ""


class SceneAnew(Directive):
    """One scene, written anew: the same place, people, turn and facts in other words. `note` is the wish of the writers."""

    engine: str = "scene_anew"
    scene: int
    wanted: str = (
        "Write this scene anew and no other: same place, same people, same turn, everything that later scenes and the choices "
        "need; other words, other business. Leave `choices` empty. Say nothing that another scene says."
    )
    note: str = ""


async def _by_model(
    shop: Workshop,
    record: Record,
    bible: StoryBible,
    writer: Writer,
    policy: Policy,
    scene: int,
    seed: int,
    direction: str,
    desk: Desk,
) -> tuple[Episode, str]:
    old = record.generation.episode
    request = _request(shop, record, bible) or EpisodeRequest(
        bible=bible, number=record.number, direction=record.direction, minutes=record.minutes
    )
    wanted = SceneAnew(scene=scene, note=direction)
    answer = await writer.repair(
        request.model_copy(update={"seed": seed}), policy, _as_draft(old), old, (wanted,), (wanted,), desk
    )
    if len(answer.scenes) != len(old.scenes):
        raise RevisionError(f"{writer.name} gave back another number of scenes. Try again.")
    # What it did to other scenes and to the choices was not asked for.
    episode = with_elements(old, scene, answer.scenes[scene - 1].elements)
    _another_scene(old, episode, scene, bible, writer.name)
    return episode, ""


def _another_scene(old: Episode, new: Episode, number: int, bible: StoryBible, name: str) -> None:
    """Raises `RevisionError` unless the new scene is one for this place in the story, and not the old one."""
    before, after = old.scenes[number - 1], new.scenes[number - 1]
    was, now = _sentences(before), _sentences(after)
    elsewhere = frozenset(
        key for i, scene in enumerate(old.scenes, 1) if i != number for key in _sentences(scene)
    )
    strangers = set(after.speakers) - set(bible.cues()) - {cue for s in old.scenes for cue in s.speakers}
    trouble = ""
    if after.elements == before.elements or len(now & was) > MOST_SHARED * max(1, len(now)):
        trouble = "it is the old one"
    elif len(now & elsewhere - was) > MOST_REPEATED * len(now):
        trouble = "it repeats other scenes"
    elif strangers:
        trouble = f"{', '.join(sorted(strangers))} speaks in it, and nobody knows who that is"
    elif before.speakers and not set(after.speakers) & set(before.speakers):
        trouble = "none of the scene's people speak in it"
    elif not LENGTHS[0] * before.words <= after.words <= LENGTHS[1] * before.words:
        trouble = f"it has {after.words} words where the old one has {before.words}"
    if trouble:
        raise RevisionError(
            f"{name} wrote scene {number}, but {trouble}. Try again with another note, or edit its lines by hand."
        )


def _still_leans(old: Episode, new: Episode, number: int) -> None:
    """Raises `RevisionError` where a choice acts on something that only the old scene showed."""
    before, after = (content_words(_text(one.scenes[number - 1])) for one in (old, new))
    elsewhere = content_words(" ".join(_text(s) for i, s in enumerate(old.scenes, 1) if i != number))
    for choice in old.choices:
        anchor = content_words(choice.anchor)
        if anchor & before and not anchor & elsewhere and not anchor & after:
            raise RevisionError(
                f"Scene {number} came out without what choice {choice.id} is about ({choice.anchor.rstrip('.')}). Try again."
            )


def _text(scene: Scene) -> str:
    return " ".join(element.text for element in scene.elements)


def _sentences(scene: Scene) -> frozenset[str]:
    return frozenset(key for element in scene.elements for key in keys_of(element.text))


def _request(shop: Workshop, record: Record, bible: StoryBible) -> EpisodeRequest | None:
    """What was asked for when the episode was written; None where the episode before it is gone."""
    parent = shop.store.record(record.season, record.parent) if record.parent is not None else None
    if parent is None and record.number > 1:
        return None
    try:
        return EpisodeRequest(
            bible=bible,
            number=record.number,
            state=parent.generation.episode.state if parent is not None else None,
            choice=record.choice if parent is not None else None,
            direction=record.direction,
            seed=record.seed,
            minutes=record.minutes,
        )
    except ValidationError:
        return None  # the season's bible has changed its title, or its episodes their order


def _policy(generation: Generation) -> Policy:
    """What is known of how it was answered."""
    flags: Mapping[str, bool] = generation.flags
    return Policy(
        complete_context=flags.get("complete_context", True),
        high_temperature=flags.get("high_temperature", True),
        genre_engines=flags.get("genre_engines", True),
    )


def _as_draft(episode: Episode) -> Draft:
    """The episode as its own outline, for writers that are shown one: places, people and turns as the script has them."""
    texts = [beat.text for beat in episode.rundown]
    scenes = tuple(
        SceneOutline(
            location=scene.slugline,
            slugline=scene.slugline,
            people=scene.speakers,
            turn=texts[i] if i < len(texts) else "",
            seconds=scene.seconds,
        )
        for i, scene in enumerate(episode.scenes)
    )
    lead = next((cue for scene in episode.scenes for cue in scene.speakers), "")
    return Draft(outline=Outline(protagonist=lead, question=episode.question, scenes=scenes), episode=episode)


def _revised(
    shop: Workshop,
    record: Record,
    bible: StoryBible,
    episode: Episode,
    attempt: Attempt,
    words: str,
    notice: str,
    who: str,
) -> Record:
    was = record.generation
    verdict = shop.judge(episode, bible, _profile(shop, was.writer))
    engines = _looked_for(shop, record, bible, episode)
    stale = bool(was.engines) and engines is None
    attempt = attempt.model_copy(
        update={
            "outcome": "accepted" if verdict.accepted else "below_threshold",
            "reason": f"{words}, by {who or 'somebody'}: {verdict.reason}",
            "engines": _unseen(was.engines) if engines is None else engines,
            "episode": episode,
            "scorecard": verdict.scorecard,
        }
    )
    earlier = was.attempts
    if record.revises is not None:  # what that version came to is kept in the record that is revised
        bare = {"episode": None, "scorecard": None, "engines": ()}
        earlier = (*earlier[:-1], earlier[-1].model_copy(update=bare))
    notices = [n for n in was.notices if n != NOT_LOOKED_FOR and not _about_score(n, was)]
    notices += [notice, *([NOT_LOOKED_FOR] if stale else [])]
    if not verdict.accepted:
        notices.append(f"After the last change it {verdict.reason.rstrip('.')}.")
    id = shop.new_id()
    return record.model_copy(
        update={
            "id": id,
            "revises": record.id,
            "revision": words,
            "who": who,
            "saved": shop.clock.now(),
            "generation": was.model_copy(
                update={
                    "id": id,
                    "episode": episode,
                    "attempts": (*earlier, attempt),
                    "notices": tuple(dict.fromkeys(notices)),
                    "kept": None,
                }
            ),
        }
    )


def _about_score(notice: str, generation: Generation) -> bool:
    """Whether a notice speaks of the score before the change."""
    winner = generation.winner
    reason = winner.reason.rstrip(".") if winner is not None else ""
    return notice.startswith("After the last change it ") or (
        bool(reason) and notice.startswith(f"It {reason};")
    )


def _profile(shop: Workshop, writer: str) -> str:
    own: Mapping[str, str] = {
        EmbeddedWriter.name: EmbeddedWriter.profile,
        TemplateWriter.name: TemplateWriter.profile,
        **{one.name: one.profile for one in shop.writers},
    }
    return own.get(writer, "model")


def _looked_for(
    shop: Workshop, record: Record, bible: StoryBible, episode: Episode
) -> tuple[EngineRun, ...] | None:
    """The engines' runs with what is in the script now; None where what they looked at cannot be had again.

    Engines compare with the draft that they saw. The embedded writer writes the same draft again; that it is the same shows in
    its giving what was found in the episode before.
    """
    writer = next((one for one in shop.writers if isinstance(one, EmbeddedWriter)), None)
    request = _request(shop, record, bible)
    runs = record.generation.engines
    if writer is None or request is None or not runs or record.generation.writer != writer.name:
        return None
    try:
        draft = as_draft(writer.work(request, _policy(record.generation)))
    except NoPlan:
        return None
    context = EngineContext(request=request, draft=draft)
    engines = {engine.name: engine for engine in shop.engines or all_engines()}
    found: list[EngineRun] = []
    for run in runs:
        if run.directive is None or run.realisation is None:
            found.append(run)
            continue
        engine = engines.get(run.engine)
        if engine is None:
            return None
        if realisation(engine, run.directive, record.generation.episode, context) != run.realisation:
            return None
        found.append(
            run.model_copy(update={"realisation": realisation(engine, run.directive, episode, context)})
        )
    return tuple(found) if any(run.realisation is not None for run in found) else None


def _unseen(runs: Sequence[EngineRun]) -> tuple[EngineRun, ...]:
    return tuple(run.model_copy(update={"realisation": None}) for run in runs)


__all__ = [
    "Edit",
    "Insert",
    "Remove",
    "RevisionError",
    "Reword",
    "SceneAnew",
    "Workshop",
    "applied",
    "diff",
    "edit",
    "edit_line",
    "edited",
    "rewrite_scene",
    "undo",
    "versions",
]
