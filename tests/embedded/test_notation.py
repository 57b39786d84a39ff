"""What content writers are told about their texts."""

from __future__ import annotations

import pytest

from cinegen_core.story import StoryBible
from cinegen_core.writers.embedded.lint import LIBRARY, lint_library, repeated_sentences, scene_problems
from cinegen_core.writers.embedded.notation import NotationError, parse

SCENE = """\
=== scene page.one
place: watch
who: marit, ansel
fact: page
kind: confront
needs: log@marit, !marit:page
gives: marit:page.edge
gist: Ansel says too much.

-- open
* Rain.
marit: You missed one.
/ You left one out.
ansel (drily): I don't do that one.
-- or
* Wind.
marit: Busy?
ansel [V.O.]: As ever.

-- ?deflect needs=row
marit: Who had the key?
ansel: Who's asking?

-- turn
* He stops.
marit: I never said that.
ansel: No.
"""


def test_a_scene_is_read_with_its_beats_alternatives_and_tokens() -> None:
    scene = parse(SCENE).scenes[0]
    assert scene.who == ("marit", "ansel")
    assert scene.needs == ("log@marit", "!marit:page")
    assert [(b.kind, b.optional, len(b.variants)) for b in scene.beats] == [
        ("open", False, 2),
        ("deflect", True, 1),
        ("turn", False, 1),
    ]
    assert scene.beats[1].needs == ("row",)
    first = scene.beats[0].variants[0]
    assert [o.text for o in first[1].options] == ["You missed one.", "You left one out."]
    assert first[2].options[0].parenthetical == "drily"
    assert scene.beats[0].variants[1][2].options[0].extension == "V.O."


@pytest.mark.parametrize(
    ("change", "line", "words"),
    [
        (("who: marit, ansel\n", ""), 1, "has no 'who:'"),
        (("kind: confront", "kind: quarrel"), 1, "kind 'quarrel'"),
        (("-- turn", "-- twist"), 22, "unknown beat twist"),
        (("?deflect", "?dodge"), 18, "unknown optional beat ?dodge"),
        (("* He stops.", "He stops."), 22, "expected '* action'"),
        (("=== scene page.one", "scene page.one"), 1, "expected '=== scene NAME'"),
        (("/ You left one out.", "/ ~posh You left one out."), 13, "unknown voice ~posh"),
    ],
)
def test_a_slip_of_the_pen_is_told_with_its_line(change: tuple[str, str], line: int, words: str) -> None:
    with pytest.raises(NotationError) as problem:
        parse(SCENE.replace(*change), "scenes_1.txt")
    assert str(problem.value).startswith("scenes_1.txt:")
    assert words in str(problem.value)
    told = int(str(problem.value).split(":")[1])
    assert abs(told - line) <= 3


def test_somebody_who_is_not_in_the_scene_may_not_speak_in_it() -> None:
    scene = parse(SCENE.replace("ansel: No.", "pip: No.")).scenes[0]
    assert any("pip speaks in 'turn'" in line for line in scene_problems(scene, ["marit", "ansel", "pip"]))


def test_a_sentence_may_stand_only_once_in_a_series() -> None:
    twice = parse(SCENE + SCENE.replace("page.one", "page.two"))
    assert any(
        "'I don't do that one.'" in line or "I don't do that one." in line
        for line in repeated_sentences(twice)
    )


def test_two_cues_running_by_one_person_are_found() -> None:
    scene = parse(
        SCENE.replace("* He stops.\nmarit: I never said that.\n", "* He stops.\nansel: Well.\n")
    ).scenes[0]
    assert any("two cues running" in line for line in scene_problems(scene, ["marit", "ansel"]))


def test_the_general_library_has_no_faults() -> None:
    problems, script = lint_library(LIBRARY)
    assert problems == []
    assert len(script.scenes) >= 60
    assert len(script.endings) >= 30


def test_every_written_sample_has_no_faults(samples: dict[str, StoryBible]) -> None:
    from cinegen_core.writers.embedded.cards import read_cards
    from cinegen_core.writers.embedded.lint import duplicate_ids, token_problems

    found = []
    for name, bible in samples.items():
        if bible.cards is None:
            continue
        series = read_cards(bible)
        checks = [
            *(p for s in series.script.scenes for p in scene_problems(s, series.cards.cast)),
            *token_problems(series.script, series.cards),
            *duplicate_ids(series.script),
            *repeated_sentences(series.script),
        ]
        found += [f"{name}: {line}" for line in checks]
    assert found == []
