"""Fills a data folder with what a studio has after some days: a season, a comparison and votes, an open alert, a rollout.

Episodes and the comparison are real, written by the embedded writer. The answers of the last days are the simulator's, relabelled as
live so that pages have live figures to show: for tests and measurements only, in a folder of their own.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from cinegen_core.access import single_user
from cinegen_core.acting import Acting
from cinegen_core.comparing import Comparison, ballot, vote_event, ways_from
from cinegen_core.flags.declared import load_declared
from cinegen_core.monitor.events import Event, VoteEvent
from cinegen_core.settings import Settings
from cinegen_core.simulation import Incident, Simulation, shipped_pool, simulate
from cinegen_core.store import Record, Season
from cinegen_core.store.events import SqlEvents
from cinegen_core.story import EpisodeRequest, StoryBible
from cinegen_core.story.load import load_sample
from cinegen_core.studio import Studio, open_database, open_studio
from cinegen_core.telling import TIER_WORDS
from tests.pages.browser import ROOT

PLAN = "comprehensive_engines_rollout"
SAMPLE = "slack_water"
READERS = 6
BATCH = 5_000


class Seeded(NamedTuple):
    """What a filled folder holds: the ids of its season, of the episodes there, and of the comparison."""

    season: str
    episodes: tuple[str, ...]
    comparison: str


def settings_for(folder: Path) -> Settings:
    """Those of a studio over this folder, with flags of its own: no test changes the studio's file."""
    folder.mkdir(parents=True, exist_ok=True)
    flags = folder / "flags.toml"
    if not flags.exists():
        shutil.copy(ROOT / "flags.toml", flags)
    return Settings(
        data_dir=folder, flags_file=flags, operator="Ada", automatic_emergency=False
    ).with_install_id()


def fill(folder: Path, *, episodes: int = 2, days: float = 2.0, rate: float = 60.0) -> Seeded:
    """Writes a season, compares three ways of writing, adds votes and days of answers whose end is an incident, starts the rollout.

    `rate` is answers an hour. Takes a few seconds. The incident, engines that do not deliver, leaves alerts open, and is none that
    rolls anything back.
    """
    with open_studio(settings_for(folder)) as studio:
        written = season(studio, load_sample(SAMPLE), episodes=episodes, source=SAMPLE)
        comparison = compared(studio)
        lasts = timedelta(hours=4)
        incident = Incident(kind="engine-failure", start=timedelta(days=days) - lasts, lasts=lasts)
        record(studio.settings, [*as_live(simulated(studio, days=days, rate=rate, incidents=[incident])), *votes(studio, comparison)])  # fmt: skip
        me = Acting(studio, single_user(studio.settings, listens_on="127.0.0.1"))
        me.command("start_rollout", PLAN, why="Staging went well for a week.")
    return Seeded(written[0].season, tuple(one.id for one in written), comparison.id)


def season(studio: Studio, bible: StoryBible, *, episodes: int, source: str = "") -> tuple[Record, ...]:
    """A season whose reader always takes the first choice, written by the studio's own writer."""
    opened: Season = studio.open_season(bible, source=source)
    made: list[Record] = []
    for number in range(1, episodes + 1):
        before = made[-1] if made else None
        request = EpisodeRequest.model_validate(
            {
                "bible": bible,
                "number": number,
                "state": before.generation.episode.state if before else None,
                "choice": "a" if before else None,
                "seed": 1,
            }
        )
        job = studio.start(request, season=opened.id, parent=before.id if before else None, policy=studio.policy())  # fmt: skip
        studio.wait(job, 60)
        found = studio.store.record(opened.id, job)
        assert found is not None, studio.job(job)
        made.append(found)
    return tuple(made)


def compared(studio: Studio) -> Comparison:
    """One request written on each tier."""
    request = EpisodeRequest(bible=load_sample(SAMPLE), seed=3)
    id = studio.start_comparison(request, ways_from(tiers=tuple(TIER_WORDS), words=studio.writer_words))
    job = studio._comparing[id]
    job.join(60)
    found = studio.comparisons.comparison(id)
    assert found is not None
    assert found.ended, job.view()
    return found


def votes(studio: Studio, comparison: Comparison) -> Iterator[VoteEvent]:
    """What some readers prefer of each pair; invented, and never twice in one second."""
    rng = random.Random(7)
    for reader in range(READERS):
        for place, pair in enumerate(ballot(comparison, rng).pairs):
            yield vote_event(
                comparison,
                pair,
                rng.choice(("first", "second", "first", "neither")),
                id=f"vote{reader}-{place}",
                at=studio.now - timedelta(minutes=10 * reader + place),
                who=f"reader{reader}",
            )


def simulated(
    studio: Studio, *, days: float, rate: float, incidents: Iterable[Incident] = (), seed: int = 7
) -> Simulation:
    """Days that end now, as `cinegen simulate` makes them."""
    return simulate(
        shipped_pool(),
        start=studio.now - timedelta(days=days),
        days=days,
        rate=rate,
        seed=seed,
        incidents=incidents,
        declared=load_declared(studio.settings.flags_file),
    )


def as_live(events: Iterable[Event]) -> Iterator[Event]:
    """Simulated events with the label of live ones: never for a store in which anything else is to be believed."""
    return (event.model_copy(update={"series": "live"}) for event in events)


def record(settings: Settings, events: Iterable[Event]) -> None:
    """Puts events into the database of a studio, as if it had recorded them."""
    given = list(events)
    with open_database(settings) as database:
        log = SqlEvents(database)
        for first in range(0, len(given), BATCH):
            log.add(*given[first : first + BATCH])
