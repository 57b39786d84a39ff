"""Whether an episode has the form of one. It says nothing about how good it is."""

from __future__ import annotations

from typing import NamedTuple

from cinegen_core.story import Dialogue, Episode

LEAST_SCENES = 2
LEAST_CUES = 12


class Form(NamedTuple):
    """`met` counts the conditions that hold, of three."""

    fits: bool
    met: int
    reason: str


def check_form(episode: Episode) -> Form:
    """Two scenes, twelve speeches, three different choices."""
    cues = sum(isinstance(element, Dialogue) for scene in episode.scenes for element in scene.elements)
    labels = {" ".join(choice.label.casefold().split()) for choice in episode.choices}
    missing = [
        words
        for holds, words in (
            (len(episode.scenes) >= LEAST_SCENES, f"{len(episode.scenes)} of at least {LEAST_SCENES} scenes"),
            (cues >= LEAST_CUES, f"{cues} of at least {LEAST_CUES} speeches"),
            (
                len(labels) == len(episode.choices) and "" not in labels,
                "choices that are not three different ones",
            ),
        )
        if not holds
    ]
    if missing:
        return Form(False, 3 - len(missing), "has " + ", ".join(missing))
    return Form(True, 3, "has the form of an episode")
