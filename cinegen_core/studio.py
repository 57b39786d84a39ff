"""The composition root: from settings to a studio that writes episodes. The only place that wires."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import random
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from pydantic import ValidationError

from cinegen_core.clock import Clock, SystemClock
from cinegen_core.comparing import Comparison, ComparisonJob, Comparisons, ComparisonView, Way
from cinegen_core.emergencies import Emergencies
from cinegen_core.engines import Engine, all_engines
from cinegen_core.flags.control import Flags
from cinegen_core.flags.model import Context
from cinegen_core.jobs import Job, Jobs, JobView, SharedJobs
from cinegen_core.leading import Duties, open_lead
from cinegen_core.monitor import EmergencyState, Health, Sample, health_of, sample_of
from cinegen_core.monitor.events import Series, generation_event
from cinegen_core.monitoring import Monitoring
from cinegen_core.notify import Notifier, channels_from
from cinegen_core.revising import RevisionError, Workshop, rewrite_scene
from cinegen_core.settings import Settings
from cinegen_core.steering import RecordedOutcomes, Steering
from cinegen_core.steering import sample_of as outcome_of
from cinegen_core.store import EpisodeStore, FolderStore, Record, Season, StoreError
from cinegen_core.store.comparisons import MemoryComparisons, SqlComparisons
from cinegen_core.store.deliveries import SqlDeliveries
from cinegen_core.store.episodes import LeftOutError
from cinegen_core.store.events import SqlEvents
from cinegen_core.store.folder import bring_in
from cinegen_core.store.jobs import SqlJobs
from cinegen_core.store.leading import Alone, FencedDatabase, Lead, LeadView, Pace
from cinegen_core.store.results import NoResults, ResultCache, Results
from cinegen_core.store.rollups import SqlRollups
from cinegen_core.store.sql import Database, SqlJournal, sqlite_url
from cinegen_core.store.sql_episodes import SqlStore
from cinegen_core.story import EpisodeRequest, Policy, StoryBible
from cinegen_core.story.load import load_sample, sample_names
from cinegen_core.telling import asked_of, notices_of
from cinegen_core.tiers.judging import Judge, judge
from cinegen_core.tiers.model import Attempt, Generation, TextGrew, TierName
from cinegen_core.tiers.runner import TIERS, Answer, Budget, Halt, OnUpdate, Stopped, run
from cinegen_core.writers.base import Writer
from cinegen_core.writers.embedded.writer import EmbeddedWriter
from cinegen_core.writers.model import Calls, ModelWriter, Transport
from cinegen_core.writers.template import TemplateWriter

if TYPE_CHECKING:
    from cinegen_core.analysis.answers import AnswerBook

EMBEDDED = "embedded"

WATCHED_EVERY = 0.25
"""Seconds between two looks at whether what is being written with the engines may go on."""

EXPLORED = 500_000
"""Events, the last ones, that tables of answers are made of: some hundred thousand answers take gigabytes, and all of a large record
more than there is. `cinegen events` asks all of it."""

PROBE_LOOK = 1.0
"""Seconds between two looks at whether a probe is due."""

SAMPLES_KEPT = 5000
"""Requests that health looks back on at most; an hour has fewer."""


class StudioBusyError(RuntimeError):
    """As many episodes as `Settings.jobs` allows are being written. Wait for one, or stop one."""


def from_tier(tier: TierName | None) -> Policy:
    """The policy of somebody who picks a way of writing: that tier, and below it what catches a failure."""
    return at_most(Policy(), tier)


def at_most(policy: Policy, tier: TierName | None) -> Policy:
    """The policy without the tiers above the one that somebody picked; what it does not permit, picking does not bring back."""
    if tier is None:
        return policy
    below = TIERS[TIERS.index(tier) :]
    tiers = tuple(name for name in policy.tiers if name in below)
    return policy.model_copy(update={"tiers": tiers or ("basic_fallback",)})


class Studio:
    """Writes episodes: in the foreground (`generate`), or in the background and kept (`start`).

    Use it as a context manager, or call `close`. `steering` decides by flags how a person's
    requests are answered (without it, all is on); `monitoring` records what happens; `transport` is what calls travel over; `results` keeps
    answers; `warn` is told what went wrong without stopping anything; of studios that share a database the one that has the `lead` acts
    on what is recorded.
    With `probes` off, whoever holds the studio calls `probe` in an emergency.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        rng: random.Random | None = None,
        store: EpisodeStore | None = None,
        comparisons: Comparisons | None = None,
        results: Results | None = None,
        transport: Transport | None = None,
        writers: Mapping[TierName, Writer] | None = None,
        engines: Sequence[Engine] | None = None,
        judge: Judge = judge,
        steering: Steering | None = None,
        monitoring: Monitoring | None = None,
        notifier: Notifier | None = None,
        deliveries: SqlDeliveries | None = None,
        log: SqlEvents | None = None,
        shared_jobs: SharedJobs | None = None,
        warn: Callable[[str], None] | None = None,
        probes: bool = True,
        lead: Lead | None = None,
        explored: int = EXPLORED,
    ) -> None:
        self.settings = settings
        self.store: EpisodeStore = store or FolderStore(settings.data_dir)
        self.comparisons: Comparisons = comparisons or MemoryComparisons()
        self.explored = explored
        self.engines: tuple[Engine, ...] = tuple(all_engines() if engines is None else engines)
        self._clock = clock or SystemClock()
        self._rng = rng or random.SystemRandom()
        self._judge = judge
        self.steering = steering
        self.monitoring = monitoring
        self.notifier = notifier
        self.deliveries = deliveries
        self._log = log
        self._books: dict[Series, AnswerBook] = {}
        self._lead: Lead | Alone = lead or Alone()
        self._duties: Duties | None = None
        self._warn = warn or logging.getLogger(__name__).warning
        self._fixed_writers = writers
        self._embedded = EmbeddedWriter()
        self._template = TemplateWriter()
        self._calls = (
            Calls(settings.providers, clock=self._clock.monotonic, rng=self._rng, transport=transport)
            if settings.providers
            else None
        )
        self._results = results or _results(settings, self._warn)
        self._jobs = Jobs(shared_jobs, warn=self._warn)
        self._comparing: dict[str, ComparisonJob] = {}
        self._lock = threading.Lock()
        self._halts: set[Halt] = set()
        self._samples: deque[Sample] = deque(maxlen=SAMPLES_KEPT)
        self._health_from: datetime | None = None
        self._last: tuple[EpisodeRequest, Policy] | None = None
        self._emergencies = Emergencies(
            self._clock,
            steering=lambda: self.steering,
            monitoring=lambda: self.monitoring,
            lead=self._lead,
            prober=self._probe_on if probes else None,
            moved=self._begin_health_anew,
            warn=self._warn,
        )

    def new_id(self) -> str:
        return f"{self._rng.getrandbits(64):016x}"

    def context(self, who: str = "") -> Context:
        """For whom flags are evaluated: a person, or this installation where nobody is known."""
        return Context(user=who or self.settings.install_id or None, beta=self.settings.beta)

    def policy(
        self,
        who: str = "",
        *,
        tier: TierName | None = None,
        writer: str = "",
        engines: frozenset[str] | None = None,
    ) -> Policy:
        """How this person's requests are answered, with what was picked: a tier to begin with, a writer, some engines."""
        policy = self.steering.decide(self.context(who)).policy if self.steering is not None else Policy()
        return at_most(policy, tier).model_copy(update={"writer": writer, "engines": engines})

    @property
    def writer_names(self) -> tuple[str, ...]:
        """Who may be asked to write, the one in force first: the providers in order, and the embedded writer."""
        return (*(provider.name for provider in self.settings.providers), EMBEDDED)

    def writer_words(self, name: str = "") -> str:
        """Who writes, in words for a page: the model and its provider, or the embedded writer and why. Raises `KeyError`."""
        name = name or self.writer_names[0]
        for provider in self.settings.providers:
            if provider.name == name:
                return f"the model {provider.model} ({provider.name})"
        if name != EMBEDDED:
            raise KeyError(name)
        return "the embedded writer" + ("" if self.settings.providers else "; no language model is set up")

    def writers_for(self, policy: Policy) -> Mapping[TierName, Writer]:
        """Each tier's writer. Raises `KeyError` for a `policy.writer` that is not there."""
        if self._fixed_writers is not None:
            return self._fixed_writers
        writer: Writer = self._embedded
        if policy.writer not in self.writer_names and policy.writer:
            raise KeyError(policy.writer)
        if self._calls is not None and policy.writer != EMBEDDED:
            writer = ModelWriter(self._calls.beginning_with(policy.writer) if policy.writer else self._calls)
        return {"comprehensive": writer, "enhanced_baseline": writer, "basic_fallback": self._template}

    async def generate(
        self,
        request: EpisodeRequest,
        *,
        who: str = "",
        on_update: OnUpdate | None = None,
        policy: Policy | None = None,
        id: str | None = None,
        fresh: bool = False,
        trial: bool = False,
    ) -> Generation:
        """One episode, and how it came about; kept answers are used unless it is to be `fresh`. A `trial` says nothing about how the studio
        does: it is recorded, and counts for nothing.

        Cancelling this cancels the work, and raises `Stopped` if something of it was finished. Raises
        `NothingWrittenError` if no tier of the policy came to an episode, and `KeyError` for an unknown `policy.writer`.
        """
        steered = self.steering.decide(self.context(who)) if self.steering is not None else None
        decided = policy is None or steered is None or _unasked(policy) == steered.policy
        policy = policy or (steered.policy if steered is not None else Policy())
        id = id or self.new_id()
        started = self._clock.monotonic()
        emergency = self.emergency
        if emergency is not None:
            policy = policy.model_copy(update={"tiers": ("basic_fallback",)})
            answer = await self._write(request, policy, on_update, started)
            notice = f"The studio is in emergency mode ({emergency.reason}), so this episode comes from the template."
            generation = self._generation(id, answer, started, (notice,))
            self._record(request, generation, policy, who, emergency=True)
            return generation
        with self._lock:
            self._last = (request, policy)
        key = self._key(request, policy)

        def load() -> Generation | None:
            return None if fresh else self._kept(key, id, started)

        async def compute() -> Generation:
            answer = await self._write(request, policy, on_update, started)
            generation = self._generation(id, answer, started)
            if steered is not None and decided:
                generation = generation.model_copy(
                    update={"flags": steered.values, "flag_reasons": steered.reasons}
                )
            if trial:
                self._record(request, generation, policy, who, evaluate=False, trial=True)
            else:
                self._note(request, generation, policy, who)
            if answer.winner.outcome == "accepted" and answer.winner.tier == policy.tiers[0]:
                written = generation.model_copy(update={"kept": self._clock.now()})
                self._results.put(key, written.model_dump_json())
            return generation

        generation = await self._results.once(key, compute, load=load, seconds=self.settings.budget_seconds)
        if generation.kept is not None:
            self._record(request, generation, policy, who, trial=trial)
        return generation

    def _record(
        self,
        request: EpisodeRequest,
        generation: Generation,
        policy: Policy,
        who: str,
        *,
        emergency: bool = False,
        evaluate: bool = True,
        trial: bool = False,
    ) -> None:
        if self.monitoring is None:
            return
        first = _first(policy)
        event = generation_event(
            generation,
            at=self._clock.now(),
            first=first,
            profile=self.writers_for(policy)[first].profile,
            who=self.context(who).user or "",
            series=self.series,
            emergency=emergency,
            request=request,
            trial=trial,
        )
        self.monitoring.generated(event, evaluate=evaluate)

    @property
    def series(self) -> Series:
        """Which events are this studio's: those of a rehearsal are kept apart."""
        return "staging" if self.settings.environment == "staging" else "live"

    def monitored(self, who: str = "") -> bool:
        """Whether alerts, triggers and gates hear of what happens: the flag `production_monitoring`."""
        return self.steering is None or self.steering.monitored(self.context(who))

    async def _write(
        self,
        request: EpisodeRequest,
        policy: Policy,
        on_update: OnUpdate | None,
        started: float,
        *,
        probe: bool = False,
    ) -> Answer:
        halt = Halt()
        with self._lock:
            self._halts.add(halt)
        watched = self.steering is not None and not probe  # a probe tries what is withdrawn
        watching = asyncio.create_task(self._watch(halt)) if watched else None
        try:
            return await run(
                request,
                policy,
                writers=self.writers_for(policy),
                engines=self.engines,
                judge=self._judge,
                clock=self._clock.monotonic,
                on_update=on_update or (lambda update: None),
                budget=Budget(seconds=self.settings.budget_seconds),
                halt=halt,
                waited=max(0.0, self._clock.monotonic() - started),
            )
        finally:
            with self._lock:
                self._halts.discard(halt)
            if watching is not None:
                watching.cancel()

    async def _watch(self, halt: Halt) -> None:
        """Lets a request fall to the next tier when what it is written with is taken away, here or by another studio."""
        while self.steering is not None:
            reason = self.steering.withdrawn()
            if reason:
                halt.fall(reason)
                return
            await asyncio.sleep(WATCHED_EVERY)

    def _generation(
        self, id: str, answer: Answer, started: float, notices: tuple[str, ...] | None = None
    ) -> Generation:
        assert answer.winner.episode is not None
        return Generation(
            id=id,
            episode=answer.winner.episode,
            tier=answer.winner.tier,
            writer=answer.winner.writer,
            attempts=answer.attempts,
            notices=notices_of(answer) if notices is None else notices,
            seconds=max(0.0, self._clock.monotonic() - started),
        )

    def _key(self, request: EpisodeRequest, policy: Policy) -> str:
        """A digest of everything that determines an answer, and of nothing else."""
        writers = self.writers_for(policy)
        providers = [(p.base_url, p.model) for p in self.settings.providers if policy.writer != EMBEDDED]
        parts = {
            "request": request.model_dump(mode="json"),
            "policy": {
                **policy.model_dump(mode="json"),
                "engines": policy.engines and sorted(policy.engines),
            },
            "writers": {tier: [writer.name, writer.profile] for tier, writer in writers.items()},
            "providers": providers,
            "engines": [engine.name for engine in self.engines],
            "code": code(),
        }
        text = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode("utf-8")).hexdigest()

    def _kept(self, key: str, id: str, started: float) -> Generation | None:
        text = self._results.get(key)
        if text is None:
            return None
        try:
            kept = Generation.model_validate_json(text)
        except ValidationError as error:
            self._results.discard(
                key, f"it is not an episode ({error.error_count()} things are wrong with it)"
            )
            return None
        seconds = max(0.0, self._clock.monotonic() - started)
        return kept.model_copy(update={"id": id, "seconds": seconds})

    def clear_results(self) -> int:
        """Forgets all kept answers; the number of them."""
        return self._results.clear()

    def results_size(self) -> tuple[int, int]:
        """How many answers are kept, and how many bytes they take."""
        return self._results.size()

    def _note(self, request: EpisodeRequest, generation: Generation, policy: Policy, who: str) -> None:
        """Records what was written just now; health and triggers hear of it: not of kept answers, and not of those given in an
        emergency."""
        first = _first(policy)
        winner = generation.winner
        with self._lock:
            self._samples.append(self._sample(generation.attempts, winner, policy, first, generation.seconds))
        monitored = self.monitored(who)
        self._record(request, generation, policy, who, evaluate=monitored)
        if self.steering is not None and generation.flags:
            profile = self.writers_for(policy)[first].profile
            sample = outcome_of(generation, policy, at=self._clock.now(), profile=profile)
            self.steering.observed(sample, evaluate=monitored)
        if monitored:
            self._judge_health()

    def _sample(
        self,
        attempts: Sequence[Attempt],
        winner: Attempt | None,
        policy: Policy,
        first: TierName,
        seconds: float,
    ) -> Sample:
        writers = self.writers_for(policy)
        profile = writers[first].profile if first in writers else ""
        return sample_of(
            attempts, winner, at=self._clock.monotonic(), seconds=seconds, profile=profile, first=first
        )

    def health(self) -> Health:
        """Of the last hour's requests, and since the last emergency began or ended: what led to it says nothing about what comes after."""
        if self.monitoring is not None:
            moved = self.steering.emergency_moved() if self.steering is not None else None
            after = max((at for at in (self._health_from, moved) if at is not None), default=None)
            return self.monitoring.health(series=self.series, after=after)
        with self._lock:
            samples = tuple(self._samples)
        return health_of(samples, self._clock.monotonic())

    def _judge_health(self) -> None:
        if self.settings.automatic_emergency and self._lead.fence() is not None:
            self._emergencies.observe(self.health())

    def _begin_health_anew(self) -> None:
        with self._lock:
            self._samples.clear()
            self._health_from = self._clock.now()

    @property
    def emergency(self) -> EmergencyState | None:
        """Entered by health or by a person; None while all is well. What is in the journal holds for every studio that shares it."""
        return self._emergencies.state

    def enter_emergency(self, *, by: str, reason: str) -> None:
        """From now on only the template writes; what is being written with the engines falls to the next tier at once."""
        self._emergencies.enter(by, reason)
        with self._lock:
            halts = tuple(self._halts)
        for halt in halts:
            halt.fall(f"was stopped by {by}: {reason}")

    def leave_emergency(self, *, by: str, reason: str = "it is over") -> None:
        """Ends the emergency, whoever entered it."""
        self._emergencies.leave(by, reason)

    async def probe(self) -> bool:
        """Tries the first tier once if there is an emergency and a probe is due; whether it did."""
        if not self._emergencies.probe_due():
            return False
        with self._lock:
            last = self._last
        request, policy = last or (EpisodeRequest(bible=load_sample(sample_names()[0])), Policy())
        request = request.model_copy(update={"seed": self._rng.getrandbits(40)})
        # With the last resort behind it, a probe that fails weighs what such a request would weigh.
        policy = policy.model_copy(update={"tiers": ("comprehensive", "basic_fallback")})
        started = self._clock.monotonic()
        answer = await self._write(request, policy, None, started, probe=True)
        seconds = max(0.0, self._clock.monotonic() - started)
        self._emergencies.probed(
            self._sample(answer.attempts, answer.winner, policy, "comprehensive", seconds)
        )
        return True

    async def _probe_on(self, on_update: OnUpdate) -> None:
        while self._emergencies.probing:
            await self.probe()
            await asyncio.sleep(PROBE_LOOK)

    def leading(self) -> LeadView:
        """Which of the studios that share the database leads: acts on what triggers, rollouts and alerts call for. Raises `StoreError`."""
        return self._lead.view()

    async def season(
        self,
        first: EpisodeRequest,
        *,
        episodes: int,
        policy: Policy | None = None,
        who: str = "",
        fresh: bool = False,
    ) -> AsyncIterator[Generation]:
        """`first` and those after it, `episodes` in all; each takes the canonical choice of the last."""
        request = first
        for _ in range(episodes):
            generation = await self.generate(request, who=who, policy=policy, fresh=fresh)
            yield generation
            episode = generation.episode
            changes = {"number": episode.number + 1, "state": episode.state, "choice": None}
            request = EpisodeRequest.model_validate(
                {**{name: getattr(request, name) for name in EpisodeRequest.model_fields}, **changes}
            )

    def open_season(self, bible: StoryBible, *, source: str = "") -> Season:
        """A new season of this bible, kept. Raises `StoreError`."""
        season = Season(id=self.new_id(), title=bible.title, source=source, started=self._clock.now())
        self.store.add_season(season, bible)
        return season

    def start(
        self,
        request: EpisodeRequest,
        *,
        season: str | None,
        parent: str | None = None,
        who: str = "",
        policy: Policy | None = None,
        fresh: bool = False,
    ) -> str:
        """Begins to write in the background; the id is that of the job, and later of the kept record.

        Without a `season` it is written in one of its own, which is opened once there is room for it; the job tells which.
        Raises `StudioBusyError` where too much is going on already.
        """
        self._not_too_busy()
        id = self.new_id()
        kept_in = season if season is not None else self.open_season(request.bible).id

        async def work(on_update: OnUpdate) -> None:
            try:
                generation = await self.generate(
                    request, who=who, on_update=on_update, policy=policy, id=id, fresh=fresh
                )
            except Stopped as stopped:
                notices = ("Stopped before it was finished. This is what there was by then.",)
                await keep(self._generation(id, stopped.answer, started, notices))
                raise
            await keep(generation)

        async def keep(generation: Generation) -> None:
            record = Record(
                id=id,
                season=kept_in,
                parent=parent,
                choice=request.taken.id if request.taken else None,
                seed=request.seed,
                minutes=request.minutes,
                direction=request.direction,
                who=who,
                saved=self._clock.now(),
                asked=asked_of(generation),
                generation=generation,
            )
            await asyncio.to_thread(self.store.save, record)

        started = self._clock.monotonic()
        job = Job(id=id, season=kept_in, number=request.number, parent=parent, work=work, started=self.now)
        self._begin(job)
        return id

    def _not_too_busy(self) -> None:
        if sum(job.running for job in self._jobs.here()) >= self.settings.jobs:
            raise StudioBusyError(
                f"{self.settings.jobs} episodes are being written at the moment. Wait for one, or stop one."
            )

    def _begin(self, job: Job) -> None:
        with self._lock:
            self._not_too_busy()
            self._jobs.start(job)
        self._jobs.tell(job.id)

    def jobs(self, *, here: bool = False) -> tuple[JobView, ...]:
        """What is being written at the moment, the oldest first: `here`, or by any studio on the same database. Raises `StoreError`."""
        return self._jobs.running(here=here)

    def job(self, id: str) -> JobView | None:
        """How a job stands, whichever studio on the same database runs it; None for one that none has started, or none of late. Raises
        `StoreError` where another's cannot be read."""
        return self._jobs.view(id)

    def cancel(self, id: str) -> None:
        """Stops a job, one of another studio within a second or so. What it had finished is kept, what it was writing dropped; a job that
        has ended stays as it is. Raises `StoreError` where another studio cannot be told."""
        self._jobs.cancel(id)

    def wait(self, id: str, seconds: float | None = None) -> JobView | None:
        """Waits until a job ends, at most so long, and says how it stands. Raises `StoreError` where another's cannot be read."""
        return self._jobs.wait(id, seconds)

    def start_rewrite(
        self, record: Record, scene: int, *, seed: int, direction: str = "", who: str = ""
    ) -> str:
        """Begins to write one scene of an episode anew in the background; the id of the job. What comes of it is kept as a record that
        `revises` this one, under the job's id. Raises `StudioBusyError`, and `RevisionError` in an emergency, when only the template
        writes."""
        if self.emergency is not None:
            raise RevisionError(
                "The studio is in emergency mode, so no scene is written anew. Edit its lines by hand, or wait until it is over."
            )
        self._not_too_busy()
        id = self.new_id()
        shop = replace(self.workshop(), new_id=lambda: id)

        async def work(on_update: OnUpdate) -> None:
            await rewrite_scene(
                shop,
                record,
                scene,
                seed=seed,
                direction=direction,
                who=who,
                said=lambda text: on_update(TextGrew(text=text)),
            )

        job = Job(
            id=id, season=record.season, number=record.number, parent=record.id, work=work, started=self.now
        )
        self._begin(job)
        return id

    def start_comparison(
        self, request: EpisodeRequest, ways: tuple[Way, ...], *, who: str = "", fresh: bool = False
    ) -> str:
        """Begins to write one request in several ways in the background; the id of the comparison, which is kept.

        Raises `StudioBusyError` where too much is going on already.
        """
        if sum(job.running for job in self._comparing.values()) >= self.settings.jobs:
            raise StudioBusyError(
                f"{self.settings.jobs} comparisons are being written at the moment. Wait for one, or stop one."
            )
        made = Comparison.of(request, ways, id=self.new_id(), started=self._clock.now(), who=who)
        job = ComparisonJob(
            _Trials(self),
            made,
            decided=self.policy(who),
            engines=[engine.name for engine in self.engines],
            kept=self.comparisons,
            at_once=self.settings.jobs,
            fresh=fresh,
        )
        self._comparing[made.id] = job
        job.start()
        return made.id

    def comparison_job(self, id: str) -> ComparisonView | None:
        """How a comparison that this studio has started stands; None for another: `comparisons` may have it."""
        job = self._comparing.get(id)
        return job.view() if job else None

    def stop_comparison(self, id: str) -> None:
        """Stops its ways; those that are finished stay."""
        if id in self._comparing:
            self._comparing[id].cancel()

    def workshop(self) -> Workshop:
        """What changing an episode needs of this studio."""
        first = self.writers_for(Policy())["comprehensive"]
        writers = (first,) if first is self._embedded else (first, self._embedded)
        return Workshop(
            store=self.store,
            judge=self._judge,
            writers=writers,
            clock=self._clock,
            new_id=self.new_id,
            engines=self.engines,
        )

    def book(self, series: Series = "live") -> AnswerBook:
        """The answers of a series as tables, which the studio keeps up to date; of older events than the last `explored` there are none.
        Raises `StoreError`."""
        # Tables take half a second to load, and only who explores needs them.
        from cinegen_core.analysis.answers import AnswerBook

        with self._lock:
            if series not in self._books:
                read = self._log.read_json if self._log is not None else _nothing_read
                last = self._log.last() if self._log is not None else 0
                self._books[series] = AnswerBook(read, series, after=max(0, last - self.explored))
            book = self._books[series]
        if self.settings.retention_days:
            book.forget(self.now - timedelta(days=self.settings.retention_days))
        return book

    @property
    def now(self) -> datetime:
        return self._clock.now()

    def begin_heartbeats(self) -> None:
        """From now on this studio records once a minute that it runs, follows what others do, and leads if it is its turn; for whoever
        serves it."""
        if self.monitoring is None or self._duties is not None:
            return
        self._duties = Duties(
            lead=self._lead,
            clock=self._clock,
            monitoring=self.monitoring,
            steering=self.steering,
            notifier=self.notifier,
            emergencies=self._emergencies,
            monitored=self.monitored,
            trouble=self.trouble,
            judge_health=self._judge_health,
            warn=self._warn,
        )
        self._duties.begin()

    def trouble(self) -> str:
        """Why this studio could keep nothing at the moment; empty if it could."""
        try:
            self.store.check()
        except StoreError as error:
            return str(error)
        return ""

    def close(self) -> None:
        """Stops what is being written, waits for it to stop, and closes what the studio owns."""
        with self._lock:
            jobs: list[Job | ComparisonJob] = [*self._jobs.here(), *self._comparing.values()]
        for job in jobs:
            job.cancel()
        for job in jobs:
            job.join(None)
        self._jobs.close()
        self._emergencies.close()
        if self._duties is not None:
            self._duties.close()
        else:
            self._lead.release()
        self._results.close()
        if self.steering is not None:
            self.steering.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _nothing_read(*, after: int, series: Series | None, kinds: Iterable[str]) -> list[tuple[int, str]]:
    """The log of a studio that records nothing."""
    return []


class _Trials:
    """A studio as comparisons see it: what it writes for them is a trial."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    async def generate(
        self,
        request: EpisodeRequest,
        *,
        who: str = "",
        on_update: OnUpdate | None = None,
        policy: Policy | None = None,
        id: str | None = None,
        fresh: bool = False,
    ) -> Generation:
        return await self._studio.generate(
            request, who=who, on_update=on_update, policy=policy, id=id, fresh=fresh, trial=True
        )


def open_studio(settings: Settings, *, clock: Clock | None = None, pace: Pace = Pace()) -> Studio:  # noqa: B008 (frozen)
    """A studio with everything that its settings name: flags, database, kept answers. `pace` is how soon others take the lead from one
    that dies. Raises as `open_steering` does."""
    clock = clock or SystemClock()
    settings = settings if settings.install_id else settings.with_install_id()
    database = open_database(settings)
    try:
        store = SqlStore(database)
        try:
            bring_in(FolderStore(settings.data_dir), store)
        except LeftOutError as error:
            logging.getLogger(__name__).warning("%s", error)
        lead = open_lead(settings, clock, database, pace)
        monitoring = open_monitoring(settings, clock, database, lead)
        steering = open_steering(settings, clock, database, monitoring, lead)
        deliveries = SqlDeliveries(database)
        return Studio(
            settings,
            clock=clock,
            store=store,
            notifier=open_notifier(settings, clock, database, lead),
            deliveries=deliveries,
            log=SqlEvents(database),
            shared_jobs=SqlJobs(database),
            comparisons=SqlComparisons(database),
            steering=steering,
            monitoring=monitoring,
            lead=lead,
        )
    except BaseException:
        database.close()
        raise


def open_database(settings: Settings) -> Database:
    """The database of an installation. Raises `StoreError`."""
    return FencedDatabase(settings.database_url or sqlite_url(settings.data_dir / "cinegen.db"))


def open_notifier(
    settings: Settings, clock: Clock, database: Database, lead: Lead | None = None
) -> Notifier | None:
    """Who is told of alerts, and how; None where nobody is. Raises `SettingsError` for addresses that cannot be used."""
    channels = channels_from(settings, clock)
    if not channels:
        return None
    return Notifier(
        SqlEvents(database),
        SqlDeliveries(database),
        channels,
        clock=clock,
        rng=random.SystemRandom(),
        studio=settings.install_id[:12] or "studio",
        lead=lead,
    )


def open_monitoring(
    settings: Settings, clock: Clock, database: Database, lead: Lead | None = None
) -> Monitoring:
    """What an installation has recorded. Raises `StoreError`."""
    events = SqlEvents(database)
    return Monitoring(
        events,
        SqlRollups(database, events),
        now=clock.now,
        secret=settings.user_key or settings.install_id,
        studio=settings.install_id[:12] or "studio",
        plain_users=settings.plain_users,
        kept=timedelta(days=settings.retention_days) if settings.retention_days else None,
        forget_too=SqlDeliveries(database).forget,
        lead=lead,
    )


def open_steering(
    settings: Settings,
    clock: Clock,
    database: Database | None = None,
    monitoring: Monitoring | None = None,
    lead: Lead | None = None,
) -> Steering:
    """The flags of an installation, and what watches over them; `monitoring` is told of their changes. Where no `lead` is given, as for
    commands that look at flags or change them, what triggers and rollouts call for is left to the studio that leads.

    Raises `DeclarationError` where flags.toml cannot be used at all, `StoreError` where the database cannot.
    """
    warn = logging.getLogger(__name__).warning

    def problem(words: str) -> None:
        warn(words)
        if monitoring is not None:
            monitoring.told("flags_file_broken", words)

    database = database or open_database(settings)
    try:
        journal = SqlJournal(database)
        flags = Flags(
            settings.flags_file, journal, now=clock.now, on_problem=problem, monotonic=clock.monotonic
        )
        staging = settings.environment == "staging"
        return Steering(
            flags,
            RecordedOutcomes(SqlEvents(database), "staging" if staging else "live"),
            journal.read,
            now=clock.now,
            warn=warn,
            changed=monitoring.changed if monitoring is not None else lambda change: None,
            close=database.close,
            lead=lead or open_lead(settings, clock, database),
        )
    except BaseException:
        database.close()
        raise


def _first(policy: Policy) -> TierName:
    """The highest tier that a policy permits."""
    return next((tier for tier in TIERS if tier == policy.tiers[0]), TIERS[0])


def _unasked(policy: Policy) -> Policy:
    """A policy without what a person may pick beside what flags decide."""
    return policy.model_copy(update={"writer": "", "engines": None})


def _results(settings: Settings, warn: Callable[[str], None]) -> Results:
    if settings.cache_megabytes == 0:
        return NoResults()
    return ResultCache(settings.data_dir / "results", megabytes=settings.cache_megabytes, warn=warn)


@lru_cache(maxsize=1)
def code() -> str:
    """A digest of the code and content that write and judge: another version of them gives other answers."""
    root = Path(__file__).parent
    digest = hashlib.sha256()
    for room in ("engines", "scorer", "story", "tiers", "writers"):
        for file in sorted((root / room).rglob("*")):
            if file.is_file() and file.suffix != ".pyc":
                digest.update(file.relative_to(root).as_posix().encode())
                digest.update(file.read_bytes())
    return digest.hexdigest()
