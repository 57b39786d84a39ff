"""Which episodes a season's list shows, and which version of each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from cinegen_core.store.episodes import Summary
from pages.generate_path import after, around, newest, versions_of, way

ONE, TWO_A, TWO_B, ONE_ANEW, TWO_A_ANEW, THREE = (f"{n:016x}" for n in range(1, 7))


def kept(id: str, minute: int, **changes: Any) -> Summary:
    data: dict[str, Any] = {
        "id": id, "season": "a" * 16, "parent": None, "choice": None, "revises": None, "revision": "", "seed": 1, "minutes": 5.0,
        "direction": "", "who": "", "saved": datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minute), "number": 1,
        "title": f"of minute {minute}", "tier": "comprehensive", "writer": "embedded",
    }  # fmt: skip
    return Summary.model_validate({**data, **changes})


SEASON = (
    kept(ONE, 1),
    kept(TWO_A, 2, number=2, parent=ONE, choice="a"),
    kept(TWO_B, 3, number=2, parent=ONE, choice="b"),
    kept(ONE_ANEW, 4, revises=ONE, revision="scene 1 written anew"),
    kept(TWO_A_ANEW, 5, number=2, parent=ONE, choice="a", revises=TWO_A),
    kept(THREE, 6, number=3, parent=TWO_A, choice="c"),
)


def ids(found: tuple[Summary, ...]) -> list[str]:
    return [one.id for one in found]


def test_the_list_shows_what_led_here_and_what_came_of_it_each_in_its_newest_version() -> None:
    assert ids(way(SEASON, THREE)) == [ONE_ANEW, TWO_A_ANEW, THREE]
    assert ids(way(SEASON, ONE_ANEW)) == [ONE_ANEW, TWO_A_ANEW, THREE]
    assert ids(way(SEASON, TWO_B)) == [ONE_ANEW, TWO_B]


def test_the_version_in_the_address_is_shown_though_there_is_a_newer_one() -> None:
    assert ids(way(SEASON, ONE)) == [ONE, TWO_A_ANEW, THREE]
    assert ids(way(SEASON, TWO_A)) == [ONE_ANEW, TWO_A, THREE]


def test_without_an_episode_in_the_address_the_list_shows_each_episode_once() -> None:
    assert ids(way(SEASON, "")) == [ONE, TWO_A, TWO_B, THREE]


def test_versions_are_those_that_were_made_of_one_another_the_first_one_first() -> None:
    assert ids(versions_of(SEASON, ONE_ANEW)) == [ONE, ONE_ANEW]
    assert ids(versions_of(SEASON, TWO_B)) == [TWO_B]
    assert versions_of(SEASON, "f" * 16) == ()
    found = newest(SEASON, ONE)
    assert found is not None
    assert found.id == ONE_ANEW


def test_a_choice_leads_to_what_was_last_written_after_any_version() -> None:
    assert {choice: one.id for choice, one in after(SEASON, ONE_ANEW).items()} == {
        "a": TWO_A_ANEW,
        "b": TWO_B,
    }


def test_versions_that_come_to_follow_themselves_are_no_endless_way() -> None:
    circle = (kept(ONE, 1, revises=TWO_A), kept(TWO_A, 2, revises=ONE))
    assert set(ids(versions_of(circle, ONE))) <= {ONE, TWO_A}
    parents = (kept(ONE, 1, parent=TWO_A), kept(TWO_A, 2, parent=ONE))
    assert ids(way(parents, ONE))


def test_of_a_long_way_those_around_the_current_episode_are_listed() -> None:
    path = [kept(f"{number:016x}", number, number=number) for number in range(1, 51)]
    listed = {
        current: [one.number for one in around(path, f"{current:016x}", 12)] for current in (1, 25, 50, 99)
    }
    assert listed[1] == list(range(1, 13))
    assert listed[25] == list(range(19, 31))
    assert listed[50] == listed[99] == list(range(39, 51))
    assert [one.number for one in around(path[:5], path[1].id, 12)] == [1, 2, 3, 4, 5]
