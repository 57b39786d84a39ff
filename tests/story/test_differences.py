"""Two versions of an episode beside each other: every line that was kept, changed, added or taken away, word by word."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinegen_core.story import Action, Dialogue, Element, Episode, Scene, Transition
from cinegen_core.story.differences import ElementDifference, Words, applied, diff, words_between
from cinegen_core.story.editing import Insert, Reword, edited
from tests.builders import an_episode, every_kind_of_element

words = st.text("ab .,", max_size=12)
elements: st.SearchStrategy[Element] = st.one_of(
    st.builds(Action, text=words),
    st.builds(Dialogue, speaker=st.sampled_from("AB"), text=words, parenthetical=st.none() | words),
    st.builds(Transition, text=words),
)
scenes = st.builds(
    Scene, slugline=words, seconds=st.integers(0, 3), elements=st.lists(elements, max_size=5).map(tuple)
)
episodes = st.builds(
    lambda title, scenes: an_episode(title=title, scenes=tuple(scenes)),
    words,
    st.lists(scenes, min_size=1, max_size=4),
)


@given(episodes, episodes)
def test_applying_the_difference_gives_the_later_version(before: Episode, after: Episode) -> None:
    assert applied(before, diff(before, after)) == after


@given(episodes)
def test_equal_episodes_differ_in_nothing(episode: Episode) -> None:
    assert {one.kind for one in diff(episode, episode.model_copy(deep=True))} == {"kept"}


@given(st.text(), st.text())
def test_the_words_of_a_change_are_those_of_both_texts(before: str, after: str) -> None:
    runs = words_between(before, after)
    assert "".join(run.text for run in runs if run.kind != "added") == before
    assert "".join(run.text for run in runs if run.kind != "removed") == after


def test_a_change_shows_which_words_of_which_line_came_and_went() -> None:
    before = an_episode()
    after = edited(before, Reword(scene=2, element=4, text="Damp eats the thread."))
    after = edited(after, Insert(scene=2, element=1, written=Action(text="Rain.")))
    changed = [one for one in diff(before, after) if one.kind != "kept"]
    assert [(one.of, one.kind) for one in changed] == [("element", "added"), ("element", "changed")]
    added, line = changed
    assert isinstance(added, ElementDifference)
    assert isinstance(line, ElementDifference)
    assert (added.was, added.now) == (None, 1)
    assert (line.was, line.now) == (4, 5)
    assert line.words == (
        Words(kind="kept", text="Damp "),
        Words(kind="removed", text="takes"),
        Words(kind="added", text="eats"),
        Words(kind="kept", text=" the thread."),
    )


def test_every_kind_of_change_is_told_apart() -> None:
    rain, hello, *rest = every_kind_of_element()
    scene = Scene(slugline="INT. HALL - DAY", seconds=10, elements=(rain, hello, *rest))
    quiet = scene.model_copy(update={"elements": (rain, *rest)})
    before = an_episode(scenes=(scene, scene))
    found = diff(before, an_episode(title="Salt", scenes=(scene, quiet, scene)))
    kinds = {(one.of, one.kind) for one in found}
    assert kinds >= {("field", "changed"), ("scene", "kept"), ("scene", "added"), ("element", "added")}
    gone = diff(before, an_episode(scenes=(scene,)))
    assert {(one.of, one.kind) for one in gone} >= {("scene", "removed"), ("element", "removed")}


def test_differences_of_another_episode_are_not_applied() -> None:
    episode = an_episode()
    changes = diff(episode, edited(episode, Reword(scene=2, element=1, text="Rain.")))
    one_scene = an_episode(scenes=(episode.scenes[1],))
    with pytest.raises(ValueError, match="another episode"):
        applied(one_scene, changes)
