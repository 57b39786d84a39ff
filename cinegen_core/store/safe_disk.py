"""A cache in one SQLite file that holds plain values only, whoever else may have written to the file."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from diskcache import DEFAULT_SETTINGS, UNKNOWN, Cache, Disk
from diskcache.core import DBNAME, METADATA, MODE_RAW

CLAIM = "claim:"
_PLAIN = (bytes, str, int, float)
_BUSY = 5.0
_IN_WORDS = ("eviction_policy", "sqlite_journal_mode")
_NOT_A_CLAIM = f"(key LIKE '{CLAIM}%') IS NOT TRUE"


class PlantedEntryError(Exception):
    """An entry is of a kind that is never written here; what it holds has been neither opened nor run."""


class SafeDisk(Disk):  # type: ignore[misc]
    """Every value in its row: nothing is pickled, and no file that a row may name is read or removed."""

    def put(self, key: object) -> tuple[str, bool]:
        if type(key) is not str:
            raise TypeError(f"A key is a str, not {type(key).__name__}.")
        return key, True

    def get(self, key: object, raw: object) -> str:
        if not raw or type(key) is not str:
            raise PlantedEntryError("its key is not plain text")
        return key

    def store(self, value: Any, read: bool, key: object = UNKNOWN) -> tuple[int, int, None, Any]:
        if read or type(value) not in _PLAIN:
            raise TypeError(f"A value is bytes, str, int or float, not {type(value).__name__}.")
        if type(value) is int and not -(2**63) <= value < 2**63:
            raise TypeError("A value that is an int has 64 bits at most.")
        return 0, MODE_RAW, None, value

    def fetch(self, mode: object, filename: object, value: object, read: bool) -> object:
        if mode != MODE_RAW or filename is not None or type(value) not in _PLAIN:
            raise PlantedEntryError("it is not a plain value")
        return value

    def remove(self, file_path: object) -> None:
        """Does nothing: a file that a row names was never one of the cache's."""


class SafeCache(Cache):  # type: ignore[misc]
    """At most `limit` bytes; the least recently used go first.

    Each thread that uses it has a connection of its own, which that thread has to `close` in the end. Raises
    `sqlite3.Error` or `diskcache.Timeout` where SQLite fails, `PlantedEntryError` for an entry not written here.
    """

    def __init__(self, folder: Path, *, limit: int) -> None:
        settings = {
            # All of them, so that none is taken from the file.
            **DEFAULT_SETTINGS,
            "eviction_policy": "least-recently-used",
            "size_limit": limit,
            # Fewer than a small cache has entries: the newest must not go with the oldest.
            "cull_limit": 2,
            # Where a mapped file is cut short by another program, this one would be killed.
            "sqlite_mmap_size": 0,
        }
        try:
            super().__init__(str(folder), timeout=_BUSY, disk=SafeDisk, **settings)
        finally:
            self.close()

    def drop_tag_index(self) -> None:
        """Does nothing: there is none, and looking for it fails while another process opens the same file."""

    def entries(self) -> int:
        """How many there are, claims apart."""
        ((count,),) = self._sql(f"SELECT COUNT(*) FROM Cache WHERE {_NOT_A_CLAIM}")  # noqa: S608 (constants)
        return int(count)

    def remove_entries(self) -> int:
        """Removes all but claims, and says how many they were."""
        return int(self._sql(f"DELETE FROM Cache WHERE {_NOT_A_CLAIM}").rowcount)  # noqa: S608 (constants)


def damage(folder: Path) -> str | None:
    """Why the cache's file in `folder` must not be used; None where it may be, or where it is still empty.

    Raises `sqlite3.OperationalError` where it cannot be opened.
    """
    if (folder / DBNAME).is_symlink():
        return "it is a link"
    try:
        with closing(sqlite3.connect(folder / DBNAME, timeout=_BUSY)) as connection:
            connection.text_factory = bytes  # nothing here can be trusted to be UTF-8
            if connection.execute("PRAGMA quick_check(1)").fetchone() != (b"ok",):
                return "it is damaged"
            if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'Settings'").fetchone() is None:
                return None
            # Opening a cache turns each row of this table into an attribute of the object, or into a PRAGMA.
            names = [*DEFAULT_SETTINGS, *METADATA]
            strange = connection.execute(
                f"SELECT 1 FROM Settings WHERE NOT (typeof(key) = 'text' AND key IN ({_marks(names)})"  # noqa: S608
                f" AND typeof(value) = iif(key IN ({_marks(_IN_WORDS)}), 'text', 'integer')"
                " AND value NOT GLOB '*[^a-z0-9-]*')",
                (*names, *_IN_WORDS),
            ).fetchone()
            return None if strange is None else "its settings are not the studio's"
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorname != "SQLITE_ERROR":
            raise
        return str(error)


def move_aside(folder: Path) -> Path:
    """Renames the cache's file, in place of one renamed before; returns where it is now. Raises `OSError`."""
    # The journals too: SQLite would apply them to the next file of this name.
    for path in sorted(folder.glob(f"{DBNAME}*")):
        path.replace(path.with_name(f"damaged-{path.name}"))
    return folder / f"damaged-{DBNAME}"


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))
