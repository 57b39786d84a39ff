"""What can be asked for on the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from cinegen_core.cli import main
from cinegen_core.story.formats import from_fountain, from_json, to_text
from cinegen_core.story.load import sample_names
from tests.builders import SMALLEST_BIBLE

TEMPLATE = ("--tier", "basic_fallback")


class Ran:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


class Cinegen:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, *arguments: str | Path) -> Ran:
        self._monkeypatch.setattr(sys, "argv", ["cinegen", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = self._capsys.readouterr()
        return Ran(int(ended.value.code or 0), said.out, said.err)


@pytest.fixture
def cinegen(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Cinegen:
    monkeypatch.setenv("CINEGEN_DATA_DIR", str(tmp_path / "data"))
    return Cinegen(monkeypatch, capsys)


@pytest.fixture
def bible(tmp_path: Path) -> Path:
    file = tmp_path / "slack.yaml"
    file.write_text(SMALLEST_BIBLE, encoding="utf-8")
    return file


def test_an_episode_is_printed_and_the_way_it_was_written_goes_to_stderr(
    cinegen: Cinegen, bible: Path
) -> None:
    ran = cinegen("write", bible, *TEMPLATE)
    assert ran.code == 0
    assert ran.out.startswith("SLACK WATER\nEpisode 1: ")
    assert ran.err.startswith("basic_fallback (from the template), writer template. As asked. Scored ")


def test_a_sample_is_written_with_the_engines_and_twice_the_same(cinegen: Cinegen, tmp_path: Path) -> None:
    for name in ("a", "b"):
        ran = cinegen("write", "slack_water", "--seed", "5", "--out", tmp_path / f"{name}.json")
        assert ran.code == 0
        assert ran.err.startswith("comprehensive (with the engines), writer embedded. ")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_an_engine_can_be_left_out(cinegen: Cinegen) -> None:
    assert cinegen("write", "slack_water", "--without", "hookcliffhanger").code == 0
    ran = cinegen("write", "slack_water", "--without", "HookCliffhangar")
    assert (ran.code, "Did you mean HookCliffhanger?" in ran.err) == (2, True)


def test_the_ending_of_the_file_decides_the_format(cinegen: Cinegen, bible: Path, tmp_path: Path) -> None:
    for ending in (".json", ".fountain", ".fdx", ".txt"):
        assert cinegen("write", bible, "--out", tmp_path / f"e{ending}", *TEMPLATE).code == 0
    episode = from_json((tmp_path / "e.json").read_text(encoding="utf-8"))
    assert (tmp_path / "e.txt").read_text(encoding="utf-8") == to_text(episode)
    assert from_fountain((tmp_path / "e.fountain").read_text(encoding="utf-8")).title == episode.title
    ran = cinegen("write", bible, "--out", tmp_path / "e.pdf")
    assert (ran.code, ".fountain, .fdx, .txt, .json" in ran.err) == (2, True)


def test_a_season_is_what_writing_its_episodes_one_by_one_gives(
    cinegen: Cinegen, bible: Path, tmp_path: Path
) -> None:
    out = tmp_path / "season"
    assert cinegen("season", bible, "--episodes", "3", "--seed", "4", "--out", out, *TEMPLATE).code == 0
    assert sorted(path.name for path in out.iterdir()) == [
        f"e0{number}.{ending}" for number in (1, 2, 3) for ending in ("fountain", "json")
    ]
    cinegen("write", bible, "--episode", "3", "--seed", "4", "--out", tmp_path / "third.json", *TEMPLATE)
    cinegen(
        "write",
        bible,
        "--seed",
        "4",
        "--from",
        out / "e02.json",
        "--choice",
        "a",
        "--out",
        tmp_path / "after.json",
        *TEMPLATE,
    )
    third = (out / "e03.json").read_bytes()
    assert third == (tmp_path / "third.json").read_bytes() == (tmp_path / "after.json").read_bytes()


def test_another_choice_leads_to_another_episode(cinegen: Cinegen, bible: Path, tmp_path: Path) -> None:
    cinegen("write", bible, "--out", tmp_path / "e01.json", *TEMPLATE)
    told = [
        cinegen("write", bible, "--from", tmp_path / "e01.json", "--choice", id, *TEMPLATE).out
        for id in "abc"
    ]
    assert len(set(told)) == 3
    ran = cinegen("write", bible, "--from", tmp_path / "e01.json", "--choice", "z")
    assert (ran.code, ran.err) == (2, "--choice z: episode 1 offers a, b, c.\n")
    assert cinegen("write", bible, "--choice", "a").code == 2
    ran = cinegen("write", bible, "--from", tmp_path / "e01.json", "--episode", "7")
    assert (ran.code, ran.err) == (2, "the state was left by episode 1, so the next is 2, not 7.\n")


def test_a_bible_is_checked(cinegen: Cinegen, bible: Path) -> None:
    ran = cinegen("bible", "check", bible)
    assert ran.code == 0
    assert ran.out.startswith("Slack Water: accepted. What would make it richer:\n  genres: none given")
    bible.write_text(SMALLEST_BIBLE.replace("title", "titel"), encoding="utf-8")
    ran = cinegen("bible", "check", bible)
    assert ran.code == 1
    assert f"{bible}, line 1: titel: is not a key that is known here. Did you mean `title`?" in ran.err


def test_a_name_that_is_neither_file_nor_sample_is_explained(cinegen: Cinegen) -> None:
    ran = cinegen("write", "slack_watre")
    assert (ran.code, "Did you mean 'slack_water'?" in ran.err) == (1, True)


def test_samples_and_engines_are_listed(cinegen: Cinegen) -> None:
    listed = cinegen("samples").out
    assert [line.split()[0] for line in listed.splitlines()] == list(sample_names())
    assert "HookCliffhanger" in cinegen("engines").out


@pytest.mark.parametrize(
    "arguments", [("write",), ("write", "slack_water", "--minutes", "60"), ("nonsense",)]
)
def test_wrong_use_is_told_apart_from_a_bad_bible(cinegen: Cinegen, arguments: tuple[str, ...]) -> None:
    assert cinegen(*arguments).code == 2


def test_a_setting_that_makes_no_sense_is_named(cinegen: Cinegen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CINEGEN_BUDGET_SECONDS", "soon")
    ran = cinegen("engines")
    assert (ran.code, "CINEGEN_BUDGET_SECONDS is 'soon'" in ran.err) == (2, True)


def test_a_script_is_scored_in_words_a_writer_understands(cinegen: Cinegen, tmp_path: Path) -> None:
    for ending in (".fountain", ".fdx", ".json"):
        assert cinegen("write", "slack_water", "--seed", "5", "--out", tmp_path / f"e{ending}").code == 0
    ran = cinegen("score", tmp_path / "e.fountain", "--bible", "slack_water")
    assert ran.code == 0
    for words in ("Overall ", "Character depth", "Choice quality", "  + ", "  - ", "  > "):
        assert words in ran.out
    cards = [
        json.loads(cinegen("score", tmp_path / f"e{e}", "--bible", "slack_water", "--json").out)
        for e in (".fountain", ".fdx", ".json")
    ]
    assert cards[0] == cards[1] == cards[2]
    assert {"overall", "dimensions", "scorer_version"} <= cards[0].keys()
    assert set(cards[0]["dimensions"]) == {
        "character",
        "dialogue",
        "structure",
        "world",
        "genre",
        "choices",
        "cinematic",
    }


def test_what_cannot_be_scored_is_told_so(cinegen: Cinegen, tmp_path: Path) -> None:
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear Anna,\n\nthe room is booked for ten.\n\nYours, Ben\n" * 9, encoding="utf-8")
    ran = cinegen("score", letter)
    assert (ran.code, "This is not a screenplay" in ran.out) == (1, True)
    card = json.loads(cinegen("score", letter, "--json").out)
    assert card["overall"] is None
    assert card["reason"]
    assert cinegen("score", tmp_path / "nothing.fountain").code == 1
