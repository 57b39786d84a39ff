"""What is called for as samples come in: the same live, after a restart, and in replay."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cinegen_core.flags.journal import fold
from cinegen_core.flags.model import (
    Change,
    ChangeKind,
    Declared,
    EmergencyOverlay,
    Flag,
    FlagOverlay,
    Noun,
    Overlay,
    Phase,
    RolloutOverlay,
    RolloutPlan,
    Sample,
    Trigger,
)
from cinegen_core.flags.replay import rebuilt, replay
from cinegen_core.flags.watch import Action, Tick, WatchState, carried_out, decision, is_on, step, verdicts

BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
TRIGGERS = {
    "error_rate_spike": Trigger(
        key="error_rate_spike", metric="error", worse="above", threshold=0.10, minutes=15
    ),
    "quality_degradation": Trigger(
        key="quality_degradation", metric="quality", worse="below", threshold=7.0, minutes=30, high=10.0
    ),
    "processing_time_spike": Trigger(
        key="processing_time_spike", metric="seconds", worse="above", threshold=90.0, minutes=20, high=120.0
    ),
}
STRATEGY = RolloutPlan(
    key="engines_rollout",
    flag="engines",
    phases=tuple(
        Phase(percent=percent, dwell_hours=hours, quality=8.0, errors=errors)
        for percent, hours, errors in ((25, 48, 0.05), (50, 72, 0.03), (75, 48, 0.02), (100, 168, 0.02))
    ),
)


def declared(**changes: Any) -> Declared:
    return Declared.model_validate(
        {
            "flags": {key: Flag(key=key, enabled=True) for key in ("engines", "genres")},
            "rollouts": {"engines_rollout": STRATEGY},
            "triggers": TRIGGERS,
            **changes,
        }
    )


def sample(at: datetime, **changes: Any) -> Sample:
    return Sample.model_validate({"at": at, "on": {"engines"}, "quality": 8.5, "seconds": 40.0, **changes})


def running(since: datetime = BEGIN, phase: int = 0) -> dict[str, Any]:
    return {"rollouts": {"engines_rollout": RolloutOverlay(state="running", since=since, phase=phase)}}


class Studio:
    """A studio with a journal: gives the fold what happens, and carries out what it calls for."""

    def __init__(self, known: Declared, overlay: Overlay | None = None) -> None:
        self.declared = known
        self.first = overlay or Overlay()
        self.overlay, self.state = self.first, WatchState()
        self.events: list[Sample | Tick] = []
        self.changes: list[Change] = []
        self.actions: list[Action] = []

    def give(self, event: Sample | Tick) -> tuple[Action, ...]:
        if isinstance(event, Sample) or event.failed_read is not None:
            self.events.append(event)
        return self.tell(event)

    def tell(self, event: Sample | Tick) -> tuple[Action, ...]:
        self.state, actions = step(self.declared, self.overlay, self.state, event)
        for action in actions:
            kind: ChangeKind = "rollback" if action.kind == "roll_back" else "set"
            after = carried_out(self.declared, self.overlay, action)
            self.write(after, action.at, kind, who="watch", why=action.words)
        self.actions += actions
        return actions

    def command(self, at: datetime, change: Callable[[Overlay], Overlay], kind: ChangeKind = "set") -> None:
        self.tell(Tick(at))
        self.write(change(self.overlay), at, kind)

    def write(
        self, after: Overlay, at: datetime, kind: ChangeKind, who: str = "somebody", why: str = "because"
    ) -> None:
        made: list[Change] = []

        def note(subject: str, before: Noun | None, now: Noun | None) -> None:
            if before != now:
                made.append(
                    Change(
                        version=len(self.changes) + len(made) + 1,
                        at=at,
                        who=who,
                        why=why,
                        kind=kind,
                        subject=subject,
                        before=before and before.model_dump(mode="json"),
                        after=now and now.model_dump(mode="json"),
                    )
                )

        for key in after.flags:
            note(f"flag:{key}", self.overlay.flags.get(key), after.flags[key])
        for key in after.rollouts:
            note(f"rollout:{key}", self.overlay.rollouts.get(key), after.rollouts[key])
        note("emergency", self.overlay.emergency, after.emergency)
        if made:
            self.changes += made
            self.overlay = fold(made, self.overlay)
            self.tell(Tick(at))

    def called_for(self, *kinds: str) -> list[Action]:
        return [action for action in self.actions if not kinds or action.kind in kinds]


def with_rollout(state: str) -> Callable[[Overlay], Overlay]:
    def change(overlay: Overlay) -> Overlay:
        standing = overlay.rollouts["engines_rollout"].model_copy(update={"state": state, "why": ""})
        return overlay.model_copy(update={"rollouts": {"engines_rollout": standing}})

    return change


def with_flag(key: str, **values: Any) -> Callable[[Overlay], Overlay]:
    def change(overlay: Overlay) -> Overlay:
        flag = overlay.flags.get(key, FlagOverlay()).model_copy(update=values)
        return overlay.model_copy(update={"flags": {**overlay.flags, key: flag}})

    return change


def rearmed(key: str) -> Callable[[Overlay], Overlay]:
    return with_flag(key, latched=None)


# Weeks of a rollout.


def eight_weeks(studio: Studio, rate: float = 8.0, quality: float = 8.4) -> None:
    """Two weeks of foundation, two of staging, then the strategy."""
    rng = random.Random(1)
    hours, start = 0.0, 4 * 7 * 24.0
    while hours < 8 * 7 * 24.0:
        hours += rng.expovariate(rate)
        if hours >= start and not studio.overlay.rollouts:
            started = RolloutOverlay(state="running", since=BEGIN + start * HOUR)
            studio.command(
                BEGIN + start * HOUR,
                lambda overlay, started=started: with_flag("engines", enabled=True, percent=25)(  # type: ignore[misc]
                    overlay.model_copy(update={"rollouts": {"engines_rollout": started}})
                ),
                "rollout_started",
            )
        percent = studio.overlay.flags["engines"].percent if studio.overlay.rollouts else 0
        on = rng.random() * 100 < (percent or 0)
        studio.give(
            sample(
                BEGIN + hours * HOUR,
                on={"engines"} if on else set(),
                off=set() if on else {"engines"},
                quality=min(10.0, rng.gauss(quality, 0.6)),
                error=rng.random() < 0.005,
                seconds=rng.gammavariate(16.0, 40.0 / 16.0),
            )
        )


def test_eight_weeks_of_the_strategy_run_within_a_second_and_end_at_100_percent() -> None:
    studio = Studio(declared(flags={"engines": Flag(key="engines")}))
    begun = time.process_time()
    eight_weeks(studio)
    assert time.process_time() - begun < 1.0
    starts = [(action.kind, (action.at - BEGIN) / HOUR - 4 * 7 * 24) for action in studio.actions]
    assert starts == [("advance", 48), ("advance", 120), ("advance", 168), ("complete", 336)]
    assert studio.overlay.flags["engines"].percent == 100
    assert studio.overlay.rollouts["engines_rollout"].state == "completed"


def test_with_unmet_gates_it_holds_for_weeks() -> None:
    studio = Studio(declared(flags={"engines": Flag(key="engines")}))
    eight_weeks(studio, quality=7.6)
    assert studio.called_for("advance", "complete", "roll_back") == []
    found = decision(studio.declared, studio.overlay, studio.state, "engines_rollout", BEGIN + 1344 * HOUR)
    assert found is not None
    assert found.kind == "hold"
    assert [gate.met for gate in found.gates] == [True, False, True, True]


def test_without_samples_it_holds_for_ever() -> None:
    studio = Studio(declared(), Overlay.model_validate(running()))
    for day in range(60):
        studio.give(Tick(BEGIN + 24 * day * HOUR))
    assert studio.actions == []


def test_a_phase_ends_when_its_dwell_does_even_if_that_is_noticed_later() -> None:
    studio = Studio(declared(), Overlay.model_validate(running()))
    for n in range(40):
        studio.give(sample(BEGIN + n * HOUR))
    studio.give(Tick(BEGIN + 53.5 * HOUR))
    assert [(action.kind, action.at, action.phase) for action in studio.actions] == [
        ("advance", BEGIN + 48 * HOUR, 1)
    ]
    assert studio.overlay.rollouts["engines_rollout"].since == BEGIN + 48 * HOUR


def test_time_in_a_pause_is_no_dwell() -> None:
    studio = Studio(declared(), Overlay.model_validate(running()))
    for n in range(40):
        studio.give(sample(BEGIN + n * HOUR))
    studio.command(BEGIN + 40 * HOUR, with_rollout("paused"), "rollout_paused")
    studio.give(Tick(BEGIN + 70 * HOUR))
    found = decision(studio.declared, studio.overlay, studio.state, "engines_rollout", BEGIN + 70 * HOUR)
    assert found is not None
    assert found.gates[0].value == 40.0
    studio.command(BEGIN + 100 * HOUR, with_rollout("running"), "rollout_resumed")
    studio.give(Tick(BEGIN + 200 * HOUR))
    assert [(action.kind, action.at) for action in studio.actions] == [("advance", BEGIN + 108 * HOUR)]


# Signals, evidence, rollbacks.


def failing(begin: datetime, count: int, minutes: float = 1.0, **changes: Any) -> list[Sample]:
    bad = {"error": True, "quality": None, **changes}
    return [sample(begin + timedelta(minutes=n * minutes), **bad) for n in range(1, count + 1)]


def healthy(begin: datetime, count: int, minutes: float = 3.0, **changes: Any) -> list[Sample]:
    return [sample(begin + timedelta(minutes=n * minutes), **changes) for n in range(1, count + 1)]


def test_a_breach_warns_once_and_pauses_the_rollout_and_evidence_rolls_the_flag_back() -> None:
    studio = Studio(declared(), Overlay.model_validate(running()))
    for one in [*healthy(BEGIN, 120, minutes=0.5), *failing(BEGIN + HOUR, 40, minutes=0.5)]:
        studio.give(one)
    assert [action.kind for action in studio.actions] == ["warn", "pause", "roll_back"]
    warn, pause, roll_back = studio.actions
    assert warn.trigger == pause.trigger == roll_back.trigger == "error_rate_spike"
    assert warn.at == pause.at < roll_back.at
    assert not is_on(studio.declared, studio.overlay, "engines")
    assert studio.overlay.rollouts["engines_rollout"].state == "aborted"


@pytest.mark.parametrize("state", ["running", "paused", "awaiting_approval", "completed", "aborted", None])
def test_triggers_keep_watching_whatever_state_the_rollout_is_in(state: str | None) -> None:
    standing = {"engines_rollout": {"state": state, "since": BEGIN}} if state else {}
    studio = Studio(declared(), Overlay.model_validate({"rollouts": standing}))
    for one in failing(BEGIN, 20):
        studio.give(one)
    assert [action.flag for action in studio.called_for("roll_back")] == ["engines"]


def test_nothing_more_is_called_for_once_a_flag_is_rolled_back_until_it_is_armed_again() -> None:
    studio = Studio(declared())
    for one in failing(BEGIN, 200):
        studio.give(one)
    assert [action.kind for action in studio.actions] == ["roll_back"]
    assert verdicts(studio.declared, studio.state, "engines", BEGIN + 5 * HOUR) == {}
    studio.command(BEGIN + 10 * HOUR, rearmed("engines"), "rearm")
    fresh = verdicts(studio.declared, studio.state, "engines", BEGIN + 10 * HOUR)
    assert {verdict.evidence for verdict in fresh.values()} == {0.0}
    for one in failing(BEGIN + 10 * HOUR, 20):
        studio.give(one)
    assert [action.kind for action in studio.actions] == ["roll_back", "roll_back"]


def test_a_rollback_that_could_not_be_carried_out_is_called_for_again() -> None:
    state, found = WatchState(), list[str]()
    for one in failing(BEGIN, 9):
        state, actions = step(declared(), Overlay(), state, one)
        found += [action.kind for action in actions]
    assert found[-2:] == ["roll_back", "roll_back"]


def test_evidence_and_windows_begin_anew_with_every_phase() -> None:
    studio = Studio(declared(), Overlay.model_validate(running()))
    for one in [*healthy(BEGIN, 400, minutes=7.0), *failing(BEGIN + 47.9 * HOUR, 3)]:
        studio.give(one)
    before = verdicts(studio.declared, studio.state, "engines", BEGIN + 47.99 * HOUR)["error_rate_spike"]
    studio.give(Tick(BEGIN + 48 * HOUR))
    after = verdicts(studio.declared, studio.state, "engines", BEGIN + 48 * HOUR)["error_rate_spike"]
    assert [action.kind for action in studio.actions] == ["advance"]
    assert before.evidence > 1.0
    assert (after.evidence, after.samples) == (0.0, 0)


def test_a_resumed_rollout_is_not_paused_again_by_what_paused_it() -> None:
    studio = Studio(declared(), Overlay.model_validate(running()))
    slight = [sample(one.at, error=n % 8 == 0) for n, one in enumerate(healthy(BEGIN, 21, minutes=0.5))]
    for one in slight:
        studio.give(one)
    assert [action.kind for action in studio.actions] == ["warn", "pause"]
    evidence = verdicts(studio.declared, studio.state, "engines", BEGIN + HOUR)["error_rate_spike"].evidence
    studio.command(BEGIN + timedelta(minutes=11), with_rollout("running"), "rollout_resumed")
    again = verdicts(studio.declared, studio.state, "engines", BEGIN + timedelta(minutes=11))[
        "error_rate_spike"
    ]
    assert (again.samples, again.evidence) == (0, evidence)
    for one in healthy(BEGIN + timedelta(minutes=11), 5, minutes=0.5):
        studio.give(one)
    assert studio.overlay.rollouts["engines_rollout"].state == "running"


def test_five_failed_reads_in_a_row_pause_and_a_good_one_between_starts_the_count_anew() -> None:
    studio = Studio(declared(), Overlay.model_validate(running()))
    for n, failed in enumerate([True] * 4 + [False] + [True] * 4):
        studio.give(Tick(BEGIN + n * HOUR, failed_read=failed))
    assert studio.actions == []
    studio.give(Tick(BEGIN + 9 * HOUR, failed_read=True))
    assert [(action.kind, action.words) for action in studio.actions] == [
        ("pause", "5 reads of the metrics in a row have failed")
    ]


@pytest.mark.parametrize(
    "off",
    [
        with_flag("engines", enabled=False),
        with_flag("engines", latched="by hand"),
        lambda overlay: overlay.model_copy(
            update={"emergency": EmergencyOverlay(why="fire", who="somebody", since=BEGIN)}
        ),
    ],
)
def test_a_rollout_whose_flag_is_off_is_paused_and_its_samples_say_nothing(
    off: Callable[[Overlay], Overlay],
) -> None:
    studio = Studio(declared(), Overlay.model_validate(running()))
    studio.give(sample(BEGIN + HOUR))
    studio.command(BEGIN + 2 * HOUR, off)
    for one in failing(BEGIN + 2 * HOUR, 50):
        studio.give(one)
    assert [(action.kind, action.at) for action in studio.actions] == [("pause", BEGIN + 2 * HOUR)]


def test_a_trigger_that_names_flags_watches_those_only() -> None:
    named = {key: t.model_copy(update={"flags": ("genres",)}) for key, t in TRIGGERS.items()}
    studio = Studio(declared(triggers=named))
    for one in failing(BEGIN, 40, on={"engines", "genres"}):
        studio.give(one)
    assert [action.flag for action in studio.called_for("roll_back")] == ["genres"]


def test_a_trigger_that_is_declared_otherwise_starts_anew() -> None:
    studio = Studio(declared())
    for one in failing(BEGIN, 5):
        studio.give(one)
    stricter = TRIGGERS["error_rate_spike"].model_copy(update={"threshold": 0.05})
    studio.declared = declared(triggers={"error_rate_spike": stricter})
    studio.give(sample(BEGIN + HOUR))
    found = verdicts(studio.declared, studio.state, "engines", BEGIN + HOUR)
    assert list(found) == ["error_rate_spike"]
    assert found["error_rate_spike"].evidence == 0.0


def test_a_flag_that_nobody_declared_is_not_watched() -> None:
    studio = Studio(declared())
    for one in failing(BEGIN, 40, on={"unheard_of"}):
        studio.give(one)
    assert studio.actions == []


# Replay and restart.


def replayed(studio: Studio, **options: Any) -> list[Action]:
    found = replay(studio.events, studio.changes, studio.declared, overlay=studio.first, **options)
    return [one.action for one in found]


def test_replay_says_when_which_trigger_and_for_how_many_episodes() -> None:
    studio = Studio(declared())
    for one in [*healthy(BEGIN, 100), *failing(BEGIN + 5 * HOUR, 8), *healthy(BEGIN + 6 * HOUR, 30)]:
        studio.give(one)
    (found,) = replay(studio.events, studio.changes, studio.declared)
    assert (found.action.kind, found.action.trigger) == ("roll_back", "error_rate_spike")
    assert found.action == studio.actions[0]
    assert (found.before, found.after) == (106, 32)


def test_replay_with_another_policy_says_what_that_would_have_done() -> None:
    studio = Studio(declared())
    noisy = [
        sample(one.at, error=n % 30 in {0, 2, 4}) for n, one in enumerate(healthy(BEGIN, 300, minutes=0.5))
    ]
    for one in noisy:
        studio.give(one)
    assert studio.called_for("roll_back") == []
    literal: Mapping[str, Trigger] = {
        "error_rate_spike": TRIGGERS["error_rate_spike"].model_copy(update={"policy": "literal"})
    }
    found = replayed(studio, triggers=literal)
    assert [(action.kind, action.trigger) for action in found] == [("roll_back", "error_rate_spike")]


Commands = tuple[Callable[[Overlay], Overlay], ChangeKind]
PERSONS: dict[str, Commands] = {
    "pause": (with_rollout("paused"), "rollout_paused"),
    "resume": (with_rollout("running"), "rollout_resumed"),
    "off": (with_flag("engines", enabled=False), "set"),
    "on": (with_flag("engines", enabled=None), "set"),
    "rearm": (rearmed("engines"), "rearm"),
    "emergency": (
        lambda overlay: overlay.model_copy(
            update={"emergency": EmergencyOverlay(why="fire", who="somebody", since=BEGIN)}
        ),
        "emergency",
    ),
    "over": (lambda overlay: overlay.model_copy(update={"emergency": None}), "emergency_over"),
}
FROM = {"pause": "running", "resume": "paused", "approve": "awaiting_approval"}


def at_phase(phase: int, since: datetime) -> Callable[[Overlay], Overlay]:
    return lambda overlay: overlay.model_copy(update=running(since, phase))


QUICK = RolloutPlan(
    key="engines_rollout",
    flag="engines",
    phases=tuple(
        Phase(percent=p, dwell_hours=0.5, quality=6.0, errors=0.4, samples=3, approval=p == 50)
        for p in (10, 50, 100)
    ),
)
SENSITIVE = {
    key: trigger.model_copy(update={"samples": 4, "bound": 20.0, "minutes": 60.0})
    for key, trigger in TRIGGERS.items()
}
moods = st.sampled_from(["good", "good", "good", "erring", "poor", "slow", "unscored", "elsewhere"])
MOODS: dict[str, dict[str, Any]] = {
    "good": {},
    "erring": {"error": True},
    "poor": {"quality": 4.0},
    "slow": {"seconds": 119.0},
    "unscored": {"quality": None},
    "elsewhere": {"on": {"genres"}, "off": {"engines"}},
}
happenings = st.lists(
    st.tuples(
        st.integers(1, 30 * 60),
        st.one_of(
            moods.map(lambda mood: ("sample", mood)),
            st.sampled_from([*sorted(PERSONS), "approve"]).map(lambda name: ("person", name)),
            st.sampled_from(["failed", "read"]).map(lambda name: ("read", name)),
        ),
        st.integers(1, 4),
    ),
    max_size=25,
)


ENDS_WITH_A_SAMPLE = [(570, ("sample", "good"), 3), (90, ("sample", "erring"), 4), (16, ("person", "off"), 4)]
"""The dwell of the first phase ends at the very time of a sample."""


def lived(stream: Iterable[tuple[int, tuple[str, str], int]], ticking: bool) -> Studio:
    studio = Studio(
        declared(rollouts={"engines_rollout": QUICK}, triggers=SENSITIVE), Overlay.model_validate(running())
    )
    studio.give(Tick(BEGIN, failed_read=False))
    now = BEGIN
    for seconds, (what, name), times in stream:
        for _ in range(times):
            if ticking:
                for part in (0.3, 0.7, 0.9):
                    studio.give(Tick(now + timedelta(seconds=seconds) * part))
            now += timedelta(seconds=seconds)
            if what == "sample":
                studio.give(sample(now, **MOODS[name]))
            elif what == "read":
                studio.give(Tick(now, failed_read=name == "failed"))
        if what == "person":
            studio.give(Tick(now))
            standing = studio.overlay.rollouts["engines_rollout"]
            if standing.state == FROM.get(name, standing.state):
                change, kind = PERSONS.get(name, (at_phase(standing.phase + 1, now), "rollout_approved"))
                studio.command(now, change, kind)
            now += timedelta(seconds=1)
    studio.give(Tick(now + HOUR))
    return studio


@settings(max_examples=150)
@given(happenings)
@example(ENDS_WITH_A_SAMPLE)
@example([(1, ("person", "emergency"), 1)])
def test_replay_of_what_was_recorded_calls_for_exactly_what_was_called_for_live(
    stream: list[tuple[int, tuple[str, str], int]],
) -> None:
    studio = lived(stream, ticking=False)
    assert replayed(studio, until=studio.state.at) == studio.actions


@settings(max_examples=100)
@given(happenings)
def test_how_often_the_time_is_told_changes_nothing(stream: list[tuple[int, tuple[str, str], int]]) -> None:
    assert lived(stream, ticking=True).actions == lived(stream, ticking=False).actions


@settings(max_examples=100)
@given(happenings)
@example(ENDS_WITH_A_SAMPLE)
def test_after_a_restart_the_state_is_what_it_was(stream: list[tuple[int, tuple[str, str], int]]) -> None:
    studio = lived(stream, ticking=False)
    again = rebuilt(
        studio.events, studio.changes, studio.declared, overlay=studio.first, until=studio.state.at
    )
    assert again == studio.state


@settings(max_examples=100)
@given(happenings)
def test_a_flag_is_rolled_back_once_until_a_person_lifts_it_and_only_by_a_sample(
    stream: list[tuple[int, tuple[str, str], int]],
) -> None:
    studio = lived(stream, ticking=True)
    times = {event.at for event in studio.events if isinstance(event, Sample)}
    latched = dict.fromkeys(studio.declared.flags, False)
    lifted = [change.at for change in studio.changes if change.kind == "rearm"]
    for action in studio.called_for("roll_back"):
        assert action.at in times
        assert not latched[action.flag] or any(at <= action.at for at in lifted)
        latched[action.flag] = True
