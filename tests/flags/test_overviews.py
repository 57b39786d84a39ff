"""Operators know what a change will do for whom before they make it, and where a rollout is in its plan."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from cinegen_core.flags.control import Flags
from cinegen_core.flags.journal import MemoryJournal
from cinegen_core.flags.model import Context, Flag, Sample, Strategy
from cinegen_core.flags.overviews import (
    MOST_POINTS,
    Standing,
    audience,
    change_words,
    commands_for,
    consequences,
    course,
    phases,
    standings,
)
from cinegen_core.flags.watch import WatchState, decision

FILE = Path(__file__).parents[2] / "flags.toml"
PLAN = "comprehensive_engines_rollout"
START = datetime(2026, 1, 5, tzinfo=UTC)


class Room:
    def __init__(self) -> None:
        self.now = START
        self.journal = MemoryJournal()
        self.flags = Flags(FILE, self.journal, now=lambda: self.now, on_problem=pytest.fail)

    def standing(self, key: str) -> Standing:
        found = standings(self.flags.declared, self.flags.overlay)
        return next(one for one in found if one.key == key)

    def told(self, command: str, key: str = "", **wanted: bool | int) -> str:
        return "\n".join(
            consequences(self.flags.declared, self.flags.overlay, command, key, **wanted)  # type: ignore[arg-type]
        )

    def offered(self) -> tuple[str, ...]:
        return commands_for(self.flags.declared, self.flags.overlay, self.flags.declared.rollouts[PLAN])


@pytest.fixture
def room() -> Room:
    return Room()


def test_each_flag_says_what_is_in_force_and_what_its_file_says(room: Room) -> None:
    assert room.standing("genre_engines").words == "on for 90 %"
    assert room.standing("complete_context").words == "on for everybody"
    assert room.standing("beta_features").words == "off"
    room.flags.set("genre_engines", percent=25, who="Ada", why="careful")
    changed = room.standing("genre_engines")
    assert (changed.words, changed.declared_words) == ("on for 25 %", "on for 90 %")
    assert changed.needs == ("comprehensive_engines",)
    assert room.standing("comprehensive_engines").needed_by == ("genre_engines",)
    room.flags.set("beta_features", percent=20, who="Ada", why="for later")
    later = room.standing("beta_features")
    assert (later.words, later.declared_words) == ("off, 20 % once it is on", "off, 5 % once it is on")
    room.flags.rollback("genre_engines", who="Ada", why="it repeats itself")
    assert room.standing("genre_engines").words == "rolled back"
    room.flags.emergency(who="Ada", why="the model writes nonsense")
    assert room.standing("complete_context").words == "off in the emergency"


@pytest.mark.parametrize(("before", "after"), [(90, 40), (30, 75)])
def test_how_many_a_new_percentage_concerns_is_what_happens_to_people(
    room: Room, before: int, after: int
) -> None:
    room.flags.set("genre_engines", percent=before, who="Ada", why="first")
    told = room.told("set", "genre_engines", percent=after)
    people = [Context(user=f"user {number}") for number in range(4000)]
    had = [room.flags.evaluate("genre_engines", person).value for person in people]
    room.flags.set("genre_engines", percent=after, who="Ada", why="then")
    has = [room.flags.evaluate("genre_engines", person).value for person in people]
    moved = sum(one != other for one, other in zip(had, has, strict=True)) / 40
    assert moved == pytest.approx(abs(after - before), abs=3)
    assert f"{abs(after - before)} of 100 people {'lose' if after < before else 'get'} it" in told


def test_switching_off_names_the_flags_that_go_with_it(room: Room) -> None:
    for told in (
        room.told("set", "comprehensive_engines", enabled=False),
        room.told("rollback", "comprehensive_engines"),
    ):
        assert "off" in told
        assert "genre_engines goes too" in told


def test_a_rollback_says_that_its_rollout_ends_and_that_the_file_cannot_undo_it(room: Room) -> None:
    room.flags.start_rollout(PLAN, who="Ada", why="week 5")
    told = room.told("rollback", "comprehensive_engines")
    assert f"Its rollout {PLAN} is aborted" in told
    assert "until a person re-arms it" in told
    room.flags.rollback("comprehensive_engines", who="Ada", why="it repeats itself")
    assert room.flags.overlay.rollouts[PLAN].state == "aborted"
    assert "on for 25 %" in room.told("rearm", "comprehensive_engines")
    room.flags.rearm("comprehensive_engines", who="Ada", why="mended")
    assert room.standing("comprehensive_engines").words == "on for 25 %"


def test_what_is_so_already_is_said_to_change_nothing(room: Room) -> None:
    assert "Nothing changes" in room.told("set", "genre_engines", enabled=True, percent=90)
    assert "For nobody anything changes" in room.told("fold_back", "genre_engines")


def test_switching_on_says_who_gets_it(room: Room) -> None:
    told = room.told("set", "beta_features", enabled=True)
    assert "beta testers" in told
    assert "5 % of everybody" in told


def test_a_percentage_that_a_rollout_sets_is_said_to_be_refused(room: Room) -> None:
    room.flags.start_rollout(PLAN, who="Ada", why="week 5")
    assert "abort it first" in room.told("set", "comprehensive_engines", percent=80)


def test_an_emergency_names_who_is_concerned_and_what_stays_rolled_back_after_it(room: Room) -> None:
    assert "only the template writes" in room.told("emergency")
    room.flags.rollback("genre_engines", who="Ada", why="no")
    room.flags.emergency(who="Ada", why="drill")
    assert "genre_engines stays rolled back" in room.told("emergency_over")


def test_the_audience_of_a_flag_is_told_in_its_own_terms() -> None:
    flag = Flag(
        key="f", enabled=True, users=frozenset(["ada"]), attributes={"country": ("fr", "de")},
        strategies=(Strategy(percent=50, stickiness="session", where={"plan": ("pro",)}), Strategy(percent=0)),
    )  # fmt: skip
    assert audience(flag) == (
        "always: 1 user who is listed",
        "always: those whose country is fr or de",
        "50 % of those where plan is pro, by a hash of the session",
        "nobody else",
    )
    assert audience(flag, 100)[2] == "those where plan is pro"


def test_only_what_can_be_done_with_a_rollout_is_offered_and_all_that_is_offered_can_be_done(
    room: Room,
) -> None:
    def done(command: str) -> None:
        act: Callable[..., object] = getattr(room.flags, command)
        act(PLAN, who="Ada", why="a step")

    assert room.offered() == ("start_rollout",)
    done("start_rollout")
    assert room.offered() == ("pause_rollout", "abort_rollout")
    done("pause_rollout")
    assert room.offered() == ("resume_rollout", "abort_rollout")
    done("resume_rollout")
    room.flags.pause_rollout(PLAN, who="rollout", why="its end is approved", awaiting_approval=True)
    assert room.offered() == ("approve_rollout", "pause_rollout", "abort_rollout")
    told = room.told("approve_rollout", PLAN)
    done("approve_rollout")
    assert "from 25 % to 50 %" in told
    assert room.standing("comprehensive_engines").percent == 50
    done("abort_rollout")
    assert room.offered() == ("start_rollout",)
    room.flags.rollback("comprehensive_engines", who="Ada", why="no")
    assert room.offered() == ()


def test_the_phases_of_a_plan_say_which_is_on_and_what_it_still_takes(room: Room) -> None:
    plan = room.flags.declared.rollouts[PLAN]
    assert {one.state for one in phases(plan, room.flags.overlay, None)} == {"ahead"}
    room.flags.start_rollout(PLAN, who="Ada", why="week 5")
    room.now += timedelta(hours=12)
    decided = decision(room.flags.declared, room.flags.overlay, WatchState(), PLAN, room.now)
    first, second, *_ = phases(plan, room.flags.overlay, decided)
    assert (first.state, first.since, first.left) == ("here", START, timedelta(hours=36))
    assert [gate.name for gate in first.gates] == ["dwell", "quality", "errors", "samples"]
    assert (second.state, second.gates) == ("ahead", ())


def test_a_course_has_few_points_whatever_it_is_drawn_from_and_keeps_the_means() -> None:
    heard = [
        Sample(
            at=START + timedelta(minutes=3 * n), on=frozenset(["f"]), quality=float(n % 10), error=n % 4 == 0
        )
        for n in range(9000)
    ]
    step, points = course(heard, "f", "quality")
    assert len(points) <= MOST_POINTS
    assert sum(point.samples for point in points) == 9000
    assert sum(point.mean * point.samples for point in points) == pytest.approx(9000 * 4.5)
    assert {(later.at - earlier.at) % step for earlier, later in pairwise(points)} == {timedelta()}
    assert course(heard, "f", "error")[1][0].mean == pytest.approx(0.25, abs=0.1)
    assert course(heard, "another", "quality")[1] == ()


def test_the_journal_is_told_in_the_words_of_the_page(room: Room) -> None:
    room.flags.set("genre_engines", percent=25, who="Ada", why="careful")
    room.flags.start_rollout(PLAN, who="Ada", why="week 5")
    room.flags.rollback("genre_engines", who="Ada", why="no")
    room.flags.emergency(who="Ada", why="drill")
    assert [change_words(change) for change in room.journal.read()] == [
        "set genre_engines: percentage as declared -> 25 %",
        f"rollout started {PLAN}: state none -> running, phase none -> 1",
        "rollout started comprehensive_engines: percentage as declared -> 25 %",
        "rollback genre_engines: state in force -> rolled back",
        "an emergency began",
    ]


def test_a_flag_that_is_not_declared_is_no_flag(room: Room) -> None:
    with pytest.raises(KeyError):
        room.told("rollback", "nothing_of_the_kind")
