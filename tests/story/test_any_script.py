"""Scripts of anybody are read: FDX, pages of plain text, Fountain without a section for choices."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinegen_core.story import Action, Dialogue, Episode, Scene
from cinegen_core.story.errors import StoryError
from cinegen_core.story.formats import from_fdx, read_script, to_fdx, to_fountain, to_json, to_text
from cinegen_core.story.script import Script
from tests.builders import an_episode, every_kind_of_element

PAGE = """\
                        THE LOW ROAD
                 Episode 1: "Salt"

INT. WATCH ROOM - NIGHT

Rain against the glass. A lamp, and under it
an open book.

                      MARIT (O.S.)
                (quietly)
          Where is page nine? I had it
          on Monday.

Ansel looks up.
                      ANSEL
          Damp.

                                             CUT TO:

EXT. QUAY - DAY

Nobody.

WHAT DOES MARIT DO?

  1. Row out now.
     -> Ansel will see that the boat is gone.

  2. WAKE PIP. He talks, to everyone.

  3. Put the log back.
"""

words = st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Cn", "Co", "Zl", "Zp")), min_size=1, max_size=40
).map(lambda text: " ".join(text.split()) or "x")


def test_a_page_of_plain_text_is_read_with_its_choices() -> None:
    script = read_script(PAGE, name="page.txt")
    assert (script.series, script.number, script.title) == ("THE LOW ROAD", 1, "Salt")
    assert [scene.slugline for scene in script.scenes] == ["INT. WATCH ROOM - NIGHT", "EXT. QUAY - DAY"]
    rain, marit, looks, ansel, cut = script.scenes[0].elements
    assert rain.text == "Rain against the glass. A lamp, and under it an open book."
    assert isinstance(marit, Dialogue)
    assert (marit.speaker, marit.extension, marit.parenthetical) == ("MARIT", "O.S.", "quietly")
    assert marit.text == "Where is page nine? I had it on Monday."
    assert (looks.text, ansel.text, cut.kind) == ("Ansel looks up.", "Damp.", "transition")
    assert script.question == "WHAT DOES MARIT DO?"
    assert [(c.label, c.consequence) for c in script.choices] == [
        ("Row out now.", "Ansel will see that the boat is gone."),
        ("WAKE PIP.", "He talks, to everyone."),
        ("Put the log back.", ""),
    ]


def test_what_we_print_as_a_page_is_read_back() -> None:
    episode = an_episode(
        scenes=(Scene(slugline="INT. HALL - DAY", seconds=60, elements=every_kind_of_element()[:2]),) * 2
    )
    script, shown = read_script(to_text(episode)), Script.of(episode)
    assert [s.slugline for s in script.scenes] == [s.slugline for s in shown.scenes]
    assert [" ".join(e.text.split()) for e in script.scenes[0].elements] == [
        "Rain. A second line.", "Hello?",
    ]  # fmt: skip
    assert script.choices == shown.choices


def test_fountain_without_a_section_for_choices_gives_them_up_all_the_same() -> None:
    text = "INT. HALL - DAY\n\nRain.\n\nANNA\nGo on.\n\nWhat does Anna do?\n\n1. Stay here. It is warm.\n\n2. Go. It is late.\n"
    script = read_script(text, name="own.fountain")
    assert script.question == "What does Anna do?"
    assert [c.label for c in script.choices] == ["Stay here.", "Go."]
    assert [e.text for e in script.scenes[0].elements] == ["Rain.", "Go on."]


def test_a_numbered_line_alone_is_no_choice() -> None:
    script = read_script("INT. HALL - DAY\n\nA sign says:\n\n1. No dogs.\n")
    assert script.choices == ()
    assert len(script.scenes[0].elements) == 2


@given(st.lists(st.tuples(words, words, st.none() | words), min_size=1, max_size=6))
def test_fdx_gives_back_the_scenes_that_were_written(rows: list[tuple[str, str, str | None]]) -> None:
    elements = tuple(
        part for action, speech, aside in rows
        for part in (Action(text=action), Dialogue(speaker="MARIT", text=speech, parenthetical=aside))
    )  # fmt: skip
    episode = an_episode(
        scenes=(
            Scene(slugline="INT. HALL - DAY", seconds=60, elements=elements),
            Scene(slugline="EXT. QUAY - DAY", seconds=60, elements=(Dialogue(speaker="ANSEL", text="So."),)),
        )
    )
    text = to_fdx(episode)
    script = from_fdx(text)
    assert script.scenes == Script.of(episode).scenes
    assert script.choices == Script.of(episode).choices


def test_the_same_episode_is_the_same_script_in_every_format() -> None:
    episode = an_episode()
    shown = Script.of(episode)
    for text in (to_fountain(episode), to_fdx(episode), to_json(episode)):
        assert read_script(text) == shown


def test_an_episode_is_found_inside_what_the_studio_keeps_of_it() -> None:
    episode: Episode = an_episode()
    kept = f'{{"id": "1", "generation": {{"episode": {episode.model_dump_json()}}}}}'
    assert read_script(kept) == Script.of(episode)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "nothing is written here"),
        ("<?xml version='1.0'?><FinalDraft><Content>", "not well-formed XML"),
        ("<?xml version='1.0'?><html><p>Hello</p></html>", "not a Final Draft script"),
        ("<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'c'>]><FinalDraft/>", "declares XML entities"),
        ('{"title": "no episode"}', "scenes"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(text: str, said: str) -> None:
    with pytest.raises(StoryError, match=said):
        read_script(text, name="it")


@given(st.text(max_size=400))
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    try:
        read_script(text)
    except StoryError as error:
        assert str(error)
