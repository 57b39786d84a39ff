"""An episode as FDX, the XML of Final Draft, and scripts in FDX read back.

The format has no place for a question with choices; they stand after the last scene as centred and numbered
paragraphs of the type General, and are found there again. Running times and state are not part of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

from cinegen_core.story.episode import Action, Dialogue, Element, Episode, Transition
from cinegen_core.story.formats.ending import with_ending
from cinegen_core.story.script import Script, ScriptScene
from cinegen_core.story.source import fail

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def to_fdx(episode: Episode) -> str:
    """The episode as a Final Draft document. Characters that XML cannot hold are left out."""
    body: list[str] = []
    for scene in episode.scenes:
        body.append(_paragraph("Scene Heading", scene.slugline))
        for element in scene.elements:
            body += _written(element)
    body.append(_paragraph("General", episode.question, centred=True))
    for number, choice in enumerate(episode.choices, start=1):
        body.append(_paragraph("General", f"{number}. {choice.label}"))
        if choice.consequence:
            body.append(_paragraph("General", f"-> {choice.consequence}"))
    titles = [
        _paragraph("General", text, centred=True)
        for text in (episode.series, f"Episode {episode.number}", episode.title)
    ]
    return "\n".join(
        [
            '<?xml version="1.0" encoding="UTF-8" standalone="no"?>',
            '<FinalDraft DocumentType="Script" Template="No" Version="1">',
            "<Content>",
            *body,
            "</Content>",
            "<TitlePage>",
            "<Content>",
            *titles,
            "</Content>",
            "</TitlePage>",
            "</FinalDraft>",
            "",
        ]
    )


def _written(element: Element) -> list[str]:
    if isinstance(element, Action):
        return [_paragraph("Action", element.text)]
    if isinstance(element, Transition):
        return [_paragraph("Transition", element.text)]
    cue = element.speaker + (f" ({element.extension})" if element.extension is not None else "")
    rows = [_paragraph("Character", cue)]
    if element.parenthetical is not None:
        rows.append(_paragraph("Parenthetical", f"({element.parenthetical})"))
    return [*rows, _paragraph("Dialogue", element.text)]


def _paragraph(kind: str, text: str, *, centred: bool = False) -> str:
    place = ' Alignment="Center"' if centred else ""
    return (
        f"<Paragraph{place} Type={quoteattr(kind)}><Text>{escape(_CONTROL.sub('', text))}</Text></Paragraph>"
    )


def from_fdx(text: str, *, name: str = "the script") -> Script:
    """A Final Draft script. Raises `StoryError` for broken XML, declared entities, and other documents."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        fail(name, "the file declares XML entities, which no script needs", "Export it again as FDX.")
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 (entities and document types are refused above)
    except ElementTree.ParseError as error:
        fail(name, f"this is not well-formed XML ({error.msg})", "Export it again as FDX.", error.position[0])
    content = root.find("Content")
    if root.tag != "FinalDraft" or content is None:
        fail(name, "this is XML, but not a Final Draft script", "Export it as FDX.")
    scenes: list[tuple[str, list[Element]]] = []
    for kind, words in _paragraphs(content):
        if kind == "Scene Heading":
            scenes.append((words, []))
            continue
        if not scenes:
            scenes.append(("", []))
        _add(scenes[-1][1], kind, words)
    titles = [words for _, words in _paragraphs(root.find("TitlePage/Content")) if words]
    number = next((int(m.group(1)) for t in titles if (m := re.fullmatch(r"Episode (\d{1,3})", t))), 0)
    return with_ending(
        Script(
            series=titles[0] if titles else "",
            number=number,
            title=titles[2] if number and len(titles) > 2 else "",
            scenes=tuple(ScriptScene(slugline=slug, elements=tuple(rows)) for slug, rows in scenes),
        )
    )


def _paragraphs(content: ElementTree.Element | None) -> Iterator[tuple[str, str]]:
    """(type, text) of each paragraph, dual dialogue among them."""
    for paragraph in content.iter("Paragraph") if content is not None else ():
        yield (
            paragraph.get("Type", "Action"),
            "".join("".join(part.itertext()) for part in paragraph.findall("Text")).strip(),
        )


def _add(rows: list[Element], kind: str, words: str) -> None:
    last = rows[-1] if rows else None
    if kind == "Character":
        cue = re.fullmatch(r"(.*?)\s*(?:\((.*)\))?", words, re.DOTALL)
        assert cue is not None  # the pattern takes any text
        rows.append(Dialogue(speaker=cue.group(1), extension=cue.group(2), text=""))
    elif kind == "Parenthetical" and isinstance(last, Dialogue) and not last.text:
        inner = words[1:-1] if words.startswith("(") and words.endswith(")") else words
        rows[-1] = last.model_copy(update={"parenthetical": inner.strip()})
    elif kind in ("Dialogue", "Parenthetical") and isinstance(last, Dialogue):
        rows[-1] = last.model_copy(update={"text": f"{last.text} {words}".strip()})
    elif kind == "Transition":
        rows.append(Transition(text=words))
    elif words:
        rows.append(Action(text=words))
