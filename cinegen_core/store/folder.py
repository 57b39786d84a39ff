"""Seasons as folders of JSON files, each written whole or not at all."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from cinegen_core.store.episodes import Record, Season, StoreError, in_order_of_number, in_order_of_start
from cinegen_core.story import StoryBible

_ID = re.compile(r"[0-9a-f]{16}")
_Kept = TypeVar("_Kept", bound=BaseModel)


class FolderStore:
    """Below `root`: seasons/ID/season.json, bible.json, episode-ID.json. Only their owner may read them."""

    def __init__(self, root: Path) -> None:
        self._seasons = root / "seasons"

    def add_season(self, season: Season, bible: StoryBible) -> None:
        # The bible first: a season that can be seen has its bible.
        self._write(self._folder(season.id) / "bible.json", bible)
        self._write(self._folder(season.id) / "season.json", season)

    def season(self, season_id: str) -> Season | None:
        return self._read(season_id, "season.json", Season)

    def bible(self, season_id: str) -> StoryBible | None:
        return self._read(season_id, "bible.json", StoryBible)

    def seasons(self) -> tuple[Season, ...]:
        if not self._seasons.is_dir():
            return ()
        names = [entry.name for entry in self._seasons.iterdir()]
        return in_order_of_start(found for found in map(self.season, names) if found is not None)

    def save(self, record: Record) -> None:
        self._write(self._folder(record.season) / f"episode-{record.id}.json", record)

    def record(self, season_id: str, record_id: str) -> Record | None:
        if not _ID.fullmatch(record_id):
            return None
        return self._read(season_id, f"episode-{record_id}.json", Record)

    def records(self, season_id: str) -> tuple[Record, ...]:
        if not _ID.fullmatch(season_id):
            return ()
        names = [path.name for path in self._folder(season_id).glob("episode-*.json")]
        found = (self._read(season_id, name, Record) for name in names)
        return in_order_of_number(record for record in found if record is not None)

    def _folder(self, season_id: str) -> Path:
        return self._seasons / season_id

    def _read(self, season_id: str, name: str, kind: type[_Kept]) -> _Kept | None:
        """None where there is no such file; ids come from addresses that anybody can type."""
        if not _ID.fullmatch(season_id):
            return None
        path = self._folder(season_id) / name
        try:
            return kind.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"{path} cannot be read ({error.strerror}). Check who may read it.") from error
        except ValidationError as error:
            raise StoreError(
                f"{path} is damaged: {error.errors(include_url=False)[0]['msg']}. "
                "Restore it from a backup, or move it out of the folder to go on without it."
            ) from error

    def _write(self, path: Path, value: BaseModel) -> None:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Written beside its place, then moved there: a reader sees the old file or the new, never half.
            with tempfile.NamedTemporaryFile(
                "w", encoding="utf-8", newline="\n", dir=path.parent, prefix=".", delete=False
            ) as stream:
                stream.write(value.model_dump_json())
                stream.flush()
                os.fsync(stream.fileno())
            Path(stream.name).replace(path)
        except OSError as error:
            raise StoreError(
                f"{path} cannot be written ({error.strerror}). Free some space, or set CINEGEN_DATA_DIR to a "
                "folder that you may write to."
            ) from error
