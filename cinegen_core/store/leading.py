"""Who leads: of the studios that share a database, the one that does what only one may do at a time.

The lead is a row of the database: who holds it, since when and until when by the database's own clock, and its fence, a number
that grows by one whenever somebody else takes it. The leader renews its row every two seconds for six; the others look at it
every second, and the first who finds it lapsed takes it. A row works the same in a file of SQLite and in PostgreSQL. (A lock of a
session in PostgreSQL would be let go of at once when its process dies, but never by one that is stopped, and only after hours by
one whose network was cut; and behind a pool of connections it holds nothing.)

What is guaranteed:

* There is one leader for each fence. It is taken in a transaction in which nobody else writes (`Database.writing`).
* What is written inside `Lead.acting` is kept only if the row still has the writer's fence, looked at in the same transaction. So
  all that leader 7 wrote comes before all that leader 8 wrote, however long leader 7 was stopped in between, and whatever any clock
  says. This needs a `FencedDatabase`.
* A leader that dies, is stopped, or loses the database is followed by another no later than `Pace.longest_gap` after it last renewed
  (7 s), and what one transaction takes: within 10 s. One that ends properly lets go at once.
* A clock of the database that is set back delays nobody by more than one lease, and one that is set forward takes the lead from
  somebody who is alive at worst: its writes are refused from then on.

What is not: what leaves the database. A notice that a leader was sending as it was stopped may arrive when another leads already,
under the same id as any repetition of it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from sqlalchemy import (
    Column,
    Connection,
    Double,
    Integer,
    String,
    Table,
    event,
    extract,
    func,
    insert,
    select,
    update,
)

from cinegen_core.store.episodes import StoreError
from cinegen_core.store.sql import _WRITES, PATIENCE, TABLES, Database
from cinegen_core.story.model import Noun

LEADS = Table(
    "leads",
    TABLES,
    Column("name", String(40), primary_key=True),
    Column("holder", String(200), nullable=False),
    Column("fence", Integer, nullable=False),
    Column("since", Double, nullable=False),
    Column("until", Double, nullable=False),
)


class Pace(NamedTuple):
    """Seconds: how long the lead lasts if it is not renewed, how often it is, and how often others look whether it has lapsed.
    Then, of a studio that is served: how often it looks for what is new, and how often time passes where nothing is; and how long its
    work may take before it is taken to hang, and renews no more."""

    lease: float = 6.0
    renewed: float = 2.0
    looked: float = 1.0
    followed: float = 0.5
    ticked: float = 60.0
    hung: float = 30.0

    @property
    def longest_gap(self) -> float:
        """Seconds between a leader's last renewal and the moment at which another begins to take over, at most."""
        return self.lease + self.looked


class LeadLostError(StoreError):
    """Somebody else leads by now: what was to be done as leader was not done, and is theirs to do."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"Another studio leads ({name}) by now. What this one was about to do as leader is left to it."
        )


class LeadView(Noun):
    """Who leads. `holder` is the studio, its computer and process, or empty where nobody leads; `since` by the database's clock, and
    None for a studio that shares with nobody; `mine` says whether it is who asks."""

    holder: str
    since: datetime | None
    mine: bool


class Term(NamedTuple):
    """A time for which somebody leads, whose end is not known: the name of the lead, and its fence."""

    name: str
    fence: int


class Standing(NamedTuple):
    """A lead's row, and what the database's clock said as it was read; seconds since 1970."""

    holder: str
    fence: int
    since: float
    until: float
    now: float

    def free(self, lease: float) -> bool:
        """Whether it has lapsed, or holds for longer than anybody could have taken it for: then the clock was set back."""
        return self.until <= self.now or self.until > self.now + lease


_ACTING: ContextVar[Term | None] = ContextVar("cinegen_acting", default=None)


HELD_AT_MOST = 4.0
"""Seconds for which one who is in the middle of writing may do nothing, before PostgreSQL ends that and lets others write."""


class FencedDatabase(Database):
    """A database in which what is written inside `Lead.acting` is kept only while that lead holds, and in which nobody who was stopped
    in the middle of writing holds up the others: PostgreSQL undoes what they wrote, after `held` seconds. A file of SQLite knows no such
    thing: it stays locked until whoever holds it goes on or is killed."""

    def __init__(self, url: str, *, patience: float = PATIENCE, held: float = HELD_AT_MOST) -> None:
        super().__init__(url, patience=patience)
        if self.engine.dialect.name == "postgresql":
            event.listen(self.engine, "begin", _let_go_after(held))

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """As `Database.writing`; raises `LeadLostError` where the writer acts as a leader that it is no more."""
        with super().writing() as connection:
            term = _ACTING.get()
            if term is not None:
                held = connection.scalar(select(LEADS.c.fence).where(LEADS.c.name == term.name))
                if held != term.fence:
                    raise LeadLostError(term.name)
            yield connection


def _let_go_after(seconds: float) -> Callable[[Connection], None]:
    limit = f"SET LOCAL idle_in_transaction_session_timeout = {round(seconds * 1000)}"

    def begins(connection: Connection) -> None:
        if connection.get_execution_options().get(_WRITES):
            connection.exec_driver_sql(limit)

    return begins


def seconds_of(connection: Connection) -> float:
    """What the database's clock says now, not when the transaction began: seconds since 1970."""
    if connection.dialect.name == "postgresql":
        found = connection.scalar(select(extract("epoch", func.clock_timestamp())))
    else:
        found = connection.scalar(select((func.julianday("now") - 2440587.5) * 86400.0))
    assert found is not None
    return float(found)


class SqlLead:
    """A lead's row. Every method raises `StoreError`."""

    def __init__(
        self, database: Database, name: str, *, clock: Callable[[Connection], float] = seconds_of
    ) -> None:
        """Studios that lead under different names do not concern each other. `clock` reads the database's."""
        self._database, self.name, self._clock = database, name, clock

    def standing(self) -> Standing | None:
        """None where nobody has ever led."""
        with self._database.reading() as connection:
            return self._standing(connection)

    def take(self, holder: str, lease: float) -> Term | None:
        """Takes the lead for so many seconds if it has lapsed; None where it has not."""
        with self._database.writing() as connection:
            found = self._standing(connection)
            now = self._clock(connection) if found is None else found.now
            if found is None:
                values = {"holder": holder, "fence": 1, "since": now, "until": now + lease}
                connection.execute(insert(LEADS).values(name=self.name, **values))
                return Term(self.name, 1)
            if found.until > now:
                if found.until > now + lease:
                    self._set(connection, until=now + lease)
                return None
            fence = found.fence + 1
            self._set(connection, holder=holder, fence=fence, since=now, until=now + lease)
            return Term(self.name, fence)

    def renew(self, term: Term, lease: float) -> bool:
        """Holds it for so many seconds from now; False where somebody else has taken it. What has lapsed and was not taken goes on."""
        with self._database.writing() as connection:
            found = self._standing(connection)
            if found is None or found.fence != term.fence:
                return False
            self._set(connection, until=found.now + lease)
            return True

    def release(self, term: Term) -> None:
        """Lets go of it, if it is still the term's."""
        with self._database.writing() as connection:
            found = self._standing(connection)
            if found is not None and found.fence == term.fence:
                self._set(connection, until=found.now)

    def _standing(self, connection: Connection) -> Standing | None:
        columns = (LEADS.c.holder, LEADS.c.fence, LEADS.c.since, LEADS.c.until)
        row = connection.execute(select(*columns).where(LEADS.c.name == self.name)).one_or_none()
        return None if row is None else Standing(*row, now=self._clock(connection))

    def _set(self, connection: Connection, **values: object) -> None:
        connection.execute(update(LEADS).where(LEADS.c.name == self.name).values(**values))


class Leads(Protocol):
    """Whether somebody leads, for those who do what only a leader may. From any thread."""

    def fence(self) -> int | None:
        """Of the term for which this one leads; None while it does not. Costs nothing."""
        ...

    def ask(self) -> bool:
        """Whether this one leads; takes the lead if nobody has it, and nothing looks after it already. Raises `StoreError`."""
        ...

    def acting(self) -> AbstractContextManager[None]:
        """What is written inside is kept only if this one leads. Raises `LeadLostError`."""
        ...


class Alone:
    """The lead of one that shares with nobody: it always leads. Otherwise as `Lead`."""

    pace = Pace()

    def begin(self) -> None:
        """There is nothing to look after."""

    def fence(self) -> int | None:
        return 0

    def ask(self) -> bool:
        return True

    def look(self) -> bool:
        return True

    def acting(self) -> AbstractContextManager[None]:
        return nullcontext()

    def view(self) -> LeadView:
        return LeadView(holder="this studio", since=None, mine=True)

    def release(self) -> None:
        """There is nobody to take it."""


class Lead:
    """One of those that may lead. Its methods may be called from any thread.

    A studio that is served calls `begin`, and then `look` about once a second, for as long as it runs. Another one, as a command
    that writes an episode, needs none of that: with `ask` it takes the lead for the moment if nobody has it. Both `release` it in
    the end.
    """

    def __init__(
        self,
        rows: SqlLead,
        *,
        holder: str,
        monotonic: Callable[[], float],
        pace: Pace = Pace(),  # noqa: B008 (frozen)
    ) -> None:
        self._rows, self.holder, self._monotonic, self.pace = rows, holder, monotonic, pace
        self._lock = threading.Lock()
        self._term: Term | None = None
        self._until = self._renew_at = self._look_at = float("-inf")
        self._looked_after = False

    def begin(self) -> None:
        """From now on `look` is called regularly, and only that takes or renews the lead."""
        self._looked_after = True

    def fence(self) -> int | None:
        term, until = self._term, self._until
        return term.fence if term is not None and self._monotonic() < until else None

    def ask(self) -> bool:
        return self.fence() is not None if self._looked_after else self.look()

    def look(self) -> bool:
        """Renews the lead where that is due, takes it where it has lapsed; whether this one leads. Raises `StoreError`."""
        with self._lock:
            began = self._monotonic()
            if self._term is not None:
                if began < self._renew_at:
                    return True
                if self._rows.renew(self._term, self.pace.lease):
                    self._holds(self._term, began)
                    return True
                self._term = None
            elif began < self._look_at and not self._looked_after:
                return False
            self._look_at = began + self.pace.looked
            found = self._rows.standing()
            if found is not None and not found.free(self.pace.lease):
                return False
            term = self._rows.take(self.holder, self.pace.lease)
            if term is not None:
                self._holds(term, began)
            return term is not None

    def _holds(self, term: Term, began: float) -> None:
        # From before the transaction: here the lease never seems to last longer than the database says.
        self._until, self._renew_at = began + self.pace.lease, began + self.pace.renewed
        self._term = term

    @contextmanager
    def acting(self) -> Iterator[None]:
        fence = self.fence()
        if fence is None:
            raise LeadLostError(self._rows.name)
        before = _ACTING.set(Term(self._rows.name, fence))
        try:
            yield
        finally:
            _ACTING.reset(before)

    def view(self) -> LeadView:
        """Raises `StoreError`."""
        found = self._rows.standing()
        if found is None or found.until <= found.now:
            return LeadView(holder="", since=None, mine=False)
        since = datetime.fromtimestamp(found.since, UTC)
        return LeadView(holder=found.holder, since=since, mine=found.fence == self.fence())

    def release(self) -> None:
        """Lets go of the lead, so that another may take it at once; where the database does not answer, once it has lapsed."""
        with self._lock:
            term, self._term = self._term, None
            if term is not None:
                with suppress(StoreError):
                    self._rows.release(term)
