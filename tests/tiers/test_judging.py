"""An accepted attempt is one that scored, by the threshold of its writer's profile, on one scale for all."""

from __future__ import annotations

import pytest

from cinegen_core.analysis.episodes import take
from cinegen_core.scorer import score
from cinegen_core.scorer.scale import shipped
from cinegen_core.settings import Settings
from cinegen_core.store import MemoryStore
from cinegen_core.story import Choice, Episode, EpisodeRequest, StoryBible
from cinegen_core.studio import Studio
from cinegen_core.tiers.judging import judge, profiles, profiles_version
from cinegen_core.writers.embedded import EmbeddedWriter
from tests.builders import an_episode


@pytest.fixture(scope="module")
def written(embedded: EmbeddedWriter, samples: dict[str, StoryBible]) -> tuple[Episode, StoryBible]:
    bible = samples["slack_water"]
    return take(embedded, EpisodeRequest(bible=bible, seed=5)).episode, bible


def test_one_score_is_held_to_the_threshold_of_its_writer(written: tuple[Episode, StoryBible]) -> None:
    episode, bible = written
    card = score(episode, bible)
    assert card.overall is not None
    own, model = judge(episode, bible, "embedded"), judge(episode, bible, "model")
    assert own.scorecard == model.scorecard == card
    assert own.accepted
    assert model.accepted == (card.overall >= 7.0)
    assert own.reason == f"scored {card.overall:.1f} of 10"
    if not model.accepted:
        assert "below the 7.0 asked of this writer" in model.reason
    assert judge(episode, bible, "somebody new").accepted == model.accepted


def test_what_has_no_score_or_no_form_is_not_accepted_and_ranks_below_what_has(
    written: tuple[Episode, StoryBible],
) -> None:
    episode, bible = written
    short = judge(an_episode(), bible, "template")
    assert (short.accepted, short.scorecard is not None) == (False, True)
    assert short.reason.startswith("has no score: there is not enough here to judge")
    assert short.rank < judge(episode, bible, "model").rank
    same = tuple(Choice(id=id, label="Go.", consequence="It is late.") for id in "abc")
    alike = judge(episode.model_copy(update={"choices": same}), bible, "template")
    assert not alike.accepted
    assert "choices that are not three different ones" in alike.reason


def test_profiles_were_set_for_this_version_of_the_scorer_and_the_model_s_are_the_guide_s() -> None:
    assert profiles_version() == shipped().version
    model, own = profiles()["model"], profiles()["embedded"]
    assert (model.least, model.good, model.fine) == (7.0, 7.5, 8.0)
    assert own.least < own.good < own.fine < model.fine


async def test_an_answer_carries_the_scorecard_of_the_attempt_that_won(
    written: tuple[Episode, StoryBible],
) -> None:
    _, bible = written
    with Studio(Settings(cache_megabytes=0), store=MemoryStore()) as studio:
        generation = await studio.generate(EpisodeRequest(bible=bible, seed=5))
    assert generation.scorecard == score(generation.episode, bible)
    assert generation.winner is not None
    assert generation.winner.score == generation.scorecard.overall
    assert (
        type(generation).model_validate_json(generation.model_dump_json()).scorecard == generation.scorecard
    )
