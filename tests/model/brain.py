"""What the tests' model knows: the shelf's exemplars by heart, and the proposals that it is shown."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from cinegen_core.story import Dialogue, EpisodeRequest, StoryBible
from cinegen_core.story.formats import read_script
from cinegen_core.story.load import load_bible
from cinegen_core.story.script import Script, ScriptScene
from cinegen_core.writers.model.manuscript import ChoicePart, LinePart, Manuscript, ScenePart
from tests.model.faults import Body

SHELF = Path(__file__).parents[1] / "shelf"


@lru_cache
def shelf_bible(name: str = "long_tow") -> StoryBible:
    return load_bible(SHELF / "bibles" / f"{name}.yaml")


def shelf_request(name: str = "long_tow", **changes: Any) -> EpisodeRequest:
    return EpisodeRequest(bible=shelf_bible(name), **changes)


@lru_cache
def exemplar(name: str) -> Manuscript:
    """An episode by hand, written down as a model would."""
    path = SHELF / "good" / f"{name}.fountain"
    script = read_script(path.read_text(encoding="utf-8"), name=path.name)
    cues = shelf_bible(name).cues()
    lead = next(cue for cue in cues if any(cue in _speakers(scene) for scene in script.scenes))
    return Manuscript(
        title=script.title or "The Log",
        logline="Somebody finds out.",
        synopsis="Somebody finds out, and has to choose.",
        protagonist=lead,
        question=script.question,
        truth="",
        stake="",
        scenes=tuple(_scene(scene) for scene in script.scenes),
        choices=tuple(_choice(index, script) for index in range(3)),
        learned=(),
        bonds=(),
        threads_opened=(script.question,) if script.question else (),
        threads_closed=(),
        happened=(f"{lead} found out.",),
    )


def brain(body: Body, ignores_bible: bool) -> str:
    """An answer in the form that is asked for, to any of the studio's questions."""
    prompt = str(body["messages"][1]["content"])
    task = prompt.rpartition("</material>")[2]
    if "you are the specialist" in task:
        return json.dumps({"cast": ["BOB"]} if ignores_bible else _proposal(prompt))
    if "not to be seen in the episode" in task:
        return json.dumps({"scenes": [], "choices": []})
    title = re.search(r'"title": "([^"]*)"', prompt)
    manuscript = exemplar(_by_title()[title.group(1)] if title else "long_tow")
    text = manuscript.model_dump_json()
    if ignores_bible:
        return re.sub(r'"speaker":"[^"]+"', '"speaker":"BOB"', text)
    return text


def short_brain(body: Body, ignores_bible: bool) -> str:
    """As `brain`, with a third of the lines: two scenes in good form, quick to read."""
    text = brain(body, ignores_bible)
    if not text.startswith('{"title"'):
        return text
    whole = Manuscript.model_validate_json(text)
    scenes = tuple(scene.model_copy(update={"lines": scene.lines[:14]}) for scene in whole.scenes[:2])
    return whole.model_copy(update={"scenes": scenes}).model_dump_json()


@lru_cache
def _by_title() -> dict[str, str]:
    return {shelf_bible(path.stem).title: path.stem for path in (SHELF / "bibles").iterdir()}


def _proposal(prompt: str) -> dict[str, Any]:
    notes = re.findall(r'<material name="notes for this task">\n(.*)\n</material>', prompt)
    proposal: dict[str, Any] = json.loads(notes[-1]).get("a plain proposal", {})
    return proposal


def _speakers(scene: ScriptScene) -> set[str]:
    return {element.speaker for element in scene.elements if isinstance(element, Dialogue)}


def _scene(scene: ScriptScene) -> ScenePart:
    words = sum(len(element.text.split()) for element in scene.elements)
    return ScenePart(
        slugline=scene.slugline,
        seconds=max(10, round(words / 3)),
        wants="",
        block="",
        turn="",
        subject="",
        holder="",
        reveals=False,
        tension=5,
        lines=tuple(
            LinePart(
                speaker=element.speaker if isinstance(element, Dialogue) else "",
                manner=(element.parenthetical or "") if isinstance(element, Dialogue) else "",
                text=element.text,
            )
            for element in scene.elements
        ),
    )


def _choice(index: int, script: Script) -> ChoicePart:
    choice = script.choices[index]
    axis = ("truth / safety", "hold / give up", "act / wait")[index]
    return ChoicePart(label=choice.label, consequence=choice.consequence, axis=axis, anchor="", effects=())
