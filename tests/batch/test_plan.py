"""Whoever writes a plan is told before anything begins what is wrong with it: file, line, key, and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from cinegen_core.batch import load_plan
from cinegen_core.story.errors import StoryError

PLANS = Path(__file__).parents[2] / "docs" / "plans"

WAYS = """
[[comparisons.ways]]
label = "one"
[[comparisons.ways]]
label = "two"
"""


@pytest.mark.parametrize("file", sorted(PLANS.glob("*.toml")), ids=lambda file: file.stem)
def test_the_plans_in_the_documentation_can_be_used(file: Path) -> None:
    plan = load_plan(file).plan
    assert plan.seasons or plan.comparisons


def test_the_plans_in_the_documentation_show_every_kind_of_entry() -> None:
    plans = [load_plan(file).plan for file in PLANS.glob("*.toml")]
    assert any(plan.seasons for plan in plans)
    assert any(plan.comparisons for plan in plans)
    assert any(plan.ablations for plan in plans)
    assert any(plan.rescoring for plan in plans)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("budget_seconds = 5", "there is nothing to do in it. Begin a table with [[seasons]]"),
        ("[[seasons]]\nbible = 'sworn'\nepisode = 3", "line 3: seasons[0].episode: is not a key that is known here. Did you mean `episodes`?"),
        ("[[seasonz]]\nbible = 'sworn'", "line 1: seasonz: is not a key that is known here. Did you mean `seasons`?"),
        ("[[seasons]]\nepisodes = 3", "seasons[0].bible: is missing. Add `bible`."),
        ("[[seasons]]\nbible = 'nothing_such'", "line 2: seasons[0].bible: cannot be used"),
        ("[[seasons]]\nbible = 'nobody.yaml'", "seasons[0].bible: cannot be used"),
        ("[[seasons]]\nbible = 'sworn'\nepisodes = 0", "line 3: seasons[0].episodes"),
        ("[[seasons]]\nbible = 'sworn'\nseeds = [1]\ncount = 2", "has `seeds` and `count`; give one of them"),
        ("[[seasons]]\nbible = 'sworn'\nseeds = [1, 1]", "has a seed twice"),
        ("[[seasons]]\nbible = 'sworn'\nengines = ['StrategicDialoge']", "names the engine 'StrategicDialoge', which there is not; did you mean StrategicDialogue?"),
        ("[[seasons]]\nbible = 'sworn'\ntier = 'best'", "line 3: seasons[0].tier"),
        ("[[comparisons]]\nbible = 'sworn'", "comparisons[0].ways: is missing"),
        ("[[comparisons]]\nbible = 'sworn'\nchoice = 'b'" + WAYS, "name its file in `state`"),
        ("[[comparisons]]\nbible = 'sworn'\nstate = 'e01.json'" + WAYS, "comparisons[0].state: cannot be used"),
        ("[[comparisons]]\nbible = 'sworn'" + WAYS + "flags = { high_temper = true }", "did you mean high_temperature?"),
        ("[[ablations]]\nbibles = ['sworn', 'sworn']", "has two bibles called 'sworn'"),
        ("[[rescoring]]\nseasons = ['the first']", "has 'the first', which is no season's id"),
        ("budget_seconds = 0\n[[rescoring]]", "line 1: budget_seconds"),
        ("this is no toml", "plan.toml"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "plan.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(StoryError) as caught:
        load_plan(file)
    assert said in str(caught.value)
    assert str(file) in str(caught.value)


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    file = tmp_path / "plan.toml"
    file.write_text("[[seasons]]\nbible = 'a.yaml'\n[[seasons]]\nbible = 'b.yaml'\n", encoding="utf-8")
    with pytest.raises(StoryError) as caught:
        load_plan(file)
    assert [problem.key for problem in caught.value.problems] == ["seasons[0].bible", "seasons[1].bible"]


def test_a_bible_is_looked_for_beside_the_plan(tmp_path: Path) -> None:
    bible = "title: Two Doors\npremise: Two neighbours share one wall.\ncharacters:\n"
    bible += "  - {name: Ida, want: quiet}\n  - {name: Ole, want: company}\n"
    (tmp_path / "doors.yaml").write_text(bible, encoding="utf-8")
    file = tmp_path / "plan.toml"
    file.write_text("[[seasons]]\nbible = 'doors.yaml'\n", encoding="utf-8")
    assert load_plan(file).bibles["doors.yaml"].title == "Two Doors"
