"""What an engine adds is found where it is, is not found where it is not, and is told with what luck could do."""

from __future__ import annotations

import asyncio
import json
import math
import re
import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from cinegen_core.analysis import ablation, ablation_effects
from cinegen_core.analysis.ablation import (
    SCORES,
    AblationError,
    Figure,
    Head,
    agreement,
    as_frame,
    fill,
    measured,
    read_table,
)
from cinegen_core.analysis.ablation_effects import (
    ALL_ENGINES,
    PLACEBO_ROW,
    answer,
    by_engine,
    differences,
    effects,
    placebo_runs,
)
from cinegen_core.cli_ablate import add_ablate
from cinegen_core.engines import Directive, Engine, EngineContext, Phase, Realisation, all_engines
from cinegen_core.engines.narrative.hook_cliffhanger import HookCliffhanger
from cinegen_core.scorer.scale import shipped
from cinegen_core.story import Episode, StoryBible
from cinegen_core.writers.embedded import EmbeddedWriter

SHIPPED = Path(__file__).parents[2] / "notebooks" / "data" / "ablation.csv"

CLEAR = ("EpisodeCohesion", "HookCliffhanger", "LivingWorld", "InteractiveChoice", "WorldBuilding")
"""Engines whose lift tests/engines/test_lift.py asserts in the series used here, and which is large."""


class Noon:
    """A day that does not pass."""

    def now(self) -> datetime:
        return datetime(2026, 11, 28, 12, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0


class DoNothing:
    """An engine that asks for nothing and is content with anything."""

    name: ClassVar[str] = "DoNothing"
    phase: ClassVar[Phase] = "format"
    job: ClassVar[str] = "Nothing."
    priority: ClassVar[int] = 99
    directive: ClassVar[type[Directive]] = Directive

    def suits(self, bible: StoryBible) -> bool:
        return True

    def brief(self, context: EngineContext) -> str:
        return "Nothing is to be done."

    def propose(self, context: EngineContext) -> Directive:
        return Directive(engine=self.name)

    def realised(self, episode: Episode, directive: Directive, context: EngineContext) -> Realisation:
        return Realisation(engine=self.name, score=1.0)


class Breaks(DoNothing):
    name: ClassVar[str] = "Breaks"

    def propose(self, context: EngineContext) -> Directive:
        raise RuntimeError("no idea")


def ablate(*arguments: str, code: int = 0) -> str:
    app = typer.Typer()
    app.callback()(lambda: None)
    add_ablate(app, Noon())
    done = CliRunner().invoke(app, ["ablate", *arguments])
    assert done.exit_code == code, done.output
    return done.output


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return read_table(SHIPPED).figures


@pytest.fixture(scope="module")
def judged(table: pd.DataFrame) -> pd.DataFrame:
    return effects(differences(table, "taken out"))


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One series, one seed and one episode, measured by the command itself."""
    path = tmp_path_factory.mktemp("ablation") / "mine.csv"
    ablate("slack_water", "--seeds", "1", "--episodes", "1", "--out", str(path))
    return path


def planted(
    *, effect: float, spread: float, units: int = 40, engine: str = "Dialogue", seed: int = 3
) -> pd.DataFrame:
    """Differences of all nineteen engines by luck alone, but for one engine's overall."""
    chance = np.random.default_rng(seed)
    names = [one.name for one in all_engines()]
    columns = pd.MultiIndex.from_product([names, SCORES])
    rows = pd.MultiIndex.from_product([("one", "other"), range(units // 2)], names=["series", "seed"])
    frame = pd.DataFrame(chance.normal(0, spread, (units, len(columns))), index=rows, columns=columns)
    frame[engine, "overall"] += effect
    return frame


def overall(judged: pd.DataFrame, engine: str) -> pd.Series:
    return judged[(judged["engine"] == engine) & (judged["measure"] == "overall")].iloc[0]


def test_the_table_that_ships_is_of_the_scorer_that_ships_and_small() -> None:
    head = read_table(SHIPPED).head
    assert head.scorer == shipped().version, f"run `{head.command} --out {SHIPPED} --fresh`"
    assert SHIPPED.stat().st_size < 300_000
    assert not re.search(r"/home|/work|/tmp|[A-Z]:\\", SHIPPED.read_text(encoding="utf-8"))


def test_what_is_measured_again_is_what_the_table_says(table: pd.DataFrame, again: Path) -> None:
    found = agreement(table, read_table(again).figures)
    assert found.compared > 250
    assert found.same == found.compared, found.words


def test_what_no_longer_agrees_is_told_with_what_to_do(table: pd.DataFrame, again: Path) -> None:
    changed = read_table(again).figures
    changed.loc[(changed["setting"] == "none") & (changed["measure"] == "overall"), "value"] += 0.5
    found = agreement(table, changed)
    assert found.same == found.compared - 1
    assert "by up to 0.50 points" in found.words
    assert "--fresh" in found.words


@pytest.mark.parametrize("engine", CLEAR)
def test_an_engine_with_a_clear_lift_has_it_here_too(engine: str, table: pd.DataFrame, again: Path) -> None:
    """The sign that the engines' own tests assert: more of its directive is in the script with it than without."""
    for figures in (table, read_table(again).figures):
        for sign in "-+":
            its = figures[figures["setting"] == f"{sign}{engine}"].groupby("measure")["value"].mean()
            assert its["realised_with"] > its["realised_without"], (engine, sign)


def test_choices_of_a_script_without_the_engine_for_choices_are_found_to_be_worse(
    judged: pd.DataFrame,
) -> None:
    row = judged[(judged["engine"] == "InteractiveChoice") & (judged["measure"] == "choices")].iloc[0]
    assert row["verdict"] == "adds"


async def test_an_engine_that_does_nothing_changes_nothing(
    embedded: EmbeddedWriter, samples: dict[str, StoryBible]
) -> None:
    engines: tuple[Engine, ...] = (HookCliffhanger(), DoNothing())
    rows = await measured(
        embedded,
        "slack_water",
        samples["slack_water"],
        seed=1,
        episodes=1,
        clock=lambda: 0.0,
        engines=engines,
    )
    scores = {(row.setting, row.measure): row.value for row in rows if row.measure in SCORES}
    for measure in SCORES:
        assert scores["-DoNothing", measure] == scores["all", measure]
        assert scores["+DoNothing", measure] == scores["none", measure]
    assert any(scores["-HookCliffhanger", m] != scores["all", m] for m in SCORES)


async def test_an_engine_that_breaks_is_named_instead_of_being_measured(
    embedded: EmbeddedWriter, samples: dict[str, StoryBible]
) -> None:
    with pytest.raises(AblationError, match=r"slack_water, seed 1, episode 1.*Breaks failed.*no idea"):
        await measured(
            embedded, "slack_water", samples["slack_water"], seed=1, episodes=1, clock=lambda: 0.0, engines=(Breaks(),)
        )  # fmt: skip


def test_a_placebo_among_the_engines_is_hardly_ever_said_to_do_anything(table: pd.DataFrame) -> None:
    found = placebo_runs(table, runs=200)
    assert found.rate <= 0.05, found.words(1)


def test_with_nothing_but_placebos_false_effects_are_as_rare_as_promised(table: pd.DataFrame) -> None:
    """Any of 152 looks in a table, so the rate may be all of 5 %; 200 tables can then have up to 18, with 99 %."""
    found = placebo_runs(table, engines=19, runs=200)
    assert found.flagged <= 18, found.words(19)
    assert found.plainly > 100, "without correction most tables would show something that is not there"


def test_the_placebo_of_the_table_itself_is_not_said_to_do_anything(judged: pd.DataFrame) -> None:
    assert set(judged.loc[judged["engine"] == PLACEBO_ROW, "verdict"]) == {"not shown"}


def test_an_effect_that_is_there_is_found_with_its_sign_and_nothing_else_is() -> None:
    for effect, said in ((0.5, "adds"), (-0.5, "costs")):
        found = effects(planted(effect=effect, spread=0.5))
        row = overall(found, "Dialogue")
        assert row["verdict"] == said
        assert row["low"] < effect < row["high"]
        assert (found["verdict"] != "not shown").sum() == 1


def test_what_luck_alone_shows_somewhere_among_many_looks_is_not_claimed() -> None:
    found = effects(planted(effect=0.0, spread=0.5))
    by_itself = (found["plain_low"] > 0) | (found["plain_high"] < 0)
    assert by_itself.sum() >= 3, "of 152 looks, some seem to show something if each is looked at by itself"
    assert set(found["verdict"]) == {"not shown"}
    assert (found["p"] > 0.05).all()


def test_intervals_for_all_looks_hold_what_a_single_look_claims(judged: pd.DataFrame) -> None:
    judged = judged.dropna()
    assert (judged["low"] <= judged["plain_low"]).all()
    assert (judged["high"] >= judged["plain_high"]).all()
    shown = judged["verdict"] != "not shown"
    assert (judged.loc[shown, "p"] <= 0.05).all()
    assert (judged.loc[~shown, "p"] > 0.05).all()


@pytest.mark.parametrize(("freedom", "t"), [(5, 2.5706), (9, 2.2622), (48, 2.0106)])
def test_a_t_of_few_pairs_counts_for_what_it_is_worth(freedom: float, t: float) -> None:
    """Against the table of Student's t, two-sided 5 %."""
    score = ablation_effects.normal_scores(np.array([t]), np.array([freedom]))[0]
    assert score == pytest.approx(1.96, abs=0.01)
    assert ablation_effects.t_values(np.array([score]), np.array([freedom]))[0] == pytest.approx(t)


def test_too_few_pairs_give_a_mean_and_no_interval() -> None:
    found = effects(planted(effect=0.5, spread=0.1, units=2))
    row = overall(found, "Dialogue")
    assert math.isnan(row["low"])
    assert math.isnan(row["p"])
    assert row["verdict"] == "not shown"


def test_costs_per_point_are_given_only_where_there_are_points(
    table: pd.DataFrame, judged: pd.DataFrame
) -> None:
    rows = by_engine(table, judged, "taken out")
    assert set(rows["engine"]) == {engine.name for engine in all_engines()}
    earns = rows["verdict"] == "adds"
    assert (rows.loc[earns, "ms_per_point"] > 0).all()
    assert rows.loc[~earns, ["ms_per_point", "tokens_per_point"]].isna().all(axis=None)
    assert (rows["work_ms"] > 0).all()
    assert rows["points"].is_monotonic_decreasing


def test_the_answer_names_those_that_earn_their_keep_and_those_that_do_not(judged: pd.DataFrame) -> None:
    alone = judged[~judged["engine"].isin((ALL_ENGINES, PLACEBO_ROW))]
    said = answer(judged, alone)
    single = judged[judged["measure"] == "overall"].set_index("engine")
    for name in (engine.name for engine in all_engines()):
        assert (name in said) == (single.loc[name, "verdict"] != "not shown"), said
    assert "placebo" in said


def test_where_no_engine_earns_its_keep_the_answer_says_so() -> None:
    frame = planted(effect=0.0, spread=0.5)
    columns = pd.MultiIndex.from_product([(ALL_ENGINES, PLACEBO_ROW), SCORES])
    nothing = pd.DataFrame(np.tile([[0.1], [-0.1]], (20, len(columns))), index=frame.index, columns=columns)
    said = answer(effects(frame.join(nothing)), effects(frame))
    assert said.startswith("None of 19 engines earn their keep")
    assert "All together show no effect: +0.00 (" in said
    assert "missed are: none." in said
    assert "not to be trusted" not in said


def test_a_table_in_which_the_placebo_does_something_is_not_trusted() -> None:
    frame = planted(effect=0.0, spread=0.5)
    columns = pd.MultiIndex.from_product([(ALL_ENGINES, PLACEBO_ROW), SCORES])
    strange = pd.DataFrame(np.tile([[1.1], [0.9]], (20, len(columns))), index=frame.index, columns=columns)
    assert "seems to add +1.00" in answer(effects(frame.join(strange)), effects(frame))
    assert "not to be trusted" in answer(effects(frame.join(strange)), effects(frame))


def test_charts_are_valid_and_say_in_words_what_they_show(judged: pd.DataFrame) -> None:
    for chart in (
        ablation_effects.keep_chart(judged, "Taken out"),
        ablation_effects.dimensions_chart(judged, "By dimension"),
    ):
        text = json.dumps(chart.to_dict(validate=True), allow_nan=False)
        assert "95 %" in text
        assert "points" in text
    rows = json.dumps(ablation_effects.keep_chart(judged, "Taken out").to_dict())
    row = overall(judged, "Dialogue")
    assert f"Dialogue: {row['mean']:+.2f} ({row['low']:+.2f} to {row['high']:+.2f}), {row['verdict']}" in rows


class Counting:
    """Measures at once, the same each time, and breaks off where it is told to."""

    def __init__(self, stop_at: tuple[str, int] | None = None) -> None:
        self.asked: list[tuple[str, int]] = []
        self.stop_at = stop_at

    async def __call__(self, writer: object, series: str, bible: object, *, seed: int, episodes: int, clock: object) -> list[Figure]:  # fmt: skip
        if (series, seed) == self.stop_at:
            raise KeyboardInterrupt
        self.asked.append((series, seed))
        return [
            Figure(series, seed, episode, measure, setting, float(5 + seed + episode / 10))
            for episode in range(1, episodes + 1)
            for measure in ablation.MEASURES
            for setting in ("all", "none", "placebo", "-Dialogue", "+Dialogue")
        ]


HEAD = Head("2026-11-28", "1.0", "cinegen ablate --seeds 3 --episodes 2", 2)


def filled(path: Path, samples: dict[str, StoryBible], measure: Counting, *, head: Head = HEAD, names: Iterable[str] = ("sworn", "dead_air"), fresh: bool = False) -> None:  # fmt: skip
    bibles = {name: samples[name] for name in names}
    asyncio.run(
        fill(path, head, bibles, writer=EmbeddedWriter(), seeds=3, clock=lambda: 0.0, measure=measure, fresh=fresh)
    )  # fmt: skip


def test_an_ablation_that_was_stopped_goes_on_where_it_was(
    tmp_path: Path, samples: dict[str, StoryBible]
) -> None:
    whole, stopped = tmp_path / "whole.csv", tmp_path / "stopped.csv"
    filled(whole, samples, Counting())
    with pytest.raises(KeyboardInterrupt):
        filled(stopped, samples, Counting(stop_at=("sworn", 1)))
    with stopped.open("a", encoding="utf-8") as file:
        file.write("sworn,1,1,overall,6.1,6.1\nsworn,1,1,char")
    second = Counting()
    filled(stopped, samples, second)
    assert second.asked == [("sworn", 1), ("dead_air", 1), ("sworn", 2), ("dead_air", 2)]
    assert stopped.read_bytes() == whole.read_bytes()


def test_tables_of_two_scorers_do_not_mix(tmp_path: Path, samples: dict[str, StoryBible]) -> None:
    path = tmp_path / "old.csv"
    filled(path, samples, Counting())
    before = path.read_bytes()
    newer = Head("2027-01-01", "2.0", HEAD.command, 2)
    with pytest.raises(AblationError, match=r"scorer 1\.0.*--fresh"):
        filled(path, samples, Counting(), head=newer)
    assert path.read_bytes() == before
    filled(path, samples, Counting(), head=newer, fresh=True)
    assert read_table(path).head.scorer == "2.0"


def test_a_file_of_another_kind_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "letter.csv"
    path.write_text("Dear Sir,\n", encoding="utf-8")
    with pytest.raises(AblationError, match="cinegen ablate --out"):
        read_table(path)
    with pytest.raises(AblationError, match=r"letter\.csv"):
        read_table(tmp_path / "none" / "letter.csv")
    said = ablate("slack_water", "--out", str(path), code=1)
    assert "no table of `cinegen ablate`" in said
    assert path.read_text(encoding="utf-8") == "Dear Sir,\n"


def test_a_series_that_is_not_there_is_asked_about(tmp_path: Path) -> None:
    said = ablate("slack_watre", "--out", str(tmp_path / "x.csv"), code=1)
    assert "slack_water" in said
    assert not (tmp_path / "x.csv").exists()


def test_two_files_of_one_name_are_not_taken_for_one_series(tmp_path: Path) -> None:
    bible = next(iter(sorted((Path(__file__).parents[1] / "bibles").iterdir())))
    (tmp_path / "other").mkdir()
    copy = shutil.copy(bible, tmp_path / "other")
    said = ablate(str(bible), str(copy), "--out", str(tmp_path / "x.csv"), code=2)
    assert bible.stem in said


def test_figures_just_measured_are_rounded_as_in_a_table() -> None:
    frame = as_frame(
        [Figure("one", 0, 1, "overall", "all", 6.1251), Figure("one", 0, 1, "writing_ms", "all", 99.6)]
    )
    assert frame["value"].tolist() == [6.13, 100.0]
