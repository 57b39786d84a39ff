"""Tuning: settings are held against what was really planted, choices are measured on days they were not made on, files stay as they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import fmean
from typing import Any

import altair as alt
import pandas as pd
import pytest

from cinegen_core.analysis import tuning_charts
from cinegen_core.analysis.tuning import (
    Choice,
    Costs,
    answer,
    caution,
    choice_words,
    choose,
    front,
    priced,
    proposals,
    proposed_diff,
)
from cinegen_core.analysis.tuning_acceptance import (
    Tries,
    Try,
    acceptance,
    acceptance_words,
    profile_of,
    thresholds_around,
    tries_of_events,
    tries_of_pool,
)
from cinegen_core.analysis.tuning_days import (
    COLUMNS,
    HARMS,
    RATES,
    WATCHED,
    WORTH,
    Planted,
    TableError,
    fired,
    grid,
    judged,
    main,
    nearest_rate,
    outcomes,
    planted,
    read_table,
    rows_that_differ,
    samples_of,
    setting_of,
    setting_words,
    table_text,
    truth_frame,
)
from cinegen_core.flags import DeclarationError, load_declared, read_declared
from cinegen_core.flags.model import Change, FlagOverlay, Sample, Trigger
from cinegen_core.monitor.events import AttemptFact, Event
from cinegen_core.simulation import Truth, shipped_pool
from cinegen_core.simulation.incidents import FLAG, Kind
from cinegen_core.tiers.judging import profiles

from .answering import an_answer

ROOT = Path(__file__).parents[2]
FLAGS_FILE = ROOT / "flags.toml"
TABLE = ROOT / "notebooks" / "data" / "threshold_tuning.csv"
POOL = shipped_pool()
DECLARED = load_declared(FLAGS_FILE)
QUALITY, ERRORS = DECLARED.triggers["quality_degradation"], DECLARED.triggers["error_rate_spike"]
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
COSTS = Costs(false=60.0, minute=1.0)


def otherwise(trigger: Trigger, **changes: Any) -> Trigger:
    return Trigger.model_validate({**trigger.model_dump(), **changes})


def incident(kind: Kind, *, start: datetime = NOON, minutes: float = 240) -> Truth:
    return Truth(kind=kind, start=start, end=start + timedelta(minutes=minutes))


@pytest.fixture(scope="module")
def block() -> Planted:
    return planted(1, rate=20, declared=DECLARED, pool=POOL)


def table_of(trigger: Trigger, costs: Mapping[Trigger, tuple[int, ...]], rate: int = 20) -> pd.DataFrame:
    """Outcomes in which the settings have so many false rollbacks a block, and every incident ends after ten minutes."""
    rows = [
        (rate, number, *setting_of(one), false, 3, 0, 0, 30.0)
        for one in grid(trigger)
        for number, false in enumerate(costs.get(one, (9,) * 8), start=1)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


# What is planted


def test_planted_days_are_the_same_every_time(block: Planted) -> None:
    again = planted(1, rate=20, declared=DECLARED, pool=POOL)
    assert again == block
    assert planted(2, rate=20, declared=DECLARED, pool=POOL).truth != block.truth


def test_what_ought_to_be_rolled_back_is_beyond_the_promised_threshold_and_nothing_else_is(
    block: Planted,
) -> None:
    def mean(trigger: Trigger, one: Truth, flag: str) -> float:
        of = [s for s in block.samples if one.start + timedelta(minutes=5) <= s.at < one.end and flag in s.on]
        return fmean(
            {"quality": s.quality or 0.0, "error": float(s.error), "seconds": s.seconds}[trigger.metric]
            for s in of
        )

    for trigger in DECLARED.triggers.values():
        for one in block.truth:
            if one.end - one.start < WORTH:
                continue
            value = mean(trigger, one, FLAG if one.kind == "bad-rollout" else WATCHED)
            beyond = value < trigger.threshold if trigger.worse == "below" else value > trigger.threshold
            assert beyond == (one.kind in HARMS[trigger.metric]), (trigger.key, one.kind, value)


def test_what_is_allowed_is_worse_than_usual_and_within_every_promised_threshold(block: Planted) -> None:
    def means(since: datetime) -> tuple[float, float, float]:
        of = [s for s in block.samples if since <= s.at < since + timedelta(hours=4)]
        return fmean(s.quality or 0.0 for s in of), fmean(s.error for s in of), fmean(s.seconds for s in of)

    quality, error, seconds = means(block.allowed)
    usual = means(block.allowed + timedelta(hours=5))
    assert QUALITY.threshold < quality < usual[0]
    assert usual[1] < error <= ERRORS.threshold
    assert usual[2] < seconds < DECLARED.triggers["processing_time_spike"].threshold
    assert truth_frame(block)["what"].str.startswith("allowed").sum() == 1


def test_no_trigger_has_cut_short_what_was_planted(block: Planted) -> None:
    long = [one for one in block.truth if one.end - one.start >= WORTH]
    assert len(long) == 5
    assert {one.end - one.start for one in long} == {timedelta(hours=4)}
    assert all(one.rolled_back is None for one in block.truth)


def test_every_setting_that_is_tried_can_be_declared_and_the_declared_one_is_among_them() -> None:
    for trigger in DECLARED.triggers.values():
        settings = grid(trigger)
        assert settings[0] == trigger
        assert len({setting_of(one) for one in settings}) == len(settings)
        assert {one.policy for one in settings} == {"evidence", "literal"}
        assert len({one.threshold for one in settings}) == 3


# Right and false


def test_a_rollback_during_an_incident_is_right_and_its_delay_is_counted() -> None:
    found = judged([(NOON + timedelta(minutes=25), WATCHED)], [incident("quality-drop")], "quality")
    assert found == (0, 1, 0, 0, 25.0)


def test_an_incident_that_is_missed_harms_to_its_end() -> None:
    assert judged([], [incident("slow-model")], "seconds") == (0, 0, 1, 0, 240.0)


@pytest.mark.parametrize(
    ("truth", "metric"),
    [
        (incident("provider-outage", minutes=10), "error"),
        (incident("engine-failure"), "quality"),
        (incident("slow-model"), "error"),
    ],
    ids=["a blip", "engines fail, which no metric shows", "slow is no error"],
)
def test_a_rollback_for_what_does_not_need_one_is_false(truth: Truth, metric: Any) -> None:
    assert judged([(NOON + timedelta(minutes=5), WATCHED)], [truth], metric) == (1, 0, 0, 0, 0.0)


def test_to_roll_back_the_engines_for_a_bad_rollout_is_false_and_does_not_end_it() -> None:
    wrong = judged([(NOON + timedelta(minutes=30), WATCHED)], [incident("bad-rollout")], "quality")
    assert wrong == (1, 0, 1, 0, 240.0)
    right = judged([(NOON + timedelta(minutes=30), FLAG)], [incident("bad-rollout")], "quality")
    assert right == (0, 1, 0, 0, 30.0)


def test_an_incident_that_meets_a_flag_which_is_off_already_counts_neither_way() -> None:
    early = judged([(NOON - timedelta(minutes=20), WATCHED)], [incident("quality-drop")], "quality")
    assert early == (1, 0, 0, 1, 0.0)
    rearmed = judged([(NOON - timedelta(hours=3), WATCHED)], [incident("quality-drop")], "quality")
    assert rearmed == (1, 0, 1, 0, 240.0)


def test_an_answer_of_the_incident_that_comes_after_its_end_is_still_of_it() -> None:
    late = NOON + timedelta(minutes=241)
    assert judged([(late, WATCHED)], [incident("provider-outage")], "error") == (0, 1, 0, 0, 240.0)


def test_the_shipped_triggers_and_the_literal_rule_do_as_they_are_known_to(block: Planted) -> None:
    literal = otherwise(ERRORS, policy="literal", minutes=30.0, samples=5)
    silent = otherwise(ERRORS, policy="literal", samples=50)
    found = outcomes(block, [ERRORS, literal, silent]).set_index("samples")
    shipped, hasty, blind = found.loc[20], found.loc[5], found.loc[50]
    assert shipped["caught"] == 3
    assert hasty["harmed"] < shipped["harmed"]  # the literal rule is quicker,
    assert hasty["false"] > shipped["false"]  # and rolls back for blips;
    assert (blind["false"], blind["caught"], blind["missed"]) == (
        0,
        0,
        3,
    )  # with 50 samples in 15 min it says nothing


# The table


def test_the_kept_table_can_be_rebuilt_from_what_is_shipped(block: Planted) -> None:
    table = read_table(TABLE)
    assert (table.head["scorer"], table.head["pool"]) == (POOL.header.scorer, POOL.header.code)
    made = outcomes(block, [QUALITY, ERRORS, otherwise(ERRORS, policy="literal", samples=5)])
    assert rows_that_differ(made, table) == 0
    assert rows_that_differ(made.assign(false=made["false"] + 1), table) == 3


def test_the_kept_table_holds_every_setting_of_the_shipped_flags_and_stays_small() -> None:
    table = read_table(TABLE)
    for trigger in DECLARED.triggers.values():
        for rate, blocks in RATES.items():
            mine = table.frame[(table.frame["trigger"] == trigger.key) & (table.frame["rate"] == rate)]
            assert len(mine) == blocks * len(grid(trigger))
    assert TABLE.stat().st_size < 300_000


def test_the_command_makes_a_table_that_can_be_read(tmp_path: Path) -> None:
    out = tmp_path / "new" / "table.csv"
    assert main(["--made", "2026-11-28", "--out", str(out)], rates={2: 1}) == 0
    table = read_table(out)
    assert table.head["made"] == "2026-11-28"
    assert len(table.frame) == sum(len(grid(one)) for one in DECLARED.triggers.values())


def test_a_table_survives_being_written_and_read(tmp_path: Path) -> None:
    frame = table_of(ERRORS, {})
    path = tmp_path / "table.csv"
    path.write_text(table_text(frame, made=date(2026, 11, 28), pool=POOL), encoding="utf-8")
    assert rows_that_differ(frame, read_table(path)) == 0


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "# made: today\n"])
def test_what_is_no_table_is_refused_with_how_to_make_one(tmp_path: Path, content: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(TableError, match="tuning_days"):
        read_table(path)
    with pytest.raises(TableError, match="cannot be read"):
        read_table(tmp_path / "none.csv")


# Costs and choices


def test_costs_are_false_rollbacks_and_minutes_a_day() -> None:
    view = priced(table_of(ERRORS, {ERRORS: (6,) * 8}), ERRORS, rate=20, costs=Costs(false=10.0, minute=2.0))
    mine = view.iloc[0]
    assert mine["declared"]
    assert mine["false"] == 1.0
    assert mine["minutes"] == 10.0
    assert mine["cost"] == pytest.approx(10.0 * 1.0 + 2.0 * 30.0 / 6)
    assert mine["low"] <= mine["cost"] <= mine["high"]
    assert view["wins"].sum() == pytest.approx(1.0)


def test_a_setting_that_is_better_on_all_days_is_proposed_and_the_same_every_time() -> None:
    better = otherwise(ERRORS, bound=100.0)
    table = table_of(ERRORS, {ERRORS: (5, 6) * 4, better: (1, 0) * 4})
    choice = choose(table, ERRORS, rate=20, costs=COSTS)
    assert choice == choose(table, ERRORS, rate=20, costs=COSTS)
    assert setting_of(choice.best) == setting_of(better)
    assert choice.proposed
    assert choice.low > 0
    assert choice.wins == 1.0
    assert setting_words(better) in choice_words(choice)
    assert proposals([choice]) == {ERRORS.key: choice.best}


def test_what_was_only_lucky_on_the_days_it_was_chosen_on_is_not_proposed() -> None:
    lucky = otherwise(ERRORS, bound=100.0)
    table = table_of(ERRORS, {ERRORS: (2,) * 8, lucky: (0, 5) * 4})
    choice = choose(table, ERRORS, rate=20, costs=COSTS)
    assert setting_of(choice.best) == setting_of(lucky)
    assert choice.gain < 0
    assert not choice.proposed
    assert "no change is proposed" in choice_words(choice)
    assert proposals([choice]) == {}


def test_where_nothing_is_better_what_is_declared_stays() -> None:
    as_good = otherwise(ERRORS, bound=100.0)
    choice = choose(table_of(ERRORS, {ERRORS: (1,) * 8, as_good: (1,) * 8}), ERRORS, rate=20, costs=COSTS)
    assert setting_of(choice.best) == setting_of(ERRORS)
    assert not choice.proposed
    assert choice.rivals == 1
    assert "1 other setting cannot be told from it" in choice_words(choice)


def test_the_promised_threshold_is_moved_only_if_that_is_asked_for() -> None:
    other = next(one for one in grid(ERRORS) if one.threshold != ERRORS.threshold)
    table = table_of(ERRORS, {ERRORS: (3,) * 8, other: (0,) * 8})
    assert choose(table, ERRORS, rate=20, costs=COSTS).best.threshold == ERRORS.threshold
    assert choose(table, ERRORS, rate=20, costs=COSTS, promised=False).best.threshold == other.threshold


def test_dearer_false_rollbacks_never_make_for_more_of_them() -> None:
    table = read_table(TABLE).frame
    for trigger in DECLARED.triggers.values():
        false = []
        for cost in (1.0, 60.0, 3600.0):
            view = priced(table, trigger, rate=20, costs=Costs(false=cost, minute=1.0))
            false.append(float(view.loc[view["cost"].idxmin(), "false"]))
        assert false == sorted(false, reverse=True)


def test_a_table_of_other_flags_or_too_few_days_is_refused() -> None:
    table = table_of(ERRORS, {})
    with pytest.raises(TableError, match="as it is declared"):
        priced(table, otherwise(ERRORS, threshold=0.33), rate=20, costs=COSTS)
    with pytest.raises(TableError, match="every setting at 50 an hour"):
        priced(table, ERRORS, rate=50, costs=COSTS)
    with pytest.raises(TableError, match="four or more"):
        choose(table[table["block"] <= 3], ERRORS, rate=20, costs=COSTS)


def test_the_answer_names_the_costs_what_to_change_and_what_to_leave() -> None:
    better = otherwise(ERRORS, bound=100.0)
    change = Choice(20, ERRORS, better, 12.0, 4.0, 20.0, 0.8, 0, proposed=True)
    leave = Choice(20, QUALITY, QUALITY, 0.0, 0.0, 0.0, 0.6, 2, proposed=False)
    words = answer([change, leave], COSTS)
    for said in (
        "60",
        "20 episodes an hour",
        setting_words(better),
        "error_rate_spike would do better",
        "quality_degradation",
    ):
        assert said in words


def test_before_a_proposal_is_applied_other_rates_and_real_events_are_told() -> None:
    better = otherwise(ERRORS, bound=100.0)
    at_both = pd.concat(
        [
            table_of(ERRORS, {ERRORS: (6, 7) * 4, better: (0, 1) * 4}),
            table_of(ERRORS, {ERRORS: (0, 1) * 4, better: (6, 7) * 4}, rate=100),
        ]
    )
    choice = choose(at_both, ERRORS, rate=20, costs=COSTS)
    counts = fired(bad_hour(1), (), DECLARED, [ERRORS, choice.best])
    words = caution(at_both, [choice], counts, COSTS)
    assert "at 100 an hour the proposal for error_rate_spike costs more (-60.0 a day saved" in words
    assert "would have rolled back once as proposed, once as declared" in words
    left = choice._replace(proposed=False)
    assert caution(at_both, [left], counts, COSTS) == "There is nothing to apply."


def test_the_front_holds_what_nothing_beats_on_both_counts() -> None:
    view = pd.DataFrame({"false": [0.0, 1.0, 1.0, 2.0], "minutes": [90.0, 20.0, 30.0, 20.0]})
    assert front(view).tolist() == [True, True, False, False]


# The proposed file


def test_a_proposal_is_a_difference_that_touches_only_what_changes_and_keeps_comments() -> None:
    text = FLAGS_FILE.read_text(encoding="utf-8")
    seconds = DECLARED.triggers["processing_time_spike"]
    difference = proposed_diff(
        text,
        {
            ERRORS.key: otherwise(ERRORS, policy="literal", minutes=30.0, samples=5, threshold=0.2),
            seconds.key: otherwise(seconds, bound=100.0),
        },
    )
    changed = [line for line in difference.splitlines() if line[0] in "+-" and line[:3] not in ("+++", "---")]
    assert changed == [
        "-above = 0.10", "-minutes = 15", "-samples = 20", '-policy = "evidence"',
        "+above = 0.2", "+minutes = 30", "+samples = 5", '+policy = "literal"',
        "+bound = 100",
    ]  # fmt: skip
    assert FLAGS_FILE.read_text(encoding="utf-8") == text


def test_a_comment_beside_a_changed_value_stays() -> None:
    text = '[triggers.slow]\nmetric = "seconds"\nabove = 90\nminutes = 20\nbound = 1000 # strong\nhigh = 120 # the budget\n'
    trigger = read_declared(text, "x").triggers["slow"]
    assert "+bound = 10 # strong\n" in proposed_diff(text, {"slow": otherwise(trigger, bound=10.0)})


def test_nothing_to_change_is_no_difference() -> None:
    text = FLAGS_FILE.read_text(encoding="utf-8")
    assert proposed_diff(text, {}) == ""
    assert proposed_diff(text, {ERRORS.key: ERRORS}) == ""


def test_what_cannot_be_proposed_is_refused() -> None:
    text = FLAGS_FILE.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="declares no trigger gone: there are quality_degradation"):
        proposed_diff(text, {"gone": ERRORS})
    with pytest.raises(ValueError, match="does not change"):
        proposed_diff(text, {QUALITY.key: ERRORS})
    with pytest.raises(DeclarationError):
        proposed_diff("[triggers.x]\nmetric = 3\n", {})


# Events of which nobody knows what was right


def bad_hour(day: int, minutes: range = range(0, 60, 3)) -> list[Sample]:
    at = datetime(2026, 3, day, 9, tzinfo=UTC)
    return [
        Sample(
            at=at + timedelta(minutes=minute), on=frozenset({WATCHED}), quality=3.0, error=True, seconds=9.0
        )
        for minute in minutes
    ]


def test_over_recorded_events_each_setting_says_how_often_it_would_have_fired() -> None:
    samples = [*bad_hour(1), *bad_hour(3)]
    literal = otherwise(ERRORS, policy="literal", minutes=120.0)
    found = fired(samples, (), DECLARED, [ERRORS, literal, otherwise(ERRORS, policy="literal")])
    assert found["rollbacks"].tolist() == [2, 2, 0]
    assert found["days"].tolist() == [2, 2, 0]
    assert found["first"].tolist()[0].startswith("2026-03-01 09:")
    assert found["first"].tolist()[2] == "none"


def test_a_flag_that_was_off_at_the_time_is_not_rolled_back() -> None:
    off = Change(
        version=1, at=datetime(2026, 3, 2, tzinfo=UTC), who="Ada", why="a holiday", kind="set", subject=f"flag:{WATCHED}",
        after=FlagOverlay(enabled=False).model_dump(mode="json"),
    )  # fmt: skip
    found = fired([*bad_hour(1), *bad_hour(3)], [off], DECLARED, [ERRORS])
    assert found["rollbacks"].tolist() == [1]


def test_no_events_fire_nothing() -> None:
    assert fired((), (), DECLARED, [ERRORS])["rollbacks"].tolist() == [0]


def test_answers_that_served_nobody_are_no_samples() -> None:
    served = an_answer("g1", flags={WATCHED: True})
    others: list[Event] = [
        an_answer(f"g{number}", flags={WATCHED: True}, **{name: True})
        for number, name in enumerate(("kept", "emergency", "trial"), start=2)
    ]
    assert len(samples_of([served, *others, an_answer("g9", flags={})])) == 1


def test_the_table_s_rate_that_is_nearest_to_the_events_is_taken(block: Planted) -> None:
    assert nearest_rate(block.samples, RATES) == 20
    assert nearest_rate(bad_hour(1, range(60)), RATES) == 100
    assert nearest_rate((), RATES) == 20


# The threshold of acceptance


def test_what_a_threshold_gains_is_by_the_studio_s_own_rule() -> None:
    tries = (
        Tries((Try(8.0, 10.0), Try(5.0, 4.0), Try(3.0, 1.0)), whole=True),
        Tries((Try(4.0, 10.0), Try(6.5, 4.0), Try(3.0, 1.0)), whole=True),
        Tries((Try(4.0, 10.0), Try(3.5, 4.0), Try(3.0, 1.0)), whole=True),
        Tries((Try(9.0, 10.0, fits=False), Try(7.0, 4.0), Try(3.0, 1.0)), whole=True),
    )
    view = acceptance(tries, (0.0, 6.0)).set_index("threshold")
    # the one whose form cannot be accepted falls at any threshold, and a lower score answers for it
    assert view.loc[0.0, "falls"] == 25.0
    assert view.loc[0.0, "gained"] == pytest.approx(-2.0 / 4)
    assert view.loc[6.0, "falls"] == 75.0
    assert view.loc[6.0, "gained"] == pytest.approx((0.0 + 2.5 + 0.0 - 2.0) / 4)
    assert view.loc[6.0, "each"] == pytest.approx(0.5 / 3, abs=0.0005)
    assert view.loc[6.0, "slower"] == pytest.approx(100 * (4 + 5 + 4) / 40)


def test_the_pool_knows_every_tier_and_the_share_that_falls_only_grows() -> None:
    least = profiles()["embedded"].least
    view = acceptance(tries_of_pool(POOL), thresholds_around(profiles()["embedded"]))
    assert view["gained"].notna().all()
    assert view["falls"].is_monotonic_increasing
    assert least in view["threshold"].tolist()
    recorded = [entry.takes["comprehensive"].outcome != "accepted" for entry in POOL.entries]
    mine = view[view["threshold"] == least].iloc[0]
    assert mine["falls"] == pytest.approx(100 * sum(recorded) / len(recorded))
    assert f"{mine['falls']:.1f} %" in acceptance_words(view, least, of="The pool")


def test_what_was_never_asked_is_not_made_up() -> None:
    one = AttemptFact(tier="comprehensive", writer="w", outcome="accepted", seconds=9.0, score=7.2)
    low = AttemptFact(tier="comprehensive", writer="w", outcome="below_threshold", seconds=9.0, score=6.0)
    after = AttemptFact(tier="basic_fallback", writer="t", outcome="accepted", seconds=1.0, score=6.5)
    failed = AttemptFact(tier="comprehensive", writer="w", outcome="failed", seconds=1.0)
    events = [
        an_answer("g1", attempts=(one,), profile="model"),
        an_answer("g2", attempts=(low, after), profile="model"),
        an_answer("g3", attempts=(failed, after), profile="model"),
    ]
    tries = tries_of_events(events)
    assert len(tries) == 2
    view = acceptance(tries, (7.0, 7.5)).set_index("threshold")
    assert view.loc[7.0, "gained"] == pytest.approx(0.25)
    assert view.loc[7.5, "falls"] == 100.0
    assert pd.isna(view.loc[7.5, "gained"])
    assert "is not known" in acceptance_words(view.reset_index(), 7.5, of="Events")
    assert profile_of(events) == "model"


def test_without_answers_nothing_is_said_of_thresholds() -> None:
    with pytest.raises(ValueError, match="Name another source"):
        acceptance((), (7.0,))
    assert profile_of(()) == "embedded"


# Charts


def charts() -> dict[str, alt.LayerChart]:
    view = priced(read_table(TABLE).frame, QUALITY, rate=20, costs=COSTS)
    least = profiles()["embedded"].least
    accepted = acceptance(tries_of_pool(POOL), thresholds_around(profiles()["embedded"]))
    return {
        "tradeoff": tuning_charts.tradeoff_chart(view, title="Quality (simulated)"),
        "cost": tuning_charts.cost_chart(view, title="Costs (simulated)"),
        "acceptance": tuning_charts.acceptance_chart(accepted, least, title="Acceptance (simulated)"),
        "unknown": tuning_charts.acceptance_chart(
            accepted.assign(gained=float("nan")), least, title="Nothing known"
        ),
    }


def test_charts_are_valid_and_small_and_say_their_units_and_settings() -> None:
    for chart in charts().values():
        spec = chart.to_dict(validate=True)
        text = json.dumps(spec, allow_nan=False)
        assert sum(map(len, spec["datasets"].values())) < 5000
        assert spec["title"]["text"]
        assert '"title": null' in text or "title" in text
    spec = charts()["tradeoff"].to_dict()
    text = json.dumps(spec)
    assert f"{setting_words(QUALITY)} (declared)" in text
    assert "false rollbacks a day" in text
    assert "minutes of an incident" in text
    assert '"range": ["diamond", "circle"]' in text
