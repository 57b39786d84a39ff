"""A season holds together: no crash, no drought, no contradiction; and the same bytes again."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from itertools import cycle, islice

import pytest

from cinegen_core.analysis.episodes import season, take
from cinegen_core.analysis.prose import adjacent_cues, cue_count, grammar_faults
from cinegen_core.analysis.replay import contradictions
from cinegen_core.story import Dialogue, EpisodeRequest, Policy, StoryBible
from cinegen_core.story.load import sample_names
from cinegen_core.writers.embedded import EmbeddedWriter

SAMPLES = sample_names()


@pytest.mark.parametrize("name", SAMPLES)
def test_twelve_episodes_of_each_sample_run_without_contradiction(
    name: str, embedded: EmbeddedWriter, samples: dict[str, StoryBible]
) -> None:
    letters = "".join(islice(cycle("abcca"), 11))
    episodes = [t.episode for t in season(embedded, samples[name], seed=3, episodes=12, choices=letters)]
    assert [e.number for e in episodes] == list(range(1, 13))
    assert contradictions(samples[name], episodes) == []
    assert [f for e in episodes for f in grammar_faults(e)] == []
    assert sum(adjacent_cues(e) for e in episodes) == 0


@pytest.mark.parametrize("name", SAMPLES)
def test_an_episode_fits_its_form(
    name: str, embedded: EmbeddedWriter, samples: dict[str, StoryBible]
) -> None:
    for seed in range(4):
        for whole in season(embedded, samples[name], seed=seed, episodes=2):
            episode = whole.episode
            assert 750 <= episode.words <= 1150
            assert 2 <= len(episode.scenes) <= 4
            assert cue_count(episode) >= 40
            assert len({c.label for c in episode.choices}) == 3
            assert episode.logline
            assert episode.synopsis


def test_bibles_as_people_type_them_make_episodes(
    embedded: EmbeddedWriter, typed_bibles: dict[str, StoryBible]
) -> None:
    for name, bible in typed_bibles.items():
        episodes = [t.episode for t in season(embedded, bible, seed=2, episodes=5)]
        assert len(episodes) == 5, name
        assert [f for e in episodes for f in grammar_faults(e)] == [], name
        assert contradictions(bible, episodes) == [], name


@pytest.mark.parametrize("name", SAMPLES)
def test_the_three_choices_open_the_next_episode_differently(
    name: str, embedded: EmbeddedWriter, samples: dict[str, StoryBible]
) -> None:
    first = take(embedded, EpisodeRequest(bible=samples[name], seed=4)).episode
    openings = set()
    for letter in ("a", "b", "c"):
        request = EpisodeRequest(bible=samples[name], number=2, state=first.state, choice=letter, seed=4)
        scene = take(embedded, request).episode.scenes[0]
        openings.add(tuple(e.text for e in scene.elements if isinstance(e, Dialogue)))
    assert len(openings) == 3


def test_the_plan_is_the_same_whichever_engines_write(
    embedded: EmbeddedWriter, samples: dict[str, StoryBible]
) -> None:
    request = EpisodeRequest(bible=samples["slack_water"], seed=9)
    whole = take(embedded, request)
    bare = take(embedded, request, Policy(engines=frozenset()))
    assert [s.slugline for s in whole.episode.scenes] == [s.slugline for s in bare.episode.scenes]
    assert whole.episode.words > bare.episode.words


def test_the_same_request_gives_the_same_bytes_in_another_process(embedded: EmbeddedWriter) -> None:
    command = [sys.executable, "-m", "cinegen_core.cli", "write", "slack_water", "--seed", "11"]
    outputs = {
        subprocess.run(
            command, check=True, capture_output=True, env={**os.environ, "PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "77")
    }
    assert len(outputs) == 1


def test_no_socket_is_opened(
    monkeypatch: pytest.MonkeyPatch, embedded: EmbeddedWriter, samples: dict[str, StoryBible]
) -> None:
    class NoConnection(socket.socket):
        def connect(self, address: object) -> None:
            raise AssertionError(f"a connection was opened to {address}")

    monkeypatch.setattr(socket, "socket", NoConnection)
    assert take(embedded, EpisodeRequest(bible=samples["slack_water"], seed=1)).episode.words


def test_without_complete_context_only_the_leads_and_one_place_are_left(
    embedded: EmbeddedWriter, samples: dict[str, StoryBible]
) -> None:
    whole = take(embedded, EpisodeRequest(bible=samples["dead_air"], seed=1), Policy(complete_context=False))
    speakers = {s for scene in whole.episode.scenes for s in scene.speakers}
    assert speakers <= {"NOOR", "GIL"}
    assert len({scene.slugline.split(" - ")[0] for scene in whole.episode.scenes}) == 1


def test_a_note_to_the_writers_brings_in_whom_it_names(
    embedded: EmbeddedWriter, samples: dict[str, StoryBible]
) -> None:
    def with_pip(direction: str) -> int:
        found = 0
        for seed in range(8):
            request = EpisodeRequest(bible=samples["slack_water"], seed=seed, direction=direction)
            found += sum("PIP" in scene.speakers for scene in take(embedded, request).episode.scenes)
        return found

    assert with_pip("More of Pip, please, on the launch.") > with_pip("More of Ines, please.")
