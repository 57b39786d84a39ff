"""A script leaves the studio as a PDF that looks like a screenplay page, with every word of it on the page."""

from __future__ import annotations

import re
import subprocess
import threading
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
import reportlab.rl_config
from hypothesis import given, settings
from hypothesis import strategies as st

from cinegen_core.story import (
    Action,
    Choice,
    Dialogue,
    Element,
    Episode,
    EpisodeRequest,
    Policy,
    Scene,
    StoryBible,
)
from cinegen_core.story.errors import StoryError
from cinegen_core.story.formats.pdf import Paper, system_fonts, to_pdf
from cinegen_core.writers.base import Desk
from cinegen_core.writers.embedded import EmbeddedWriter
from tests.builders import a_scene, an_episode, every_kind_of_element


def poppler(program: str, content: bytes, *options: str) -> str:
    """What one of poppler's programs (Debian: poppler-utils) says of a PDF."""
    end = ["-"] if program == "pdftotext" else []
    done = subprocess.run([program, *options, "-", *end], input=content, capture_output=True, check=True)
    assert not done.stderr
    return done.stdout.decode("utf-8")


def read(content: bytes) -> str:
    """Its text without blanks and page numbers: lines are broken where the page wants it."""
    found = poppler("pdftotext", content, "-raw", "-enc", "UTF-8").split("\x0c")
    return squeezed("".join(re.sub(r"\A\s*\d+\.\s*\n", "", page) for page in found))


def squeezed(text: str) -> str:
    return "".join(unicodedata.normalize("NFC", text).split())


def said(episode: Episode) -> str:
    """Everything on the pages of an episode, in order."""
    return squeezed("".join(_parts(episode)))


def _parts(episode: Episode) -> Iterator[str]:
    yield f"{episode.series}Episode {episode.number}{episode.title}"
    for scene in episode.scenes:
        yield scene.slugline
        for element in scene.elements:
            if isinstance(element, Dialogue):
                yield element.speaker + (f"({element.extension})" if element.extension else "")
                yield f"({element.parenthetical})" if element.parenthetical else ""
            yield element.text
    yield episode.question
    for number, choice in enumerate(episode.choices, start=1):
        yield f"{number}. {choice.label}{choice.consequence}"


def with_lines(*elements: Element, **changes: object) -> Episode:
    return an_episode(
        scenes=(Scene(slugline="INT. HALL - DAY", seconds=60, elements=elements), a_scene()), **changes
    )


@pytest.mark.parametrize("paper", ["letter", "a4"])
async def test_scenes_people_and_lines_come_back_in_order(
    embedded: EmbeddedWriter, samples: dict[str, StoryBible], paper: Paper
) -> None:
    for bible in list(samples.values())[:3]:
        episode = (await embedded.draft(EpisodeRequest(bible=bible, seed=3), Policy(), Desk())).episode
        assert read(to_pdf(episode, paper=paper)) == said(episode)


def test_every_kind_of_element_is_on_the_page() -> None:
    episode = with_lines(*every_kind_of_element())
    assert read(to_pdf(episode)) == said(episode)


def test_a_speech_stands_under_its_cue_and_a_parenthetical_between_them() -> None:
    aside = Dialogue(speaker="MARIT", text="(beat) Hello.", parenthetical="quietly", extension="V.O.")
    page = poppler("pdftotext", to_pdf(with_lines(aside)), "-layout")
    lines = [line for line in page.split("\n") if line.strip()]
    start = next(i for i, line in enumerate(lines) if "MARIT (V.O.)" in line)
    cue, manner, speech = lines[start : start + 3]
    assert (manner.strip(), speech.strip()) == ("(quietly)", "(beat) Hello.")
    indents = [len(line) - len(line.lstrip()) for line in (cue, manner, speech)]
    assert indents[0] > indents[1] > indents[2] > 0


def test_the_first_page_is_a_title_page_and_the_others_are_numbered() -> None:
    pages = poppler("pdftotext", to_pdf(an_episode(scenes=(a_scene(),) * 9)), "-layout").split("\x0c")
    assert "Slack Water" in pages[0]
    assert "Episode 1" in pages[0]
    assert "The Stub" in pages[0]
    assert pages[1].lstrip().startswith("INT. WATCH ROOM")
    assert [page.split()[0] for page in pages[2:4]] == ["2.", "3."]


def test_a_long_title_fits_its_page() -> None:
    episode = an_episode(
        series="The Long and Winding Road to Nowhere in Particular, and Back", title="Of " * 60
    )
    pages = poppler("pdftotext", to_pdf(episode), "-layout").split("\x0c")
    assert pages[1].lstrip().startswith("INT. WATCH ROOM")


@pytest.mark.parametrize(("paper", "size"), [("letter", "612 x 792"), ("a4", "595.276 x 841.89")])
def test_paper_is_what_was_asked_for(paper: Paper, size: str) -> None:
    assert size in poppler("pdfinfo", to_pdf(an_episode(), paper=paper))


def test_letters_are_set_in_courier_at_ten_to_the_inch() -> None:
    content = to_pdf(with_lines(Action(text="i" * 61 + " " + "W" * 61)))
    boxes = re.findall(
        r'xMin="([\d.]+)".*xMax="([\d.]+)".*>([iW]{61})<', poppler("pdftotext", content, "-bbox")
    )
    assert len(boxes) == 2
    assert all(float(right) - float(left) == pytest.approx(61 * 7.2, abs=1) for left, right, _ in boxes)
    assert "CourierPrime" in poppler("pdffonts", content)


def test_the_same_episode_gives_the_same_bytes_and_leaves_others_documents_alone() -> None:
    before = reportlab.rl_config.invariant
    first = to_pdf(with_lines(Action(text="Привет.")))
    to_pdf(an_episode(number=2))
    assert to_pdf(with_lines(Action(text="Привет."))) == first
    assert reportlab.rl_config.invariant == before


def test_several_episodes_can_be_set_at_once() -> None:
    wanted = [to_pdf(an_episode(number=n, title="Ёж")) for n in range(1, 7)]
    found: dict[int, bytes] = {}

    def work(n: int) -> None:
        found[n] = to_pdf(an_episode(number=n, title="Ёж"))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[n] for n in range(1, 7)] == wanted


@pytest.mark.parametrize(
    "text",
    [
        "Typographic: ‘one’ “two” – three — four … five’s ½ €5 café naïve",
        "Łukasz Żółć, Ştefan, Dvořák, Åse, Þór, Œuvre, İstanbul",
        "Жанна и Ёжик сказали: «Привет».",
        "Γεωργία Παπαδοπούλου",
        "Nguyễn Thị Ánh",
        "e\u0301te\u0301",
    ],
)
def test_names_and_typography_of_many_languages_come_out_right(text: str) -> None:
    episode = with_lines(
        Dialogue(speaker=text.upper(), text=text, parenthetical=text), Action(text=text), title=text
    )
    assert read(to_pdf(episode)) == said(episode)


@pytest.mark.parametrize(
    ("text", "font"),
    [("李雷说：你好", "STSong"), ("さくらは言った", "Heisei"), ("안녕하세요", "HYSMyeongJo")],
)
def test_chinese_japanese_and_korean_are_set_in_the_fonts_that_readers_bring(text: str, font: str) -> None:
    content = to_pdf(with_lines(Action(text=text)))
    assert font in poppler("pdffonts", content)
    assert text in read(content)


@pytest.mark.parametrize("text", ["سلام", "שלום", "नमस्ते"])
def test_letters_that_cannot_be_set_are_named_and_never_left_out(text: str) -> None:
    with pytest.raises(StoryError, match=f"no font here can set .*U\\+{ord(text[0]):04X}.*export Fountain"):
        to_pdf(with_lines(Action(text=f"She says: {text}")))


def test_without_a_font_for_them_letters_are_refused_and_with_one_they_are_set() -> None:
    episode = with_lines(Action(text="Привет"))
    with pytest.raises(StoryError, match="Install a font"):
        to_pdf(episode, fonts=())
    assert read(to_pdf(episode, fonts=system_fonts()[:1])) == said(episode)


def test_what_latin_needs_is_the_same_on_every_computer() -> None:
    episode = with_lines(Action(text="Łukasz’s café – “naïve”"))
    assert to_pdf(episode, fonts=()) == to_pdf(episode)


def test_a_sign_without_a_font_shows_its_number() -> None:
    assert "Hello[U+1F600]." in read(to_pdf(with_lines(Action(text="Hello 😀.")), fonts=()))


def test_a_folder_without_fonts_has_none(tmp_path: Path) -> None:
    assert system_fonts((tmp_path, tmp_path / "nowhere")) == ()


HOSTILE = (
    "<b>bold</b>",
    "</para><para>",
    "<img src='/etc/passwd'/>",
    "<a href='http://example.org'>x</a>",
    "<font name='Nowhere'>x</font>",
    "<br/>",
    "&amp; &lt; &#65; &nbsp;",
    "& < >",
    "*star* _under_ **both**",
    "<onDraw name='x'/>",
    "[[note]] /* boneyard */",
    "> centred <",
    "# Section",
    "= synopsis",
    "!@.~^",
    "\\u{41} \\*",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_markup_is_shown_and_never_obeyed(text: str) -> None:
    choices = tuple(Choice(id=id, label=f"{id} {text}", consequence=text) for id in ("a", "b", "c"))
    episode = with_lines(
        Action(text=text),
        Dialogue(speaker=text, text=text, parenthetical=text, extension=text),
        series=text,
        title=text,
        question=text,
        choices=choices,
    )
    content = to_pdf(episode)
    assert read(content) == said(episode)
    assert b"/URI" not in content


letters = st.characters(max_codepoint=0x17F, exclude_categories=("Cc", "Cf", "Cs", "Cn", "Zl", "Zp"))
words = st.text(letters, max_size=60).map(lambda text: " ".join(text.split()))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(words, words), min_size=1, max_size=5), words)
def test_any_text_is_set_whole(rows: list[tuple[str, str]], title: str) -> None:
    elements = [
        part for cue, text in rows for part in (Action(text=text), Dialogue(speaker=cue, text=cue + text))
    ]
    episode = with_lines(*elements, title=title)
    assert read(to_pdf(episode)) == said(episode)


def test_a_line_longer_than_a_page_goes_on_on_the_next() -> None:
    long = " ".join(f"word{n}" for n in range(900))
    episode = with_lines(Action(text=long), Dialogue(speaker="MARIT", text=long))
    assert read(to_pdf(episode)) == said(episode)
