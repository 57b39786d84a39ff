"""Events taken to Parquet files: each once and as it was, whatever is cut off meanwhile; and asked, from the command line too."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from cinegen_core.analysis import parquet, sources
from cinegen_core.analysis.answers import ANSWER_TYPES, answers_frame
from cinegen_core.analysis.duck import AnalyticsError, open_folder
from cinegen_core.analysis.explore import by_tier, summary
from cinegen_core.analysis.filters import Filters
from cinegen_core.analysis.parquet import FolderError, export_events, listed, recorded
from cinegen_core.cli import app
from cinegen_core.monitor.events import Event, HeartbeatEvent
from cinegen_core.settings import Settings
from cinegen_core.store import StoreError
from cinegen_core.store.events import SqlEvents
from cinegen_core.store.sql import Database, sqlite_url
from cinegen_core.studio import open_database

from .answering import NOW, a_word, ago, an_answer, an_engine, many_answers

SIMULATED = sources.simulated(days=5.0, rate=2.0)[:3000]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlEvents]:
    with Database(sqlite_url(tmp_path / "cinegen.db")) as database:
        yield SqlEvents(database)


def some(count: int) -> list[Event]:
    """Answers over two months, every third of which is rated, and a heartbeat."""
    answers = many_answers(count, days=40.0)
    words = [a_word(f"w{place}", one.id, rating=7, at=one.at) for place, one in enumerate(answers) if place % 3 == 0]  # fmt: skip
    return [*answers, *words, HeartbeatEvent(id="beat", at=NOW, studio="house")]


def files(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


class TestExport:
    def test_every_event_is_there_once_and_as_it_was(self, store: SqlEvents, tmp_path: Path) -> None:
        store.add(*SIMULATED)
        held = export_events(store.read, tmp_path / "out", series="simulated", at_once=100, per_file=300)
        assert held.events == len(SIMULATED) == len({event.id for event in SIMULATED})
        assert recorded(tmp_path / "out") == SIMULATED
        assert {event.kind for event in recorded(tmp_path / "out")} >= {"generation", "feedback", "heartbeat"}

    def test_files_are_by_month_with_typed_columns_and_say_their_version(
        self, store: SqlEvents, tmp_path: Path
    ) -> None:
        store.add(*some(60))
        held = export_events(store.read, tmp_path / "out")
        assert {Path(file.path).parent.as_posix() for file in held.files} == {
            "answers/2025-11", "answers/2025-12", "answers/2026-01", "feedback/2025-11", "feedback/2025-12", "feedback/2026-01",
            "others/2026-01",
        }  # fmt: skip
        file = pq.ParquetFile(held.paths(tmp_path / "out", "answers")[0])
        assert file.schema_arrow.metadata[b"cinegen.events"] == b"1"
        types = dict(zip(file.schema_arrow.names, file.schema_arrow.types, strict=True))
        assert set(ANSWER_TYPES) < set(types)
        assert types["at"] == pa.timestamp("us", tz="UTC")
        assert types["flags"] == pa.map_(pa.string(), pa.bool_())
        assert types["dimension:dialogue"] == pa.float64()

    def test_nobody_is_named_who_is_not_in_the_store(self, store: SqlEvents, tmp_path: Path) -> None:
        store.add(an_answer("a", who="5f2c9e"))
        export_events(store.read, tmp_path / "out")
        (event,) = recorded(tmp_path / "out")
        assert getattr(event, "who", "") == "5f2c9e"

    def test_a_store_of_any_size_is_read_a_few_events_at_a_time(
        self, store: SqlEvents, tmp_path: Path
    ) -> None:
        asked: list[tuple[int | None, int]] = []

        def watched(**options: Any) -> Sequence[tuple[int, Event]]:
            found = store.read(**options)
            asked.append((options["most"], len(found)))
            return found

        store.add(*some(90))
        held = export_events(watched, tmp_path / "out", at_once=10, per_file=40)
        assert {most for most, _ in asked} == {10}
        assert max(count for _, count in asked) == 10
        # as many events as make a file are held, and no more
        assert max(file.rows for file in held.files) <= 40
        assert recorded(tmp_path / "out") == tuple(event for _, event in store.read())

    def test_only_the_time_and_the_series_that_were_asked_for(self, store: SqlEvents, tmp_path: Path) -> None:
        store.add(*(an_answer(f"a{day}", at=ago(days=day)) for day in range(10)))
        store.add(an_answer("made up", series="simulated", at=ago(days=2)))
        export_events(store.read, tmp_path / "out", since=ago(days=5), until=ago(days=1))
        assert {event.id for event in recorded(tmp_path / "out")} == {"a2", "a3", "a4", "a5"}
        export_events(store.read, tmp_path / "all", series=None)
        assert len(recorded(tmp_path / "all")) == 11


class TestResume:
    def test_what_came_since_is_added_and_nothing_twice(self, store: SqlEvents, tmp_path: Path) -> None:
        first, later = some(30), [an_answer("late", at=NOW), an_answer("of long ago", at=ago(days=400))]
        store.add(*first)
        export_events(store.read, tmp_path / "out")
        store.add(*later)
        held = export_events(store.read, tmp_path / "out", resume=True)
        assert recorded(tmp_path / "out") == (*first, *later)
        before = files(tmp_path / "out")
        assert export_events(store.read, tmp_path / "out", resume=True) == held
        assert files(tmp_path / "out") == before

    def test_a_folder_is_not_written_over_by_mistake(self, store: SqlEvents, tmp_path: Path) -> None:
        store.add(*some(5))
        export_events(store.read, tmp_path / "out")
        with pytest.raises(FolderError, match="--resume"):
            export_events(store.read, tmp_path / "out")
        with pytest.raises(FolderError, match="holds live events, and this is to be simulated events"):
            export_events(store.read, tmp_path / "out", series="simulated", resume=True)
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "letters.txt").write_text("dear", encoding="utf-8")
        with pytest.raises(FolderError, match="is not empty"):
            export_events(store.read, tmp_path / "mine", resume=True)

    def test_events_of_two_stores_do_not_get_into_one_folder(self, store: SqlEvents, tmp_path: Path) -> None:
        store.add(*some(5))
        export_events(store.read, tmp_path / "out")
        with Database(sqlite_url(tmp_path / "another.db")) as database:
            other = SqlEvents(database)
            other.add(*(an_answer(f"other {n}") for n in range(20)))
            with pytest.raises(FolderError, match="another store"):
                export_events(other.read, tmp_path / "out", resume=True)
        assert len(recorded(tmp_path / "out")) == 8

    def test_an_export_that_is_cut_off_loses_no_event_and_doubles_none(
        self, store: SqlEvents, tmp_path: Path
    ) -> None:
        store.add(*some(90))
        calls = iter(range(100))

        def failing(**options: Any) -> Sequence[tuple[int, Event]]:
            if next(calls) == 7:
                raise StoreError("The database cannot be reached.")
            return store.read(**options)

        with pytest.raises(StoreError):
            export_events(failing, tmp_path / "out", at_once=10, per_file=20)
        whole = tuple(event for _, event in store.read())
        assert recorded(tmp_path / "out") == whole[:60]
        export_events(store.read, tmp_path / "out", at_once=10, per_file=20, resume=True)
        assert recorded(tmp_path / "out") == whole

    def test_a_full_disk_leaves_no_half_file_behind(
        self, store: SqlEvents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store.add(*some(60))
        written, write = iter(range(100)), pq.write_table

        def full(rows: pa.Table, file: Any, **options: Any) -> None:
            if next(written) == 5:
                file.write(b"PAR1 and then")
                raise OSError(28, "No space left on device")
            write(rows, file, **options)

        monkeypatch.setattr(pq, "write_table", full)
        with pytest.raises(FolderError, match="No space left on device"):
            export_events(store.read, tmp_path / "out", at_once=10, per_file=20)
        monkeypatch.undo()
        whole = tuple(event for _, event in store.read())
        assert recorded(tmp_path / "out") == whole[: listed(tmp_path / "out").events]
        # what a reader of its own sees in the folder are whole files, too
        assert sum(len(pq.read_table(file)) for file in (tmp_path / "out").rglob("*.parquet")) >= 20
        held = export_events(store.read, tmp_path / "out", resume=True)
        assert recorded(tmp_path / "out") == whole
        assert files(tmp_path / "out") == {"events.json", *(str(Path(file.path)) for file in held.files)}

    def test_two_exports_into_one_folder_are_told_apart(self, store: SqlEvents, tmp_path: Path) -> None:
        store.add(*some(40))
        started = False

        def meanwhile(**options: Any) -> Sequence[tuple[int, Event]]:
            nonlocal started
            found = store.read(**options)
            if not started:
                started = True
                export_events(store.read, tmp_path / "out", resume=True)
            return found

        with pytest.raises(FolderError, match="Another export"):
            export_events(meanwhile, tmp_path / "out")
        assert recorded(tmp_path / "out") == tuple(event for _, event in store.read())


class TestReading:
    def test_a_folder_without_events_or_of_another_version_is_refused_in_words(self, tmp_path: Path) -> None:
        with pytest.raises(FolderError, match="cinegen events export"):
            open_folder(tmp_path)
        parquet.begin(tmp_path / "out", parquet.Listed(version=99))
        with pytest.raises(FolderError, match="version 99"):
            open_folder(tmp_path / "out")
        (tmp_path / "out" / "events.json").write_text('{"files": [{"path": "../../etc/passwd"}]}', encoding="utf-8")  # fmt: skip
        with pytest.raises(FolderError, match="no list of events"):
            open_folder(tmp_path / "out")

    def test_a_file_that_was_taken_away_is_named(self, store: SqlEvents, tmp_path: Path) -> None:
        store.add(*some(5))
        held = export_events(store.read, tmp_path / "out")
        Path(held.paths(tmp_path / "out", "answers")[0]).unlink()
        with pytest.raises(FolderError, match="not there"):
            open_folder(tmp_path / "out")

    def test_without_duckdb_the_extra_is_named_and_the_rest_works(
        self, store: SqlEvents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store.add(*some(5))
        monkeypatch.setitem(sys.modules, "duckdb", None)
        export_events(store.read, tmp_path / "out")
        with pytest.raises(AnalyticsError, match=r'pip install "cinegen-studio\[analytics\]"'):
            open_folder(tmp_path / "out")
        assert len(recorded(tmp_path / "out")) == 8

    def test_what_does_not_fit_is_told_with_what_to_do(self, tmp_path: Path) -> None:
        with pytest.raises(AnalyticsError, match="set up"):
            open_folder(parquet_of(tmp_path / "out", some(5)), memory="a lot")
        with pytest.raises(AnalyticsError, match="nothing can be put aside there"):
            open_folder(tmp_path / "out", spill=tmp_path / "nowhere")

    def test_what_is_spilled_is_gone_in_the_end(self, tmp_path: Path) -> None:
        (tmp_path / "spill").mkdir()
        with open_folder(parquet_of(tmp_path / "out", some(5)), spill=tmp_path / "spill") as events:
            assert summary(events.answers).count == 5
        assert not list((tmp_path / "spill").iterdir())


class TestNotebooks:
    def test_a_folder_is_a_source_as_any_other(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = parquet_of(tmp_path / "out", SIMULATED, series="simulated")
        environ = {"CINEGEN_EVENTS_PARQUET": str(folder), "CINEGEN_DATABASE_URL": "postgresql://x/y"}
        assert sources.chosen("simulated", environ) == str(folder)
        assert sources.load_events(str(folder), environ) == SIMULATED
        assert sources.load_changes(str(folder), environ) == ()
        assert sources.words(str(folder)) == "SIMULATED: events of the folder out"
        with sources.open_events(folder) as events:
            assert by_tier(events.answers.where(Filters(series="simulated")))["answers"].sum() > 50
        monkeypatch.setattr(sources, "MOST_LOADED", 10)
        with pytest.raises(sources.SourceError, match="open_events"):
            sources.load_events(str(folder))

    def test_a_folder_of_something_else_is_named(self, tmp_path: Path) -> None:
        for use in (sources.load_events, sources.words, sources.open_events):
            with pytest.raises(sources.SourceError, match="cinegen events export"):
                use(str(tmp_path))

    def test_notices_can_be_read_without_the_answers(self, tmp_path: Path) -> None:
        folder = parquet_of(tmp_path / "out", some(20))
        assert [event.kind for event in recorded(folder, tables=("others",))] == ["heartbeat"]
        assert recorded(folder, tables=("others",), kinds=("alert", "vote")) == ()


class TestCommands:
    @pytest.fixture(autouse=True)
    def _studio(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CINEGEN_DATA_DIR", str(tmp_path / "data"))
        monkeypatch.delenv("CINEGEN_DATABASE_URL", raising=False)
        with open_database(Settings.load({"CINEGEN_DATA_DIR": str(tmp_path / "data")})) as database:
            SqlEvents(database).add(*many_answers(50))

    def test_export_then_ask(self, tmp_path: Path) -> None:
        run, folder = CliRunner(), str(tmp_path / "out")
        said = run.invoke(app, ["events", "export", folder])
        assert said.exit_code == 0, said.output
        assert "50 live events in" in said.output
        assert run.invoke(app, ["events", "export", folder]).exit_code == 1
        again = run.invoke(app, ["events", "export", folder, "--resume"])
        assert "0 of them new" in again.output
        asked = run.invoke(
            app, ["events", "ask", folder, "tiers", "--only", "quality=7..&counted=no", "--csv"]
        )
        assert asked.exit_code == 0, asked.output
        expected = by_tier(Filters.from_query({"quality": "7..", "counted": "no"}).filters.apply(answers_frame(many_answers(50)), pd.DataFrame()))  # fmt: skip
        assert [line.split(",")[:2] for line in asked.output.splitlines()[1:]] == [
            [row["name"], str(row["answers"])] for row in expected.to_dict("records")
        ]

    def test_wrong_use_is_told_in_words(self, tmp_path: Path) -> None:
        run, folder = CliRunner(), str(tmp_path / "out")
        assert "cinegen events export" in run.invoke(app, ["events", "ask", folder]).output
        run.invoke(app, ["events", "export", folder])
        wrong = run.invoke(app, ["events", "ask", folder, "--only", "mood=sad"])
        assert (wrong.exit_code, "no filter of that name" in wrong.output) == (2, True)
        assert run.invoke(app, ["events", "ask", folder, "--measure", "mood"]).exit_code == 2
        nothing = run.invoke(app, ["events", "ask", folder, "genres", "--only", "series=staging"])
        assert (nothing.exit_code, nothing.output.strip()) == (0, "no data")

    def test_every_question_has_an_answer(self, tmp_path: Path) -> None:
        from cinegen_core.cli_events import Question

        run, folder = CliRunner(), str(tmp_path / "out")
        run.invoke(app, ["events", "export", folder, "--until", f"{NOW + timedelta(days=1):%Y-%m-%d}"])
        for question in Question:
            said = run.invoke(app, ["events", "ask", folder, question.value, "--measure", "dialogue"])
            assert said.exit_code == 0, said.output
            assert "no data" not in said.output


def parquet_of(folder: Path, events: Sequence[Event], series: Any = None) -> Path:
    held = parquet.begin(folder, parquet.Listed(series=series))
    parquet.write_events(enumerate(events, start=1), folder, held)
    return folder


def test_moments_before_1970_and_odd_text_come_back_as_they_were(tmp_path: Path) -> None:
    odd = (
        an_answer("a'\"; DROP TABLE answers; --", title="Ж \u202e\U0001f3ac\n", at=datetime(1911, 5, 1, tzinfo=UTC), genres=("a,b", ""),
                  engines=[an_engine('x"y,z', realised=None)], flags={"with:colon": True, "": False}, quality=None, dimensions={}),
    )  # fmt: skip
    assert recorded(parquet_of(tmp_path / "out", odd)) == odd
