"""A score can be looked into, cannot be talked up, and says what it cannot see."""

from __future__ import annotations

import hashlib
import math
import os
import random
import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cinegen_core.report import scorecard_text
from cinegen_core.scorer import DIMENSION_WORDS, Scorecard, quality_class, score
from cinegen_core.scorer.corruptions import CRAFT
from cinegen_core.scorer.scale import shipped
from cinegen_core.scorer.scoring import MEASURES
from cinegen_core.story import (
    Action,
    Beat,
    Choice,
    Dialogue,
    Effect,
    Element,
    Episode,
    EpisodeRequest,
    Policy,
    Scene,
    StoryBible,
    StoryState,
)
from cinegen_core.story.formats import read_script, to_fdx, to_fountain, to_json
from cinegen_core.story.load import load_sample
from cinegen_core.story.script import Script, ScriptChoice, ScriptScene
from cinegen_core.writers.base import Desk
from cinegen_core.writers.embedded import EmbeddedWriter
from tests.scorer.shelf import SHELF, bible, exemplars, script

NAMES = sorted(exemplars())


def as_episode(shown: Script, **changes: object) -> Episode:
    """An episode that shows this script, with something in every field that a script does not show."""
    choices = tuple(
        Choice(id=id, label=c.label, consequence=c.consequence)
        for id, c in zip("abc", shown.choices, strict=True)
    )
    return Episode.model_validate(
        {
            "series": shown.series, "number": 1, "title": shown.title, "logline": "", "synopsis": "",
            "scenes": tuple(Scene(slugline=s.slugline, seconds=60, elements=s.elements) for s in shown.scenes),
            "question": shown.question, "choices": choices, "state": StoryState(series=shown.series), **changes,
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def card() -> Scorecard:
    return score(exemplars()["glass_case"], bible("glass_case"))


def test_every_measure_has_its_worth_in_the_table_and_about_five_make_a_dimension() -> None:
    for name, measures in MEASURES.items():
        assert {m.name for m in measures} == set(shipped().dimensions[name].measures)
        assert len(measures) >= 5


def test_all_evidence_stands_in_the_script_where_it_says(card: Scorecard) -> None:
    shown = exemplars()["glass_case"]
    rows = [row for d in card.dimensions.values() for m in d.measures for row in m.evidence]
    assert len(rows) > 40
    for row in rows:
        if row.scene:
            text = shown.scenes[row.scene - 1].elements[row.line - 1].text
        elif row.line:
            choice = shown.choices[row.line - 1]
            text = f"{choice.label} {choice.consequence}"
        else:
            text = shown.question
        found, whole = ("".join(filter(str.isalnum, part)) for part in (row.text, text))
        assert found in whole
        assert row.what


def test_each_dimension_names_the_two_lines_that_helped_and_hurt_most_and_one_thing_to_do() -> None:
    card = score(script(SHELF / "rated" / "prototype_single_pass.txt"), load_sample("slack_water"))
    for dimension in card.dimensions.values():
        assert len(dimension.helped) <= 2
        assert len(dimension.hurt) <= 2
        assert all(row.points > 0 for row in dimension.helped)
        assert all(row.points < 0 for row in dimension.hurt)
        assert dimension.suggestion
    text = scorecard_text(card)
    for words in DIMENSION_WORDS.values():
        assert words in text


@pytest.mark.parametrize("name", NAMES[:4])
def test_the_same_script_scores_the_same_in_every_format(name: str) -> None:
    episode = as_episode(exemplars()[name])
    cards = [
        score(read_script(text), bible(name))
        for text in (to_fountain(episode), to_fdx(episode), to_json(episode))
    ]
    assert cards[0] == cards[1] == cards[2] == score(episode, bible(name))


@pytest.mark.parametrize("name", NAMES[:4])
def test_fields_that_a_script_does_not_show_count_for_nothing(name: str) -> None:
    shown = exemplars()[name]
    praise = "A masterpiece of subtext, motivation, conflict, layered dialogue and emotional depth. " * 20
    choices = tuple(
        Choice(id=id, label=c.label, consequence=c.consequence, axis=praise, anchor=praise, horizon="season",
               canonical=id == "b", effects=(Effect(kind="flag", subject=praise),))
        for id, c in zip("abc", shown.choices, strict=True)
    )  # fmt: skip
    filled = as_episode(
        shown, logline=praise, synopsis=praise, rundown=(Beat(start=0, seconds=9, text=praise),), choices=choices,
        state=StoryState(series=shown.series, memory={"score": 10}), number=7,
    )  # fmt: skip
    assert score(filled, bible(name)) == score(as_episode(shown), bible(name))


@pytest.mark.parametrize("name", NAMES)
def test_words_about_writing_never_raise_a_score(name: str) -> None:
    rng = random.Random(name)
    shown, known = exemplars()[name], bible(name)
    before = score(shown, known)
    for _ in range(4):
        scenes = []
        for scene in shown.scenes:
            elements = list(scene.elements)
            at = rng.randrange(len(elements))
            words = ", ".join(rng.sample(CRAFT, 4))
            speaker = next(e.speaker for e in elements if isinstance(e, Dialogue))
            kinds: list[Element] = [
                Action(text=f"The scene is full of {words}."),
                Action(text=f"{words.capitalize()}."),
                Dialogue(speaker=speaker, text=f"This is about {words}."),
            ]
            added = rng.choice(kinds)
            elements.insert(at, added)
            scenes.append(ScriptScene(slugline=scene.slugline, elements=tuple(elements)))
        after = score(shown.model_copy(update={"scenes": tuple(scenes)}), known)
        assert (after.overall or 0) <= (before.overall or 0)


@pytest.mark.parametrize("name", NAMES)
def test_a_script_written_twice_over_gains_nothing(name: str) -> None:
    shown = exemplars()[name]
    twice = shown.model_copy(update={"scenes": shown.scenes * 2})
    assert (score(twice, bible(name)).overall or 0) <= (score(shown, bible(name)).overall or 0)


def test_a_string_of_key_words_is_worth_nothing() -> None:
    words = ". ".join(
        f"{word.capitalize()} and {other}" for word, other in zip(CRAFT, CRAFT[::-1], strict=True)
    )
    stuffed = read_script(
        f"INT. ROOM - DAY\n\n{words}.\n\nANNA\n{words}.\n\nBEN\n{words}.\n\nINT. HALL - DAY\n\n{words}.\n\nANNA\n{words}.\n"
    )
    found = score(stuffed).overall
    assert found is None or found < 1.5


NOVEL = (
    "It was the best part of the year, and Marit knew it. She walked down to the harbour with her hands in her pockets and her father's hat on "
    "her head. “You are late,” said Ansel. She did not answer him at once. The water was grey. "
) * 12
MAIL = (
    "From: Anna <anna@example.org>\nTo: Ben\nSubject: Thursday\n\nDear Ben,\n\nThe room is booked for ten. Please bring the figures for March.\n\nBest,\nAnna\n"
    * 4
)


@pytest.mark.parametrize("text", [NOVEL, MAIL], ids=["a page of a novel", "an e-mail"])
def test_what_is_no_screenplay_gets_an_answer_and_no_score(text: str) -> None:
    card = score(read_script(text))
    assert card.overall is None
    assert card.reason.startswith("This is not a screenplay")
    assert "No score." in scorecard_text(card)


def test_two_lines_are_not_enough_to_judge_and_not_a_bad_script() -> None:
    card = score(read_script("INT. HALL - DAY\n\nRain.\n\nANNA\nWhere is it?\n\nBEN\nGone.\n"))
    assert card.overall is None
    assert card.reason.startswith("There is not enough here to judge")


def test_a_script_without_choices_is_judged_without_them() -> None:
    shown = exemplars()["long_tow"].model_copy(update={"choices": (), "question": ""})
    card = score(shown, bible("long_tow"))
    assert card.dimensions["choices"].score is None
    assert "without choices" in card.dimensions["choices"].note
    assert card.overall is not None
    assert card.overall > 7
    assert card.confidence < score(exemplars()["long_tow"], bible("long_tow")).confidence


def test_without_a_bible_it_says_what_it_did_not_look_at() -> None:
    card = score(exemplars()["long_tow"])
    assert card.overall is not None
    assert "own voice" in card.notes[0]
    assert card.notes[1].startswith("No genre is given; read as ")


def test_names_of_things_that_nobody_sees_do_not_matter() -> None:
    """Choice ids, the order of keys and of people in the bible."""
    shown = exemplars()["the_toll"]
    known = bible("the_toll")
    turned = StoryBible.model_validate(
        {**known.model_dump(), "characters": known.characters[::-1], "locations": known.locations[::-1]}
    )
    assert score(shown, turned).overall == score(shown, known).overall
    data = as_episode(shown).model_dump(mode="json")
    other = Episode.model_validate(dict(reversed(data.items())))
    assert score(other, known) == score(as_episode(shown), known)


def test_classes_are_those_of_the_contract() -> None:
    assert [quality_class(x) for x in (9, 8, 7, 5, 3, 2.99)] == [
        "masterpiece",
        "cinematic",
        "excellent",
        "good",
        "basic",
        "poor",
    ]


def test_the_same_card_byte_for_byte_in_another_process() -> None:
    command = (
        "import hashlib; from tests.scorer.shelf import *; from cinegen_core.scorer import score; "
        "print(hashlib.sha256(score(exemplars()['the_wire'], bible('the_wire')).model_dump_json().encode()).hexdigest())"
    )
    here = hashlib.sha256(
        score(exemplars()["the_wire"], bible("the_wire")).model_dump_json().encode()
    ).hexdigest()
    for seed in ("1", "77"):
        ran = subprocess.run(
            [sys.executable, "-c", command],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert ran.stdout.strip() == here


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_any_edit_leaves_a_score_that_is_a_number_from_0_to_10(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(NAMES))
    shown = exemplars()[name]
    scenes = [(s.slugline, list(s.elements)) for s in shown.scenes]
    for _ in range(data.draw(st.integers(1, 12))):
        row = scenes[data.draw(st.integers(0, len(scenes) - 1))][1]
        kind = data.draw(st.sampled_from(["drop", "double", "text", "cue", "move"]))
        if not row:
            continue
        at = data.draw(st.integers(0, len(row) - 1))
        if kind == "drop":
            del row[data.draw(st.integers(0, at)) : at + 1]
        elif kind == "double":
            row[at:at] = row
        elif kind == "text":
            row[at] = row[at].model_copy(update={"text": data.draw(st.text(max_size=200))})
        elif kind == "cue":
            row[at] = Dialogue(speaker=data.draw(st.text(max_size=20)), text=row[at].text)
        else:
            row.insert(0, row.pop(at))
        del row[400:]
    choices = data.draw(
        st.just(shown.choices)
        | st.lists(
            st.builds(ScriptChoice, label=st.text(max_size=60), consequence=st.text(max_size=60)), max_size=4
        ).map(tuple)
    )
    edited = shown.model_copy(
        update={
            "choices": choices,
            "scenes": tuple(ScriptScene(slugline=s, elements=tuple(r)) for s, r in scenes),
        }
    )
    known = data.draw(st.sampled_from([None, bible(name)]))
    card = score(edited, known)
    assert card == score(edited, known)
    found = [card.overall, *(d.score for d in card.dimensions.values())]
    assert all(x is None or (0 <= x <= 10 and math.isfinite(x)) for x in found)
    assert (card.overall is None) == bool(card.reason)


async def test_the_studio_s_own_tiers_are_told_apart(embedded: EmbeddedWriter) -> None:
    """Template below single pass below engines below the exemplars, on the mean of the sample series."""
    from cinegen_core.analysis.episodes import take
    from cinegen_core.writers.template import TemplateWriter

    exemplary = [score(shown, bible(name)).overall or 0 for name, shown in exemplars().items()]
    means = []
    for write in ("template", "single", "engines"):
        found = []
        for sample in ("slack_water", "first_prize", "hour_office", "sworn"):
            request = EpisodeRequest(bible=load_sample(sample), seed=3)
            if write == "engines":
                import asyncio

                episode = (await asyncio.to_thread(take, embedded, request)).episode
            else:
                writer = embedded if write == "single" else TemplateWriter()
                episode = (await writer.draft(request, Policy(), Desk())).episode
            found.append(score(episode, request.bible).overall or 0)
        means.append(sum(found) / len(found))
    means.append(sum(exemplary) / len(exemplary))
    assert all(after - before > 0.5 for before, after in pairwise(means)), means


def test_every_process_gives_the_same_script_the_same_scorecard_whatever_order_its_sets_have() -> None:
    script = (
        "import hashlib; from cinegen_core.scorer import score; from cinegen_core.story.formats import read_script; "
        "from tests.scorer.shelf import SHELF; files = sorted((SHELF / 'good').glob('*.fountain'))[:6]; "
        "cards = [score(read_script(file.read_text())).model_dump_json() for file in files]; "
        "assert cards; print(hashlib.sha256(''.join(cards).encode()).hexdigest())"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("1", "2", "3")
    ]
    assert said[0] == said[1] == said[2] != b""
