"""Notices on their way to the people who should hear of alerts: one row for each step of an alert and each target.

A target's own row holds how far the log of events was looked at for it, and how it does. Who writes to a database is alone
there until the transaction ends, so that studios which share one take turns.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, ValidationError
from sqlalchemy import (
    Column,
    Connection,
    Integer,
    Row,
    String,
    Table,
    Text,
    and_,
    delete,
    func,
    insert,
    select,
    update,
)

from cinegen_core.monitor.events import AlertEvent
from cinegen_core.store.episodes import StoreError
from cinegen_core.store.events import EVENTS
from cinegen_core.store.sql import TABLES, Database, UtcTime
from cinegen_core.story.model import Noun

DELIVERIES = Table(
    "deliveries",
    TABLES,
    Column("step", String(80), primary_key=True),
    Column("target", String(200), primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("state", String(20), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("next", UtcTime, nullable=False, index=True),
    Column("problem", Text, nullable=False),
    Column("data", Text, nullable=False),
)

DeliveryState = Literal["waiting", "sending", "sent", "joined", "dropped", "given_up"]
"""`joined`: told by the notice of a later step. `dropped`: over before it was told, and its end is not to be told."""

_OPEN = ("waiting", "sending")
_MARK = ""
"""The step of a target's own row, which no event has: its `tries` are failures in a row, before its `next` it is left alone."""


class Joined(Noun):
    """A step that the notice of a later one tells of as well."""

    id: str
    alert: str
    state: Literal["firing", "resolved"]
    at: datetime


class Content(Noun):
    """What a notice is made of. `number` is the step's place in the log; `fired` is when its alert fired."""

    number: int
    step: AlertEvent
    fired: datetime
    joined: tuple[Joined, ...] = ()


class Delivery(Noun):
    """One notice on its way to one target. `at` is when it was put here; `next` when it is due, when the claim on it lapses
    while it is being sent, and when it was settled afterwards. `problem` says why the last try failed, or why it was not told."""

    step: str
    target: str
    at: datetime
    state: DeliveryState
    tries: Annotated[int, Field(ge=0)]
    next: datetime
    problem: str
    content: Content


class Claim(NamedTuple):
    """A delivery that is the caller's to send, and how often in a row its target has failed before."""

    delivery: Delivery
    failures: int


class _Standing(NamedTuple):
    """A target's own row."""

    seen: int
    rests_until: datetime
    failures: int


class SqlDeliveries:
    """In a database, shared with the other studios on it. Every method raises `StoreError`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def mark(self, target: str, now: datetime) -> int:
        """The number of the event up to which the log was looked at for a target; for one that is new, of the log's last."""
        with self._database.reading() as connection:
            found = self._standing(connection, target)
        if found is not None:
            return found.seen
        with self._database.writing() as connection:
            found = self._standing(connection, target)
            if found is not None:
                return found.seen
            seen = connection.scalar(select(func.max(EVENTS.c.number))) or 0
            connection.execute(insert(DELIVERIES).values(_row(_MARK, target, now, "mark", str(seen))))
        return seen

    def put(
        self,
        target: str,
        contents: Sequence[Content],
        *,
        seen: int,
        now: datetime,
        over: Collection[str] = (),
    ) -> int:
        """Notices to deliver from now on, and that the log was looked at up to `seen`; how many of them were not there yet.

        What waits of the alerts in `over` is dropped: they are resolved, and nobody is to be told so.
        """
        rows = [
            _row(content.step.id, target, now, "waiting", content.model_dump_json())
            for content in {content.step.id: content for content in contents}.values()
        ]
        with self._database.writing() as connection:
            standing = self._held(connection, target)
            wanted = DELIVERIES.c.step.in_([row["step"] for row in rows])
            known = select(DELIVERIES.c.step).where(DELIVERIES.c.target == target, wanted)
            there = set(connection.scalars(known).all())
            rows = [row for row in rows if row["step"] not in there]
            if rows:
                connection.execute(insert(DELIVERIES), rows)
            for delivery in self._open(connection, target) if over else ():
                if delivery.state == "waiting" and delivery.content.step.alert in over:
                    words = "resolved before it was told, while notices of its rule were silenced"
                    _change(connection, delivery, state="dropped", next=now, problem=words)
            if seen > standing.seen:
                _change_mark(connection, target, data=str(seen))
        return len(rows)

    def claim(self, target: str, *, now: datetime, lease: timedelta) -> Claim | None:
        """What is due next at a target, the caller's alone for the length of `lease`; None where nothing is, or it is left alone.

        What waits of an alert that has since been resolved is joined with the notice of its end; and that, if a newer alert of
        the same rule waits as well, with the notice of that one. Of the notices of a rule, one comes after the other.
        """
        if not self._any_due(target, now):
            return None
        with self._database.writing() as connection:
            standing = self._standing(connection, target)
            if standing is None or standing.rests_until > now:
                return None
            rows = self._open(connection, target)
            busy = {_group(row) for row in rows if row.state == "sending" and row.next > now}
            groups = joined(row for row in rows if _group(row) not in busy)
            due = [group[0] for group in groups if any(row.next <= now for row in group)]
            if not due:
                return None
            chosen = min(due, key=lambda row: (row.tries, row.content.number))
            known = {row.step: row for row in rows}
            for one in chosen.content.joined:
                if one.id in known:
                    words = f"told with the notice {chosen.step}, which came after it"
                    _change(connection, known[one.id], state="joined", next=now, problem=words)
            claimed = chosen.model_copy(
                update={"state": "sending", "tries": chosen.tries + 1, "next": now + lease}
            )
            _change(
                connection,
                claimed,
                state="sending",
                tries=claimed.tries,
                next=claimed.next,
                data=claimed.content.model_dump_json(),
            )
            return Claim(claimed, standing.failures)

    def sent(self, delivery: Delivery, *, now: datetime) -> None:
        """It has arrived, and its target does well."""
        with self._database.writing() as connection:
            self._held(connection, delivery.target)
            _change(connection, delivery, state="sent", next=now, problem="")
            _change_mark(connection, delivery.target, tries=0, next=now, problem="")

    def failed(
        self,
        delivery: Delivery,
        problem: str,
        *,
        now: datetime,
        again: datetime | None,
        rest: datetime | None = None,
        before: datetime | None = None,
    ) -> None:
        """A try has failed: it is due `again`, or given up. The target is left alone until `rest`, and what was put there
        before `before` is given up with it."""
        with self._database.writing() as connection:
            failures = self._held(connection, delivery.target).failures
            values: dict[str, Any] = {"state": "given_up", "next": now, "problem": problem}
            if again is not None:
                values |= {"state": "waiting", "next": again}
            ours = and_(_of(delivery), DELIVERIES.c.state == "sending", DELIVERIES.c.tries == delivery.tries)
            connection.execute(update(DELIVERIES).where(ours).values(values))
            if rest is not None:
                _change_mark(connection, delivery.target, tries=failures + 1, next=rest, problem=problem)
            if before is not None:
                old = and_(
                    DELIVERIES.c.target == delivery.target,
                    DELIVERIES.c.state == "waiting",
                    DELIVERIES.c.at < before,
                )
                connection.execute(
                    update(DELIVERIES).where(old).values(state="given_up", next=now, problem=problem)
                )

    def recent(self, limit: int = 50) -> tuple[Delivery, ...]:
        """The last deliveries of all targets, newest first: what was sent, what is waiting, what was given up, and why."""
        wanted = select(DELIVERIES).where(DELIVERIES.c.step != _MARK)
        with self._database.reading() as connection:
            rows = connection.execute(
                wanted.order_by(DELIVERIES.c.at.desc(), DELIVERIES.c.step, DELIVERIES.c.target).limit(limit)
            )
            return tuple(self._delivery(row) for row in rows)

    def forget(self, before: datetime) -> int:
        """Removes what was settled before a time, and what has been due since then and nobody sends any more (its target was taken
        out of the settings); says how many there were."""
        gone = and_(DELIVERIES.c.step != _MARK, DELIVERIES.c.next < before)
        with self._database.writing() as connection:
            return int(connection.execute(delete(DELIVERIES).where(gone)).rowcount)

    def _any_due(self, target: str, now: datetime) -> bool:
        """Nobody need wait for a look."""
        due = and_(DELIVERIES.c.target == target, DELIVERIES.c.state.in_(_OPEN), DELIVERIES.c.next <= now)
        with self._database.reading() as connection:
            return connection.scalar(select(DELIVERIES.c.step).where(due).limit(1)) is not None

    def _held(self, connection: Connection, target: str) -> _Standing:
        found = self._standing(connection, target)
        if found is None:
            raise StoreError(
                f"{self._database.name}: nothing is known of the notices for {target}. Restart the studio."
            )
        return found

    def _standing(self, connection: Connection, target: str) -> _Standing | None:
        its = and_(DELIVERIES.c.step == _MARK, DELIVERIES.c.target == target)
        row = connection.execute(select(DELIVERIES).where(its)).one_or_none()
        if row is None:
            return None
        try:
            return _Standing(int(row.data), row.next, int(row.tries))
        except ValueError as error:
            raise self._damaged(f"how far the log was looked at for {target}") from error

    def _open(self, connection: Connection, target: str) -> list[Delivery]:
        """In the order of the log."""
        wanted = select(DELIVERIES).where(DELIVERIES.c.target == target, DELIVERIES.c.state.in_(_OPEN))
        found = [self._delivery(row) for row in connection.execute(wanted)]
        return sorted(found, key=lambda one: one.content.number)

    def _delivery(self, row: Row[Any]) -> Delivery:
        values = dict(row._mapping)
        try:
            return Delivery(content=Content.model_validate_json(values.pop("data")), **values)
        except ValidationError as error:
            raise self._damaged(f"the notice {row.step} for {row.target}") from error

    def _damaged(self, what: str) -> StoreError:
        return StoreError(
            f"{self._database.name}: {what} cannot be read. Restore the database from a backup."
        )


def _row(step: str, target: str, now: datetime, state: str, data: str) -> dict[str, Any]:
    return {
        "step": step,
        "target": target,
        "at": now,
        "state": state,
        "tries": 0,
        "next": now,
        "problem": "",
        "data": data,
    }


def joined(rows: Iterable[Delivery]) -> list[list[Delivery]]:
    """What stands of notices that wait at one target, given in the order of the log, and returned by rules: the notice that an
    alert fired goes into that of its end, and an end whose beginning was not told into the next alert of the rule.

    Nothing is joined with a notice of something to know of at once (severity `info`). An alert that was told is told to be over.
    """
    groups: dict[str, list[Delivery]] = {}
    for row in rows:
        standing = groups.setdefault(_group(row), [])
        while standing and _goes_into(standing[-1], row):
            row = _with(row, standing.pop())
        standing.append(row)
    return list(groups.values())


def _group(row: Delivery) -> str:
    step = row.content.step
    return f"notice {step.id}" if step.severity == "info" else f"rule {step.rule}"


def _goes_into(earlier: Delivery, later: Delivery) -> bool:
    step = earlier.content.step
    if step.state == "firing":
        return later.content.step.alert == step.alert
    return any(one.alert == step.alert for one in earlier.content.joined)


def _with(later: Delivery, earlier: Delivery) -> Delivery:
    step = earlier.content.step
    assert step.state in ("firing", "resolved")
    its = Joined(id=step.id, alert=step.alert, state=step.state, at=step.at)
    all_ = {one.id: one for one in (*earlier.content.joined, its, *later.content.joined)}
    content = later.content.model_copy(update={"joined": tuple(all_.values())})
    return later.model_copy(update={"content": content})


def _of(delivery: Delivery) -> Any:
    return and_(DELIVERIES.c.step == delivery.step, DELIVERIES.c.target == delivery.target)


def _change(connection: Connection, delivery: Delivery, **values: Any) -> None:
    connection.execute(update(DELIVERIES).where(_of(delivery)).values(values))


def _change_mark(connection: Connection, target: str, **values: Any) -> None:
    its = and_(DELIVERIES.c.step == _MARK, DELIVERIES.c.target == target)
    connection.execute(update(DELIVERIES).where(its).values(values))
