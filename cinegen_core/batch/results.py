"""What of a batch is kept in files: figures of ablations and scores, one small file for each task, and the tables made of them."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from cinegen_core.analysis.ablation import Figure, Head, fill
from cinegen_core.scorer.scale import shipped
from cinegen_core.story import StoryBible
from cinegen_core.writers.embedded.writer import EmbeddedWriter

WHOLE = ".json"


class Results:
    """In the folder of a batch. What is there is there as a whole, whenever the process ends. Raises `OSError`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._parts = folder / "parts"

    def open(self) -> None:
        """Makes the folder where there is none."""
        self._parts.mkdir(parents=True, exist_ok=True)

    def ids(self) -> frozenset[str]:
        """The tasks whose results are there."""
        if not self._parts.is_dir():
            return frozenset()
        return frozenset(file.stem for file in self._parts.iterdir() if file.suffix == WHOLE)

    def add(self, id: str, data: str) -> None:
        """Keeps a result; one that is there already stays."""
        file = self._parts / f"{id}{WHOLE}"
        if not file.exists():
            _write(file, data)

    def read(self, id: str) -> Any:
        """A result; None where there is none."""
        file = self._parts / f"{id}{WHOLE}"
        return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None

    def rows(self, ids: Sequence[str]) -> list[Any]:
        """All rows of these tasks, of those that are there."""
        return [row for id in ids for row in self.read(id) or ()]

    def rescored(self, name: str, ids: Sequence[str]) -> Path:
        """Writes all scores of a rescoring into one file, a line of JSON for each episode: as it was recorded, and as it is today."""
        rows = self.rows(ids)
        file = self.folder / f"{name}.jsonl"
        _write(file, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        return file

    def ablation(
        self,
        name: str,
        bibles: Mapping[str, StoryBible],
        tasks: Mapping[tuple[str, int], str],
        *,
        episodes: int,
        made: date,
        command: str,
    ) -> Path:
        """Writes the table of an ablation, of what there is: as `cinegen ablate` does, so that whatever reads such tables reads it."""
        file = self.folder / f"{name}.csv"
        head = Head(made=f"{made}", scorer=shipped().version, command=command, episodes=episodes)

        async def measured(
            writer: object, series: str, bible: StoryBible, *, seed: int, **_: Any
        ) -> list[Figure]:
            return [Figure(*row) for row in self.read(tasks[series, seed]) or ()]

        seeds = 1 + max((seed for _, seed in tasks), default=-1)
        work = fill(
            file,
            head,
            bibles,
            writer=EmbeddedWriter(),
            seeds=seeds,
            clock=float,
            fresh=True,
            measure=measured,
        )
        asyncio.run(work)
        return file

    def report(self, told: Mapping[str, Any]) -> Path:
        """Writes what became of each task into report.json."""
        file = self.folder / "report.json"
        _write(file, json.dumps(told, indent=1, ensure_ascii=False) + "\n")
        return file


def _write(file: Path, text: str) -> None:
    """All of it or nothing, on the disk when this returns."""
    new = file.with_name(f"{file.name}.new")
    with new.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    new.replace(file)
