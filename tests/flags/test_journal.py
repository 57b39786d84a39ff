"""The journal keeps every change, in order, and refuses those that were decided from an older state."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinegen_core.flags.journal import Journal, JournalError, MemoryJournal, StaleVersionError, fold
from cinegen_core.flags.model import Change, EmergencyOverlay, FlagOverlay, Overlay, RolloutOverlay
from cinegen_core.store.sql import Database, SqlJournal, sqlite_url

START = datetime(2026, 1, 5, 10, tzinfo=UTC)


def a_change(version: int, **changes: Any) -> Change:
    return Change.model_validate(
        {
            "version": version,
            "at": START + timedelta(minutes=version),
            "who": "Ada",
            "why": "to see what happens",
            "kind": "set",
            "subject": "flag:engines",
            "after": {"percent": version % 101},
            **changes,
        }
    )


@pytest.fixture(params=["memory", "sqlite"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Journal]:
    if request.param == "memory":
        yield MemoryJournal()
    else:
        with Database(sqlite_url(tmp_path / "flags.db")) as database:
            yield SqlJournal(database)


def test_what_was_appended_is_read_in_order(journal: Journal) -> None:
    assert (journal.version(), journal.read()) == (0, ())
    first, second, third = a_change(1), a_change(2, before={"percent": 1}), a_change(3, after=None)
    journal.append(first)
    journal.append(second, third)
    assert journal.version() == 3
    assert journal.read() == (first, second, third)
    assert journal.read(after=1) == (second, third)
    assert journal.read(after=3) == ()


def test_a_change_decided_from_an_older_state_is_refused_and_told_what_happened_since(
    journal: Journal,
) -> None:
    journal.append(a_change(1))
    journal.append(a_change(2, who="Ben", why="too many errors", kind="rollback"))
    with pytest.raises(StaleVersionError) as refused:
        journal.append(a_change(2, who="Cleo"))
    assert (refused.value.read, refused.value.current) == (1, 2)
    assert [change.who for change in refused.value.newer] == ["Ben"]
    for told in ("from version 1", "at version 2", "Ben", "rollback engines", "too many errors"):
        assert told in str(refused.value)
    assert journal.version() == 2


def test_a_version_that_the_journal_never_had_is_refused(journal: Journal) -> None:
    with pytest.raises(StaleVersionError, match="ends at version 0"):
        journal.append(a_change(5))
    assert journal.read() == ()


def test_of_many_changes_meanwhile_the_latest_are_told(journal: Journal) -> None:
    journal.append(*(a_change(version, who=f"Person {version}") for version in range(1, 9)))
    with pytest.raises(StaleVersionError) as refused:
        journal.append(a_change(1))
    assert len(refused.value.newer) == 8
    assert "Person 8" in str(refused.value)
    assert "Person 3," not in str(refused.value)
    assert "and 3 before" in str(refused.value)


def test_changes_appended_as_one_are_all_kept_or_none(journal: Journal) -> None:
    for versions in ([], [1, 3], [1, 1], [2, 1]):
        with pytest.raises(ValueError, match="one after another"):
            journal.append(*map(a_change, versions))
    journal.append(a_change(1))
    with pytest.raises(StaleVersionError):
        journal.append(a_change(1), a_change(2))
    assert journal.version() == 1


def test_of_all_who_write_at_once_one_gets_each_version(journal: Journal) -> None:
    started = threading.Barrier(6)
    refused: list[int] = []

    def write(who: str) -> None:
        started.wait()
        written = 0
        while written < 10:
            version = journal.version() + 1
            try:
                journal.append(a_change(version, who=who), a_change(version + 1, who=who))
            except StaleVersionError as error:
                assert error.newer
                refused.append(version)
            else:
                written += 1

    threads = [threading.Thread(target=write, args=(f"Person {n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    changes = journal.read()
    assert [change.version for change in changes] == list(range(1, 121))
    assert all(one.who == other.who for one, other in zip(changes[::2], changes[1::2], strict=True))


SUBJECTS = st.sampled_from(["flag:a", "flag:b", "rollout:r", "emergency"])


@st.composite
def changes_of_anything(draw: st.DrawFn) -> list[Change]:
    made = []
    for version, subject in enumerate(draw(st.lists(SUBJECTS, max_size=20)), 1):
        after: dict[str, Any] | None = {"why": "trouble", "who": "Ada", "since": START.isoformat()}
        if subject.startswith("flag:"):
            after = {"percent": draw(st.integers(0, 100)), "latched": draw(st.sampled_from([None, "errors"]))}
        elif subject.startswith("rollout:"):
            after = {"state": "running", "phase": draw(st.integers(0, 3)), "since": START.isoformat()}
        made.append(a_change(version, subject=subject, after=draw(st.sampled_from([after, None]))))
    return made


@given(changes_of_anything())
def test_the_state_is_the_last_that_was_said_of_each_subject(changes: list[Change]) -> None:
    overlay = fold(changes)
    assert overlay.version == len(changes)
    last = {change.subject: change.after for change in changes}
    assert overlay.flags == {
        subject.removeprefix("flag:"): FlagOverlay.model_validate(after)
        for subject, after in last.items()
        if subject.startswith("flag:") and after is not None
    }
    rollout, emergency = last.get("rollout:r"), last.get("emergency")
    assert overlay.rollouts == ({"r": RolloutOverlay.model_validate(rollout)} if rollout else {})
    assert overlay.emergency == (EmergencyOverlay.model_validate(emergency) if emergency else None)


@given(changes_of_anything(), st.integers(0, 20))
def test_going_on_from_a_state_gives_what_starting_over_gives(changes: list[Change], at: int) -> None:
    in_two = fold(changes[at:], fold(changes[:at]))
    assert in_two.model_dump_json() == fold(changes).model_dump_json()


def test_nothing_changed_is_as_declared() -> None:
    assert fold([]) == Overlay()


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": "weather"},
        {"subject": "flag:"},
        {"subject": "weather:sunny"},
        {"after": {"percent": 101}},
        {"after": {"colour": "red"}},
        {"subject": "rollout:r", "after": {"state": "flying"}},
    ],
)
def test_a_change_that_is_not_understood_is_not_passed_over(changes: dict[str, Any]) -> None:
    with pytest.raises(JournalError, match=r"Change 7 of the flags .* cannot be understood"):
        fold([a_change(7, **changes)])
