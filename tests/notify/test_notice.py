"""People hear of what matters, in plain words, and of nothing else."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinegen_core.monitor.alerts import RULES, info, rolled_back
from cinegen_core.monitor.events import AlertEvent, Event
from cinegen_core.notify.choice import to_tell
from cinegen_core.notify.notice import notice_of, trial_notice
from cinegen_core.store.deliveries import Content, Joined
from tests.notify.receiver import MINUTE, START, a_silence, a_step


def told(*events: Event) -> list[str]:
    return [one.step.id for one in to_tell(enumerate(events, 1)) if not one.silenced]


def words(step: AlertEvent, *, fired: float = 0, joined: tuple[Joined, ...] = ()) -> str:
    content = Content(number=9, step=step, fired=START + fired * MINUTE, joined=joined)
    return notice_of(content, "here").words


def test_what_fires_and_what_had_fired_and_is_over_is_told() -> None:
    events: list[Event] = [
        a_step("a", "pending"),
        a_step("b", "pending", rule="time_critical"),
        a_step("a", "firing", minute=5),
        a_step("a", "acknowledged", minute=6),
        a_step("b", "resolved", minute=7, rule="time_critical"),
        a_step("a", "resolved", minute=8),
    ]
    assert told(*events) == ["a-firing", "a-resolved"]


@pytest.mark.parametrize("what", ["rollout_advanced", "flag_changed", "emergency_left", "emergency_entered"])
def test_what_there_is_to_know_of_is_told_at_once(what: str) -> None:
    notice = info(what, "genre_engines is off", at=START, by="Ada")  # type: ignore[arg-type]
    assert told(notice) == [notice.id]
    assert words(notice) == "genre_engines is off. By Ada."


def test_a_flag_that_was_rolled_back_is_told_with_its_reason() -> None:
    step = rolled_back("genre_engines", "mean quality fell to 6.1", at=START, by="quality_degradation")
    assert told(step) == [step.id]
    assert words(step) == (
        "Rolled back: genre_engines. It fires since 10:00 UTC on 5 January 2026. Cause: mean quality fell to 6.1. "
        "By quality_degradation."
    )


def test_a_silence_keeps_quiet_of_its_rule_while_it_lasts() -> None:
    events: list[Event] = [
        a_step("a", minute=1),
        a_silence(minute=2, until=10),
        a_step("a", "resolved", minute=3),
        a_step("b", minute=4, rule="time_critical"),
        a_step("c", minute=9),
        a_step("c", "resolved", minute=10),
    ]
    assert told(*events) == ["a-firing", "b-firing", "c-resolved"]


def test_a_silence_that_is_lifted_is_over() -> None:
    events: list[Event] = [a_silence(minute=0, until=60), a_silence(minute=5, until=5), a_step("a", minute=6)]
    assert told(*events) == ["a-firing"]


def test_a_silence_does_not_reach_back() -> None:
    assert told(a_step("a", minute=1), a_silence(minute=2, until=60)) == ["a-firing"]


@pytest.mark.parametrize(
    ("rule", "value", "measured"),
    [
        ("quality_critical", 6.8, "6.80 of 10"),
        ("quality_critical", 6.996, "6.996 of 10"),
        ("quality_critical", 7.0, "7.00 of 10"),
        ("engines_warning", 0.8499, "84.99 %"),
        ("time_critical", 90.04, "90.04 s"),
        ("uptime_critical", 0.98, "98.0 %"),
        ("fallback_warning", 0.2, "20.0 %"),
    ],
)
def test_a_measure_is_in_the_unit_that_people_know(rule: str, value: float, measured: str) -> None:
    assert f"(measured: {measured})" in words(a_step("a", rule=rule, value=value))


def test_the_end_says_how_long_it_was() -> None:
    over = a_step("a", "resolved", minute=20, value=7.4)
    assert words(over) == (
        "This is over: mean quality is below 7.0 (measured now: 7.40 of 10). It fired at 10:00 UTC on 5 January 2026 and was "
        "resolved at 10:20 UTC on 5 January 2026, after 20 minutes. Cause: attempts by primary fail."
    )


@pytest.mark.parametrize(
    ("minutes", "said"),
    [(0.2, "less than a minute"), (1, "after a minute"), (119, "119 minutes"), (180, "3 hours."), (185, "3 hours and 5 minutes")],
)  # fmt: skip
def test_times_are_said_in_words(minutes: float, said: str) -> None:
    assert said in words(a_step("a", "resolved", minute=minutes))


def test_what_a_notice_stands_for_besides_itself_is_said() -> None:
    def step(alert: str, state: str) -> Joined:
        return Joined.model_validate({"id": f"{alert}-{state}", "alert": alert, "state": state, "at": START})

    earlier = (step("a", "firing"), step("a", "resolved"))
    over = a_step("b", "resolved", minute=5)
    assert words(over, joined=(step("b", "firing"),)).endswith(
        "It was over before you could be told that it fired."
    )
    assert words(a_step("b", minute=5), joined=earlier).endswith(
        "Before that it fired and was resolved once, which you could not be told either."
    )
    assert "twice" in words(a_step("c"), joined=(*earlier, step("b", "firing"), step("b", "resolved")))


def test_a_trial_says_that_nothing_is_wrong() -> None:
    notice = trial_notice("trial-1", START, "here")
    assert notice.trial
    assert notice.severity == "info"
    assert "trial notice from the studio here. Nothing is wrong" in notice.words


ANY_STEP = st.builds(
    lambda rule, severity, state, value, cause, by, minutes: a_step(
        "a", state, rule=rule, severity=severity, value=value, cause=cause, by=by, minute=minutes
    ),
    st.sampled_from(
        [*(rule.key for rule in RULES), "flag_changed", "rolled_back:beta_features", "unheard_of"]
    ),
    st.sampled_from(["critical", "warning", "info"]),
    st.sampled_from(["firing", "resolved"]),
    st.none() | st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=30),
    st.text(max_size=10),
    st.integers(0, 10**6),
)


@given(step=ANY_STEP, fired=st.integers(0, 10**6))
def test_every_step_has_words(step: AlertEvent, fired: int) -> None:
    notice = notice_of(Content(number=1, step=step, fired=step.at - timedelta(minutes=fired)), "")
    assert notice.title
    assert notice.words.strip()
    assert notice.at == step.at
