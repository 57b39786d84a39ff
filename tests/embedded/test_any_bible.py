"""Whatever a user types into a bible that is accepted, an episode comes of it."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from cinegen_core.analysis.episodes import take
from cinegen_core.story import Dialogue, EpisodeRequest, StoryBible
from cinegen_core.story.formats import from_fountain, to_fountain
from cinegen_core.writers.embedded import EmbeddedWriter
from cinegen_core.writers.embedded.scribe import flatten

_words = st.text(
    alphabet=st.characters(codec="utf-8", categories=("L", "N", "P", "Zs", "S")), min_size=1, max_size=60
)
_names = st.one_of(
    st.sampled_from(
        ["Ann", "Ann Lee", "Dr. Bo", "李雷", "O'Hara", "the Wolf", "A", "H", "X", "{A}", "Zoë-Marie"]
    ),
    _words,
)
_people = st.fixed_dictionaries(
    {"name": _names, "want": _words},
    optional={
        "secret": _words,
        "voice": _words,
        "pronouns": st.sampled_from(["she/her", "he/him", "they/them", "it", "xe", ""]),
        "look": _words,
    },
)
_bibles = st.fixed_dictionaries(
    {"title": _words, "premise": _words, "characters": st.lists(_people, min_size=2, max_size=4)},
    optional={
        "genres": st.lists(st.sampled_from(["horror", "romance", "comedy", "mystery", "opera"]), max_size=2),
        "locations": st.lists(st.fixed_dictionaries({"name": _words, "interior": st.booleans()}), max_size=3),
        "motifs": st.lists(_words, max_size=2),
        "world": st.fixed_dictionaries({"rules": st.lists(_words, max_size=2)}),
    },
)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=_bibles, seed=st.integers(0, 1000))
def test_any_accepted_bible_makes_an_episode(
    data: dict[str, object], seed: int, embedded: EmbeddedWriter
) -> None:
    try:
        bible = StoryBible.model_validate(data)
    except ValidationError:
        return  # refused with a reason: that is tested with the loader
    episode = take(embedded, EpisodeRequest(bible=bible, seed=seed)).episode
    cues = set(bible.cues())
    assert all(
        e.speaker in cues for scene in episode.scenes for e in scene.elements if isinstance(e, Dialogue)
    )
    assert len({choice.label for choice in episode.choices}) == 3
    assert from_fountain(to_fountain(episode)).scenes


def test_one_name_may_be_the_beginning_of_another(embedded: EmbeddedWriter) -> None:
    people = [{"name": name, "want": "the key"} for name in ("Ann Lee", "Ann", "Lee")]
    bible = StoryBible.model_validate({"title": "Two", "premise": "A key is missing.", "characters": people})
    for seed in range(6):
        episode = take(embedded, EpisodeRequest(bible=bible, seed=seed)).episode
        assert {
            line.speaker for scene in episode.scenes for line in scene.elements if line.kind == "dialogue"
        } <= set(bible.cues())


@pytest.mark.parametrize(
    ("said", "flat"),
    [
        ("Was I ever your friend, or was I just handy?", "Was I ever your friend, or was I just handy?"),
        ("Sit down, friend.", "Sit down."),
        ("It's a sort of a joke.", "It is a joke."),
        ("What kind of man asks?", "What kind of man asks?"),
        ("I'm sort of busy.", "I am busy."),
    ],
)
def test_a_speech_without_its_manner_is_still_a_sentence(said: str, flat: str) -> None:
    assert flatten(said) == flat
