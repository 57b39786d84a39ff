"""A script leaves the studio as Fountain, and nothing that anybody wrote in it is lost."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from screenplain.parsers import fountain as independent
from screenplain.types import Action as TheirAction
from screenplain.types import Dialog, Slug
from screenplain.types import Transition as TheirTransition

from cinegen_core.story import Action, Choice, Dialogue, Element, Episode, Scene, Transition
from cinegen_core.story.formats import from_fountain, to_fountain
from tests.builders import a_scene, an_episode, every_kind_of_element

MARKS = [
    "",
    " ",
    ".",
    "..",
    ">",
    "<",
    "~",
    "#",
    "#1#",
    "=",
    "===",
    "[[",
    "]]",
    "/*",
    "*/",
    "*",
    "_",
    "\\",
    "!",
    "@",
    "^",
    "(",
    ")",
    "(beat)",
    "\n",
    "\n\n",
    "\r",
    "\t",
    "  ",
    "\u2028",
    "INT. X",
    "CUT TO:",
    "ALL CAPS",
    "word",
    "1. ",
    "# Choices",
    "> a <",
    "Title:",
    "\\u{41}",
    "\x0c",
    "\x00",
    "é",
]
texts = st.one_of(st.text(), st.lists(st.sampled_from(MARKS), max_size=6).map("".join))
elements: st.SearchStrategy[Element] = st.one_of(
    st.builds(Action, text=texts),
    st.builds(
        Dialogue, speaker=texts, text=texts, parenthetical=st.none() | texts, extension=st.none() | texts
    ),
    st.builds(Transition, text=texts),
)
scenes = st.builds(
    Scene, slugline=texts, seconds=st.just(60), elements=st.lists(elements, max_size=4).map(tuple)
)


def script(episode: Episode) -> list[tuple[str, tuple[Element, ...]]]:
    return [(scene.slugline, scene.elements) for scene in episode.scenes]


@given(
    st.lists(scenes, min_size=1, max_size=3),
    st.tuples(texts, texts, texts),
    st.tuples(texts, texts, texts),
    texts,
)
def test_any_script_comes_back_as_it_was(
    some: list[Scene], labels: tuple[str, str, str], costs: tuple[str, str, str], words: str
) -> None:
    choices = tuple(
        Choice(id=id, label=label, consequence=cost)
        for id, label, cost in zip("abc", labels, costs, strict=True)
    )
    episode = an_episode(scenes=tuple(some), choices=choices, question=words, series=words, title=words)
    read = from_fountain(to_fountain(episode))
    assert [(scene.slugline, scene.elements) for scene in read.scenes] == script(episode)
    assert [(c.label, c.consequence) for c in read.choices] == [(c.label, c.consequence) for c in choices]
    assert (read.series, read.number, read.title, read.question) == (words, 1, words, words)


def test_a_script_looks_like_fountain_that_a_person_would_write() -> None:
    written = to_fountain(
        an_episode(scenes=(a_scene(*every_kind_of_element()), a_scene(slugline="THE QUAY")))
    )
    assert written.startswith(
        "Title: Slack Water\nEpisode: 1\nEpisode Title: The Stub\n\nINT. WATCH ROOM - NIGHT\n\n"
    )
    assert (
        "Rain.\nA second line.\n\nMARIT (V.O.)\n(quietly)\nHello?\n\n@McPHEE\nTwo lines.\nOf speech.\n"
        in written
    )
    assert "\n\nCUT TO:\n\n> CUT TO BLACK.\n\n.THE QUAY\n\n" in written
    assert written.endswith(
        "\n\n# Choices\n\n> The lamp is lit. What does Marit do? <\n\n"
        "1. Row out now.\nAnsel will see that the boat is gone.\n\n2. Wake Pip.\nHe talks, to everyone.\n\n"
        "3. Put the log back.\nThe page stays lost.\n"
    )


words = (
    st.text(alphabet="abcdefgh ijklmnop,.?'", min_size=1, max_size=60)
    .map(str.strip)
    .filter(lambda text: text[:1].isalpha() and not text.startswith(("int", "ext", "est")))
)
plain_elements: st.SearchStrategy[Element] = st.one_of(
    st.builds(Action, text=words.map(str.capitalize)),
    st.builds(
        Dialogue,
        speaker=st.sampled_from(["MARIT", "OLD PIP", "McPHEE", "DR. ROE", "Ines"]),
        text=words,
        parenthetical=st.none() | words,
        extension=st.none() | st.sampled_from(["V.O.", "O.S."]),
    ),
    st.builds(Transition, text=st.sampled_from(["CUT TO:", "CUT TO BLACK."])),
)


@given(st.lists(st.lists(plain_elements, max_size=5), min_size=1, max_size=3))
def test_another_program_reads_the_same_scenes_cues_and_speeches(bodies: list[list[Element]]) -> None:
    sluglines = ("INT. WATCH ROOM - NIGHT", "EXT. QUAY - DAY", "LATER")
    episode = an_episode(
        scenes=tuple(
            Scene(slugline=slug, seconds=60, elements=tuple(body))
            for slug, body in zip(sluglines, bodies, strict=False)
        )
    )
    theirs = list(independent.parse(io.StringIO(to_fountain(episode))))
    ours: list[tuple[str, ...]] = []
    for scene in episode.scenes:
        ours.append(("slug", scene.slugline))
        for element in scene.elements:
            if isinstance(element, Dialogue):
                cue = element.speaker + (f" ({element.extension})" if element.extension else "")
                lines = [f"({element.parenthetical})"] if element.parenthetical else []
                ours.append(("speech", cue, *lines, element.text))
            elif isinstance(element, Action):
                ours.append(("action", element.text))
            else:
                ours.append(("transition", element.text))
    assert [_plain(part) for part in theirs][: len(ours)] == ours


def _plain(part: object) -> tuple[str, ...]:
    if isinstance(part, Slug):
        return ("slug", str(part.line))
    if isinstance(part, Dialog):
        return ("speech", str(part.character), *(str(line) for _, line in part.blocks))
    if isinstance(part, TheirAction):
        return ("action", "\n".join(str(line) for line in part.lines))
    if isinstance(part, TheirTransition):
        return ("transition", str(part.line))
    return ("other",)


def test_fountain_from_another_program_is_read_as_far_as_we_have_words_for_it() -> None:
    read = from_fountain(
        "Title:\n    Big Fish\nCredit: written by\n\n# Act one\n\n= The start.\n\nFADE IN:\n\n"
        "EXT. RIVER - DAY #12#\n\nThe water [[colder here?]] is brown. /* cut */\n\n~La la la\n\n===\n\n"
        "EDWARD (O.S.) ^\n(softly)\nThere are fish.\n"
    )
    assert read.series == "Big Fish"
    assert [scene.slugline for scene in read.scenes] == ["", "EXT. RIVER - DAY"]
    assert read.scenes[1].elements == (
        Action(text="The water  is brown."),
        Action(text="La la la"),
        Dialogue(speaker="EDWARD", extension="O.S.", parenthetical="softly", text="There are fish."),
    )


@pytest.mark.parametrize("text", ["", "\n\n", "just a line"])
def test_anything_can_be_read(text: str) -> None:
    assert len(from_fountain(text).scenes) == bool(text.strip())


def test_marks_that_are_never_closed_are_text_and_cost_no_time() -> None:
    """Each opening mark was once searched for its end through the whole rest: hours for a script of this size."""
    for mark in ("[[", "/*"):
        many = f"INT. ROOM - DAY\n\n{mark * 200_000}\n"
        assert from_fountain(many).scenes
    kept = from_fountain("INT. ROOM - DAY\n\nA [[note]]door /* cut\nhere */opens. [[left open.\n")
    assert isinstance(kept.scenes[0].elements[0], Action)
    assert kept.scenes[0].elements[0].text == "A door opens. [[left open."
