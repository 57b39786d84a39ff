"""Seasons as folders of JSON files, each written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from cinegen_core.store.episodes import (
    EpisodeStore,
    Free,
    LeftOutError,
    Record,
    Season,
    StoreError,
    Summary,
    free_bytes,
    in_order_of_number,
    in_order_of_start,
    is_id,
    no_season,
    see_to_room,
    summary_in,
)
from cinegen_core.story import StoryBible

_Kept = TypeVar("_Kept", bound=BaseModel)


class FolderStore:
    """Below `root`: seasons/ID/season.json, bible.json, episode-ID.json. Only their owner may read them."""

    def __init__(self, root: Path, *, free: Free = free_bytes) -> None:
        self._seasons = root / "seasons"
        self._free = free

    def add_season(self, season: Season, bible: StoryBible) -> None:
        # The bible first: a season that can be seen has its bible.
        self._write(self._folder(season.id) / "bible.json", bible)
        self._write(self._folder(season.id) / "season.json", season)

    def season(self, season_id: str) -> Season | None:
        season = self._read(season_id, "season.json", Season)
        if season is not None and season.id != season_id:
            raise self._misplaced(f"{season_id}/season.json", f"the season {season.id}")
        return season

    def bible(self, season_id: str) -> StoryBible | None:
        bible = self._read(season_id, "bible.json", StoryBible)
        if bible is None and self._holds(season_id):
            raise StoreError(
                f"{self._folder(season_id) / 'bible.json'} is missing. "
                "Restore it from a backup, or move its folder away to go on without this season."
            )
        return bible

    def seasons(self) -> tuple[Season, ...]:
        found = map(self.season, self.season_ids())
        return in_order_of_start(season for season in found if season is not None)

    def season_ids(self) -> frozenset[str]:
        """Those of all seasons, without reading them."""
        try:
            return frozenset(entry.name for entry in self._seasons.iterdir() if is_id(entry.name))
        except FileNotFoundError:
            return frozenset()
        except OSError as error:
            raise _unreadable(self._seasons, error) from error

    def save(self, record: Record) -> None:
        if not self._holds(record.season):
            raise no_season(record)
        self._write(self._folder(record.season) / f"episode-{record.id}.json", record)

    def record(self, season_id: str, record_id: str) -> Record | None:
        if not is_id(record_id):
            return None
        name = f"episode-{record_id}.json"
        record = self._read(season_id, name, Record)
        if record is not None and (record.season, record.id) != (season_id, record_id):
            raise self._misplaced(
                f"{season_id}/{name}", f"the episode {record.id} of the season {record.season}"
            )
        return record

    def season_of(self, record_id: str) -> str | None:
        if not is_id(record_id):
            return None
        found = self._seasons.glob(f"*/episode-{record_id}.json")
        return next((path.parent.name for path in found if is_id(path.parent.name)), None)

    def records(self, season_id: str) -> tuple[Record, ...]:
        found = (self.record(season_id, record_id) for record_id in self.record_ids(season_id))
        return in_order_of_number(record for record in found if record is not None)

    def summaries(self, season_id: str) -> tuple[Summary, ...]:
        names = (f"episode-{record_id}.json" for record_id in self.record_ids(season_id))
        found = (self._read_as(season_id, name, summary_in) for name in names)
        return in_order_of_number(summary for summary in found if summary is not None)

    def record_ids(self, season_id: str) -> frozenset[str]:
        if not is_id(season_id):
            return frozenset()
        names = (path.stem for path in self._folder(season_id).glob("episode-*.json"))
        return frozenset(filter(is_id, (name.removeprefix("episode-") for name in names)))

    def check(self) -> None:
        try:
            self._seasons.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._seasons) as stream:
                stream.write(b"something")
        except OSError as error:
            raise _unwritable(self._seasons, error) from error
        see_to_room(self._seasons, self._free)

    def _holds(self, season_id: str) -> bool:
        return is_id(season_id) and (self._folder(season_id) / "season.json").is_file()

    def _misplaced(self, name: str, held: str) -> StoreError:
        return StoreError(
            f"{self._seasons / name} holds {held}: it was copied or renamed. Give it its name again, or move it away."
        )

    def _folder(self, season_id: str) -> Path:
        return self._seasons / season_id

    def _read(self, season_id: str, name: str, kind: type[_Kept]) -> _Kept | None:
        return self._read_as(season_id, name, kind.model_validate_json)

    def _read_as(self, season_id: str, name: str, parse: Callable[[bytes], _Kept]) -> _Kept | None:
        """None where there is no such file."""
        if not is_id(season_id):
            return None
        path = self._folder(season_id) / name
        try:
            return parse(path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unreadable(path, error) from error
        except ValidationError as error:
            raise StoreError(
                f"{path} is damaged: {error.errors(include_url=False)[0]['msg']}. "
                "Restore it from a backup, or move it out of the folder to go on without it."
            ) from error

    def _write(self, path: Path, value: BaseModel) -> None:
        text = value.model_dump_json()
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Written beside its place, then moved there: a reader sees the old file or the new, never half.
            with tempfile.NamedTemporaryFile(
                "w", encoding="utf-8", newline="\n", dir=path.parent, prefix=".", delete=False
            ) as stream:
                beside = Path(stream.name)
                try:
                    stream.write(text)
                    stream.flush()
                    os.fsync(stream.fileno())
                    beside.replace(path)
                except BaseException:
                    beside.unlink(missing_ok=True)
                    raise
        except OSError as error:
            raise _unwritable(path, error) from error


def bring_in(old: FolderStore, new: EpisodeStore) -> int:
    """Copies the seasons and episodes that `new` lacks, and says how many there were; `old` stays as it is.

    Done again, it goes on where it ended, and does nothing where all is there. Raises `LeftOutError` at the end where
    some cannot be read, having copied all the rest; another `StoreError` at once where `new` or the folder itself fails.
    """
    there = {season.id for season in new.seasons()}
    brought = 0
    problems: list[str] = []

    def read(get: Callable[[], _Kept | None]) -> _Kept | None:
        try:
            return get()
        except StoreError as error:
            problems.append(str(error))
            return None

    for season_id in sorted(old.season_ids()):
        if season_id not in there:
            season = read(partial(old.season, season_id))
            bible = read(partial(old.bible, season_id))
            if season is None or bible is None:
                continue
            new.add_season(season, bible)
            brought += 1
        for record_id in sorted(old.record_ids(season_id) - new.record_ids(season_id)):
            record = read(partial(old.record, season_id, record_id))
            if record is not None:
                new.save(record)
                brought += 1
    if problems:
        raise LeftOutError(
            "Some of what was kept in folders could not be brought into the database; all the rest is there. "
            + " ".join(problems)
        )
    return brought


def _unreadable(path: Path, error: OSError) -> StoreError:
    return StoreError(f"{path} cannot be read ({error.strerror}). Check who may read it.")


def _unwritable(path: Path, error: OSError) -> StoreError:
    return StoreError(
        f"{path} cannot be written ({error.strerror}). Free some space, or set CINEGEN_DATA_DIR to a "
        "folder that you may write to."
    )
