"""Prometheus itself, by its own tool, on the rules and figures that the studio gives it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import fsum
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from cinegen_core.monitor.alerts import RULES, Rule, replay
from cinegen_core.monitor.events import AlertEvent, GenerationEvent, HeartbeatEvent
from cinegen_core.monitor.exposition import exposition
from cinegen_core.monitor.prometheus_rules import LABELS, counters, export
from cinegen_core.monitor.tally import Tally, hourly
from cinegen_core.monitoring import Monitoring
from cinegen_core.store.events import SqlEvents
from cinegen_core.store.rollups import SqlRollups
from cinegen_core.store.sql import Database, sqlite_url

Heard = GenerationEvent | HeartbeatEvent

START = datetime(1970, 1, 1, tzinfo=UTC)
"""When time begins for promtool."""

STUDIO_DOWN = "uptime_critical"


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def promtool(*arguments: str, text: str = "") -> str:
    """What promtool says, which has to be that all is well."""
    tool = shutil.which("promtool")
    assert tool is not None, "promtool is missing: run tools/system.sh, or install Prometheus"
    done = subprocess.run(
        [tool, *arguments], input=text, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def answer(minutes: float, **changes: Any) -> GenerationEvent:
    good: dict[str, Any] = {
        "id": f"{minutes:.4f}", "at": at(minutes), "tier": "comprehensive", "first": "comprehensive", "writer": "m",
        "profile": "model", "seconds": 20.0, "score": 8.4, "quality": 8.4, "engines": delivered(10),
    }  # fmt: skip
    return GenerationEvent.model_validate({**good, **changes})


def delivered(count: int) -> list[dict[str, Any]]:
    return [{"engine": f"engine {n}", "delivered": n < count} for n in range(10)]


def answers(start: int, end: int, *, every: float = 0.5, **changes: Any) -> list[GenerationEvent]:
    """None of them on the minute, where it would be a matter of taste to which side it belongs."""
    return [answer(start + every * (n + 0.5), **changes) for n in range(round((end - start) / every))]


def beats(start: int, end: int, **changes: Any) -> list[HeartbeatEvent]:
    """One a minute, on the minute, each telling of the minute before."""
    answered = changes.get("answered", True)
    return [
        HeartbeatEvent(
            id=f"h{minute}", at=at(minute), studio="a", watched=60.0, up=60.0 if answered else 0.0, **changes
        )
        for minute in range(start, end)
    ]


GOOD = answers(1, 90)
FAILING: dict[str, Any] = {
    "tier": "basic_fallback", "fallback": True, "error": True, "quality": 4.5, "score": 4.5, "engines": delivered(0),
    "seconds": 12.0,
}  # fmt: skip

STREAMS: dict[str, list[GenerationEvent]] = {
    "healthy": answers(1, 200),
    "quality drops": [*GOOD, *answers(90, 150, quality=6.5, score=6.5), *answers(150, 260)],
    "quality drops a little": [*GOOD, *answers(90, 190, quality=7.1, score=7.1), *answers(190, 280)],
    "an outage": [*GOOD, *answers(90, 125, **FAILING), *answers(125, 240)],
    "slow": [*GOOD, *answers(90, 130, seconds=110.0), *answers(130, 220)],
    "engines fail": [*GOOD, *answers(90, 130, engines=delivered(7)), *answers(130, 200)],
    "some engines fail": [*GOOD, *answers(90, 150, engines=delivered(8)), *answers(150, 220)],
    "too few to say so": [*answers(1, 90, every=4), *answers(90, 150, every=4, **FAILING), *answers(150, 220, every=4)],
    "too few to say that it is over": [
        *GOOD, *answers(90, 125, **FAILING), *answers(125, 220, every=6), *answers(220, 320),
    ],
    "nobody asks any more": [*GOOD, *answers(90, 125, **FAILING)],
}  # fmt: skip


def firing(steps: Sequence[AlertEvent], rule: Rule, minutes: int) -> list[bool]:
    """Whether the studio's own alert of a rule fires, at every whole minute."""
    found: list[bool] = []
    own = iter([step for step in steps if step.rule == rule.key])
    coming, fires = next(own, None), False
    for minute in range(minutes):
        while coming is not None and coming.at <= at(minute):
            fires = coming.state == "firing" or (fires and coming.state == "acknowledged")
            coming = next(own, None)
        found.append(fires)
    return found


def scraped(events: Sequence[Heard], minutes: int) -> dict[str, list[float]]:
    """What the exporter shows at every whole minute, by counter, as an independent parser reads it."""
    shown: dict[str, list[float]] = {name: [] for name in counters()}
    total, waiting = Tally(), sorted(events, key=lambda event: event.at)
    for minute in range(minutes):
        while waiting and waiting[0].at <= at(minute):
            for hour in hourly([waiting.pop(0)]).values():
                total.add(hour)
        for name, value in samples(exposition(total)).items():
            if name in shown:
                shown[name].append(value)
    return shown


def samples(text: str) -> dict[str, float]:
    """By name; all of them are of what is live."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation, family.name
        for sample in family.samples:
            assert sample.labels == {"series": "live"}
            found[sample.name] = sample.value
    return found


def agree(
    folder: Path, series: Mapping[str, Sequence[float | None]], expected: dict[str, dict[int, bool]]
) -> None:
    """Has promtool play the series, and say whether each rule fires in the minutes in which it is expected to, and in no other."""
    (folder / "rules.yaml").write_text(export(), encoding="utf-8")
    rules = {rule["labels"]["rule"]: rule for rule in yaml.safe_load(export())["groups"][0]["rules"]}
    tests = [
        {
            "eval_time": f"{minute}m",
            "alertname": rules[key]["alert"],
            "exp_alerts": [{"exp_labels": rules[key]["labels"], "exp_annotations": rules[key]["annotations"]}]
            if fires
            else [],
        }
        for key, minutes in expected.items()
        for minute, fires in minutes.items()
    ]
    played = [
        {
            "series": name + LABELS,
            "values": " ".join("_" if value is None else repr(value) for value in values),
        }
        for name, values in series.items()
    ]
    suite = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": played, "alert_rule_test": tests}],
    }
    # JSON is YAML, and is written a hundred times as fast.
    (folder / "test.yaml").write_text(json.dumps(suite), encoding="utf-8")
    assert "SUCCESS" in promtool("test", "rules", str(folder / "test.yaml"))


def test_prometheus_takes_the_rules(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(export(), encoding="utf-8")
    assert f"{len(RULES)} rules found" in promtool("check", "rules", "--lint=all", "--lint-fatal", str(file))


@pytest.mark.parametrize("name", STREAMS)
def test_prometheus_fires_in_the_same_minutes_as_the_studio(name: str, tmp_path: Path) -> None:
    """In all of them, once a rule has a whole window on record: before, the studio's alert is pending and Prometheus guesses
    what the part of the window without a record would have added."""
    events = STREAMS[name]
    minutes = 330
    _, steps = replay(events, until=at(minutes))
    expected = {
        rule.key: {
            minute: fires
            for minute, fires in enumerate(firing(steps, rule, minutes))
            if minute > rule.minutes
        }
        for rule in RULES
        if rule.key != STUDIO_DOWN
    }
    agree(tmp_path, scraped(events, minutes), expected)


def test_the_streams_make_every_rule_on_requests_fire_and_resolve() -> None:
    """Else it would be easy to agree."""
    fired: set[str] = set()
    resolved: set[str] = set()
    for events in STREAMS.values():
        _, steps = replay(events, until=at(330))
        fired |= {step.rule for step in steps if step.state == "firing"}
        resolved |= {step.rule for step in steps if step.state == "resolved"}
    assert fired == resolved == {rule.key for rule in RULES} - {STUDIO_DOWN}
    assert replay(STREAMS["healthy"], until=at(330))[1] == ()
    assert replay(STREAMS["too few to say so"], until=at(330))[1] == ()
    ours = {step.rule for step in replay(STREAMS["nobody asks any more"], until=at(330))[1]}
    assert "quality_critical" in ours


DAY = 24 * 60
SILENT = 1500
"""The minute in which a studio of the tests stops to answer, or crashes: more than a day after it began."""
FOR = 30


def uptime_of(events: Sequence[Heard], minutes: int) -> list[bool]:
    (rule,) = (rule for rule in RULES if rule.key == STUDIO_DOWN)
    return firing(replay(events, until=at(minutes))[1], rule, minutes)


def test_prometheus_tells_of_a_studio_that_does_not_answer_in_the_same_minutes(tmp_path: Path) -> None:
    """The share is of seconds, here sums of them as floats: within a minute of where it comes to the threshold either may be right."""
    minutes = SILENT + DAY + 2 * FOR
    events = [
        *beats(0, SILENT), *beats(SILENT, SILENT + FOR, answered=False), *beats(SILENT + FOR, minutes),
    ]  # fmt: skip
    ours = uptime_of(events, minutes)
    assert {True, False} == set(ours[SILENT:])
    expected = {
        minute: ours[minute]
        for minute in range(DAY + 1, minutes - 1)
        if ours[minute - 1] == ours[minute] == ours[minute + 1]
    }
    assert len(expected) >= minutes - DAY - 8
    agree(tmp_path, scraped(events, minutes), {STUDIO_DOWN: expected})


def test_prometheus_tells_of_a_crash_from_the_next_start_until_a_day_after_the_crash(tmp_path: Path) -> None:
    """While the studio is down it shows nobody how long that has been; the time is added at its start, all at once, and leaves
    the window all at once too, while the studio's own alert sees it go minute by minute."""
    minutes, up_again = SILENT + DAY + 2 * FOR, SILENT + FOR
    start = HeartbeatEvent(
        id="again", at=at(up_again), studio="a", state="started", watched=60.0 * (FOR + 1), up=60.0
    )
    events = [*beats(0, SILENT), start, *beats(up_again + 1, minutes)]
    ours = uptime_of(events, minutes)
    assert all(ours[up_again : SILENT + DAY])
    series: dict[str, list[float | None]] = {
        name: [None if SILENT <= minute < up_again else value for minute, value in enumerate(values)]
        for name, values in scraped(events, minutes).items()
    }
    same = [*range(DAY + 1, SILENT), *range(up_again + 1, SILENT + DAY - 1), *range(up_again + DAY, minutes)]
    agree(tmp_path, series, {STUDIO_DOWN: {minute: ours[minute] for minute in same}})


@pytest.fixture
def monitoring(tmp_path: Path) -> Iterator[Monitoring]:
    """A studio's own, with a day of answers and heartbeats on record."""
    database = Database(sqlite_url(tmp_path / "cinegen.db"))
    events = SqlEvents(database)
    events.add(*RECORDED)
    now = at(DAY)
    yield Monitoring(events, SqlRollups(database, events), now=lambda: now, secret="s", studio="a")
    database.close()


RECORDED: list[Heard] = [
    *answers(1, 90),
    *answers(90, 125, **FAILING),
    *answers(125, 140, engines=[], quality=None, score=None),
    *answers(140, 150, kept=True),
    *answers(150, 160, emergency=True),
    *answers(160, 170, series="staging"),
    *beats(0, 60),
    *beats(60, 90, answered=False),
]


def test_the_figures_are_read_by_an_independent_reader_and_are_those_of_the_events(
    monitoring: Monitoring,
) -> None:
    counted = [
        event
        for event in RECORDED
        if isinstance(event, GenerationEvent)
        and event.series == "live"
        and not event.kept
        and not event.emergency
    ]
    heartbeats = [event for event in RECORDED if isinstance(event, HeartbeatEvent)]
    qualities = [event.quality for event in counted if event.quality is not None]
    shown = samples(monitoring.prometheus())
    assert set(counters()) <= shown.keys()
    assert shown == pytest.approx(
        {
            "cinegen_quality_sum": fsum(qualities),
            "cinegen_quality_count": len(qualities),
            "cinegen_engines_delivered_total": sum(
                run.delivered for event in counted for run in event.engines
            ),
            "cinegen_engines_active_total": sum(len(event.engines) for event in counted),
            "cinegen_engines_requests_total": sum(bool(event.engines) for event in counted),
            "cinegen_generation_seconds_sum": fsum(event.seconds for event in counted),
            "cinegen_generation_seconds_count": len(counted),
            "cinegen_errors_total": sum(event.error for event in counted),
            "cinegen_fallbacks_total": sum(event.fallback for event in counted),
            "cinegen_requests_total": len(counted),
            "cinegen_up_seconds_total": sum(beat.up for beat in heartbeats),
            "cinegen_watched_seconds_total": sum(beat.watched for beat in heartbeats),
        }
    )


def test_prometheus_has_nothing_to_say_against_the_figures(monitoring: Monitoring) -> None:
    assert promtool("check", "metrics", text=monitoring.prometheus()) == ""
