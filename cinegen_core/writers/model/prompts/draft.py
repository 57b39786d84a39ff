"""The first version, without any engine's work; alone, it is the whole of the single pass."""

from __future__ import annotations

from cinegen_core.story import EpisodeRequest
from cinegen_core.writers.model.prompts.form import EPISODE, length


def draft_task(request: EpisodeRequest) -> str:
    follows = (
        "It follows from the choice taken at the end of the last episode: the choice has consequences in the first scene.\n"
        if request.taken is not None
        else ""
    )
    return (
        f"Task: write episode {request.number} of this series, complete and ready to be shot.\n"
        + follows
        + "Obey the story so far. Keep to the wish of the writers where they have one.\n"
        + length(request.minutes)
        + "\n"
        + EPISODE
    )
