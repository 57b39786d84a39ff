"""Comparisons: one request answered several ways, what is kept of it, and what keeps it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Protocol

from pydantic import Field, ValidationError, field_validator, model_validator
from sqlalchemy import Column, String, Table, Text, insert, select, update

from cinegen_core.store.episodes import Id, StoreError
from cinegen_core.store.sql import TABLES, Database, UtcTime
from cinegen_core.story import EpisodeRequest
from cinegen_core.story.model import Noun
from cinegen_core.tiers.model import Generation, TierName

MOST_WAYS = 12
"""Ways in one comparison at most: side by side, more cannot be read, and each costs an episode."""

LISTED = 20
"""Comparisons listed unless more are asked for."""


class Way(Noun):
    """One way of writing. `label` says in words what it is, and no two of a comparison have the same.

    A `tier` stands for itself: nothing catches it where it fails. None is what flags decide, with what catches a failure. `writer`
    is empty for the studio's first. `without` are the engines left out, `flags` those set for this way alone, whatever they
    are for the person who asks. `seed` is None for the request's own.
    """

    label: Annotated[str, Field(min_length=1, max_length=2000)]
    tier: TierName | None = None
    writer: str = ""
    without: tuple[str, ...] = ()
    flags: dict[str, bool] = Field(default_factory=dict)
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None

    @field_validator("without")
    @classmethod
    def _each_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(sorted(set(names)))

    @field_validator("flags")
    @classmethod
    def _in_order(cls, flags: dict[str, bool]) -> dict[str, bool]:
        return dict(sorted(flags.items()))


class Answered(Noun):
    """What came of one way: a generation, or `why` there is none. With neither, it has not come to an end."""

    generation: Generation | None = None
    why: str = ""

    @property
    def ended(self) -> bool:
        return self.generation is not None or bool(self.why)


class Comparison(Noun):
    """One request, several ways; `answers` are in the order of `ways`."""

    id: Id
    request: EpisodeRequest
    ways: Annotated[tuple[Way, ...], Field(min_length=2, max_length=MOST_WAYS)]
    answers: tuple[Answered, ...]
    started: datetime
    who: str = ""

    @model_validator(mode="after")
    def _each_way_has_its_answer(self) -> Comparison:
        if len(self.answers) != len(self.ways):
            raise ValueError(f"there are {len(self.ways)} ways and {len(self.answers)} answers")
        if len({way.label for way in self.ways}) != len(self.ways):
            raise ValueError("two ways have the same label")
        return self

    @classmethod
    def of(
        cls, request: EpisodeRequest, ways: tuple[Way, ...], *, id: str, started: datetime, who: str = ""
    ) -> Comparison:
        """One that has yet to be answered. Raises `pydantic.ValidationError`."""
        answers = tuple(Answered() for _ in ways)
        return cls(id=id, request=request, ways=ways, answers=answers, started=started, who=who)

    @property
    def ended(self) -> bool:
        return all(answer.ended for answer in self.answers)

    @property
    def generations(self) -> tuple[Generation | None, ...]:
        """In the order of `ways`; None where there is none, or not yet."""
        return tuple(answer.generation for answer in self.answers)

    def with_answer(self, place: int, answer: Answered) -> Comparison:
        """With the answer of the way at `place` (from 0)."""
        answers = (*self.answers[:place], answer, *self.answers[place + 1 :])
        return self.model_copy(update={"answers": answers})


class Comparisons(Protocol):
    """Used from several threads at once. Every method raises `StoreError` where what is kept cannot be reached or read."""

    def save(self, comparison: Comparison) -> None:
        """Keeps it, in place of what was kept under its id."""
        ...

    def comparison(self, id: str) -> Comparison | None: ...

    def recent(self, limit: int = LISTED) -> tuple[Comparison, ...]:
        """The newest, newest first."""
        ...


class MemoryComparisons:
    """Keeps everything until the program ends: for tests, and for trying out."""

    def __init__(self) -> None:
        self._kept: dict[str, Comparison] = {}

    def save(self, comparison: Comparison) -> None:
        self._kept[comparison.id] = comparison

    def comparison(self, id: str) -> Comparison | None:
        return self._kept.get(id)

    def recent(self, limit: int = LISTED) -> tuple[Comparison, ...]:
        return _newest_first(list(self._kept.values()))[:limit]


COMPARISONS = Table(
    "comparisons",
    TABLES,
    Column("id", String(16), primary_key=True),
    Column("started", UtcTime, nullable=False, index=True),
    Column("data", Text, nullable=False),
)


class SqlComparisons:
    """In a database that several studios may share."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, comparison: Comparison) -> None:
        values = {"started": comparison.started, "data": comparison.model_dump_json()}
        with self._database.writing() as connection:
            there = update(COMPARISONS).where(COMPARISONS.c.id == comparison.id).values(values)
            if connection.execute(there).rowcount == 0:
                connection.execute(insert(COMPARISONS).values(id=comparison.id, **values))

    def comparison(self, id: str) -> Comparison | None:
        with self._database.reading() as connection:
            data = connection.scalar(select(COMPARISONS.c.data).where(COMPARISONS.c.id == id))
        return None if data is None else self._read(id, data)

    def recent(self, limit: int = LISTED) -> tuple[Comparison, ...]:
        wanted = select(COMPARISONS.c.id, COMPARISONS.c.data)
        newest = wanted.order_by(COMPARISONS.c.started.desc(), COMPARISONS.c.id.desc()).limit(limit)
        with self._database.reading() as connection:
            rows = connection.execute(newest).all()
        return tuple(self._read(id, data) for id, data in rows)

    def _read(self, id: str, data: str) -> Comparison:
        try:
            return Comparison.model_validate_json(data)
        except ValidationError as error:
            raise StoreError(
                f"{self._database.name}: the comparison {id} is damaged "
                f"({error.errors(include_url=False)[0]['msg']}). Restore the database from a backup, or delete "
                "this row of the table `comparisons` to go on without it."
            ) from error


def _newest_first(comparisons: Iterable[Comparison]) -> tuple[Comparison, ...]:
    return tuple(sorted(comparisons, key=lambda one: (one.started, one.id), reverse=True))
