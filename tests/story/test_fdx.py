"""Other programs read our FDX as XML: the same scenes, people and lines, in the same order."""

from __future__ import annotations

from xml.sax import handler, parseString

from hypothesis import given
from hypothesis import strategies as st

from cinegen_core.story import Action, Dialogue, EpisodeRequest, Policy, Scene, StoryBible, Transition
from cinegen_core.story.episode import Episode
from cinegen_core.story.formats import to_fdx
from cinegen_core.writers.base import Desk
from cinegen_core.writers.embedded import EmbeddedWriter
from tests.builders import an_episode, every_kind_of_element

Rows = list[tuple[str, str]]


class Paragraphs(handler.ContentHandler):
    """Kind and text of each paragraph of the script, read event by event: nothing of ours has a part in it."""

    def __init__(self) -> None:
        super().__init__()
        self.path: list[str] = []
        self.rows: Rows = []

    def startElement(self, name: str, attrs: object) -> None:  # noqa: N802 (SAX's name)
        self.path.append(name)
        if self.path == ["FinalDraft", "Content", "Paragraph"]:
            self.rows.append((dict(attrs.items())["Type"], ""))  # type: ignore[attr-defined]

    def characters(self, content: str) -> None:
        if self.path == ["FinalDraft", "Content", "Paragraph", "Text"]:
            kind, text = self.rows[-1]
            self.rows[-1] = (kind, text + content)

    def endElement(self, name: str) -> None:  # noqa: N802 (SAX's name)
        assert self.path.pop() == name


def read_elsewhere(text: str) -> Rows:
    reader = Paragraphs()
    parseString(text.encode("utf-8"), reader)  # noqa: S317 (we wrote it)
    return reader.rows


def shown(episode: Episode) -> Rows:
    """What Final Draft's paragraphs are to be, by kind."""
    rows: Rows = []
    for scene in episode.scenes:
        rows.append(("Scene Heading", scene.slugline))
        for element in scene.elements:
            if isinstance(element, Dialogue):
                extension = f" ({element.extension})" if element.extension else ""
                rows.append(("Character", element.speaker + extension))
                rows += [("Parenthetical", f"({element.parenthetical})")] if element.parenthetical else []
                rows.append(("Dialogue", element.text))
            else:
                kind = "Transition" if isinstance(element, Transition) else "Action"
                rows.append((kind, element.text))
    rows.append(("General", episode.question))
    for number, choice in enumerate(episode.choices, start=1):
        rows += [("General", f"{number}. {choice.label}"), ("General", f"-> {choice.consequence}")]
    return rows


async def test_a_written_episode_is_the_same_script_in_another_reader(
    embedded: EmbeddedWriter, samples: dict[str, StoryBible]
) -> None:
    for bible in samples.values():
        episode = (await embedded.draft(EpisodeRequest(bible=bible, seed=5), Policy(), Desk())).episode
        assert read_elsewhere(to_fdx(episode)) == shown(episode)


def test_every_kind_of_element_has_its_paragraph() -> None:
    scene = Scene(slugline="INT. HALL - DAY", seconds=60, elements=every_kind_of_element())
    episode = an_episode(scenes=(scene,))
    assert read_elsewhere(to_fdx(episode)) == shown(episode)


marks = st.text(st.sampled_from("<>&\"'/!-[]?;# éЖ你\U0001f600abc"), max_size=20)


@given(marks, marks)
def test_marks_of_xml_are_text_in_another_reader(one: str, other: str) -> None:
    elements = (Action(text=one), Dialogue(speaker="MARIT", text=other, parenthetical=one or None))
    episode = an_episode(scenes=(Scene(slugline=f"INT. {one}", seconds=60, elements=elements),), title=other)
    assert read_elsewhere(to_fdx(episode)) == shown(episode)
