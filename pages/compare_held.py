"""What the pages of comparisons keep between two clicks, for all visitors of a server."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import streamlit as st

from cinegen_core.access import Person
from cinegen_core.comparing import SUBJECTS, Comparison, Pair, Results, results
from cinegen_core.comparing.votes import By
from cinegen_core.monitor.events import Series, VoteEvent
from cinegen_core.story.model import Noun
from cinegen_core.studio import Studio

LISTED = 10
"""Comparisons in the list of recent ones."""

ENDED_KEPT = 12
"""Comparisons held in memory; one is about a megabyte."""

READ_ANEW = timedelta(minutes=10)
"""After this long, what other studios have begun or removed is looked up again."""

SKEW = timedelta(hours=1)
"""How far the clocks of studios that share their events may be apart."""


Mine = Mapping[tuple[frozenset[str], str], VoteEvent]
"""A person's votes in a comparison, by the two generations and the subject."""


class Listed(Noun):
    """A comparison in the list of recent ones. `ways` are labels."""

    id: str
    title: str
    number: int
    started: datetime
    ways: tuple[str, ...]


class _Votes:
    """The votes of one series as far as they were read."""

    def __init__(self, begun: datetime) -> None:
        self.begun = begun
        self.read: datetime | None = None
        self.by_id: dict[str, VoteEvent] = {}
        self.counted: dict[By, Results] = {}


class Held:
    """Of one studio: comparisons that are finished, the list of recent ones, the votes, and who has seen which is which.

    May be used from any thread. Methods raise `StoreError` where what is kept cannot be read.
    """

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._lock = threading.RLock()
        self._ended: OrderedDict[str, Comparison] = OrderedDict()
        self._listed: tuple[Listed, ...] = ()
        self._listed_at: datetime | None = None
        self._votes: dict[Series, _Votes] = {}
        self._seen: set[tuple[str, str]] = set()

    def comparison(self, id: str) -> Comparison | None:
        """As it stands now; None where there is none of that id."""
        view = self._studio.comparison_job(id)
        if view is not None:
            return view.comparison
        with self._lock:
            if id in self._ended:
                self._ended.move_to_end(id)
                return self._ended[id]
        found = self._studio.comparisons.comparison(id)
        if found is not None and found.ended:
            with self._lock:
                self._ended[id] = found
                while len(self._ended) > ENDED_KEPT:
                    self._ended.popitem(last=False)
        return found

    def writing(self, id: str) -> bool:
        """Whether this studio is writing it at the moment."""
        view = self._studio.comparison_job(id)
        return view is not None and view.state == "running"

    def recent(self) -> tuple[Listed, ...]:
        """The newest, newest first. Reading them takes up to a second, so this is done every ten minutes; what is begun here is
        listed at once."""
        with self._lock:
            now = self._studio.now
            if self._listed_at is None or now - self._listed_at >= READ_ANEW:
                self._listed = tuple(_listed(one) for one in self._studio.comparisons.recent(LISTED))
                self._listed_at = now
            return self._listed

    def began(self, id: str) -> None:
        """Lists a comparison that was begun just now."""
        view = self._studio.comparison_job(id)
        with self._lock:
            if view is not None and self._listed_at is not None:
                others = tuple(one for one in self._listed if one.id != id)
                self._listed = (_listed(view.comparison), *others)[:LISTED]

    def look_again(self) -> None:
        """Lets the list and the votes be read anew."""
        with self._lock:
            self._listed_at = None
            self._votes.clear()

    def votes(self, series: Series) -> Sequence[VoteEvent]:
        """All of a series, in no order that means anything; none where the studio records nothing."""
        with self._lock:
            return tuple(self._known(series).by_id.values())

    def _known(self, series: Series) -> _Votes:
        now, monitoring = self._studio.now, self._studio.monitoring
        known = self._votes.get(series)
        if known is None or now - known.begun >= READ_ANEW:
            known = self._votes[series] = _Votes(now)
        if monitoring is not None:
            since = None if known.read is None else known.read - SKEW
            new = {
                event.id: event
                for event in monitoring.events(since, series=series, kinds=("vote",))
                if isinstance(event, VoteEvent) and event.id not in known.by_id
            }
            known.read = now
            if new:
                known.by_id.update(new)
                known.counted.clear()
        return known

    def results(self, series: Series, by: By) -> Results:
        """What the votes of a series say; counted again only where a vote has come."""
        with self._lock:
            known = self._known(series)
            if by not in known.counted:
                known.counted[by] = results(known.by_id.values(), by=by)
            return known.counted[by]

    def mine(self, comparison: Comparison, person: Person) -> Mine:
        """The person's votes in a comparison, the last of each."""
        monitoring = self._studio.monitoring
        who = monitoring.user(person.id) if monitoring is not None else person.id
        found = [
            vote
            for vote in self.votes(self._studio.series)
            if vote.comparison == comparison.id and vote.who == who and vote.about in SUBJECTS
        ]
        return {
            (frozenset((vote.first.generation, vote.second.generation)), vote.about): vote
            for vote in sorted(found, key=lambda vote: (vote.at, vote.id))
        }

    def see(self, comparison: Comparison, person: Person) -> None:
        """From now on the person knows which is which."""
        with self._lock:
            self._seen.add((comparison.id, person.id))

    def has_seen(self, comparison: Comparison, person: Person) -> bool:
        with self._lock:
            return (comparison.id, person.id) in self._seen


def both(pair: Pair) -> frozenset[str]:
    """The two generations, whichever was shown first."""
    return frozenset((pair.first.generation, pair.second.generation))


@st.cache_resource(hash_funcs={Studio: id}, max_entries=2, show_spinner=False)
def held_for(studio: Studio) -> Held:
    """One for all visitors of this server: who has seen which is which has seen it in every tab."""
    return Held(studio)


def _listed(comparison: Comparison) -> Listed:
    return Listed(
        id=comparison.id,
        title=comparison.request.bible.title,
        number=comparison.request.number,
        started=comparison.started,
        ways=tuple(way.label for way in comparison.ways),
    )
