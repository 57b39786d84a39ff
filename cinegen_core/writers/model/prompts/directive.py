"""One specialist's question: what it wants of this episode."""

from __future__ import annotations

from cinegen_core.engines import Directive, Engine, EngineContext
from cinegen_core.writers.model.prompts.material import fenced


def directive_task(engine: Engine, context: EngineContext, proposal: Directive | None) -> str:
    """`proposal` is what the engine's own rules would ask: an example of the form, to be improved on."""
    notes: dict[str, object] = {"notes": engine.brief(context)}
    if proposal is not None:
        notes["a plain proposal"] = proposal.model_dump(mode="json", exclude={"engine"})
    asked = " ".join((engine.directive.__doc__ or "").split())
    return (
        fenced("notes for this task", notes)
        + f"Task: you are the specialist {engine.name}. Your one job: {engine.job}\n"
        "Say what you want of this episode when the draft is written out: one small directive, anchored in this bible and this "
        "draft. Scenes are counted from 1. Name people by their cue. Do better than the plain proposal where you can; "
        "where you cannot, keep it.\n" + (f"Form of the directive: {asked}\n" if asked else "")
    )
