"""Looking back on a season: which way it took, what it asked and answered, and who knows what by now."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from cinegen_core.scorer import score
from cinegen_core.season_view import BondChanged, Knower, PathError, SeasonView, Step, path_to, season_view
from cinegen_core.store import Record
from cinegen_core.story import (
    Change,
    Episode,
    EpisodeRequest,
    Knowledge,
    Policy,
    Relationship,
    StoryBible,
    StoryState,
    Thread,
    Whereabouts,
)  # fmt: skip
from cinegen_core.tiers.model import Attempt, Generation
from cinegen_core.writers.base import Desk
from cinegen_core.writers.embedded import EmbeddedWriter
from tests.builders import a_bible, an_episode, some_choices

BIBLE = a_bible(threads=["Who let him drown?"])
LOG = "Who cut the log?"


def kept(letter: str, episode: Episode, parent: str | None = None, **changes: Any) -> Record:
    card = score(episode, BIBLE)
    attempt = Attempt(
        tier="enhanced_baseline", writer="w", outcome="accepted", episode=episode, scorecard=card
    )  # fmt: skip
    generation = Generation(
        id=letter * 16, episode=episode, tier="enhanced_baseline", writer="w", attempts=(attempt,)
    )  # fmt: skip
    data: dict[str, Any] = {
        "id": letter * 16, "season": "f" * 16, "parent": parent and parent * 16, "seed": 1, "minutes": 5,
        "saved": datetime(2026, 1, episode.number, tzinfo=UTC), "generation": generation,
    }  # fmt: skip
    return Record(**{**data, **changes})


def season() -> list[Record]:
    """Two episodes, the second by choice b; a third that follows choice c instead of the second."""
    first = StoryState(
        series="Slack Water",
        episode=1,
        knowledge=(
            Knowledge(who="ANSEL", what=LOG, level=3, episode=0),
            Knowledge(who="MARIT", what=LOG, level=1, episode=1, how="the edge is clean"),
        ),
        relationships=(Relationship(who="MARIT", towards="ANSEL", trust=-1),),
        threads=(Thread(question=LOG, opened=1), Thread(question="Who let him drown?", opened=0)),
        things=(Whereabouts(thing="the log", kind="person", where="MARIT"),),
        changes=(Change(episode=1, text="A page is gone."),),
        offered=some_choices(),
    )
    second = first.model_copy(
        update={
            "episode": 2,
            "knowledge": (
                first.knowledge[0],
                Knowledge(who="MARIT", what=LOG, level=2, episode=2, how="Pip saw it"),
            ),
            "relationships": (Relationship(who="MARIT", towards="ANSEL", trust=-3),),
            "threads": (Thread(question=LOG, opened=1, closed=2), first.threads[1]),
            "changes": (*first.changes, Change(episode=2, text="Pip talks.")),
        }
    )
    return [
        kept("1", an_episode(state=first)),
        kept("2", an_episode(number=2, title="The Boat", state=second), "1", choice="b"),
        kept("3", an_episode(number=2, title="Stars", state=second), "1", choice="c"),
    ]


def view(*letters: str, records: list[Record] | None = None) -> SeasonView:
    return season_view(BIBLE, records or season(), [letter * 16 for letter in letters])


def test_each_episode_of_the_way_says_how_it_came_about() -> None:
    first, second = view("1", "2").episodes
    assert (first.number, first.title, first.taken, second.title) == (1, "The Stub", None, "The Boat")
    assert second.taken is not None
    assert (second.taken.id, second.taken.label, second.taken.canonical) == ("b", "Wake Pip.", False)
    assert (second.opened, second.closed, first.opened) == ((), (LOG,), (LOG,))
    assert (first.happened, second.happened) == (("A page is gone.",), ("Pip talks.",))
    assert first.score == score(season()[0].generation.episode, BIBLE).overall


def test_another_way_took_another_choice() -> None:
    taken = view("1", "3").episodes[1].taken
    assert taken is not None
    assert taken.label == "Put the log back."


def test_questions_say_where_they_were_raised_and_answered() -> None:
    log, drown = view("1", "2").threads
    assert (log.opened, log.opened_in, log.closed, log.closed_in) == (1, "The Stub", 2, "The Boat")
    assert (drown.question, drown.opened, drown.opened_in, drown.open) == ("Who let him drown?", 0, "", True)
    assert view("1", "2").still_open == (drown,)
    assert [thread.open for thread in view("1").threads] == [True, True]


def test_who_knows_what_and_since_when() -> None:
    [fact] = view("1", "2").facts
    assert fact.known_by == (
        Knower(who="Ansel Roe", level=3, since=0),
        Knower(who="Marit Vold", level=2, since=2),
    )
    assert fact.hidden_from == ()
    learned = view("1", "2").episodes[1].learned
    assert [(one.who, one.level, one.how) for one in learned] == [("Marit Vold", 2, "Pip saw it")]
    assert [one.who for one in view("1").episodes[0].learned] == ["Marit Vold"]


def test_who_does_not_know_is_named() -> None:
    only_ansel = StoryState(
        series="Slack Water", episode=1, knowledge=(Knowledge(who="ANSEL", what=LOG, level=3, episode=0),)
    )
    [fact] = view("1", records=[kept("1", an_episode(state=only_ansel))]).facts
    assert fact.hidden_from == ("Marit Vold",)


def test_how_people_came_to_stand_to_each_other() -> None:
    found = view("1", "2")
    assert found.episodes[1].bonds == (
        BondChanged(who="Marit Vold", towards="Ansel Roe", before=-1, after=-3),
    )
    [bond] = found.bonds
    assert (bond.trust, bond.steps) == (-3, (Step(episode=1, trust=-1), Step(episode=2, trust=-3)))
    assert [(one.thing, one.where) for one in found.things] == [("the log", "Marit Vold")]


def test_a_changed_episode_keeps_its_place_on_the_way() -> None:
    records = season()
    changed = kept(
        "4", records[0].generation.episode, revises="1" * 16, revision="scene 1, line 1 edited by hand"
    )  # fmt: skip
    episodes = view("4", "2", records=[*records, changed]).episodes
    assert [(one.revised, one.versions) for one in episodes] == [(True, 2), (False, 1)]


def test_a_season_without_episodes_shows_what_the_bible_asks() -> None:
    empty = view()
    assert (empty.episodes, empty.score, empty.offered) == ((), None, ())
    assert [thread.question for thread in empty.threads] == ["Who let him drown?"]


def test_the_way_to_an_episode_is_found() -> None:
    assert path_to(season(), "3" * 16) == ("1" * 16, "3" * 16)
    with pytest.raises(PathError, match="is not in this season"):
        path_to(season(), "9" * 16)


@pytest.mark.parametrize(
    ("letters", "said"),
    [("9", "is not in this season"), ("21", "does not follow"), ("23", "does not follow")],
)
def test_episodes_that_are_no_way_are_refused(letters: str, said: str) -> None:
    with pytest.raises(PathError, match=said):
        view(*letters)


def test_a_circle_is_refused() -> None:
    first, second, _ = season()
    with pytest.raises(PathError, match="follow itself"):
        path_to([first.model_copy(update={"parent": second.id}), second], second.id)


async def test_a_written_season_can_be_looked_back_on(
    embedded: EmbeddedWriter, samples: dict[str, StoryBible]
) -> None:
    bible = samples["slack_water"]
    records: list[Record] = []
    state = None
    for number in (1, 2, 3):
        request = EpisodeRequest(bible=bible, number=number, seed=2, state=state)
        episode = (await embedded.draft(request, Policy(), Desk())).episode
        records.append(kept(str(number), episode, str(number - 1) if number > 1 else None))
        state = episode.state
    found = season_view(bible, records, path_to(records, "3" * 16))
    assert [one.number for one in found.episodes] == [1, 2, 3]
    assert all(one.happened for one in found.episodes)
    assert any(one.learned for one in found.episodes)
    assert found.facts
    names = {person.name for person in bible.characters}
    assert all(knower.who in names for fact in found.facts for knower in fact.known_by)
    assert SeasonView.model_validate_json(found.model_dump_json()) == found
