"""Whatever happens, an episode can be written: the template needs nothing but the bible."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cinegen_core.story import Character, Dialogue, Episode, EpisodeRequest, Policy, StoryBible
from cinegen_core.story.load import load_sample, sample_names
from cinegen_core.writers.base import Desk
from cinegen_core.writers.template import TemplateWriter
from tests.builders import a_bible, a_request


def written(request: EpisodeRequest) -> Episode:
    return asyncio.run(TemplateWriter().draft(request, Policy(), Desk())).episode


def in_form(episode: Episode) -> bool:
    cues = sum(isinstance(e, Dialogue) for scene in episode.scenes for e in scene.elements)
    return len(episode.scenes) == 3 and cues >= 12 and len({c.label for c in episode.choices}) == 3


def test_the_smallest_bible_gets_three_scenes_and_three_choices() -> None:
    episode = written(a_request())
    assert in_form(episode)
    assert episode.state.episode == 1
    assert episode.state.offered == episode.choices


def test_the_same_request_gives_the_same_episode_and_another_seed_another() -> None:
    assert written(a_request(seed=4)) == written(a_request(seed=4))
    assert len({written(a_request(seed=seed)).model_dump_json() for seed in range(20)}) > 10


@pytest.mark.parametrize("name", sample_names())
def test_a_season_of_every_sample_goes_on_from_its_choices(name: str) -> None:
    bible = load_sample(name)
    state = None
    for number in range(1, 7):
        episode = written(
            EpisodeRequest(bible=bible, number=number, state=state, choice="c" if state else None, seed=2)
        )
        assert in_form(episode)
        if state is not None:
            assert state.offered[2].label in episode.scenes[0].elements[0].text
        state = episode.state
    assert state is not None
    learned = [known.what for known in state.knowledge]
    assert len(learned) == len(set(learned)) > 1


people: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"name": st.text(min_size=1, max_size=20), "want": st.text(min_size=1, max_size=30)},
    optional={"secret": st.text(max_size=30)},
)


@given(
    st.lists(people, min_size=2, max_size=4),
    st.text(min_size=1, max_size=20),
    st.lists(st.text(min_size=1, max_size=9), max_size=2),
)
def test_no_bible_is_too_strange_for_it(cast: list[dict[str, Any]], premise: str, places: list[str]) -> None:
    try:
        bible = a_bible(premise=premise, characters=cast, locations=[{"name": place} for place in places])
    except ValidationError:
        return
    episode = written(EpisodeRequest(bible=bible, seed=3))
    assert in_form(episode)
    assert in_form(written(EpisodeRequest(bible=bible, number=2, state=episode.state)))


@pytest.mark.parametrize(
    ("want", "caption"),
    [("to leave", "Ada wants to leave."), ("To leave.", "Ada wants to leave."), ("She wants out", "Ada: She wants out."),
     ("a way out", "Ada wants a way out."), ("Ada wants peace", "Ada: Ada wants peace.")],
)  # fmt: skip
def test_wants_are_put_on_screen_however_the_bible_words_them(want: str, caption: str) -> None:
    bible = a_bible(characters=[Character(name="Ada", want=want), Character(name="Bo", want="x")])
    assert isinstance(bible, StoryBible)
    assert caption in written(EpisodeRequest(bible=bible)).scenes[0].elements[1].text
