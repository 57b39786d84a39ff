"""Outcomes of requests, as triggers, rollouts and cohorts read them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from sqlalchemy import JSON, Column, Integer, Table, insert, select

from cinegen_core.flags.model import Sample
from cinegen_core.store.episodes import StoreError
from cinegen_core.store.sql import TABLES, Database, UtcTime

OUTCOMES = Table(
    "outcomes",
    TABLES,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("at", UtcTime, nullable=False, index=True),
    Column("sample", JSON, nullable=False),
)


class SqlOutcomes:
    """In a database, in the order in which they were recorded. Raises `StoreError`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, sample: Sample) -> int:
        """The number that it was given."""
        row: dict[str, Any] = {"at": sample.at, "sample": sample.model_dump(mode="json")}
        with self._database.writing() as connection:
            done = connection.execute(insert(OUTCOMES).values(row))
            key = done.inserted_primary_key
        assert key is not None
        return int(key[0])

    def read(self, after: int = 0, since: datetime | None = None) -> Sequence[tuple[int, Sample]]:
        """Those with a number above `after`, at or later than `since`."""
        wanted = select(OUTCOMES.c.number, OUTCOMES.c.sample).where(OUTCOMES.c.number > after)
        if since is not None:
            wanted = wanted.where(OUTCOMES.c.at >= since)
        with self._database.reading() as connection:
            rows = connection.execute(wanted.order_by(OUTCOMES.c.number)).all()
        try:
            return [(int(number), Sample.model_validate(sample)) for number, sample in rows]
        except ValidationError as error:
            raise StoreError(
                f"{self._database.name}: an outcome in it cannot be read ({error.error_count()} faults)."
            ) from error
