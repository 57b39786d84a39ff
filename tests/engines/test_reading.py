"""How a script is read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinegen_core.engines.reading import (
    answered_questions,
    contraction_rate,
    head_noun,
    interruptions,
    is_formal,
    manner_of,
    mentions,
    rank_correlation,
    rounds,
    tension,
)
from cinegen_core.story import Action, Dialogue, Scene
from cinegen_core.story.words import content_words
from tests.builders import a_scene, an_episode


def _talk(*turns: tuple[str, str]) -> Scene:
    return Scene(slugline="INT. X", seconds=10, elements=tuple(Dialogue(speaker=s, text=t) for s, t in turns))


@pytest.mark.parametrize(
    ("phrase", "noun"),
    [("a mug that says BOSS", "mug"), ("the red light", "light"), ("keys", "key"), ("", "")],
)
def test_a_phrase_is_about_its_noun(phrase: str, noun: str) -> None:
    assert head_noun(phrase) == noun


def test_plural_and_singular_are_the_same_word() -> None:
    assert mentions("Three keys on a hook.", head_noun("the key"))
    assert "key" in content_words("The keys were there.")


def test_a_question_answered_with_a_question_is_seen() -> None:
    episode = an_episode(scenes=(_talk(("A", "Who had the key?"), ("B", "Who wants to know?")), a_scene()))
    assert [line.line for line in answered_questions(episode, 1, "B")] == [1, 2]
    assert not answered_questions(episode, 1, "A")


def test_a_cut_off_speech_needs_somebody_else_to_cut_in() -> None:
    cut = an_episode(scenes=(_talk(("A", "I only want --"), ("B", "I know what you want.")), a_scene()))
    trailing = an_episode(
        scenes=(
            Scene(
                slugline="INT. X",
                seconds=5,
                elements=(Dialogue(speaker="A", text="I only want --"), Action(text="Rain.")),
            ),
            a_scene(),
        )
    )
    assert len(interruptions(cut, 1)) == 2
    assert not interruptions(trailing, 1)


def test_a_round_is_a_want_and_a_block() -> None:
    episode = an_episode(
        scenes=(
            _talk(("A", "Give me the book."), ("B", "No."), ("A", "Rain again."), ("B", "Yes.")),
            a_scene(),
        )
    )
    assert len(rounds(episode, 1, "A", "B")) == 2


def test_refusals_and_broken_speeches_read_tenser_than_small_talk() -> None:
    calm = _talk(
        ("A", "It's a fine morning for the boats."), ("B", "There's tea in the pot and bread on the table.")
    )
    tense = _talk(
        ("A", "Where is it?"), ("B", "I don't --"), ("A", "Don't lie."), ("B", "You'll lose everything.")
    )
    assert tension(tense) > tension(calm)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=8))
def test_a_list_goes_with_itself(values: list[float]) -> None:
    rho = rank_correlation(values, values)
    assert rho == pytest.approx(1.0) or len(set(values)) == 1


@pytest.mark.parametrize(
    ("voice", "manner"),
    [
        ("few words, dry", "terse"),
        ("precise, formal, legal", "formal"),
        ("warm, rambling, tells stories", "talker"),
        ("", "plain"),
    ],
)
def test_a_voice_phrase_names_a_manner(voice: str, manner: str) -> None:
    assert manner_of(voice) == manner
    assert is_formal(voice) == (manner == "formal")


def test_contractions_are_counted_among_the_places_where_one_could_stand() -> None:
    assert contraction_rate(["I don't know. It is late."]) == pytest.approx(0.5)
    assert contraction_rate(["Rain."]) is None
