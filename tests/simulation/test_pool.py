"""The pool is what today's writers would write, every tier answers the same requests, and it is small."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import date
from itertools import islice
from pathlib import Path

import pytest

from cinegen_core.simulation import Pool, PoolError
from cinegen_core.simulation import pool as pools
from cinegen_core.simulation.pool import REBUILD, Entry, build_pool, draw, read_pool, shipped_file
from cinegen_core.story.load import sample_names
from cinegen_core.tiers.runner import TIERS

HANDFUL = [("dead_air", 0, 1), ("slack_water", 7, 1), ("sworn", 21, 2)]
"""Sample, seed, and how many episodes in a row."""


def without_seconds(entry: Entry) -> Entry:
    takes = {tier: take.model_copy(update={"seconds": 0.0}) for tier, take in entry.takes.items()}
    return entry.model_copy(update={"takes": takes})


def test_it_is_what_the_writers_of_today_would_write(pool: Pool) -> None:
    kept = {(one.sample, one.seed, one.number): without_seconds(one) for one in pool.entries}
    for sample, seed, episodes in HANDFUL:
        for entry in islice(draw(sample, seed), episodes):
            assert without_seconds(entry) == kept[sample, seed, entry.number], (
                f"the pool is out of date for {sample}, seed {seed}: `{REBUILD}` makes it anew"
            )


def test_a_few_hundred_requests_over_all_samples_are_answered_by_every_tier(pool: Pool) -> None:
    assert {entry.sample for entry in pool.entries} == set(sample_names())
    assert len({entry.asked for entry in pool.entries}) == len(pool.entries) == pool.header.entries >= 300
    assert all(set(entry.takes) == set(TIERS) for entry in pool.entries)
    assert pool.header.answers == 3 * len(pool.entries)


def test_it_takes_little_room_and_equal_pools_are_equal_bytes(pool: Pool) -> None:
    content = shipped_file().read_bytes()
    assert len(content) < 400_000
    assert pools.pool_bytes(pool) == content


def test_only_the_comprehensive_tier_had_engines(pool: Pool) -> None:
    for entry in pool.entries:
        assert len(entry.takes["comprehensive"].engines) >= 10
        assert not entry.takes["enhanced_baseline"].engines
        assert not entry.takes["basic_fallback"].engines


def test_an_interrupted_build_goes_on_where_it_was(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, drawn = tmp_path / "pool.gz", list[str]()

    def slowly(sample: str, seed: int, **how: object) -> Iterator[Entry]:
        if drawn[-2:] == ["dead_air", "sworn"]:
            drawn.append("interrupted")
            raise KeyboardInterrupt
        drawn.append(sample)
        return (one for one in pool.entries if (one.sample, one.seed) == (sample, seed))

    monkeypatch.setattr(pools, "sample_names", lambda: ("dead_air", "sworn", "one_more"))
    monkeypatch.setattr(pools, "draw", slowly)
    with pytest.raises(KeyboardInterrupt):
        build_pool(file, today=date(2026, 11, 28), seeds=1)
    part = file.with_name("pool.gz.part")
    part.write_text(part.read_text("utf-8") + '{"sample": "half a li', encoding="utf-8")
    told: list[tuple[int, int]] = []
    made = build_pool(file, today=date(2026, 11, 28), seeds=1, told=lambda *done: told.append(done))
    assert drawn == ["dead_air", "sworn", "interrupted", "one_more"]
    assert [(one.sample, one.number) for one in made.entries] == [
        (sample, number) for sample in ("dead_air", "sworn", "one_more") for number in (1, 2)
    ]
    assert told[-1] == (6, 6)
    assert not part.exists()
    assert read_pool(file.read_bytes(), "pool.gz") == made


@pytest.mark.parametrize(
    "content", [b"", b"no gzip", gzip.compress(b"{}\n", mtime=0)], ids=["empty", "no gzip", "too little"]
)
def test_a_broken_file_says_what_to_do(content: bytes) -> None:
    with pytest.raises(PoolError, match=REBUILD):
        read_pool(content, "pool.gz")
