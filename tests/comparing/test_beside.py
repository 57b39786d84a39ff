"""Side by side, scenes that belong together stand together, and figures that are missing say so."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from cinegen_core.comparing import aligned, overlay
from cinegen_core.scorer import DimensionScore, Scorecard
from cinegen_core.story import Dialogue, Episode, Scene
from tests.builders import an_episode
from tests.comparing.comparisons import START, a_generation


def a_scene(slugline: str, *people: str, seconds: int = 60) -> Scene:
    talk = tuple(Dialogue(speaker=name, text="Well?") for name in people)
    return Scene(slugline=slugline, seconds=seconds, elements=talk)


def with_scenes(*scenes: Scene) -> Episode:
    return an_episode(scenes=scenes)


QUAY = a_scene("EXT. QUAY - DAY", "MARIT", "ANSEL")
LOFT = a_scene("INT. SAIL LOFT - NIGHT", "PIP", "MARIT")
ROOM = a_scene("INT. WATCH ROOM - NIGHT", "ANSEL", "ODA")
BOAT = a_scene("EXT. PILOT BOAT - DAWN", "ODA")


def test_with_as_many_scenes_each_the_first_stands_beside_the_first() -> None:
    rows = aligned([with_scenes(QUAY, LOFT), with_scenes(ROOM, BOAT)])
    assert [row.places for row in rows] == [(0, 0), (1, 1)]


def test_a_scene_that_only_one_of_them_has_stands_alone() -> None:
    episodes = [with_scenes(QUAY, ROOM, BOAT), with_scenes(QUAY, LOFT, ROOM, BOAT)]
    assert [row.places for row in aligned(episodes)] == [(0, 0), (None, 1), (1, 2), (2, 3)]
    assert aligned(episodes)[1].scenes(episodes) == (None, LOFT)


def test_the_time_of_day_and_the_camera_do_not_keep_a_place_from_being_found_again() -> None:
    later = a_scene("I/E. QUAY - NIGHT, LATER", "MARIT")
    rows = aligned([with_scenes(LOFT, QUAY), with_scenes(later)])
    assert [row.places for row in rows] == [(0, None), (1, 0)]


def test_scenes_with_nothing_in_common_are_not_put_side_by_side() -> None:
    rows = aligned([with_scenes(LOFT), with_scenes(ROOM, BOAT)])
    assert sorted(row.places for row in rows if None not in row.places) == []
    assert len(rows) == 3


def test_three_versions_share_the_rows_that_they_have_in_common() -> None:
    episodes = [with_scenes(QUAY, ROOM), with_scenes(QUAY, LOFT, ROOM), with_scenes(LOFT, ROOM, BOAT)]
    rows = aligned(episodes)
    assert [row.places for row in rows] == [(0, 0, None), (None, 1, 0), (1, 2, 1), (None, None, 2)]


def test_a_way_that_came_to_nothing_has_an_empty_column() -> None:
    assert [row.places for row in aligned([None, with_scenes(QUAY, LOFT)])] == [(None, 0), (None, 1)]
    rows = aligned([with_scenes(QUAY), None, with_scenes(QUAY, LOFT)])
    assert [row.places for row in rows] == [(0, None, 0), (None, None, 1)]
    assert aligned([None, None]) == aligned([]) == ()


SCENES = st.builds(
    lambda place, time, people, seconds: a_scene(f"{place} - {time}", *people, seconds=seconds),
    st.sampled_from(("INT. QUAY", "EXT. QUAY", "INT. LOFT", "EXT. OLD QUAY", "INT. QUAY - SHED", "???", "")),
    st.sampled_from(("DAY", "NIGHT")),
    st.lists(st.sampled_from(("MARIT", "ANSEL", "PIP")), max_size=3),
    st.integers(0, 120),
)
EPISODES = st.lists(st.lists(SCENES, min_size=1, max_size=6), min_size=1, max_size=4)


@settings(deadline=None)
@given(EPISODES, st.data())
def test_every_scene_is_there_once_and_in_its_order(scenes: list[list[Scene]], data: st.DataObject) -> None:
    episodes: list[Episode | None] = [with_scenes(*some) for some in scenes]
    if data.draw(st.booleans()):
        episodes.insert(data.draw(st.integers(0, len(episodes))), None)
    rows = aligned(episodes)
    assert all(len(row.places) == len(episodes) for row in rows)
    assert all(any(place is not None for place in row.places) for row in rows)
    for column, episode in enumerate(episodes):
        places = [row.places[column] for row in rows if row.places[column] is not None]
        assert places == list(range(len(episode.scenes) if episode else 0))


@settings(deadline=None)
@given(st.lists(SCENES, min_size=2, max_size=6, unique_by=lambda scene: scene.slugline), st.data())
def test_a_version_with_a_scene_cut_stands_beside_what_it_kept(
    scenes: list[Scene], data: st.DataObject
) -> None:
    named = [
        scene.model_copy(update={"slugline": f"INT. {'ABCDEF'[place] * 3} - DAY"})
        for place, scene in enumerate(scenes)
    ]
    gone = data.draw(st.integers(0, len(named) - 1))
    rows = aligned([with_scenes(*named), with_scenes(*named[:gone], *named[gone + 1 :])])
    beside = {row.places[0]: row.places[1] for row in rows}
    assert beside == {place: None if place == gone else place - (place > gone) for place in range(len(named))}


def a_card(**scores: float | None) -> Scorecard:
    return Scorecard(
        overall=6.5,
        scorer_version="9",
        dimensions={
            "dialogue": DimensionScore(score=scores.get("dialogue")),
            "genre": DimensionScore(score=scores.get("genre"), note="The bible names no genre."),
        },
    )


def test_figures_stand_beside_each_other_and_say_why_one_is_missing() -> None:
    table = overlay((a_generation(scorecard=a_card(dialogue=7.5), seconds=41.0), None, a_generation()))
    rows = {row.name: row for row in table.dimensions}
    assert [row.words for row in table.dimensions][:2] == ["Character depth", "Dialogue quality"]
    assert len(rows) == 7
    assert rows["dialogue"].scores == (7.5, None, None)
    assert rows["dialogue"].notes == ("", "Nothing was written this way.", "This was not judged.")
    assert rows["genre"].scores[0] is None
    assert rows["genre"].notes[0] == "The bible names no genre."
    assert table.overall == (6.5, None, None)
    assert (table.seconds[:2], table.calls[:2], table.tokens[:2], table.cost[:2]) == (
        (41.0, None), (2, None), (311, None), (0.0125, None),
    )  # fmt: skip


def test_an_answer_from_before_is_measured_by_the_time_that_its_writing_took() -> None:
    (seconds,) = overlay((a_generation(seconds=0.001, kept=START),)).seconds
    assert seconds == 7.25
