"""The checklist before a studio goes to work: settings, data, flags, store, models, HTTP, a generation per tier, notifications.

Each check stands alone, has its own time limit, and changes nothing that is measured: the episodes that it has written go nowhere.
What blocks is done in threads of its own, which are left behind when a check runs out of time or is cancelled.
"""

from __future__ import annotations

import asyncio
import difflib
import os
import shutil
import tempfile
import threading
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

import httpx2
import openai
from pydantic import Field, ValidationError
from sqlalchemy import func, make_url, select
from sqlalchemy.exc import ArgumentError
from starlette.applications import Starlette
from starlette.routing import Mount

from cinegen_core.api import api_app
from cinegen_core.clock import Clock, SystemClock
from cinegen_core.flags.control import Flags
from cinegen_core.flags.declared import DeclarationError, load_declared
from cinegen_core.flags.journal import JournalError
from cinegen_core.flags.model import Declared, Overlay, RolloutPlan
from cinegen_core.notify import Channel, DeliveryError, Notice, channels_from
from cinegen_core.notify.notice import trial_notice
from cinegen_core.settings import PREFIX, Settings, SettingsError
from cinegen_core.steering import GENERATION_FLAGS, MONITORING
from cinegen_core.store import MemoryStore, StoreError
from cinegen_core.store.migrations import MIGRATIONS, SCHEMA_VERSION
from cinegen_core.store.results import NoResults
from cinegen_core.store.sql import Database, SqlJournal, sqlite_url
from cinegen_core.story import EpisodeRequest, Policy
from cinegen_core.story.errors import StoryError
from cinegen_core.story.load import load_sample
from cinegen_core.story.model import Noun
from cinegen_core.studio import Studio, open_studio
from cinegen_core.tiers.model import TierName
from cinegen_core.tiers.runner import TIERS, NothingWrittenError
from cinegen_core.writers.model import Provider, Transport
from cinegen_core.writers.model.calls import read_completion
from cinegen_core.writers.model.failures import CallError, call_error

LIMIT = 30.0
"""Seconds that a check may take; one that has an episode written may take twice as many."""

LITTLE_SPACE, NO_SPACE = 1_000_000_000, 50_000_000
"""Bytes free below which a disk is a warning, and below which it has failed."""

ANSWER_TOKENS = 16
"""What a model is asked for at most, to see whether it answers."""

RECORD = "preflight.json"
"""The last report, in the data folder."""

QUESTIONS: Mapping[str, tuple[str, ...]] = {
    "health": ("systemHealth", "uptime", "activeAlerts"),
    "metrics": ("overview", "quality", "performance"),
    "flags": ("activeFlags", "rolloutStatus", "metrics"),
    "alerts": ("alerts", "counts", "meanTimeToResolve"),
}
"""What `?endpoint=` may ask for, and the keys that the answer has to have."""

ALSO_READ = ("CINEGEN_MODEL", "CINEGEN_PROVIDERS")
"""Variables that are no fields of `Settings` and are read all the same."""

TOLD_IN_WORDS = (StoreError, JournalError, DeclarationError, SettingsError, StoryError, NothingWrittenError)
"""What says by itself what is wrong, where, and what to do."""

SAMPLE = "slack_water"
"""The series that episodes are written of: every tier's episode of it is accepted as long as nothing is wrong."""

Verdict = Literal["ok", "warning", "failed"]
_T = TypeVar("_T")


class Check(Noun):
    """One point of the list: what was seen, and what to do about it where that is anything. `seconds` is what it took."""

    key: str
    name: str
    verdict: Verdict
    seen: str
    todo: str = ""
    seconds: Annotated[float, Field(ge=0)] = 0.0


class Preflight(Noun):
    """The list, gone through at `at`."""

    at: datetime
    checks: tuple[Check, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of its checks."""
        found = {check.verdict for check in self.checks}
        return "failed" if "failed" in found else "warning" if "warning" in found else "ok"


class Seen(NamedTuple):
    """What a check comes to."""

    verdict: Verdict
    seen: str
    todo: str = ""


class _Point(NamedTuple):
    key: str
    name: str
    look: Callable[[], Awaitable[Seen]]
    limit: float


async def preflight(
    settings: Settings,
    *,
    environ: Mapping[str, str],
    clock: Clock | None = None,
    url: str = "",
    notify: bool = False,
    transport: Transport | None = None,
    free: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
    only: Collection[str] = (),
    limit: float = LIMIT,
    on_check: Callable[[Check], None] = lambda check: None,
) -> Preflight:
    """Goes through the list. Never raises for what it finds, and can be cancelled at any point.

    `environ` is searched for variables that mean nothing; `url` is a running studio to ask over HTTP, without it this
    installation's own endpoints are asked in process. With `notify` a trial notice goes to those who are told of alerts; without
    it nothing is sent. `transport` is what calls to models travel over, `free` tells the bytes free in a folder. `only` names
    the checks to make, by their keys or what their keys begin with before a colon; without it all are made. `limit` is in seconds,
    `on_check` hears of each check as it ends. Raises `ValueError` where `only` names something else.
    """
    clock = clock or SystemClock()
    secrets = _secrets(settings)
    checks: list[Check] = []
    points = list(_points(settings, environ, clock, url, notify, transport, free, limit))
    kinds = {point.key.partition(":")[0]: None for point in points}
    if unknown := [name for name in only if name not in kinds and name not in {p.key for p in points}]:
        raise ValueError(f"There is no check {unknown[0]!r}. There are: {', '.join(kinds)}.")
    for point in points:
        if only and point.key not in only and point.key.partition(":")[0] not in only:
            continue
        check = await _checked(point, clock, secrets)
        checks.append(check)
        on_check(check)
    return Preflight(at=clock.now(), checks=tuple(checks))


def unusable(error: Exception, *, at: datetime) -> Preflight:
    """The report where the settings cannot even be read: all else needs them."""
    todo = "Correct it; the other checks need the settings."
    return Preflight(
        at=at, checks=(Check(key="settings", name="Settings", verdict="failed", seen=str(error), todo=todo),)
    )


def keep(report: Preflight, folder: Path) -> None:
    """Keeps a report as the last one. Raises `StoreError`."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / RECORD).write_text(report.model_dump_json(indent=2), encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{folder / RECORD}: the report cannot be kept ({error.strerror}).") from error


def last_preflight(folder: Path) -> Preflight | None:
    """The last report that was kept; None for none. Raises `StoreError`."""
    file = folder / RECORD
    try:
        return Preflight.model_validate_json(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        raise StoreError(
            f"{file}: the last preflight report cannot be read. Run `cinegen preflight` again."
        ) from error


def _points(
    settings: Settings,
    environ: Mapping[str, str],
    clock: Clock,
    url: str,
    notify: bool,
    transport: Transport | None,
    free: Callable[[Path], int],
    limit: float,
) -> Iterator[_Point]:
    def apart(work: Callable[[], Seen]) -> Callable[[], Awaitable[Seen]]:
        return lambda: in_thread(work)

    yield _Point("settings", "Settings", apart(partial(_settings, settings, environ)), limit)
    yield _Point("data", "Data folder", apart(partial(_data, settings.data_dir, free)), limit)
    yield _Point("store", "Store", apart(partial(_store, settings)), limit)
    yield _Point("flags", "Flags file", apart(partial(_flags_file, settings.flags_file)), limit)
    yield _Point("journal", "Journal of flags", apart(partial(_journal, settings, clock)), limit)
    if not settings.providers:
        yield _Point("model", "Models", _no_models, limit)
    for provider in settings.providers:
        # a small model on a slow computer may need its time, and was given it
        patience = max(limit, _patience(provider))
        look = partial(_model, provider, clock, transport)
        yield _Point(f"model:{provider.name}", f"Model {provider.name}", look, patience)
    if url:
        yield _Point("http", "HTTP endpoints", partial(_http_at, url, settings.api_token), limit)
    else:
        yield _Point("http", "HTTP endpoints", apart(partial(_http_in_process, settings, clock)), limit)
    for tier in TIERS:
        name = f"A generation, {tier}"
        yield _Point(f"tier:{tier}", name, apart(partial(_tier, settings, tier, clock)), 2 * limit)
    yield _Point("notifications", "Notifications", partial(_notifications, settings, notify, clock), limit)


async def _checked(point: _Point, clock: Clock, secrets: Sequence[str]) -> Check:
    started = clock.monotonic()
    try:
        async with asyncio.timeout(point.limit):
            found = await point.look()
    except TimeoutError:
        found = Seen(
            "failed",
            f"It did not end within {point.limit:g} s.",
            "See what keeps it; the other checks went on.",
        )
    except TOLD_IN_WORDS as error:
        found = Seen("failed", str(error))
    except Exception as error:  # noqa: BLE001 (whatever went wrong is the finding)
        found = Seen("failed", f"{type(error).__name__}: {error or 'it gives no reason'}")
    return Check(
        key=point.key,
        name=point.name,
        verdict=found.verdict,
        seen=_without(found.seen, secrets),
        todo=_without(found.todo, secrets),
        seconds=round(max(0.0, clock.monotonic() - started), 3),
    )


async def in_thread(work: Callable[[], _T]) -> _T:
    """Awaits what blocks. Unlike `asyncio.to_thread`, nothing waits for it any more once this was cancelled: not the loop when it is
    closed, nor the program when it ends."""
    future: Future[_T] = Future()

    def run() -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 (raised where it is awaited)
            future.set_exception(error)
        else:
            future.set_result(result)

    future.set_running_or_notify_cancel()
    threading.Thread(target=run, name="preflight", daemon=True).start()
    return await asyncio.wrap_future(future)


def _secrets(settings: Settings) -> tuple[str, ...]:
    """What no report may show, longest first."""
    found = [provider.key.get_secret_value() for provider in settings.providers]
    found += [settings.api_token, settings.webhook_secret, settings.user_key, *settings.notify_urls.split()]
    if settings.webhook_url:
        found.append(settings.webhook_url)
    try:
        found.append(make_url(settings.database_url).password or "" if settings.database_url else "")
    except (ArgumentError, ValueError):
        found.append(settings.database_url)
    return tuple(sorted({one for one in found if len(one) >= 4}, key=len, reverse=True))


def _without(text: str, secrets: Sequence[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


# The checks.


def _settings(settings: Settings, environ: Mapping[str, str]) -> Seen:
    known = {PREFIX + name.upper() for name in Settings.model_fields.keys() - {"providers"}}
    known |= {*ALSO_READ, *(provider.key_env for provider in settings.providers)}
    seen = f"Environment {settings.environment}, {settings.budget_seconds:g} s for a request, {settings.jobs} at once."
    unknown = sorted(name for name in environ if name.startswith(PREFIX) and name not in known)
    if not unknown:
        return Seen("ok", seen)
    words = []
    for name in unknown:
        near = difflib.get_close_matches(name, sorted(known), n=1)
        words.append(f"{name} is no setting" + (f"; did you mean {near[0]}?" if near else "."))
    return Seen("warning", f"{seen} {' '.join(words)}", "Correct the name, or unset it: it has no effect.")


def _data(folder: Path, free: Callable[[Path], int]) -> Seen:
    advice = "Choose another with CINEGEN_DATA_DIR, or let this user write there."
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix="preflight-") as file:
            file.write(b"cinegen")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return Seen("failed", f"{folder} cannot be written to ({error.strerror}).", advice)
    left = free(folder)
    seen = f"{folder} can be written to; {left / 1e9:.1f} GB are free."
    if left < LITTLE_SPACE:
        return Seen("failed" if left < NO_SPACE else "warning", seen, "Make room on this disk.")
    return Seen("ok", seen)


@contextmanager
def _opened(settings: Settings) -> Iterator[Database]:
    with Database(settings.database_url or sqlite_url(settings.data_dir / "cinegen.db")) as database:
        yield database


def _store(settings: Settings) -> Seen:
    with _opened(settings) as database, database.reading() as connection:
        step = connection.scalar(select(func.max(SCHEMA_VERSION.c.version))) or 0
        kind = database.engine.dialect.name
    seen = f"{database.name} ({kind}) answers, and its tables are at step {step} of {len(MIGRATIONS)}."
    if step < len(MIGRATIONS):
        return Seen(
            "failed",
            seen,
            "Restore it from a backup, or report this: opening it should have brought it up to date.",
        )
    return Seen("ok", seen)


def _flags_file(path: Path) -> Seen:
    declared = load_declared(path)
    missing = [key for key in (*GENERATION_FLAGS, MONITORING) if key not in declared.flags]
    wrong = [f"{key} is not declared, so it counts as off." for key in missing]
    for plan in declared.rollouts.values():
        wrong += _gates(plan, declared)
    seen = (
        f"{path} declares flags ({len(declared.flags)}), rollouts ({len(declared.rollouts)}) and triggers "
        f"({len(declared.triggers)})."
    )
    if wrong:
        return Seen(
            "warning",
            " ".join([seen, *wrong]),
            "See whether that is meant; the file is read again when it is saved.",
        )
    return Seen("ok", seen)


def _gates(plan: RolloutPlan, declared: Declared) -> list[str]:
    """What a rollout's phases lack that would make it safe."""
    wrong: list[str] = []
    if plan.phases[-1].percent != 100:
        wrong.append(f"{plan.key}: it ends at {plan.phases[-1].percent} %.")
    watching = [one for one in declared.triggers.values() if not one.flags or plan.flag in one.flags]
    if not watching:
        wrong.append(f"{plan.key}: no trigger watches {plan.flag}, so that nothing would roll it back.")
    for number, phase in enumerate(plan.phases, start=1):
        for trigger in watching:
            gate = {"quality": phase.quality, "error": phase.errors}.get(trigger.metric)
            if gate is None:
                continue
            if (gate < trigger.threshold) if trigger.worse == "below" else (gate > trigger.threshold):
                wrong.append(
                    f"{plan.key}: phase {number} lets through {trigger.metric} {gate:g}, which {trigger.key} would roll back "
                    f"({trigger.worse} {trigger.threshold:g})."
                )
        if phase.samples < 1:
            wrong.append(f"{plan.key}: phase {number} can be passed without a single episode.")
    return wrong


def _journal(settings: Settings, clock: Clock) -> Seen:
    with _opened(settings) as database:
        journal = SqlJournal(database)
        problems: list[str] = []
        flags = Flags(
            settings.flags_file, journal, now=clock.now, on_problem=problems.append, monotonic=clock.monotonic
        )
        drift, overlay = flags.drift(), flags.overlay
    seen = f"{overlay.version} changes, all readable." if overlay.version else "No flag was ever changed."
    words, todo = _standing(overlay)
    if drift:
        fields = ", ".join(f"{one.flag}.{one.field} {one.declared} -> {one.effective}" for one in drift)
        words.append(f"In force differs from the file: {fields}.")
        todo.append("`cinegen flags fold-back` writes it into the file.")
    words += problems
    return Seen("warning" if words else "ok", " ".join([seen, *words]), " ".join(todo))


def _standing(overlay: Overlay) -> tuple[list[str], list[str]]:
    """What is held back at run time, and how to lift it."""
    words: list[str] = []
    todo: list[str] = []
    if overlay.emergency is not None:
        words.append(f"Emergency since {overlay.emergency.since:%Y-%m-%d %H:%M}: {overlay.emergency.why}.")
        todo.append("`cinegen flags emergency off` ends it.")
    for key, flag in overlay.flags.items():
        if flag.latched is not None:
            words.append(f"{key} is rolled back: {flag.latched}.")
            todo.append(f"`cinegen flags rearm {key}` lifts it.")
    for key, rollout in overlay.rollouts.items():
        if rollout.state in ("paused", "awaiting_approval"):
            words.append(
                f"{key} is {rollout.state.replace('_', ' ')} in phase {rollout.phase + 1}: {rollout.why}."
            )
            step = "approve" if rollout.state == "awaiting_approval" else "resume"
            todo.append(f"`cinegen flags rollout {step} {key}` goes on with it.")
    return words, todo


async def _no_models() -> Seen:
    return Seen("ok", "None is set up; the embedded writer writes.")


async def _model(provider: Provider, clock: Clock, transport: Transport | None) -> Seen:
    where = f"{provider.model} at {provider.base_url}"
    key = provider.key.get_secret_value()
    body = {
        "model": provider.model,
        "messages": [{"role": "user", "content": "Answer with the one word: ready."}],
        provider.limit_parameter: ANSWER_TOKENS,
    }
    started = clock.monotonic()
    try:
        async with (
            httpx2.AsyncClient(
                transport=transport(provider) if transport is not None else None,
                timeout=httpx2.Timeout(_patience(provider), connect=provider.connect),
                trust_env=urlsplit(provider.base_url).hostname not in ("127.0.0.1", "localhost", "::1"),
            ) as http,
            openai.AsyncOpenAI(
                api_key=key or "none", base_url=provider.base_url, http_client=http, max_retries=0
            ) as client,
        ):
            response = await client.post("/chat/completions", cast_to=httpx2.Response, body=body)
            answer = read_completion(response.content)
    except (CallError, openai.OpenAIError, httpx2.HTTPError, OSError, ValueError) as error:
        failure = error if isinstance(error, CallError) else call_error(error, [key])
        return _unanswered(where, failure, provider)
    took = clock.monotonic() - started
    tokens = f", {answer.usage.prompt + answer.usage.completion} tokens" if answer.usage is not None else ""
    return Seen("ok", f"{where} answered in {took:.2f} s{tokens}.")


def _patience(provider: Provider) -> float:
    """Seconds."""
    return provider.connect + max(provider.first_token, provider.reply)


def _unanswered(where: str, failure: CallError, provider: Provider) -> Seen:
    if failure.outcome == "rate_limited":
        return Seen("warning", f"{where}: {failure}.", "It is there; wait, or ask for a higher limit.")
    todo = "See that the server runs and that its address is right."
    if "key" in str(failure):
        todo = f"See what {provider.key_env or 'the key'} holds."
    elif failure.outcome == "rejected":
        todo = "See that the server has this model, and which parameters it takes."
    return Seen("failed", f"{where}: {failure}.", todo)


def _http_in_process(settings: Settings, clock: Clock) -> Seen:
    """The endpoints of a studio on these settings, as its own process would serve them. Nothing is asked that writes."""
    with open_studio(settings, clock=clock) as studio:
        assert studio.monitoring is not None
        api = api_app(studio, studio.monitoring, token=settings.api_token)
        app = Starlette(routes=[Mount("/api", app=api), Mount("", app=api)])

        async def ask() -> Seen:
            transport = httpx2.ASGITransport(app=app, client=("127.0.0.1", 1))
            async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                return await _asked(client, "in process")

        return asyncio.run(ask())


async def _http_at(url: str, token: str) -> Seen:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    local = urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")
    async with httpx2.AsyncClient(
        base_url=url.rstrip("/"), headers=headers, timeout=10.0, trust_env=not local
    ) as client:
        return await _asked(client, url)


async def _asked(client: httpx2.AsyncClient, where: str) -> Seen:
    paths = [*(f"/api/generate/episode?endpoint={name}" for name in QUESTIONS), "/healthz", "/metrics"]
    wrong = [f"{path}: {problem}" for path in paths if (problem := await _problem(client, path))]
    seen = f"{len(paths) - len(wrong)} of {len(paths)} endpoints answer as they should ({where})."
    if wrong:
        todo = "See that the studio runs there, and its log; from another computer, set CINEGEN_API_TOKEN."
        return Seen("failed", " ".join([seen, *wrong]), todo)
    return Seen("ok", seen)


async def _problem(client: httpx2.AsyncClient, path: str) -> str:
    """What is wrong with an answer; empty where nothing is."""
    try:
        response = await client.get(path)
    except httpx2.HTTPError as error:
        return f"no answer ({str(error) or type(error).__name__})."
    if response.status_code != 200:
        return f"status {response.status_code}: {_detail(response)}"
    if path.endswith("/metrics"):
        return "" if "# TYPE cinegen_" in response.text else "no counters in it."
    try:
        body = response.json()
    except ValueError:
        return "it is not JSON."
    name = path.partition("endpoint=")[2]
    lacking = [
        key for key in QUESTIONS.get(name, ("status",)) if not isinstance(body, dict) or key not in body
    ]
    return f"it lacks {', '.join(lacking)}." if lacking else ""


def _detail(response: httpx2.Response) -> str:
    try:
        found: Any = response.json()
    except ValueError:
        found = None
    return str(found["detail"]) if isinstance(found, dict) and "detail" in found else response.text[:200]


def _tier(settings: Settings, tier: TierName, clock: Clock) -> Seen:
    """An episode by one tier alone, by the embedded writer: without a store, without a record, without what is kept."""
    alone = Settings(
        data_dir=settings.data_dir, budget_seconds=settings.budget_seconds, automatic_emergency=False
    )
    request = EpisodeRequest(bible=load_sample(SAMPLE))
    with Studio(alone, clock=clock, store=MemoryStore(), results=NoResults(), probes=False) as studio:
        generation = asyncio.run(studio.generate(request, policy=Policy(tiers=(tier,))))
    winner = generation.winner
    card = generation.scorecard
    score = "without a score" if card is None or card.overall is None else f"scored {card.overall:.1f} of 10"
    delivered = sum(run.delivered for run in generation.engines)
    engines = f", {delivered} of {len(generation.engines)} engines delivered" if generation.engines else ""
    seen = (
        f"{request.bible.title}, {generation.seconds:.2f} s by writer {generation.writer}, {score}{engines}."
    )
    if winner is None or winner.outcome != "accepted":
        reason = winner.reason if winner is not None else "nothing of it was finished"
        return Seen(
            "warning",
            f"{seen} It {reason}.",
            "`cinegen write` on other samples shows whether this one is the exception.",
        )
    if delivered < len(generation.engines):
        return Seen("warning", seen, "`cinegen engines` lists them; the page shows which one failed.")
    return Seen("ok", seen)


async def _notifications(settings: Settings, notify: bool, clock: Clock) -> Seen:
    """Who is told of alerts; with `notify`, whether a trial notice reaches them."""
    channels = channels_from(settings, clock)
    if not channels:
        todo = "Set CINEGEN_WEBHOOK_URL or CINEGEN_NOTIFY_URLS, so that somebody hears of alerts."
        return Seen("warning", "Nobody is told of alerts; they are only shown.", todo)
    seen = f"Alerts go to {', '.join(channel.target for channel in channels)}."
    if notify:
        notice = trial_notice(f"trial-{uuid4().hex[:16]}", clock.now(), settings.install_id[:12])
        problems = await asyncio.gather(*(_tried(channel, notice) for channel in channels))
        wrong = [
            f"{one.target}: {problem}." for one, problem in zip(channels, problems, strict=True) if problem
        ]
        if wrong:
            return Seen(
                "failed", " ".join([seen, *wrong]), "See that the address is right and that it answers."
            )
        return Seen("ok", f"{seen} A trial notice arrived everywhere.")
    if settings.webhook_url.strip() and not settings.webhook_secret:
        todo = "Set CINEGEN_WEBHOOK_SECRET, so that the receiver can tell notices from forgeries."
        return Seen("warning", seen, todo)
    return Seen("ok", f"{seen} Nothing was sent; --notify sends a trial notice.")


async def _tried(channel: Channel, notice: Notice) -> str:
    """What kept a notice from arriving; empty where nothing did."""
    try:
        await channel.send(notice)
    except DeliveryError as error:
        return str(error)
    return ""
