"""A batch does what its plan says, once, whatever happens to it; here one task after the other, as `--sequential` does."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from sqlalchemy import delete
from typer.testing import CliRunner
from typer.testing import Result as RunResult

from cinegen_core.analysis.ablation import read_table
from cinegen_core.batch import Graph, Hands, HereHands, Landing, Planner, canonical, load_plan, run_batch
from cinegen_core.batch.bench import Bench
from cinegen_core.batch.landing import Landed, land
from cinegen_core.batch.tasks import Episode, Result, Task, Written
from cinegen_core.cli_batch import add_batch, withdrawn_from
from cinegen_core.clock import SystemClock
from cinegen_core.monitor.events import GenerationEvent
from cinegen_core.settings import Settings
from cinegen_core.store import SqlStore
from cinegen_core.store.comparisons import SqlComparisons
from cinegen_core.store.sql_episodes import EPISODES
from cinegen_core.story import EpisodeRequest
from cinegen_core.story.load import load_sample
from cinegen_core.studio import open_database, open_studio
from tests.batch.batches import TWO_SEASONS, WITH_ENGINES, Desk, a_bench, a_desk

COMPARISON = """
[[comparisons]]
bible = "sworn"
[[comparisons.ways]]
label = "single"
tier = "enhanced_baseline"
[[comparisons.ways]]
label = "template"
tier = "basic_fallback"
"""


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return a_desk(tmp_path)


class Failing:
    """Hands that fail what `fails` says, and do the rest."""

    def __init__(self, graph: Graph, fails: str) -> None:
        self._bench, self._fails = a_bench(graph), fails
        self.asked: list[str] = []

    def do(self, task: Task, before: tuple[str, ...]) -> Result:
        self.asked.append(task.words)
        if self._fails and self._fails in task.words:
            raise RuntimeError("the pen broke")
        return self._bench.do(task, before)


def failing(fails: str) -> tuple[list[Failing], object]:
    made: list[Failing] = []

    def hands(graph: Graph) -> Hands:
        made.append(Failing(graph, fails))
        return HereHands(made[-1].do)

    return made, hands


def test_seasons_land_whole_and_are_what_the_studio_writes(desk: Desk, tmp_path: Path) -> None:
    _, outcome = desk.run(WITH_ENGINES)
    assert outcome.whole
    assert len(outcome.done) == 4
    with open_database(desk.settings) as database:
        seasons = SqlStore(database).seasons()
        assert {season.source for season in seasons} == {"sworn"}
        by_seed = {}
        for season in seasons:
            first, second = SqlStore(database).records(season.id)
            assert (first.number, second.number, first.parent, second.parent) == (1, 2, None, first.id)
            by_seed[first.seed] = [first, second]
    assert by_seed.keys() == {1, 2}

    async def by_studio() -> list[bytes]:
        with open_studio(
            Settings(data_dir=tmp_path / "other", cache_megabytes=0, install_id="tests")
        ) as studio:
            first = EpisodeRequest(bible=load_sample("sworn"), seed=2)
            return [
                canonical(made) async for made in studio.season(first, episodes=2, policy=studio.policy())
            ]

    assert [canonical(record.generation) for record in by_seed[2]] == asyncio.run(by_studio())


def test_what_is_done_is_not_done_again_and_a_longer_season_goes_on(desk: Desk) -> None:
    desk.run(TWO_SEASONS)
    before = desk.records()
    made, hands = failing("")
    _, outcome = desk.run(TWO_SEASONS, hands)  # type: ignore[arg-type]
    assert made[0].asked == []
    assert len(outcome.kept) == 4
    _, longer = desk.run(TWO_SEASONS.replace("episodes = 2", "episodes = 3"), hands)  # type: ignore[arg-type]
    assert [words[-9:] for words in made[1].asked] == ["episode 3", "episode 3"]
    assert longer.whole
    after = desk.records()
    assert {id: after[id] for id in before} == before
    third = next(record for record in after.values() if record.number == 3)
    assert third.generation.episode.number == 3
    assert third.parent in before


def test_an_episode_lost_from_the_store_is_written_again_and_what_follows_it(desk: Desk) -> None:
    desk.run(TWO_SEASONS)
    whole = desk.bytes()
    lost = next(record for record in desk.records().values() if record.number == 1)
    with open_database(desk.settings) as database, database.writing() as connection:
        connection.execute(delete(EPISODES).where(EPISODES.c.id == lost.id))
    made, hands = failing("")
    desk.run(TWO_SEASONS, hands)  # type: ignore[arg-type]
    assert len(made[0].asked) == 2
    assert desk.bytes() == whole


def test_a_failure_is_told_in_words_what_depends_on_it_is_not_begun_and_the_rest_goes_on(desk: Desk) -> None:
    _, hands = failing("seed 1, episode 1")
    graph, outcome = desk.run(TWO_SEASONS, hands)  # type: ignore[arg-type]
    words = {task.id: task.words for task in graph.tasks}
    assert {words[id]: why for id, why in outcome.failed.items()} == {
        "Sworn, seed 1, episode 1": "the pen broke",
        "Sworn, seed 1, episode 2": "was not begun, since Sworn, seed 1, episode 1 failed",
    }
    assert {record.seed for record in desk.records().values()} == {2}
    assert desk.run(TWO_SEASONS)[1].whole
    assert len(desk.records()) == 4


def test_every_episode_is_recorded_once_as_a_trial_and_says_nothing_about_how_the_studio_does(
    desk: Desk,
) -> None:
    desk.run(TWO_SEASONS)
    desk.run(TWO_SEASONS)
    events = desk.events()
    assert sorted(event.id for event in events) == sorted(desk.records())
    for event in events:
        assert isinstance(event, GenerationEvent)
        assert event.trial
        assert not event.counts
        assert event.title == "Sworn"


def test_to_land_twice_is_to_land_once(desk: Desk) -> None:
    with desk.opened(TWO_SEASONS) as (graph, database, _):
        task = next(task for task in graph.tasks if isinstance(task, Episode))
        bench = a_bench(graph)
        first, second = bench.do(task, ()), bench.do(task, ())
        assert isinstance(first, Written)
        for result in (first, second):
            land(database, desk.results, graph, {}, [Landed(task, result)])
    assert [event.id for event in desk.events()] == [task.id]
    assert list(desk.records()) == [task.id]


def test_killed_in_the_middle_it_goes_on_and_comes_to_the_same(desk: Desk, tmp_path: Path) -> None:
    desk.plan(TWO_SEASONS)
    with subprocess.Popen(
        [sys.executable, "-m", "tests.batch.child", str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
    ) as child:  # fmt: skip
        assert child.stdout is not None
        assert child.stdout.readline() == "landed\n"
        child.kill()
    there = desk.records()
    assert len(there) == 1
    made, hands = failing("")
    _, outcome = desk.run(TWO_SEASONS, hands)  # type: ignore[arg-type]
    assert outcome.kept == there.keys()
    assert len(made[0].asked) == 3
    after = desk.records()
    assert {id: after[id] for id in there} == there
    assert sorted(event.id for event in desk.events()) == sorted(after)
    other = a_desk(tmp_path / "other")
    other.folder.mkdir()
    other.run(TWO_SEASONS)
    assert desk.bytes() == other.bytes()


def test_ids_are_of_everything_that_determines_a_task(desk: Desk) -> None:
    desk.results.open()
    with open_studio(desk.settings) as studio, open_database(desk.settings) as database:

        def ids(text: str) -> set[str]:
            graph = Planner(studio, database, desk.results, load_plan(desk.plan(text))).graph()
            return {task.id for task in graph.tasks}

        known = ids(WITH_ENGINES)
        assert ids(WITH_ENGINES) == known
        for change in ('name = "again"', 'direction = "Rain."', "minutes = 4", 'tier = "enhanced_baseline"',
                       'without = ["Horror"]', 'who = "ida"'):  # fmt: skip
            assert not ids(f"{WITH_ENGINES}{change}\n") & known, change
        assert not ids(f"budget_seconds = 9\n{WITH_ENGINES}") & known
        assert ids(WITH_ENGINES.replace("seeds = [1, 2]", "seeds = [2, 3]")) & known
        assert studio.steering is not None
        studio.steering.flags.rollback("comprehensive_engines", who="ola", why="a rehearsal")
        assert not ids(WITH_ENGINES) & known


def test_the_flags_of_whom_it_is_for_are_asked_once_and_kept_with_each_episode(desk: Desk) -> None:
    with desk.opened(f'{WITH_ENGINES}who = "ida"\n') as (graph, _, studio):
        assert studio.steering is not None
        decided = studio.steering.decide(studio.context("ida"))
        tasks = [task for task in graph.tasks if isinstance(task, Episode)]
    assert {task.brief.policy for task in tasks} == {decided.policy}
    assert all(task.brief.flags == decided.values for task in tasks)
    assert all(task.brief.user not in ("", "ida") for task in tasks)


def test_a_comparison_is_kept_where_the_page_looks_for_it(desk: Desk) -> None:
    _, outcome = desk.run(COMPARISON)
    assert outcome.whole
    with open_database(desk.settings) as database:
        (one,) = SqlComparisons(database).recent()
    assert one.ended
    assert [made.tier for made in one.generations if made is not None] == [
        "enhanced_baseline",
        "basic_fallback",
    ]
    assert all(isinstance(event, GenerationEvent) and event.trial for event in desk.events())
    made, hands = failing("")
    desk.run(COMPARISON, hands)  # type: ignore[arg-type]
    assert made[0].asked == []


def test_a_way_that_failed_says_why_and_is_tried_again(desk: Desk) -> None:
    _, hands = failing("template")
    desk.run(COMPARISON, hands)  # type: ignore[arg-type]
    with open_database(desk.settings) as database:
        (one,) = SqlComparisons(database).recent()
    assert one.answers[1].why == "the pen broke"
    assert desk.run(COMPARISON)[1].whole
    with open_database(desk.settings) as database:
        (again,) = SqlComparisons(database).recent()
    assert again.id == one.id
    assert all(again.generations)


def test_rescoring_gives_todays_scores_beside_the_recorded_ones_which_stay(desk: Desk) -> None:
    desk.run(TWO_SEASONS)
    kept = desk.records()
    graph, outcome = desk.run('[[rescoring]]\nname = "old"\n')
    assert outcome.whole
    rows = desk.results.rows(graph.rescored["old"])
    assert {row["episode"] for row in rows} == kept.keys()
    for row in rows:
        card = kept[row["episode"]].generation.scorecard
        assert card is not None
        assert row["recorded"]["overall"] == row["today"]["overall"] == card.overall
        assert row["today"].keys() > {"overall", "dialogue", "structure"}
    assert desk.records() == kept
    assert desk.run('[[rescoring]]\nname = "old"\n')[1].done == {}


def test_the_command_makes_tables_and_a_report_and_says_how_it_went(desk: Desk) -> None:
    ablation = '[[ablations]]\nname = "tables"\nbibles = ["dead_air"]\nseeds = 1\nepisodes = 1\n'
    plan = TWO_SEASONS.replace("episodes = 2", "episodes = 1") + ablation
    done = command(desk, plan, "--sequential")
    assert done.exit_code == 0, done.output
    assert "3 of 3 tasks done" in done.output
    table = read_table(desk.folder / "out" / "tables.csv")
    assert set(table.figures["series"]) == {"dead_air"}
    told = json.loads((desk.folder / "out" / "report.json").read_text(encoding="utf-8"))
    assert [task["state"] for task in told["tasks"]] == ["done"] * 3
    again = command(desk, plan, "--sequential")
    assert "All 3 tasks were done before" in again.output
    assert read_table(desk.folder / "out" / "tables.csv").figures.equals(table.figures)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--sequential", "--workers", "2"], "--sequential needs no workers"),
        (["--scheduler", "tcp://127.0.0.1:1", "--workers", "2"], "--workers is for workers on this computer"),
    ],
)
def test_wrong_use_is_explained(desk: Desk, arguments: list[str], said: str) -> None:
    done = command(desk, TWO_SEASONS, *arguments)
    assert done.exit_code == 2
    assert said in done.output


def test_a_writer_that_is_not_there_is_named_with_those_that_are(desk: Desk) -> None:
    with pytest.raises(
        ValueError, match=r"line 7: seasons\[0\]\.writer: there is no writer 'gpt'\. There are: embedded\."
    ):
        desk.run(f'{TWO_SEASONS}writer = "gpt"\n')


def test_without_the_extra_it_says_what_to_install_and_what_goes_without(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    done = command(desk, TWO_SEASONS)
    assert done.exit_code == 2
    assert 'pip install "cinegen-studio[scale]"' in done.output
    assert command(desk, TWO_SEASONS, "--sequential").exit_code == 0
    assert len(desk.records()) == 4


def test_what_failed_is_told_and_the_exit_code_says_so(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the pen broke")

    monkeypatch.setattr(Bench, "do", broken)
    done = command(desk, TWO_SEASONS, "--sequential")
    assert done.exit_code == 1
    assert "Sworn, seed 1, episode 1: the pen broke." in done.output
    assert "Sworn, seed 1, episode 2: was not begun, since Sworn, seed 1, episode 1 failed." in done.output
    assert "Run the same command again" in done.output
    told = json.loads((desk.folder / "out" / "report.json").read_text(encoding="utf-8"))
    assert [task["state"] for task in told["tasks"]] == ["failed"] * 4


def test_in_an_emergency_no_batch_begins(desk: Desk) -> None:
    with open_studio(desk.settings) as studio:
        studio.enter_emergency(by="ola", reason="a rehearsal")
    done = command(desk, TWO_SEASONS, "--sequential")
    assert done.exit_code == 1
    assert "emergency mode (a rehearsal)" in done.output
    assert desk.records() == {}


def test_an_emergency_stops_a_batch_which_goes_on_when_it_is_over(desk: Desk) -> None:
    with desk.opened(TWO_SEASONS) as (graph, database, studio):
        withdrawn = withdrawn_from(studio)
        bench = a_bench(graph)

        def do(task: Task, before: tuple[str, ...]) -> Result:
            if task.words.endswith("seed 2, episode 1"):
                studio.enter_emergency(by="ola", reason="a rehearsal")
            return bench.do(task, before)

        with Landing(database, desk.results, graph) as landing:
            outcome = run_batch(graph, HereHands(do), landing, withdrawn=withdrawn)
        assert outcome.withdrawn == "was stopped by ola: a rehearsal"
        assert len(outcome.done) == 2
        assert not outcome.whole
        studio.leave_emergency(by="ola")
    assert desk.run(TWO_SEASONS)[1].kept == outcome.done.keys()
    assert len(desk.records()) == 4


def command(desk: Desk, plan: str, *arguments: str) -> RunResult:
    """`cinegen batch` as from a shell."""
    app = typer.Typer()
    app.command(name="other")(lambda: None)
    add_batch(app, lambda: desk.settings, SystemClock())
    said = ["batch", str(desk.plan(plan)), *arguments, "--out", str(desk.folder / "out")]
    return CliRunner().invoke(app, said)
