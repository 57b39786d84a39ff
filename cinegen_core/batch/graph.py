"""From a plan to its tasks, and what of them is done already.

The graph of a batch is chains: a season's episodes each depend on the last, and everything else stands alone. What is done is read
from where it was kept, so that a batch that was ended in any way goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from sqlalchemy import select

from cinegen_core.batch.plan import (
    AblationPlan,
    ComparisonPlan,
    LoadedPlan,
    RescoringPlan,
    SeasonsPlan,
    request_of,
    short_names,
)
from cinegen_core.batch.results import Results
from cinegen_core.batch.tasks import Ablating, Brief, Episode, Kit, Rescoring, Task, WayTask, digest
from cinegen_core.comparing.ways import policy_for, request_for
from cinegen_core.scorer.scale import shipped
from cinegen_core.store.comparisons import Comparison, SqlComparisons
from cinegen_core.store.episodes import Record, Season, StoreError
from cinegen_core.store.sql import Database
from cinegen_core.store.sql_episodes import EPISODES, SEASONS
from cinegen_core.story import Policy, StoryBible
from cinegen_core.story.load import sample_names
from cinegen_core.studio import EMBEDDED, Studio, code
from cinegen_core.tiers.runner import TIERS

AT_ONCE = 500
"""Ids asked for in one statement."""

RESCORED_AT_ONCE = 10
"""Records of one rescoring task: what is sent to a worker with it stays small."""


@dataclass
class Chain:
    """Tasks that each need the last. The first `done` of them are; `before` is what the next one follows from, and `load` fetches it
    where it is not there yet."""

    tasks: tuple[Task, ...]
    done: int = 0
    before: tuple[str, ...] | None = None
    load: Callable[[], tuple[str, ...]] = tuple

    @property
    def next(self) -> Task | None:
        return self.tasks[self.done] if self.done < len(self.tasks) else None

    def material(self) -> tuple[str, ...]:
        """What the next task follows from. Raises `StoreError`."""
        return self.load() if self.before is None else self.before


@dataclass(frozen=True)
class Table:
    """An ablation's table, to be made of its tasks' figures: by series and seed, the task."""

    name: str
    episodes: int
    bibles: Mapping[str, StoryBible]
    tasks: Mapping[tuple[str, int], str]


@dataclass
class Graph:
    """All of a batch. `seasons` and `comparisons` are what is kept with the first task of each that ends; `tables` and `rescored` are
    files to be made in the end, by name."""

    chains: list[Chain] = field(default_factory=list)
    kit: Kit = field(default_factory=lambda: Kit(bibles={}, code=code()))
    seasons: dict[str, tuple[Season, str]] = field(default_factory=dict)
    comparisons: dict[str, Comparison] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)
    rescored: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def tasks(self) -> Iterator[Task]:
        return (task for chain in self.chains for task in chain.tasks)

    @property
    def whole(self) -> bool:
        """Whether all of it is done."""
        return all(chain.next is None for chain in self.chains)


class Planner:
    """Makes the graph of a plan for a studio, whose flags are asked once for each season and each way."""

    def __init__(self, studio: Studio, database: Database, results: Results, loaded: LoadedPlan) -> None:
        self._studio, self._database, self._results, self._loaded = studio, database, results, loaded
        self._json: dict[str, tuple[str, str]] = {}
        self._names: set[str] = set()
        self._bibles: dict[str, str] = {}
        self._seen: set[str] = set()
        plan, settings = loaded.plan, studio.settings
        self._budget = plan.budget_seconds or settings.budget_seconds
        self._engines = [engine.name for engine in studio.engines]

    def graph(self) -> Graph:
        """Raises `StoryError` for a writer or a season that is not there, and `StoreError`."""
        made = Graph()
        plan = self._loaded.plan
        now = self._studio.now
        for index, many in enumerate(plan.seasons):
            self._seasons(made, many, index, now)
        for index, one in enumerate(plan.comparisons):
            self._comparison(made, one, index, now)
        for index, ablation in enumerate(plan.ablations):
            self._ablation(made, ablation, index)
        for index, rescoring in enumerate(plan.rescoring):
            self._rescoring(made, rescoring, index)
        self._mark_done(made)
        made.kit = self._kit()
        return made

    def _kit(self) -> Kit:
        providers = self._studio.settings.providers
        return Kit(
            bibles=self._bibles,
            providers=tuple(one.model_copy(update={"key": type(one.key)("")}) for one in providers),
            keyed=frozenset(one.name for one in providers if one.key.get_secret_value()),
            code=code(),
        )

    def _bible(self, name: str) -> str:
        """The digest of one of the plan's bibles, which the workers are sent."""
        if name not in self._json:
            self._keep(name, self._loaded.bibles[name])
        found, text = self._json[name]
        self._bibles[found] = text
        return found

    def _keep(self, name: str, bible: StoryBible) -> None:
        text = bible.model_dump_json()
        self._json[name] = digest(bible=text), text

    def _written_by(self, policy: Policy) -> dict[str, object]:
        """What beside policy and request determines what is written: models, engines, code."""
        providers = [
            [one.base_url, one.model] for one in self._studio.settings.providers if policy.writer != EMBEDDED
        ]
        return {
            "policy": {
                **policy.model_dump(mode="json"),
                "engines": policy.engines and sorted(policy.engines),
            },
            "providers": providers,
            "engines": self._engines,
            "code": code(),
            "budget": self._budget,
        }

    def _brief(
        self, bible: str, one: SeasonsPlan | ComparisonPlan, policy: Policy, *, decided: bool
    ) -> Brief:
        studio = self._studio
        first = next((tier for tier in TIERS if tier == policy.tiers[0]), TIERS[0])
        user = studio.context(one.who).user or ""
        steered = studio.steering.decide(studio.context(one.who)) if studio.steering is not None else None
        shown = steered if steered is not None and decided and policy == steered.policy else None
        return Brief(
            bible=bible,
            direction=one.direction,
            minutes=one.minutes,
            policy=policy,
            first=first,
            profile=studio.writers_for(policy)[first].profile,
            budget_seconds=self._budget,
            who=one.who,
            user=studio.monitoring.user(user) if studio.monitoring is not None else user,
            series=studio.series,
            flags=shown.values if shown is not None else {},
            flag_reasons=shown.reasons if shown is not None else {},
        )

    def _writer(self, writer: str, path: tuple[str | int, ...]) -> None:
        if writer and writer not in self._studio.writer_names:
            there = ", ".join(self._studio.writer_names)
            raise self._loaded.fail(path, f"there is no writer {writer!r}", f"There are: {there}.")

    def _seasons(self, made: Graph, many: SeasonsPlan, index: int, now: datetime) -> None:
        self._writer(many.writer, ("seasons", index, "writer"))
        engines = frozenset(many.engines) if many.engines is not None else None
        if many.without:
            engines = frozenset(self._engines) - frozenset(many.without)
        policy = self._studio.policy(many.who, tier=many.tier, writer=many.writer, engines=engines)
        bible = self._bible(many.bible)
        title = self._loaded.bibles[many.bible].title
        source = many.bible if many.bible in sample_names() else ""
        brief = self._brief(bible, many, policy, decided=True)
        written_by = self._written_by(policy)
        for seed in many.all_seeds:
            season = digest(
                kind="season", name=many.name, bible=bible, seed=seed, direction=many.direction,
                minutes=many.minutes, who=many.who, **written_by,
            )  # fmt: skip
            if season in self._seen:
                continue
            self._seen.add(season)
            called = f"{many.name or title}, seed {seed}"
            tasks: list[Task] = []
            parent: str | None = None
            for number in range(1, many.episodes + 1):
                id = digest(kind="episode", season=season, number=number)
                words = f"{called}, episode {number}"
                tasks.append(
                    Episode(
                        id=id,
                        season=season,
                        parent=parent,
                        brief=brief,
                        number=number,
                        seed=seed,
                        words=words,
                    )
                )
                parent = id
            made.seasons[season] = Season(id=season, title=title, source=source, started=now), bible
            made.chains.append(Chain(tuple(tasks)))

    def _comparison(self, made: Graph, one: ComparisonPlan, index: int, now: datetime) -> None:
        request = request_of(self._loaded, one)
        decided = self._studio.policy(one.who)
        bible = self._bible(one.bible)
        state = request.state.model_dump_json() if request.state is not None else ""
        ways: list[dict[str, object]] = []
        policies: list[Policy] = []
        for place, way in enumerate(one.ways):
            self._writer(way.writer, ("comparisons", index, "ways", place, "writer"))
            policy = policy_for(way, decided, self._engines)
            policies.append(policy)
            ways.append({**way.model_dump(mode="json"), **self._written_by(policy)})
        id = digest(
            kind="comparison", name=one.name, bible=bible, number=request.number, state=state, choice=one.choice,
            seed=one.seed, direction=one.direction, minutes=one.minutes, who=one.who, ways=ways,
        )  # fmt: skip
        if id in self._seen:
            return
        self._seen.add(id)
        made.comparisons[id] = Comparison.of(request, one.ways, id=id, started=now, who=one.who)
        called = one.name or f"{request.bible.title}, episode {request.number}"
        for place, (way, policy) in enumerate(zip(one.ways, policies, strict=True)):
            task = WayTask(
                id=digest(kind="way", comparison=id, place=place),
                comparison=id,
                place=place,
                way=way,
                brief=self._brief(bible, one, policy, decided=False),
                number=request.number,
                seed=request_for(way, request).seed,
                choice=request.choice,
                words=f"{called}, way {place + 1} ({way.label})",
            )
            made.chains.append(Chain((task,), before=(state,) if state else ()))

    def _ablation(self, made: Graph, ablation: AblationPlan, index: int) -> None:
        name = self._name(ablation.name or f"ablation-{index + 1}", ("ablations", index))
        bibles = short_names(self._loaded, ablation)
        by_short = dict(zip(bibles, ablation.bibles or sample_names(), strict=True))
        tasks: dict[tuple[str, int], str] = {}
        # All series for one seed before the next seed: a batch that is stopped early is balanced.
        for seed in range(ablation.seeds):
            for series in bibles:
                bible = self._bible(by_short[series])
                id = digest(
                    kind="ablation",
                    series=series,
                    bible=bible,
                    seed=seed,
                    episodes=ablation.episodes,
                    code=code(),
                )
                tasks[series, seed] = id
                if id in self._seen:
                    continue
                self._seen.add(id)
                words = f"{name}: {series}, seed {seed}"
                task = Ablating(
                    id=id, series=series, bible=bible, seed=seed, episodes=ablation.episodes, words=words
                )
                made.chains.append(Chain((task,), before=()))
        made.tables.append(Table(name, ablation.episodes, bibles, tasks))

    def _rescoring(self, made: Graph, one: RescoringPlan, index: int) -> None:
        """What the store keeps now, but for the seasons of this plan: those have the scores of today."""
        name = self._name(one.name or f"rescored-{index + 1}", ("rescoring", index))
        with self._database.reading() as connection:
            titles = {row.id: row.title for row in connection.execute(select(SEASONS.c.id, SEASONS.c.title))}
            chosen = select(EPISODES.c.season, EPISODES.c.id, EPISODES.c.saved).order_by(
                EPISODES.c.season, EPISODES.c.number, EPISODES.c.id
            )
            rows = connection.execute(chosen).all()
        missing = next((season for season in one.seasons if season not in titles), None)
        if missing is not None:
            raise self._loaded.fail(
                ("rescoring", index, "seasons"), f"the store has no season {missing}",
                "Take an id from the studio's addresses, or leave `seasons` out for all.",
            )  # fmt: skip
        by_season: dict[str, list[tuple[str, str]]] = {}
        for row in rows:
            if row.season not in made.seasons and (not one.seasons or row.season in one.seasons):
                by_season.setdefault(row.season, []).append((row.id, row.saved.isoformat()))
        ids: list[str] = []
        for season, records in by_season.items():
            bible = digest(bible=self._bible_of(season))
            for start in range(0, len(records), RESCORED_AT_ONCE):
                some = records[start : start + RESCORED_AT_ONCE]
                id = digest(
                    kind="rescoring",
                    season=season,
                    bible=bible,
                    records=some,
                    by=shipped().version,
                    code=code(),
                )
                ids.append(id)
                if id in self._seen:
                    continue
                self._seen.add(id)
                words = f"{name}: {titles.get(season, season)} ({season}), {len(some)} episodes"
                task = Rescoring(id=id, season=season, records=tuple(one for one, _ in some), words=words)
                made.chains.append(Chain((task,), load=partial(self._kept, task)))
        made.rescored[name] = tuple(ids)

    def _bible_of(self, season: str) -> str:
        """A season's bible, as the JSON that it is kept as. Raises `StoreError` where it has gone."""
        with self._database.reading() as connection:
            bible: str | None = connection.scalar(select(SEASONS.c.bible).where(SEASONS.c.id == season))
        if bible is None:
            raise StoreError(f"The season {season} is not in the store any more, and its episodes are.")
        return bible

    def _kept(self, task: Rescoring) -> tuple[str, ...]:
        """A season's bible and some of its records, as the JSON that they are kept as."""
        with self._database.reading() as connection:
            chosen = select(EPISODES.c.id, EPISODES.c.data).where(EPISODES.c.id.in_(task.records))
            found = {row.id: row.data for row in connection.execute(chosen)}
        return (self._bible_of(task.season), *(found[id] for id in task.records if id in found))

    def _name(self, name: str, path: tuple[str | int, ...]) -> str:
        if name in self._names:
            raise self._loaded.fail(
                (*path, "name"), f"there is a table {name!r} already", "Give each its own name."
            )
        self._names.add(name)
        return name

    def _mark_done(self, made: Graph) -> None:
        """What was kept in an earlier run: each chain up to its first gap."""
        kept = self._records([task.id for task in made.tasks if isinstance(task, Episode)])
        results = self._results.ids()
        comparisons = SqlComparisons(self._database)
        for id in tuple(made.comparisons):
            made.comparisons[id] = comparisons.comparison(id) or made.comparisons[id]
        for chain in made.chains:
            for task in chain.tasks:
                if isinstance(task, Episode):
                    there = task.id in kept
                elif isinstance(task, WayTask):
                    there = made.comparisons[task.comparison].generations[task.place] is not None
                else:
                    there = task.id in results
                if not there:
                    break
                chain.done += 1
            if isinstance(chain.tasks[0], Episode):
                self._follow_on(chain)

    def _follow_on(self, chain: Chain) -> None:
        """The next episode follows the last that is kept; the first one nothing."""
        if chain.done == 0:
            chain.before = ()
            return
        last = chain.tasks[chain.done - 1]
        chain.load = partial(self._state, last.id)

    def _state(self, id: str) -> tuple[str, ...]:
        with self._database.reading() as connection:
            data = connection.scalar(select(EPISODES.c.data).where(EPISODES.c.id == id))
        if data is None:
            raise StoreError(f"The episode {id} has gone from the store while the batch was running.")
        try:
            return (Record.model_validate_json(data).generation.episode.state.model_dump_json(),)
        except ValueError as error:
            raise StoreError(
                f"{self._database.name} is damaged: the episode {id} cannot be read ({type(error).__name__}). "
                "Restore the database from a backup, or delete that row to have it written again."
            ) from error

    def _records(self, ids: Sequence[str]) -> set[str]:
        found: set[str] = set()
        for start in range(0, len(ids), AT_ONCE):
            chosen = select(EPISODES.c.id).where(EPISODES.c.id.in_(ids[start : start + AT_ONCE]))
            with self._database.reading() as connection:
                found |= set(connection.scalars(chosen))
        return found
