"""The writer that has a language model write: draft, directives, synthesis, repair."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, TypeVar

from cinegen_core.engines.base import Directive, Engine, EngineContext
from cinegen_core.story import Draft, Episode, EpisodeRequest, Policy
from cinegen_core.writers.base import Desk
from cinegen_core.writers.model.calls import Calls, Question, json_object
from cinegen_core.writers.model.manuscript import (
    Manuscript,
    Patch,
    as_draft,
    as_manuscript,
    patched,
    text_so_far,
)
from cinegen_core.writers.model.prompts.directive import directive_task
from cinegen_core.writers.model.prompts.draft import draft_task
from cinegen_core.writers.model.prompts.house import HOUSE
from cinegen_core.writers.model.prompts.material import fenced, material
from cinegen_core.writers.model.prompts.repair import repair_task
from cinegen_core.writers.model.prompts.synthesis import synthesis_task
from cinegen_core.writers.model.schema import plain_schema

HIGH, LOW = 0.9, 0.4
"""Temperatures with `high_temperature` on (the contract says 0.85 to 0.95) and off."""

T = TypeVar("T")


class ModelWriter:
    """Writes with the first model of its providers that answers. `name` is the first one's model."""

    profile: ClassVar[str] = "model"

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self.name = calls.providers[0].model

    async def draft(self, request: EpisodeRequest, policy: Policy, desk: Desk) -> Draft:
        """Raises `ModelError`."""
        return await self._calls.ask(
            _question(
                "draft", "episode", request, policy, draft_task(request),
                read=lambda text: as_draft(Manuscript.model_validate(json_object(text)), request),
                schema=plain_schema(Manuscript),
                said=desk.said,
            ),
            desk,
        )  # fmt: skip

    async def propose(self, engine: Engine, context: EngineContext, policy: Policy, desk: Desk) -> Directive:
        """What a model wants of this episode in an engine's place. Raises `ModelError`."""
        kind = engine.directive

        def read(text: str) -> Directive:
            answer = json_object(text)
            known = {name: value for name, value in answer.items() if name in kind.model_fields}
            return kind.model_validate({**known, "engine": engine.name})

        request = context.request
        return await self._calls.ask(
            _question(
                engine.name, "directive", request, policy,
                _shown("draft", context.draft.episode, context.draft, request)
                + directive_task(engine, context, _by_rules(engine, context)),
                read=read,
                schema=plain_schema(kind, without=frozenset(("engine",))),
            ),
            desk,
        )  # fmt: skip

    async def synthesise(
        self,
        request: EpisodeRequest,
        policy: Policy,
        draft: Draft,
        directives: Sequence[Directive],
        desk: Desk,
    ) -> Episode:
        """Raises `ModelError`."""
        return await self._calls.ask(
            _question(
                "synthesis", "episode", request, policy,
                _shown("draft", draft.episode, draft, request) + synthesis_task(request, directives),
                read=lambda text: as_draft(Manuscript.model_validate(json_object(text)), request).episode,
                schema=plain_schema(Manuscript),
                said=desk.said,
            ),
            desk,
        )  # fmt: skip

    async def repair(
        self,
        request: EpisodeRequest,
        policy: Policy,
        draft: Draft,
        episode: Episode,
        directives: Sequence[Directive],
        missing: Sequence[Directive],
        desk: Desk,
    ) -> Episode:
        """One call that names the missing directives and their scenes, and gets back the scenes that change. Raises `ModelError`."""
        task = repair_task(as_manuscript(episode, draft.outline, request.state), missing)
        return await self._calls.ask(
            _question(
                "repair", "repair", request, policy, task,
                read=lambda text: patched(episode, Patch.model_validate(json_object(text)), request.bible),
                schema=plain_schema(Patch),
                said=desk.said,
            ),
            desk,
        )  # fmt: skip


def _question(
    purpose: str,
    form: Literal["episode", "directive", "repair"],
    request: EpisodeRequest,
    policy: Policy,
    task: str,
    *,
    read: Callable[[str], T],
    schema: Mapping[str, Any],
    said: Callable[[str], None] | None = None,
) -> Question[T]:
    return Question(
        purpose=purpose,
        house=HOUSE,
        material=material(request, complete=policy.complete_context),
        task=task,
        form=form,
        schema=schema,
        people=tuple(request.bible.cues()),
        read=read,
        tokens=(lambda provider: provider.directive)
        if form == "directive"
        else (lambda provider: provider.answer),
        temperature=HIGH if policy.high_temperature else LOW,
        seed=request.seed,
        stream=(lambda answer: said(text_so_far(answer))) if said is not None else None,
    )


def _shown(name: str, episode: Episode, draft: Draft, request: EpisodeRequest) -> str:
    return fenced(name, as_manuscript(episode, draft.outline, request.state))


def _by_rules(engine: Engine, context: EngineContext) -> Directive | None:
    """What the engine's rules would ask; None where they have nothing to show, which is no reason not to ask the model."""
    try:
        return engine.propose(context)
    except Exception:  # noqa: BLE001 (an engine may be anybody's; only the example is missing)
        return None
