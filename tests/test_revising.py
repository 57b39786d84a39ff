"""An episode can be changed after it was written: a line, a scene, and back, and nothing is lost on the way."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from cinegen_core.analysis.replay import contradictions
from cinegen_core.clock import Clock
from cinegen_core.engines import all_engines
from cinegen_core.revising import (
    BY_HAND,
    NOT_LOOKED_FOR,
    Insert,
    Remove,
    RevisionError,
    Reword,
    Workshop,
    diff,
    edit,
    edit_line,
    edited,
    rewrite_scene,
    undo,
    versions,
)
from cinegen_core.settings import Settings
from cinegen_core.store import MemoryStore, Record
from cinegen_core.store.results import NoResults
from cinegen_core.story import Action, Dialogue, Episode, Scene, StoryBible
from cinegen_core.story.differences import SceneDifference
from cinegen_core.story.words import content_words
from cinegen_core.studio import Studio, from_tier
from cinegen_core.tiers.judging import Verdict, judge
from cinegen_core.writers.base import Writer
from cinegen_core.writers.embedded import EmbeddedWriter
from cinegen_core.writers.embedded.memory import keys_of
from cinegen_core.writers.model import ModelWriter
from cinegen_core.writers.model.calls import Calls
from cinegen_core.writers.template import TemplateWriter
from tests.builders import a_request, an_episode
from tests.fakes import FakeClock, FakeWriter
from tests.model.brain import shelf_request
from tests.model.faults import Body, always
from tests.model.studios import LoopClock, a_model, a_provider, engines_named, model_studio
from tests.model.transport import FaultyTransport
from tests.model.virtual import virtually


@dataclass
class Desk:
    """A season of two episodes in a store, and what it takes to change them."""

    bible: StoryBible
    store: MemoryStore
    records: list[Record]
    writers: tuple[Writer, ...]
    clock: Clock = field(default_factory=FakeClock)
    rng: random.Random = field(default_factory=lambda: random.Random(5))

    @property
    def shop(self) -> Workshop:
        return Workshop(self.store, judge, self.writers, self.clock, self.new_id, all_engines())

    def new_id(self) -> str:
        return f"{self.rng.getrandbits(64):016x}"


def kept(studio: Studio, bible: StoryBible, *, tier: Any = None, episodes: int = 2) -> Desk:
    """A season as the studio keeps it."""
    season = studio.open_season(bible)
    records: list[Record] = []
    request = a_request(bible=bible, seed=7)
    for number in range(1, episodes + 1):
        parent = records[-1] if records else None
        if parent is not None:
            state = parent.generation.episode.state
            request = a_request(bible=bible, seed=7, number=number, state=state, choice="b")
        id = studio.start(
            request, season=season.id, parent=parent.id if parent else None, policy=from_tier(tier)
        )
        studio.wait(id)
        record = studio.store.record(season.id, id)
        assert record is not None
        records.append(record)
    assert isinstance(studio.store, MemoryStore)
    return Desk(bible, studio.store, records, ())


@pytest.fixture(scope="module")
def written(embedded: EmbeddedWriter, samples: dict[str, StoryBible]) -> Desk:
    with Studio(
        Settings(), clock=FakeClock(), rng=random.Random(1), store=MemoryStore(), results=NoResults(), probes=False
    ) as studio:  # fmt: skip
        return replace(kept(studio, samples["slack_water"]), writers=(embedded, TemplateWriter()))


@pytest.fixture
def desk(written: Desk) -> Desk:
    """The same season in a store of the test's own."""
    store = MemoryStore()
    [season] = written.store.seasons()
    store.add_season(season, written.bible)
    for record in written.records:
        store.save(record)
    return replace(written, store=store, clock=FakeClock(), rng=random.Random(5))


def everything_but(record: Record, scene: int) -> dict[str, Any]:
    """All that an episode says and leaves behind, without one scene and a writer's private notes."""
    data = record.generation.episode.model_dump(mode="json")
    del data["scenes"][scene - 1]["elements"]
    del data["state"]["memory"]
    return data


def first_speech(episode: Episode, scene: int) -> int:
    elements = episode.scenes[scene - 1].elements
    return next(i for i, element in enumerate(elements, 1) if isinstance(element, Dialogue))


# -- a line by hand ----------------------------------------------------------------------------------------------------


def test_a_line_edited_by_hand_changes_nothing_else(desk: Desk) -> None:
    record = desk.records[0]
    line = first_speech(record.generation.episode, 2)
    new = edit(desk.shop, record, Reword(scene=2, element=line, text="  Damp takes the thread. "), who="ada")
    before, after = record.generation.episode, new.generation.episode
    assert after == edit_line(record, 2, line, "Damp takes the thread.")
    changed = [d for d in diff(before, after) if d.kind != "kept"]
    assert [(d.of, d.kind) for d in changed] == [("element", "changed")]
    assert after.model_dump_json() == before.model_dump_json().replace(
        json.dumps(before.scenes[1].elements[line - 1].text, ensure_ascii=False), '"Damp takes the thread."', 1
    )  # fmt: skip


def test_an_edited_episode_says_who_changed_it_and_keeps_how_it_came_about(desk: Desk) -> None:
    record = desk.records[0]
    new = edit(desk.shop, record, Reword(scene=1, element=1, text="Rain."), who="ada")
    was, now = record.generation, new.generation
    assert (new.revises, new.season, new.parent, new.choice, new.number, new.who) == (
        record.id, record.season, record.parent, record.choice, record.number, "ada",
    )  # fmt: skip
    assert (now.tier, now.writer, now.flags) == (was.tier, was.writer, was.flags)
    assert now.attempts[: len(was.attempts)] == was.attempts
    assert now.winner == now.attempts[-1]
    assert "scene 1, line 1 edited by hand, by ada: scored" in now.attempts[-1].reason
    assert BY_HAND in now.notices
    assert desk.store.record(record.season, record.id) == record
    assert desk.store.record(record.season, new.id) == new
    assert Record.model_validate_json(new.model_dump_json()) == new


def test_an_edited_episode_is_judged_as_it_reads_now(desk: Desk) -> None:
    record = desk.records[0]
    new = edit(desk.shop, record, Reword(scene=1, element=1, text="Rain."))
    assert new.generation.scorecard == judge(new.generation.episode, desk.bible, "embedded").scorecard
    scenes = tuple(
        s.model_copy(update={"elements": s.elements[:3]}) for s in record.generation.episode.scenes
    )
    short = record.generation.episode.model_copy(update={"scenes": scenes})
    generation = record.generation.model_copy(update={"episode": short})
    spoiled = edit(
        desk.shop, record.model_copy(update={"generation": generation}), Remove(scene=1, element=1)
    )
    assert spoiled.generation.winner is not None
    assert spoiled.generation.winner.outcome == "below_threshold"
    assert any(n.startswith("After the last change it ") for n in spoiled.generation.notices)


def test_an_episode_is_held_to_the_profile_of_who_wrote_it_whoever_may_write_now(desk: Desk) -> None:
    held_to: list[str] = []

    def judging(episode: Episode, bible: StoryBible, profile: str) -> Verdict:
        held_to.append(profile)
        return judge(episode, bible, profile)

    shop = replace(desk.shop, judge=judging, writers=(FakeWriter(), *desk.writers))
    edit(shop, desk.records[0], Reword(scene=1, element=1, text="Rain."))
    for name in ("template", "fake", "some-model"):
        generation = desk.records[0].generation.model_copy(update={"writer": name})
        record = desk.records[0].model_copy(update={"generation": generation})
        edit(shop, record, Reword(scene=1, element=1, text="Rain."))
    assert held_to == ["embedded", "template", "fake", "model"]


def test_what_the_engines_asked_for_is_looked_for_again(desk: Desk) -> None:
    record = desk.records[0]
    run = next(
        r for r in record.generation.engines if r.realisation and r.realisation.lines and r.realisation.score == 1
    )  # fmt: skip
    assert run.realisation is not None
    for line in sorted(run.realisation.lines, key=lambda line: (line.scene, line.line)):
        record = edit(desk.shop, record, Reword(scene=line.scene, element=line.line, text="Nothing."))
    now = next(r for r in record.generation.engines if r.engine == run.engine)
    assert now.realisation is not None
    assert now.realisation.score < 1
    assert NOT_LOOKED_FOR not in record.generation.notices


def test_where_the_engines_cannot_look_again_the_episode_says_so(desk: Desk) -> None:
    desk.store.save(second := desk.records[1].model_copy(update={"parent": "0" * 16}))
    new = edit(desk.shop, second, Reword(scene=1, element=1, text="Rain."))
    assert NOT_LOOKED_FOR in new.generation.notices
    assert [run.engine for run in new.generation.engines] == [run.engine for run in second.generation.engines]
    assert all(run.realisation is None for run in new.generation.engines)


def test_a_speech_gets_another_speaker_and_parenthetical_and_an_element_comes_and_goes() -> None:
    episode = an_episode()
    said = edited(episode, Reword(scene=1, element=2, speaker=" pip ", parenthetical="(quietly)"))
    assert said.scenes[0].elements[1] == Dialogue(
        speaker="PIP", text="Where's nine?", parenthetical="quietly"
    )
    plain = edited(said, Reword(scene=1, element=2, parenthetical=""))
    assert plain.scenes[0].elements[1] == Dialogue(speaker="PIP", text="Where's nine?")
    for place in (1, 8):
        longer = edited(episode, Insert(scene=2, element=place, written=Action(text="Rain.")))
        assert longer.scenes[1].elements[place - 1] == Action(text="Rain.")
        assert edited(longer, Remove(scene=2, element=place)) == episode


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (Reword(scene=3, element=1, text="x"), "There is no scene 3; the episode has 2"),
        (Reword(scene=0, element=1, text="x"), "There is no scene 0"),
        (Reword(scene=1, element=8, text="x"), "Scene 1 has no line 8; it has 7"),
        (Insert(scene=1, element=9, written=Action(text="x")), "from 1 to 8"),
        (Reword(scene=1, element=1, text=" \n "), "The text is empty"),
        (Reword(scene=1, element=2, speaker="  "), "The speaker is empty"),
        (Reword(scene=1, element=2, speaker="x" * 41), "at most 40"),
        (Reword(scene=1, element=1, speaker="PIP"), "not a speech"),
        (Reword(scene=1, element=1, text="bell\x07"), "control characters"),
        (Reword(scene=1, element=1, text="x" * 5001), "at most 5,000"),
    ],
)
def test_an_edit_that_makes_no_page_is_refused_in_words(change: Any, said: str) -> None:
    with pytest.raises(RevisionError, match=said):
        edited(an_episode(), change)


def test_the_last_line_of_a_scene_stays() -> None:
    one = Scene(slugline="INT. HALL - DAY", seconds=5, elements=(Action(text="Rain."),))
    with pytest.raises(RevisionError, match="a scene needs one"):
        edited(an_episode(scenes=(one, one)), Remove(scene=1, element=1))


def test_an_edit_that_changes_nothing_makes_no_version(desk: Desk) -> None:
    text = desk.records[0].generation.episode.scenes[0].elements[0].text
    with pytest.raises(RevisionError, match="reads so already"):
        edit(desk.shop, desk.records[0], Reword(scene=1, element=1, text=text))
    assert len(desk.store.records(desk.records[0].season)) == 2


# -- a scene anew ------------------------------------------------------------------------------------------------------


async def test_every_scene_can_be_written_anew_and_the_others_stay(desk: Desk) -> None:
    for record in desk.records:
        episode = record.generation.episode
        for scene in range(1, len(episode.scenes) + 1):
            new = await rewrite_scene(desk.shop, record, scene, seed=3, who="ada")
            assert everything_but(new, scene) == everything_but(record, scene)
            was, now = episode.scenes[scene - 1], new.generation.episode.scenes[scene - 1]
            assert changed_scenes(episode, new.generation.episode) == {scene}
            elsewhere = sentences(s for i, s in enumerate(episode.scenes, 1) if i != scene)
            assert len(sentences([was]) & sentences([now])) <= 0.75 * len(sentences([now]))
            assert not sentences([now]) & elsewhere
            assert set(now.speakers) == set(was.speakers)
            assert (new.revises, new.revision) == (record.id, f"scene {scene} written anew")


def changed_scenes(before: Episode, after: Episode) -> set[int]:
    """Numbers of the scenes in which a difference is told."""
    found: set[int] = set()
    at = 0
    for one in diff(before, after):
        at = one.now or at if isinstance(one, SceneDifference) else at
        if at and one.kind != "kept":
            found.add(at)
    return found


def sentences(scenes: Any) -> set[str]:
    return {key for scene in scenes for element in scene.elements for key in keys_of(element.text)}


async def test_a_season_holds_together_with_a_scene_written_anew(desk: Desk) -> None:
    first, second = (record.generation.episode for record in desk.records)
    assert contradictions(desk.bible, [first, second]) == []
    for scene in range(1, len(first.scenes) + 1):
        new = (await rewrite_scene(desk.shop, desk.records[0], scene, seed=8)).generation.episode
        assert contradictions(desk.bible, [new, second]) == []


async def test_the_ending_that_the_choices_grow_from_is_kept(desk: Desk) -> None:
    episode = desk.records[0].generation.episode
    new = (await rewrite_scene(desk.shop, desk.records[0], len(episode.scenes), seed=3)).generation.episode
    old_end, new_end = episode.scenes[-1].elements, new.scenes[-1].elements
    shared = [element for element in old_end if element in new_end]
    assert len(shared) >= 2
    assert old_end.index(shared[-1]) >= len(old_end) - 2


async def test_another_seed_writes_another_scene_and_the_same_seed_the_same(desk: Desk) -> None:
    texts = [
        (await rewrite_scene(desk.shop, desk.records[0], 2, seed=seed)).generation.episode for seed in (1, 1, 2)
    ]  # fmt: skip
    assert texts[0] == texts[1]
    assert texts[0] != texts[2]


async def test_a_scene_can_be_written_anew_after_lines_were_edited(desk: Desk) -> None:
    record = edit(desk.shop, desk.records[0], Reword(scene=1, element=1, text="Rain on the log house."))
    new = await rewrite_scene(desk.shop, record, 2, seed=3)
    assert new.generation.episode.scenes[0] == record.generation.episode.scenes[0]
    assert BY_HAND in new.generation.notices
    assert "Scene 2 was written anew by the embedded writer." in new.generation.notices


async def test_a_scene_can_be_written_anew_after_somebody_was_put_into_it_by_hand(desk: Desk) -> None:
    speech = Dialogue(speaker="A VOICE", text="Is anybody there?")
    record = edit(desk.shop, desk.records[0], Insert(scene=2, element=1, written=speech))
    new = await rewrite_scene(desk.shop, record, 2, seed=3)
    assert "A VOICE" not in new.generation.episode.scenes[1].speakers


async def test_a_note_is_heeded_where_there_is_something_that_speaks_to_it(desk: Desk) -> None:
    record = desk.records[0]
    plain = [await rewrite_scene(desk.shop, record, 2, seed=seed) for seed in range(4)]
    words = [frozenset(content_words(text_of(new, 2))) for new in plain]
    rare = sorted(frozenset.union(*words) - frozenset.intersection(*words))
    heeded = 0
    for word in rare[:5]:
        new = await rewrite_scene(desk.shop, record, 2, seed=0, direction=word)
        heeded += word in content_words(text_of(new, 2)) and word not in words[0]
    assert heeded >= 1


def text_of(record: Record, scene: int) -> str:
    return " ".join(element.text for element in record.generation.episode.scenes[scene - 1].elements)


async def test_a_note_that_found_nothing_is_said_to_have_found_nothing(desk: Desk) -> None:
    new = await rewrite_scene(desk.shop, desk.records[0], 2, seed=3, direction="zeppelins, xylophones")
    assert "It found nothing that speaks to the note." in new.generation.notices[-1]
    assert new.revision == "scene 2 written anew: zeppelins, xylophones"


async def test_a_scene_that_cannot_be_written_anew_leaves_everything_as_it_was(desk: Desk) -> None:
    record = desk.records[0]
    orphan = desk.records[1].model_copy(update={"parent": "0" * 16})
    by_template = record.model_copy(
        update={"generation": record.generation.model_copy(update={"writer": "template"})}
    )
    other = record.model_copy(update={"seed": record.seed + 1})
    for wrong, scene, said in (
        (record, 9, "There is no scene 9"),
        (orphan, 1, "is not there any more"),
        (by_template, 1, "Nobody here can write one scene"),
        (other, 1, "not written to the plan"),
    ):
        with pytest.raises(RevisionError, match=said):
            await rewrite_scene(desk.shop, wrong, scene, seed=1)
    assert list(desk.store.records(record.season)) == desk.records


# -- a scene anew, by a model ------------------------------------------------------------------------------------------


def patching(*scenes: dict[str, Any]) -> Callable[[Body, bool], str]:
    return lambda body, ignores_bible: json.dumps({"scenes": list(scenes), "choices": []})


def lines(scene: Scene, change: Callable[[str], str]) -> list[dict[str, str]]:
    return [
        {"speaker": e.speaker if isinstance(e, Dialogue) else "", "manner": "", "text": change(e.text)}
        for e in scene.elements
    ]


def turned_round(text: str) -> str:
    return " ".join(reversed(text.rstrip(".?!").split())) + "."


async def by_model(
    answer: Callable[[Episode], Callable[[Body, bool], str]],
    *,
    prepare: Callable[[Episode], Episode] = lambda episode: episode,
    **faults: Any,
) -> tuple[Record, Record | RevisionError, FaultyTransport, MemoryStore]:
    """An episode by the tests' model, and what became of its second scene when it was to be written anew."""
    with model_studio({"primary": a_model()}, engines=engines_named("Language")) as studio:
        generation = await studio.generate(shelf_request())
        season = studio.open_season(shelf_request().bible)
    generation = generation.model_copy(update={"episode": prepare(generation.episode)})
    record = Record(
        id="a" * 16, season=season.id, seed=1, minutes=5, saved=LoopClock().now(), generation=generation
    )  # fmt: skip
    store = MemoryStore()
    store.add_season(season, shelf_request().bible)
    store.save(record)
    model = a_model(brain=answer(generation.episode), **faults)
    calls = Calls(
        (a_provider(),), clock=LoopClock().monotonic, rng=random.Random(1), transport=lambda _: model
    )
    shop = Workshop(store, judge, (ModelWriter(calls), EmbeddedWriter()), LoopClock(), lambda: "b" * 16)
    try:
        new = await rewrite_scene(shop, record, 2, seed=4, direction="Let Ada lose the coin.", who="ada")
    except RevisionError as error:
        return record, error, model, store
    return record, new, model, store


def test_a_model_writes_one_scene_anew_in_one_call_and_may_touch_nothing_else() -> None:
    def answer(episode: Episode) -> Callable[[Body, bool], str]:
        return patching(
            {"scene": 1, "lines": lines(episode.scenes[0], turned_round)},
            {"scene": 2, "lines": lines(episode.scenes[1], turned_round)},
        )

    record, new, model, store = virtually(by_model(answer))
    assert isinstance(new, Record)
    assert everything_but(new, 2) == everything_but(record, 2)
    first = record.generation.episode.scenes[1].elements[0]
    assert new.generation.episode.scenes[1].elements[0].text == turned_round(first.text)
    assert [call.purpose for call in new.generation.attempts[-1].log] == ["repair"]
    assert new.generation.attempts[-1].tokens > 0
    assert NOT_LOOKED_FOR in new.generation.notices
    [(_, body)] = model.requests
    prompt = str(body["messages"][1]["content"])
    assert "Let Ada lose the coin." in prompt
    assert all(scene.slugline in prompt for scene in record.generation.episode.scenes)
    assert store.record(record.season, record.id) == record


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda episode: patching(), "it is the old one"),
        (lambda episode: patching({"scene": 2, "lines": lines(episode.scenes[0], str)}), "repeats other scenes"),
        (
            lambda episode: patching(
                {"scene": 2, "lines": [{"speaker": "BOB", "manner": "", "text": "Nobody knows who I am here."}]}
            ),
            "BOB speaks in it",
        ),
        (
            lambda episode: patching(
                {"scene": 2, "lines": [{"speaker": "", "manner": "", "text": "Rain comes down on all of it."}] * 40}
            ),
            "none of the scene's people speak",
        ),
        (
            lambda episode: patching(
                {"scene": 2, "lines": [{"speaker": episode.scenes[1].speakers[0], "manner": "", "text": "So be it."}]}
            ),
            "words where the old one has",
        ),
    ],
)  # fmt: skip
def test_an_answer_that_is_no_scene_for_this_place_is_refused(answer: Any, said: str) -> None:
    record, error, _, store = virtually(by_model(answer))
    assert isinstance(error, RevisionError)
    assert said in str(error)
    assert store.records(record.season) == (record,)


def test_what_only_this_scene_shows_of_a_choice_has_to_stay_in_it() -> None:
    def prepare(episode: Episode) -> Episode:
        shown = edited(episode, Insert(scene=2, element=1, written=Action(text="A zither lies on the bed.")))
        first, *others = shown.choices
        return shown.model_copy(
            update={"choices": (first.model_copy(update={"anchor": "The zither."}), *others)}
        )

    def without(episode: Episode) -> Callable[[Body, bool], str]:
        rest = episode.scenes[1].model_copy(update={"elements": episode.scenes[1].elements[1:]})
        return patching({"scene": 2, "lines": lines(rest, turned_round)})

    def with_it(episode: Episode) -> Callable[[Body, bool], str]:
        return patching({"scene": 2, "lines": lines(prepare(episode).scenes[1], turned_round)})

    _, error, _, _ = virtually(by_model(without, prepare=prepare))
    assert isinstance(error, RevisionError)
    assert "without what choice a is about (The zither)" in str(error)
    _, new, _, _ = virtually(by_model(with_it, prepare=prepare))
    assert isinstance(new, Record)


def test_a_model_that_does_not_answer_costs_nothing_but_the_try() -> None:
    record, error, _, store = virtually(
        by_model(lambda episode: patching(), plan=always("echo_key"))
    )  # fmt: skip
    assert isinstance(error, RevisionError)
    assert "Scene 2 was not written" in str(error)
    assert store.records(record.season) == (record,)


def test_a_model_that_never_ends_is_stopped_in_time() -> None:
    async def stuck() -> tuple[Record | RevisionError, int, float]:
        _, error, model, _ = await by_model(lambda episode: patching(), plan=always("slow_drip"), pause=8.0)
        return error, model.in_flight, asyncio.get_running_loop().time()

    error, in_flight, _ = virtually(stuck())
    assert isinstance(error, RevisionError)
    assert "did not write scene 2 in 60 s" in str(error)
    assert in_flight == 0


# -- versions ----------------------------------------------------------------------------------------------------------


def test_versions_are_told_from_the_first_on_and_nothing_is_deleted_by_going_back(desk: Desk) -> None:
    assert isinstance(desk.clock, FakeClock)
    first = desk.records[0]
    chain = [first]
    for text in ("Rain.", "Snow."):
        desk.clock.seconds += 60
        chain.append(edit(desk.shop, chain[-1], Reword(scene=1, element=1, text=text)))
    desk.clock.seconds += 60
    branch = edit(desk.shop, undo(chain, chain[-1]), Reword(scene=1, element=1, text="Hail."))
    records = desk.store.records(first.season)
    for one in (*chain, branch):
        assert versions(records, one) == (*chain, branch)
    assert undo(records, branch) == chain[1]
    assert undo(records, chain[1]) == first
    assert versions(records, desk.records[1]) == (desk.records[1],)
    with pytest.raises(RevisionError, match="first version"):
        undo(records, first)
    with pytest.raises(RevisionError, match="is not there any more"):
        undo([branch], branch)
    assert versions([branch], branch) == (branch,)


def test_versions_that_point_at_each_other_come_to_an_end(desk: Desk) -> None:
    a = desk.records[0].model_copy(update={"revises": "b" * 16, "id": "a" * 16})
    b = a.model_copy(
        update={"revises": "a" * 16, "id": "b" * 16, "saved": a.saved + timedelta(seconds=1)}
    )  # fmt: skip
    assert {one.id for one in versions([a, b], a)} == {"a" * 16, "b" * 16}


def test_a_long_history_does_not_swell_each_version(desk: Desk) -> None:
    record = desk.records[0]
    sizes = []
    for number in range(4):
        record = edit(desk.shop, record, Reword(scene=1, element=1, text=f"Rain, {number}."))
        sizes.append(len(record.model_dump_json()))
    assert sizes[-1] - sizes[-2] < 0.25 * sizes[0]
    assert len(record.generation.attempts) == len(desk.records[0].generation.attempts) + 4
