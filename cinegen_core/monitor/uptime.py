"""How long studios ran that should have run, from their heartbeats."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from cinegen_core.monitor.events import HeartbeatEvent

VOUCHED = timedelta(seconds=90)
"""A heartbeat comes once a minute; the next may be this late before the time between them counts as missed."""

MINUTE = timedelta(minutes=1)


def vouched(last: HeartbeatEvent | None, at: datetime) -> tuple[float, float]:
    """Seconds (up, watched) between a studio's last heartbeat and `at`.

    After a stop it was not meant to run; otherwise it was, and ran for as long as that heartbeat vouches for: until the next if
    that is no later than `VOUCHED`, else for a minute. What did not answer its own probe was not up. The seconds that it was up
    are the first of those watched.
    """
    if last is None or last.state == "stopped" or at <= last.at:
        return 0.0, 0.0
    gap = at - last.at
    up = (gap if gap <= VOUCHED else MINUTE) if last.answered else timedelta()
    return up.total_seconds(), gap.total_seconds()


def uptime(
    heartbeats: Iterable[HeartbeatEvent], now: datetime, *, hours: float | None = None
) -> float | None:
    """Percent of the time for which studios were meant to run in which they did, over the last `hours` or since their first
    heartbeat; None where none was meant to. Heartbeats tell what came before them; one that never came, silence tells."""
    since = None if hours is None else now - timedelta(hours=hours)
    last: dict[str, HeartbeatEvent] = {}
    up = watched = 0.0
    for beat in heartbeats:
        if beat.at > now:
            continue
        if beat.studio not in last or (last[beat.studio].at, last[beat.studio].state == "stopped") < (
            beat.at, beat.state == "stopped",
        ):  # fmt: skip
            last[beat.studio] = beat
        more_up, more = clipped(beat.at, beat.up, beat.watched, since)
        up, watched = up + more_up, watched + more
    for beat in last.values():
        more_up, more = silence(beat, now)
        more_up, more = clipped(now, more_up, more, since)
        up, watched = up + more_up, watched + more
    return 100.0 * up / watched if watched else None


def silence(last: HeartbeatEvent, now: datetime) -> tuple[float, float]:
    """What the time since a studio's last heartbeat says: nothing while the next is not due yet."""
    return (0.0, 0.0) if now - last.at <= VOUCHED else vouched(last, now)


def clipped(at: datetime, up: float, watched: float, since: datetime | None) -> tuple[float, float]:
    """Of seconds that ended at `at`, those after `since`."""
    if since is None:
        return up, watched
    before = min(watched, max(0.0, watched - (at - since).total_seconds()))
    return max(0.0, up - before), watched - before
