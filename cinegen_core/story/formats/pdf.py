"""An episode as PDF, laid out by screenplain as a screenplay page: Courier at 12 points, title page, numbered pages.

The letters are Courier Prime's, which screenplain brings. What it lacks is set in a font of the computer, a monospaced one where
there is one; Chinese, Japanese and Korean in the fonts that PDF readers bring or fetch for them. Letters that no font here has,
and scripts whose letters would have to be turned or joined, are an error: a page that nobody can read is no page. Of other signs
(emoji, say) the number is set instead, as `[U+1F600]`.

Importing this takes a moment, since it brings reportlab; import it where a PDF is wanted.
"""

from __future__ import annotations

import io
import textwrap
import threading
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Literal

from reportlab.lib import pagesizes
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont
from screenplain.export import pdf as pages
from screenplain.types import Action as Description
from screenplain.types import Dialog, Slug
from screenplain.types import Transition as Cut

from cinegen_core.story.episode import Action, Dialogue, Element, Episode
from cinegen_core.story.errors import Problem, StoryError

Paper = Literal["letter", "a4"]

COURIER = "Courier Prime"

FONTS = (
    "DejaVuSansMono.ttf",
    "LiberationMono-Regular.ttf",
    "NotoSansMono-Regular.ttf",
    "FreeMono.ttf",
    "cour.ttf",
    "Courier New.ttf",
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "Arial Unicode.ttf",
    "arial.ttf",
)
"""Files of common fonts with Cyrillic, Greek, Vietnamese and more, in the order of preference: a letter of another width is
still a letter."""

FOLDERS = (
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "~/.local/share/fonts",
    "/Library/Fonts",
    "/System/Library/Fonts/Supplemental",
    "C:/Windows/Fonts",
)
"""Where systems keep fonts."""

ASIAN = (
    ("HeiseiMin-W3", "shift_jis"),
    ("STSong-Light", "gb2312"),
    ("MSung-Light", "big5"),
    ("HYSMyeongJo-Medium", "euc_kr"),
)
"""Adobe's names of the fonts that PDF readers bring, and the character sets that they cover."""

TITLE_WIDTH = 26
"""Letters of 24 points that fit beside each other on a title page of either paper; of 12 points, twice as many."""

JOINED = (
    "ARABIC", "BENGALI", "DEVANAGARI", "GUJARATI", "GURMUKHI", "HEBREW", "KANNADA", "KHMER", "LAO", "MALAYALAM", "MONGOLIAN",
    "MYANMAR", "NKO", "ORIYA", "SINHALA", "SYRIAC", "TAMIL", "TELUGU", "THAANA", "THAI", "TIBETAN",
)  # fmt: skip
"""How Unicode's names begin for letters that join, stack, or run from right to left, which takes more than a font."""

SHOWN = 12
"""Letters that an error lists."""

Setter = Callable[[str], str | None]
"""The font that sets a character, None where there is none."""

# reportlab has one table of fonts for the whole process: two threads must not both put the same font into it.
_FONT_TABLE = threading.Lock()


def to_pdf(episode: Episode, *, paper: Paper = "letter", fonts: Sequence[Path] | None = None) -> bytes:
    """The screenplay as PDF: title page, scenes, the question and its choices. The same episode gives the same bytes.

    `fonts` are TrueType files to look in for what Courier Prime lacks; None looks for those of the system, and what they lack
    may then differ from computer to computer. Raises `StoryError` for letters that cannot be set.
    """
    text = "".join(_texts(episode))
    setter = _setter(text, system_fonts if fonts is None else lambda: tuple(fonts))
    _refuse_unset(text, setter)
    settings = pages.Settings(
        page_size=pagesizes.A4 if paper == "a4" else pagesizes.letter, font_settings=_courier()
    )
    out = io.BytesIO()
    # `invariant` leaves out the time of writing; set on the document, it changes nothing for anybody else's.
    pages.to_pdf(
        _screenplay(episode, setter), out, partial(pages.DocTemplate, invariant=1), settings=settings
    )
    return out.getvalue()


def check_letters(episode: Episode, *, fonts: Sequence[Path] | None = None) -> None:
    """Raises what `to_pdf` would, which takes much longer."""
    text = "".join(_texts(episode))
    _refuse_unset(text, _setter(text, system_fonts if fonts is None else lambda: tuple(fonts)))


def system_fonts(folders: Sequence[str | Path] = FOLDERS) -> tuple[Path, ...]:
    """The fonts of this computer that are known to have many letters, the best first."""
    there = [folder for name in folders if (folder := Path(name).expanduser()).is_dir()]
    found = (next((path for folder in there for path in sorted(folder.rglob(name))), None) for name in FONTS)
    return tuple(path for path in found if path is not None)


# -- letters and fonts -------------------------------------------------------------------------------------------------


def _courier() -> pages.FontSettings:
    settings = pages.FontSettings(COURIER)
    folder = Path(pages.__file__).parent / "courier_prime"
    _registered(COURIER, lambda: TTFont(COURIER, str(folder / f"{COURIER}.ttf")))
    return settings


def _registered(name: str, make: Callable[[], object]) -> None:
    with _FONT_TABLE:
        if name in pdfmetrics.getRegisteredFontNames():
            return
        pdfmetrics.registerFont(make())
        pdfmetrics.registerFontFamily(name, normal=name, bold=name, italic=name, boldItalic=name)


def _letters(name: str) -> frozenset[int]:
    return frozenset(pdfmetrics.getFont(name).face.charToGlyph)


def _setter(text: str, fonts: Callable[[], Sequence[Path]]) -> Setter:
    """Chooses a font for each character; only fonts that `text` needs are read."""
    _courier()
    courier = _letters(COURIER)
    more: list[tuple[str, frozenset[int]]] = []
    if any(ord(ch) not in courier for ch in text):
        for path in fonts():
            name = f"{path.parent.name}/{path.stem}"
            _registered(name, partial(TTFont, name, str(path)))
            more.append((name, _letters(name)))
    # One text in Han characters is one language's: the first character set that has all of them, else any that has the one.
    han = "".join(ch for ch in text if _is_asian(ch))
    asian = sorted(ASIAN, key=lambda pair: not _encodes(han, pair[1]))

    def setter(ch: str) -> str | None:
        if ord(ch) in courier:
            return COURIER
        if unicodedata.bidirectional(ch) in ("R", "AL") or unicodedata.name(ch, "").startswith(JOINED):
            return None
        for name, letters in more:
            if ord(ch) in letters:
                return name
        if _is_asian(ch):
            for name, charset in asian:
                if _encodes(ch, charset):
                    _registered(name, partial(UnicodeCIDFont, name))
                    return name
        return None

    return setter


def _is_asian(ch: str) -> bool:
    return unicodedata.east_asian_width(ch) in ("W", "F") and ord(ch) < 0x1F000


def _encodes(text: str, charset: str) -> bool:
    try:
        text.encode(charset)
    except UnicodeEncodeError:
        return False
    return True


def _refuse_unset(text: str, setter: Setter) -> None:
    """Raises `StoryError` for letters without a font; signs are written by number, letters never."""
    missing = [ch for ch in dict.fromkeys(text) if unicodedata.category(ch)[0] in "LM" and setter(ch) is None]
    if not missing:
        return
    shown = " ".join(f"{ch} (U+{ord(ch):04X})" for ch in missing[:SHOWN])
    more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
    raise StoryError(
        [
            Problem(
                "the PDF",
                None,
                "",
                f"no font here can set {shown}{more}",
                "Install a font that has these letters (DejaVu, say), or export Fountain or FDX: scripts "
                "that join their letters or run from right to left need one of those.",
            )
        ]
    )


class _Line:
    """Text that is nothing but text, as screenplain asks for it: no emphasis, no markup, each character in a font that has it."""

    def __init__(self, text: str, setter: Setter) -> None:
        self.text = text
        self.setter = setter

    def __str__(self) -> str:
        return self.text

    def to_html(self) -> str:
        parts = []
        for font, run in groupby(self.text, self.setter):
            words = "".join(run)
            if font is None:
                parts.append("".join(f"[U+{ord(ch):04X}]" for ch in words))
            elif font == COURIER:
                parts.append(escape(words, quote=False))
            else:
                parts.append(f'<font name="{escape(font)}">{escape(words, quote=False)}</font>')
        return "".join(parts)


# -- the screenplay ----------------------------------------------------------------------------------------------------


class _Script:
    """A screenplay as screenplain asks for it, with a title page that holds text and no marks."""

    def __init__(self, titles: dict[str, list[str]], paragraphs: list[object], setter: Setter) -> None:
        self.titles = titles
        self.paragraphs = paragraphs
        self.setter = setter

    def __iter__(self) -> Iterator[object]:
        return iter(self.paragraphs)

    def get_rich_attribute(self, name: str) -> list[_Line]:
        return [_Line(line, self.setter) for line in self.titles.get(name, [])]


def _screenplay(episode: Episode, setter: Setter) -> _Script:
    """Made from the episode and not from its Fountain: screenplain would take marks and escapes of that for its own."""
    paragraphs: list[object] = []
    for scene in episode.scenes:
        paragraphs.append(Slug(_Line(_fold(scene.slugline), setter)))
        paragraphs += [_paragraph(element, setter) for element in scene.elements]
    paragraphs.append(Description([_Line(_fold(episode.question), setter)], centered=True))
    for number, choice in enumerate(episode.choices, start=1):
        lines = [f"{number}. {_fold(choice.label)}", *filter(None, [_fold(choice.consequence)])]
        paragraphs.append(Description([_Line(line, setter) for line in lines]))
    about = f"Episode {episode.number}"
    titles = {
        "Title": _wrapped(_fold(episode.series), TITLE_WIDTH),
        "Credit": [about, *_wrapped(_fold(episode.title), 2 * TITLE_WIDTH)],
        "Subject": [f"{about}: {_fold(episode.title)}"],
    }
    return _Script(titles, paragraphs, setter)


def _paragraph(element: Element, setter: Setter) -> object:
    lines = [_Line(line, setter) for line in _lines(element.text)]
    if isinstance(element, Action):
        return Description(lines)
    if not isinstance(element, Dialogue):
        return Cut(_Line(_fold(element.text), setter))
    speech = Dialog(_Line(_cue(element), setter))
    # Put in by hand: screenplain would take a speech that begins with a bracket for a parenthetical.
    if element.parenthetical is not None:
        speech.blocks.append((True, _Line(f"({_fold(element.parenthetical)})", setter)))
    speech.blocks += [(False, line) for line in lines]
    return speech


def _wrapped(text: str, width: int) -> list[str]:
    """Lines that fit, so that screenplain's own measure of the title page is right."""
    return textwrap.wrap(text, width // 2 if any(map(_is_asian, text)) else width)


def _cue(speech: Dialogue) -> str:
    return _fold(speech.speaker) + (f" ({_fold(speech.extension)})" if speech.extension is not None else "")


def _lines(text: str) -> list[str]:
    return [_fold(line) for line in text.split("\n")]


def _fold(text: str) -> str:
    """One line, composed letters, and nothing that a printer could not show."""
    kept = (
        " " if ch.isspace() else ch
        for ch in unicodedata.normalize("NFC", text)
        if ch.isspace() or unicodedata.category(ch) not in ("Cc", "Cf", "Cs")
    )
    return " ".join("".join(kept).split())


def _texts(episode: Episode) -> Iterator[str]:
    """Everything that is set."""
    yield from map(_fold, (episode.series, episode.title, episode.question))
    for scene in episode.scenes:
        yield _fold(scene.slugline)
        for element in scene.elements:
            yield _fold(element.text)
            if isinstance(element, Dialogue):
                yield _cue(element)
                yield _fold(element.parenthetical or "")
    for choice in episode.choices:
        yield from map(_fold, (choice.label, choice.consequence))
