"""Writers, engines and clocks that do as they are told."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import ClassVar

from cinegen_core.engines.base import Directive, EngineContext, Line, Phase, Realisation
from cinegen_core.settings import Settings
from cinegen_core.store import MemoryStore
from cinegen_core.store.results import NoResults, Results
from cinegen_core.story import Draft, Episode, EpisodeRequest, Outline, Policy, SceneOutline, StoryBible
from cinegen_core.studio import Studio
from cinegen_core.tiers.form import check_form
from cinegen_core.tiers.judging import Verdict
from cinegen_core.writers.base import Desk
from cinegen_core.writers.template import TemplateWriter
from tests.builders import a_scene, an_episode

OUTLINE = Outline(
    protagonist="MARIT", scenes=(SceneOutline(location="x", slugline="INT. X", people=("MARIT",)),)
)


def on_request(request: EpisodeRequest, **changes: object) -> Episode:
    return an_episode(series=request.bible.title, number=request.number, **changes)


@dataclass
class FakeWriter:
    """Writes an episode in good form; `draft_only` are changes to the draft, `repaired` those that repair makes."""

    name: ClassVar[str] = "fake"
    profile: ClassVar[str] = "fake"
    changes: dict[str, object] = field(default_factory=dict)
    repaired: dict[str, object] = field(default_factory=dict)
    fails: Exception | None = None
    repair_fails: Exception | None = None
    asked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    async def draft(self, request: EpisodeRequest, policy: Policy, desk: Desk) -> Draft:
        self.asked.append(("draft", ()))
        if self.fails:
            raise self.fails
        desk.said("A draft.")
        return Draft(outline=OUTLINE, episode=on_request(request, **self.changes))

    async def synthesise(
        self,
        request: EpisodeRequest,
        policy: Policy,
        draft: Draft,
        directives: Sequence[Directive],
        desk: Desk,
    ) -> Episode:
        self.asked.append(("synthesise", tuple(d.engine for d in directives)))
        return draft.episode

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
        self.asked.append(("repair", tuple(d.engine for d in missing)))
        if self.repair_fails:
            raise self.repair_fails
        return episode.model_copy(update=self.repaired)


class StuckWriter(FakeWriter):
    """Never comes to an end; `reached` is set once it has begun."""

    name: ClassVar[str] = "stuck"

    def __init__(self, stuck_in: str = "draft") -> None:
        super().__init__()
        self.reached = threading.Event()
        self.stuck_in = stuck_in
        self.cancelled = False

    async def _wait(self) -> None:
        self.reached.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise

    async def draft(self, request: EpisodeRequest, policy: Policy, desk: Desk) -> Draft:
        if self.stuck_in == "draft":
            await self._wait()
        return await super().draft(request, policy, desk)

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
        await self._wait()
        return episode


class TitleDirective(Directive):
    wanted_title: str


@dataclass
class TitleEngine:
    """Wants the episode to have a title of its own."""

    wants: str = "The Log"
    fails: bool = False
    suited: bool = True
    name: ClassVar[str] = "Title"
    phase: ClassVar[Phase] = "narrative"
    job: ClassVar[str] = "gives the episode its title"
    priority: ClassVar[int] = 1
    directive: ClassVar[type[Directive]] = TitleDirective

    def suits(self, bible: StoryBible) -> bool:
        return self.suited

    def brief(self, context: EngineContext) -> str:
        return f"Call the episode {self.wants}."

    def propose(self, context: EngineContext) -> TitleDirective:
        if self.fails:
            raise RuntimeError("no idea")
        return TitleDirective(engine=self.name, wanted_title=self.wants)

    def realised(self, episode: Episode, directive: Directive, context: EngineContext) -> Realisation:
        there = episode.title == self.wants
        lines = (Line(scene=1, line=1, text=episode.scenes[0].elements[0].text),) if there else ()
        return Realisation(
            engine=self.name, score=float(there), lines=lines, missing=() if there else ("the title",)
        )


class BrokenEngine(TitleEngine):
    name: ClassVar[str] = "Broken"


class GenreTitleEngine(TitleEngine):
    phase: ClassVar[Phase] = "genre"


class FakeClock:
    """Stands still unless told to go on."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return datetime.fromtimestamp(1_800_000_000 + self.seconds, UTC)


def by_form(episode: Episode, bible: StoryBible, profile: str) -> Verdict:
    """A judge for tests that are not about how good a script is: `FakeWriter`'s dozen speeches have no score worth having."""
    form = check_form(episode)
    return Verdict(form.fits, form.met, form.reason)


OUT_OF_FORM: dict[str, object] = {"scenes": (a_scene(),)}


def a_studio(
    writer: FakeWriter | None = None,
    *,
    store: MemoryStore | None = None,
    results: Results | None = None,
    **settings: object,
) -> Studio:
    """A studio whose first two tiers use `writer`; nothing is kept beyond the test."""
    used = writer or FakeWriter()
    return Studio(
        Settings.model_validate(settings),
        clock=FakeClock(),
        rng=random.Random(1),
        store=store or MemoryStore(),
        results=results or NoResults(),
        writers={"comprehensive": used, "enhanced_baseline": used, "basic_fallback": TemplateWriter()},
        engines=(TitleEngine(),),
        judge=by_form,
    )
