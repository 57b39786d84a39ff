"""Users' words and earlier work, as data: JSON in a fence that nothing inside it can close."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pydantic import BaseModel

from cinegen_core.story import EpisodeRequest, StoryBible

BYTES_A_TOKEN = 3.0
"""English prose has 4 to 4.5 bytes to a token, JSON 3 to 3.5; the estimate is meant to be high."""


def fenced(name: str, content: BaseModel | Mapping[str, object]) -> str:
    """One block of material. `<` inside it is written `\\u003c`, so that no text can end the block."""
    plain = content.model_dump(mode="json") if isinstance(content, BaseModel) else content
    text = json.dumps(plain, ensure_ascii=False, separators=(", ", ": ")).replace("<", "\\u003c")
    return f'<material name="{name}">\n{text}\n</material>\n\n'


def material(request: EpisodeRequest, *, complete: bool) -> str:
    """What all calls of one episode begin with: the bible first, then the story so far, then what is asked of this episode.

    Not `complete`, it holds the leads and one location only.
    """
    bible = request.bible if complete else leads_only(request.bible)
    shown = bible.model_dump(mode="json", exclude={"cards"}, exclude_defaults=True)
    people = [{**row, "cue": cue} for row, cue in zip(shown["characters"], bible.cues(), strict=True)]
    wish: dict[str, object] = {
        "episode": request.number,
        "minutes": request.minutes,
        "wish_of_the_writers": request.direction,
    }
    if request.taken is not None:
        wish["choice_taken_at_the_end_of_the_last_episode"] = {
            "label": request.taken.label,
            "consequence": request.taken.consequence,
        }
    so_far = ""
    if request.state is not None:
        told = request.state.model_dump(mode="json", exclude={"memory", "offered"}, exclude_defaults=True)
        so_far = fenced("story so far", told)
    return fenced("series bible", {**shown, "characters": people}) + so_far + fenced("this episode", wish)


def leads_only(bible: StoryBible) -> StoryBible:
    """The two who want something first, and one location: the context that is left when it is not to be complete."""
    leads = [person for person in bible.characters if person.want][:2]
    names = {person.name for person in leads}
    people = tuple(
        person.model_copy(
            update={"relationships": {n: text for n, text in person.relationships.items() if n in names}}
        )
        for person in leads
    )
    return bible.model_copy(
        update={
            "characters": people,
            "locations": bible.locations[:1],
            "arcs": (),
            "threads": bible.threads[:1],
        }
    )


def estimated_tokens(text: str) -> int:
    """Tokens, estimated on the high side without any model's own tokenizer."""
    return int(len(text.encode("utf-8")) / BYTES_A_TOKEN) + 1
