"""Small bibles and episodes for tests to start from."""

from __future__ import annotations

from typing import Any

from cinegen_core.story import (
    Action,
    Choice,
    Dialogue,
    Element,
    Episode,
    EpisodeRequest,
    Scene,
    StoryBible,
    StoryState,
    Transition,
)

SMALLEST_BIBLE = """\
title: Slack Water
premise: A harbour pilot comes home to find out who let her father drown.
characters:
  - name: Marit Vold
    want: to see the November log
  - name: Ansel Roe
    want: to keep the station open
"""


def a_bible(**changes: Any) -> StoryBible:
    data: dict[str, Any] = {
        "title": "Slack Water",
        "premise": "A harbour pilot comes home to find out who let her father drown.",
        "characters": [
            {"name": "Marit Vold", "want": "to see the November log"},
            {"name": "Ansel Roe", "want": "to keep the station open"},
        ],
    }
    return StoryBible.model_validate({**data, **changes})


def a_request(**changes: Any) -> EpisodeRequest:
    return EpisodeRequest(**{"bible": a_bible(), "seed": 1, **changes})


def some_choices() -> tuple[Choice, Choice, Choice]:
    return (
        Choice(
            id="a", label="Row out now.", consequence="Ansel will see that the boat is gone.", canonical=True
        ),
        Choice(id="b", label="Wake Pip.", consequence="He talks, to everyone."),
        Choice(id="c", label="Put the log back.", consequence="The page stays lost."),
    )


def a_scene(*elements: Element, slugline: str = "INT. WATCH ROOM - NIGHT") -> Scene:
    talk: tuple[Element, ...] = (
        Action(text="Marit puts the log on the table."),
        *(
            Dialogue(speaker=speaker, text=text)
            for speaker, text in (
                ("MARIT", "Where's nine?"),
                ("ANSEL", "Damp."),
                ("MARIT", "Damp takes the thread."),
                ("ANSEL", "It's a well-made book."),
                ("MARIT", "So somebody cut it."),
                ("ANSEL", "It was a clean edge."),
            )
        ),
    )
    return Scene(slugline=slugline, seconds=90, elements=elements or talk)


def an_episode(**changes: Any) -> Episode:
    """Two scenes, twelve cues, three choices: in good form."""
    number = changes.get("number", 1)
    choices = changes.get("choices", some_choices())
    data: dict[str, Any] = {
        "series": "Slack Water",
        "number": number,
        "title": "The Stub",
        "logline": "A page is missing.",
        "synopsis": "Marit asks.",
        "question": "The lamp is lit. What does Marit do?",
        "choices": choices,
        "scenes": (a_scene(), a_scene(slugline="EXT. QUAY - DAY")),
        "state": StoryState(series=changes.get("series", "Slack Water"), episode=number, offered=choices),
    }
    return Episode(**{**data, **changes})


def every_kind_of_element() -> tuple[Element, ...]:
    return (
        Action(text="Rain.\nA second line."),
        Dialogue(speaker="MARIT", text="Hello?", parenthetical="quietly", extension="V.O."),
        Dialogue(speaker="McPHEE", text="Two lines.\nOf speech."),
        Transition(text="CUT TO:"),
        Transition(text="CUT TO BLACK."),
    )
