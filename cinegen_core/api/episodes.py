"""Episodes: written while one waits or as jobs, followed, and stopped."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence

import anyio
from anyio.to_thread import run_sync
from pydantic import ValidationError
from starlette.responses import Response, StreamingResponse

from cinegen_core.api.answers import (
    AttemptAnswer,
    EpisodeAnswer,
    EpisodeMetadata,
    JobAccepted,
    JobAnswer,
    JobEnd,
)
from cinegen_core.api.bodies import GenerateBody
from cinegen_core.api.endpoint import Call, as_json
from cinegen_core.api.problems import FieldProblem, RefusalError, again, fields_of, wrong
from cinegen_core.jobs import JobView
from cinegen_core.scorer.model import quality_class
from cinegen_core.store import Record, StoreError
from cinegen_core.story import EpisodeRequest, StoryBible
from cinegen_core.story.errors import StoryError
from cinegen_core.story.load import bible_from
from cinegen_core.story.source import Source
from cinegen_core.studio import Studio, StudioBusyError
from cinegen_core.tiers.model import Generation, Update
from cinegen_core.tiers.runner import TIERS

LOOK = 0.05
"""Seconds between two looks at a job."""

LOOK_ELSEWHERE = 0.25
"""Seconds between two looks at a job of another studio, which is in the database and no newer there."""

STILL_HERE = 15.0
"""Seconds without news after which a stream says that it is still there, lest a proxy takes it for dead."""

GRACE = 30.0
"""Seconds that a waiting request is given beyond its budget, before it is answered with the job."""


async def generate(call: Call, body: GenerateBody) -> Response:
    job = await run_sync(_begin, call, await run_sync(_request, body))
    location = call.location(job)
    view: JobView | None = None
    if body.wait:
        with anyio.move_on_after(call.studio.settings.budget_seconds + GRACE):
            view = await _ended(call.studio, job)
    if view is None:
        return as_json(JobAccepted(job=job, location=location), 202, {"Location": location})
    record = await run_sync(call.studio.store.record, view.season, job) if view.state == "done" else None
    if record is None:
        status, name = (409, "stopped") if view.state == "stopped" else (500, "not-written")
        words = view.error or "It was stopped before it was finished."
        raise RefusalError(status, name, words, headers={"Content-Location": location})
    return as_json(_episode(record.generation), headers={"Content-Location": location})


def _request(body: GenerateBody) -> EpisodeRequest:
    try:
        bible = bible_from(Source("storyBible", body.story_bible))
    except StoryError as error:
        problems = [
            FieldProblem(
                field=f"storyBible.{one.key}" if one.key else "storyBible", what=one.what, fix=one.fix
            )
            for one in error.problems
        ]
        raise wrong(problems) from error
    number = body.episode_number
    if number is None:
        number = body.state.episode + 1 if body.state is not None else 1
    asked = {
        "bible": bible,
        "number": number,
        "state": body.state,
        "choice": body.previous_choice,
        "direction": body.direction,
        "seed": body.seed,
    }
    try:
        return EpisodeRequest.model_validate(asked)
    except ValidationError as error:
        names = {"number": "episodeNumber", "choice": "previousChoice"}
        found = fields_of(error, Source("the body", asked))
        whole = _at_fault(body, bible, number)
        raise wrong(
            [one.model_copy(update={"field": names.get(one.field, one.field) or whole}) for one in found]
        ) from error


def _at_fault(body: GenerateBody, bible: StoryBible, number: int) -> str:
    """Which field to name where a request does not follow from its state."""
    if body.state is None:
        return "previousChoice"
    if body.state.series != bible.title:
        return "state"
    return "episodeNumber" if number != body.state.episode + 1 else "previousChoice"


def _begin(call: Call, request: EpisodeRequest) -> str:
    try:
        return call.studio.start(request, season=None)
    except StudioBusyError as error:
        raise again(503, "busy", str(error)) from error


async def _ended(studio: Studio, job: str) -> JobView | None:
    # A job lives in a thread of its own, and tells nobody when it ends; to wait in one more thread would cost one each.
    while (view := studio.job(job)) is not None and view.state == "running":  # noqa: ASYNC110
        await anyio.sleep(LOOK)
    return view


def _episode(generation: Generation) -> EpisodeAnswer:
    winner = generation.winner
    score = winner.score if winner is not None else None
    return EpisodeAnswer(
        success=True,
        episode=generation.episode,
        metadata=EpisodeMetadata(
            generation_time=round(generation.seconds * 1000),
            tier=generation.tier,
            quality_score=score,
            quality_class=None if score is None else quality_class(score),
            engines_run=len(generation.engines),
            engines_delivered=sum(run.delivered for run in generation.engines),
            fallback_reason=_fallback_reason(generation),
            below_threshold=winner is not None and winner.outcome == "below_threshold",
        ),
        attempts=tuple(
            AttemptAnswer(
                tier=one.tier,
                writer=one.writer,
                outcome=one.outcome,
                reason=one.reason,
                time=round(one.seconds * 1000),
                score=one.score,
                engines_run=len(one.engines),
                engines_delivered=sum(run.delivered for run in one.engines),
                engines_repaired=sum(run.repaired for run in one.engines),
                calls=one.calls,
                tokens=one.tokens,
                cost=one.cost,
            )
            for one in generation.attempts
        ),
    )


def _fallback_reason(generation: Generation) -> str | None:
    place = TIERS.index(generation.tier)
    better = [one for one in generation.attempts if TIERS.index(one.tier) < place]
    if better:
        return "; ".join(f"{one.tier}: {one.reason or one.outcome.replace('_', ' ')}" for one in better)
    # Where nothing better was even tried, as in an emergency, only the notices say why.
    return " ".join(generation.notices) or None if generation.tier == TIERS[-1] else None


async def show_job(call: Call) -> Response:
    view, record = await run_sync(_standing, call.studio, str(call.request.path_params["id"]))
    return as_json(
        JobAnswer(
            job=view.id,
            season=view.season,
            episode_number=view.number,
            state=view.state,
            error=view.error or None,
            result=_episode(record.generation) if record is not None else None,
        )
    )


def _standing(studio: Studio, job: str) -> tuple[JobView, Record | None]:
    """A job and what it wrote; also of a job that no studio remembers any more, as long as its episode is kept."""
    view = studio.job(job)
    if view is not None:
        kept = None if view.state == "running" else studio.store.record(view.season, job)
        return view, kept
    season = studio.store.season_of(job)
    record = studio.store.record(season, job) if season is not None else None
    if record is not None:
        return _as_job(record), record
    raise RefusalError(404, "not-known", f"There is no job {job[:60]!r}, and no episode of this id.")


def _as_job(record: Record) -> JobView:
    return JobView(
        id=record.id,
        season=record.season,
        parent=record.parent,
        number=record.number,
        state="done",
        updates=(),
        here=False,
    )


async def stop_job(call: Call) -> Response:
    job = str(call.request.path_params["id"])
    await run_sync(call.studio.cancel, job)
    await run_sync(_standing, call.studio, job)
    location = call.location(job)
    return as_json(JobAccepted(job=job, location=location), 202, {"Location": location})


async def follow_job(call: Call) -> Response:
    job = str(call.request.path_params["id"])
    known, _ = await run_sync(_standing, call.studio, job)
    last = call.request.headers.get("last-event-id", "")
    sent = int(last) if re.fullmatch(r"[0-9]{1,9}", last) else 0
    return StreamingResponse(
        _stream(call.studio, known, sent, call.location(job)),
        headers={"X-Accel-Buffering": "no"},
        media_type="text/event-stream",
    )


async def _stream(studio: Studio, known: JobView, sent: int, location: str) -> AsyncIterator[str]:
    """What was not sent yet, and then what happens, to the job's end."""
    last: Update | None = None
    quiet = 0.0
    look = LOOK if known.here else LOOK_ELSEWHERE
    while True:
        view = known = await _now(studio, known)
        fresh = view.updates[_unsent(view.updates, sent, last) :]
        for number, update in enumerate(fresh, len(view.updates) - len(fresh) + 1):
            yield f"id: {number}\nevent: {update.kind}\ndata: {update.model_dump_json()}\n\n"
        sent = len(view.updates)
        last = view.updates[-1] if view.updates else None
        if view.state != "running":
            end = JobEnd(job=view.id, state=view.state, error=view.error or None, location=location)
            yield f"event: end\ndata: {end.model_dump_json(by_alias=True)}\n\n"
            return
        quiet = 0.0 if fresh else quiet + look
        if quiet >= STILL_HERE:
            quiet = 0.0
            yield ": still here\n\n"
        await anyio.sleep(look)


async def _now(studio: Studio, known: JobView) -> JobView:
    """How a job stands that stood like this a moment ago, as far as anybody can tell."""
    if known.here:
        return studio.job(known.id) or known
    try:
        return await run_sync(studio.job, known.id) or known
    except StoreError:
        return known  # who follows hears on when the database is back


def _unsent(updates: Sequence[Update], sent: int, last: Update | None) -> int:
    """From which update on to send: a text takes the place of the one before it, and so may have grown since it was sent."""
    if 0 < sent <= len(updates) and updates[sent - 1].kind == "text" and updates[sent - 1] != last:
        return sent - 1
    return min(sent, len(updates))
