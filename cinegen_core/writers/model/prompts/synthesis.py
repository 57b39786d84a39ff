"""The draft written out, with what the engines want of it."""

from __future__ import annotations

from collections.abc import Sequence

from cinegen_core.engines import Directive
from cinegen_core.story import EpisodeRequest
from cinegen_core.writers.model.prompts.form import EPISODE, length
from cinegen_core.writers.model.prompts.material import fenced


def synthesis_task(request: EpisodeRequest, directives: Sequence[Directive]) -> str:
    """`directives` with the strongest first."""
    wanted = {"directives": [directive.model_dump(mode="json") for directive in directives]}
    return (
        fenced("directives", wanted)
        + f"Task: write episode {request.number} anew from its draft, so that every directive is carried out in what is seen "
        "and said.\n"
        "- A directive is carried out by what happens and what is spoken, never by quoting it.\n"
        "- Scenes in directives are the draft's, counted from 1: keep their number, order and places.\n"
        "- Where two directives disagree, the earlier one holds.\n"
        "- Keep what is good in the draft; cut what is said twice.\n"
        + length(request.minutes)
        + "\n"
        + EPISODE
    )
