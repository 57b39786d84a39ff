"""A notebook's events: simulated, of this computer's studio, or of a file; and outputs that are the same for the same figures."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import altair as alt
import pandas as pd
import pytest

from cinegen_core.analysis.showing import show, table
from cinegen_core.analysis.sources import SourceError, chosen, load_changes, load_events, simulated, words
from cinegen_core.monitor.events import GenerationEvent
from cinegen_core.settings import Settings
from cinegen_core.store.events import SqlEvents
from cinegen_core.studio import open_database

EVENT = GenerationEvent(
    id="g1", at=datetime(2026, 1, 5, tzinfo=UTC), tier="comprehensive", first="comprehensive", writer="m",
    profile="model", seconds=2.0, score=8.0, quality=8.0,
)  # fmt: skip


def test_simulated_weeks_are_the_same_every_time_and_labelled() -> None:
    first, again = simulated(days=5.0, rate=6.0), simulated(days=5.0, rate=6.0)
    assert first == again
    assert {event.series for event in first} == {"simulated"}
    assert "SIMULATED" in words("simulated")


def test_a_studio_s_own_record_and_its_journal_are_read(tmp_path: Path) -> None:
    environ = {"CINEGEN_DATA_DIR": str(tmp_path)}
    with open_database(Settings.load(environ)) as database:
        SqlEvents(database).add(EVENT)
    assert load_events("store", environ) == (EVENT,)
    assert load_changes("store", environ) == load_changes("simulated") == ()
    assert chosen("simulated", {}) == "simulated"
    assert chosen("simulated", {"CINEGEN_DATABASE_URL": "postgresql://x/y"}) == "store"


def test_a_file_of_events_is_read_and_its_faults_are_named(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text(EVENT.model_dump_json() + "\n\n", encoding="utf-8")
    assert load_events(str(file)) == (EVENT,)
    file.write_text(EVENT.model_dump_json() + "\n{}\n", encoding="utf-8")
    with pytest.raises(SourceError, match="line 2"):
        load_events(str(file))
    with pytest.raises(SourceError, match="cinegen simulate --out"):
        load_events(str(tmp_path / "nothing"))


def test_what_is_shown_is_the_same_for_the_same_figures() -> None:
    frame = pd.DataFrame({"a": [1.23456, 2.0, None], "b": ["x", "y", "z"]})
    chart = alt.Chart(frame).mark_point().encode(x="a:Q", y="b:N")
    shown = show(chart, "points")
    assert repr(shown) == "Chart: points (3 rows)"
    assert shown._repr_mimebundle_() == show(chart, "points")._repr_mimebundle_()
    assert any(name.startswith("application/vnd.vegalite.v") for name in shown._repr_mimebundle_())
    assert "1.23 " in repr(table(frame))
    assert "no data" in repr(table(frame))
    assert repr(table(frame.head(0))) == "no data"


def test_the_last_digits_of_a_sum_change_nothing_that_is_shown() -> None:
    charts = [
        alt.Chart(pd.DataFrame({"a": [0.1 + 0.2 + noise, 1e-9], "b": ["x", "y"]}))
        .mark_point()
        .encode(x="a:Q")
        for noise in (0.0, 1e-16, -1e-15)
    ]
    first, *others = [show(chart, "sums")._repr_mimebundle_() for chart in charts]
    assert all(other == first for other in others)
