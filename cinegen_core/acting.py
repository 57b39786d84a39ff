"""What people do in a studio, each thing allowed or refused by their roles before it is done, here and not only on the pages."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from datetime import timedelta
from typing import Literal

from cinegen_core.access import Action, Person, allowed, require
from cinegen_core.comparing import Comparison, Pair, Way, vote_event
from cinegen_core.flags import Change, Flags
from cinegen_core.monitor.alerts import AlertView
from cinegen_core.monitor.events import FeedbackEvent, SilenceEvent
from cinegen_core.monitoring import Monitoring
from cinegen_core.revising import edit
from cinegen_core.store import Record, Season
from cinegen_core.story import EpisodeRequest, Policy, StoryBible
from cinegen_core.story.editing import Insert, Remove, Reword
from cinegen_core.studio import Studio

FlagCommand = Literal[
    "start_rollout",
    "pause_rollout",
    "resume_rollout",
    "approve_rollout",
    "abort_rollout",
    "rollback",
    "rearm",
]


class NotKeptError(Exception):
    """This studio records nothing, or has no flags, so that there is nothing to change. Only one that is put together by hand is so."""


class Acting:
    """A person in a studio. Every method raises `NotAllowedError` for what none of the person's roles may do, and else what the studio
    raises for the same."""

    def __init__(self, studio: Studio, person: Person) -> None:
        self.studio, self.person = studio, person

    def may(self, action: Action) -> bool:
        """Whether to offer it."""
        return allowed(self.person, action)

    # Writing.

    def open_season(self, bible: StoryBible, *, source: str = "") -> Season:
        require(self.person, Action.WRITE)
        return self.studio.open_season(bible, source=source)

    def start(
        self,
        request: EpisodeRequest,
        *,
        season: str,
        parent: str | None = None,
        policy: Policy | None = None,
        fresh: bool = False,
    ) -> str:
        """The id of the job, and later of the record."""
        require(self.person, Action.WRITE)
        return self.studio.start(
            request, season=season, parent=parent, who=self.person.id, policy=policy, fresh=fresh
        )

    def stop(self, job: str) -> None:
        require(self.person, Action.STOP)
        self.studio.cancel(job)

    def edit(self, record: Record, change: Reword | Insert | Remove) -> Record:
        """A new version with one line changed. Raises `RevisionError` and `StoreError`."""
        require(self.person, Action.REVISE)
        return edit(self.studio.workshop(), record, change, who=self.person.id)

    def rewrite(self, record: Record, scene: int, *, seed: int, direction: str = "") -> str:
        """Begins to write a scene anew in the background; the id of the job. The new version `revises` the record."""
        require(self.person, Action.REVISE)
        return self.studio.start_rewrite(record, scene, seed=seed, direction=direction, who=self.person.id)

    # Reading.

    def shown(self, generation: str) -> None:
        """Records that the person sees an episode; once, however often it is shown."""
        self._reader("shown", generation)

    def chose(self, generation: str) -> None:
        """Records that the person came to the choice and took one."""
        self._reader("chose", generation)

    def exported(self, generation: str) -> None:
        """Records that the person took an episode away."""
        require(self.person, Action.EXPORT_EPISODES)
        self._reader("exported", generation)

    def rate(self, generation: str, rating: int, why: str = "") -> None:
        """Records a rating, 1..10; the last of a person on an episode counts."""
        require(self.person, Action.RATE)
        self._reader("rated", generation, rating=rating, why=why)

    def _reader(
        self,
        action: Literal["shown", "chose", "rated", "exported"],
        generation: str,
        *,
        rating: int | None = None,
        why: str = "",
    ) -> None:
        monitoring = self.studio.monitoring
        if monitoring is None:
            return
        at = self.studio.now
        parts = [action, generation, self.person.id, at.isoformat() if action == "rated" else ""]
        monitoring.feedback(
            FeedbackEvent(
                id=_digest(*parts),
                at=at,
                series=self.studio.series,
                who=self.person.id,
                generation=generation,
                action=action,
                rating=rating,
                why=why,
            )
        )

    # Comparing.

    def compare(self, request: EpisodeRequest, ways: tuple[Way, ...], *, fresh: bool = False) -> str:
        """Begins to write a request in several ways; the id of the comparison."""
        require(self.person, Action.COMPARE)
        return self.studio.start_comparison(request, ways, who=self.person.id, fresh=fresh)

    def stop_comparison(self, id: str) -> None:
        require(self.person, Action.COMPARE)
        self.studio.stop_comparison(id)

    def vote(
        self,
        comparison: Comparison,
        pair: Pair,
        preferred: Literal["first", "second", "neither"],
        *,
        about: str = "overall",
    ) -> None:
        """Records what the person prefers. Raises `BallotError`."""
        require(self.person, Action.VOTE)
        at = self.studio.now
        names = (comparison.id, pair.first.generation, pair.second.generation, about)
        vote = vote_event(
            comparison,
            pair,
            preferred,
            id=_digest("vote", self.person.id, at.isoformat(), *names),
            at=at,
            who=self.person.id,
            about=about,
            series=self.studio.series,
        )
        self._monitoring().voted(vote)

    # Operating.

    def set_flag(
        self, key: str, *, enabled: bool | None = None, percent: int | None = None, why: str, version: int
    ) -> tuple[Change, ...]:
        """Raises `RefusedError`, `StaleVersionError` where somebody changed flags since `version`, `JournalError`."""
        require(self.person, Action.CHANGE_FLAGS)
        return self._done(
            lambda flags: flags.set(
                key, enabled=enabled, percent=percent, who=self.person.name, why=why, version=version
            )
        )

    def command(
        self, command: FlagCommand, key: str, *, why: str, version: int | None = None
    ) -> tuple[Change, ...]:
        """A command on a rollout, by its plan's name, or on a flag: raises as `set_flag` does."""
        require(self.person, Action.ROLL_BACK if command in ("rollback", "rearm") else Action.MOVE_ROLLOUT)
        return self._done(
            lambda flags: getattr(flags, command)(key, who=self.person.name, why=why, version=version)
        )

    def fold_back(self, keys: Collection[str] | None, *, why: str, version: int) -> tuple[Change, ...]:
        """Writes what was changed of these flags (None: of all) into their file: raises as `set_flag` does."""
        require(self.person, Action.CHANGE_FLAGS)
        return self._done(
            lambda flags: flags.fold_back(keys=keys, who=self.person.name, why=why, version=version)
        )

    def _done(self, change: Callable[[Flags], tuple[Change, ...]]) -> tuple[Change, ...]:
        steering = self.studio.steering
        if steering is None:
            raise NotKeptError("This studio has no flags.")
        made = change(steering.flags)
        steering.catch_up()
        return made

    def enter_emergency(self, why: str) -> None:
        require(self.person, Action.EMERGENCY)
        self.studio.enter_emergency(by=self.person.name, reason=why)
        self._tell()

    def leave_emergency(self, why: str) -> None:
        require(self.person, Action.EMERGENCY)
        self.studio.leave_emergency(by=self.person.name, reason=why)
        self._tell()

    def _tell(self) -> None:
        if self.studio.steering is not None:
            self.studio.steering.catch_up()

    def acknowledge(self, alert: str) -> AlertView:
        """Raises `NoSuchAlertError`."""
        require(self.person, Action.ACKNOWLEDGE)
        return self._monitoring().acknowledge(alert, self.person.name)

    def silence(self, rule: str, *, minutes: float, why: str = "") -> SilenceEvent:
        """For so many minutes from now; 0 ends a silence. Raises `NoSuchRuleError`."""
        require(self.person, Action.SILENCE)
        until = self.studio.now + timedelta(minutes=minutes)
        return self._monitoring().silence(rule, until=until, by=self.person.name, why=why)

    def _monitoring(self) -> Monitoring:
        if self.studio.monitoring is None:
            raise NotKeptError("This studio records nothing.")
        return self.studio.monitoring


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8")).hexdigest()[:24]
