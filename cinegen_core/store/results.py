"""Results kept from one run to the next, and computed once however many ask for them."""

from __future__ import annotations

import asyncio
import math
import sqlite3
import stat
import uuid
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Literal, Protocol, TypeVar

from diskcache import Timeout
from diskcache.core import DBNAME

from cinegen_core.store.safe_disk import CLAIM, PlantedEntryError, SafeCache, damage, move_aside

T = TypeVar("T")
_FAILURES = (sqlite3.Error, Timeout, OSError, ValueError)
_POLL = 0.05


class Results(Protocol):
    """Texts by key, a digest in hexadecimal. Used from several threads, tasks and processes at once.

    No method raises where the cache itself fails: there is a warning, and the studio does without.
    """

    def get(self, key: str) -> str | None:
        """None where nothing is kept, or nothing that can be used."""
        ...

    def put(self, key: str, text: str) -> None: ...

    def discard(self, key: str, why: str) -> None:
        """Removes what cannot be used and warns. `why` is shown: it must not quote the text."""
        ...

    def clear(self) -> int:
        """Removes all entries, and says how many there were."""
        ...

    def size(self) -> tuple[int, int]:
        """The number of entries, and the bytes that they take on the disk."""
        ...

    def close(self) -> None:
        """From here on nothing is kept."""
        ...

    async def once(
        self, key: str, compute: Callable[[], Awaitable[T]], *, load: Callable[[], T | None], seconds: float
    ) -> T:
        """What `load` finds, or else what `compute` makes and keeps; of those who ask at once, one computes.

        Who computes has `seconds` before another may; who waits does so for no longer than that, then
        computes as well. Where the one who computes fails, or keeps nothing, the next computes. Raises what
        `load` and `compute` raise.
        """
        ...


class NoResults:
    """Keeps nothing."""

    def get(self, key: str) -> str | None:
        return None

    def put(self, key: str, text: str) -> None:
        pass

    def discard(self, key: str, why: str) -> None:
        pass

    def clear(self) -> int:
        return 0

    def size(self) -> tuple[int, int]:
        return 0, 0

    def close(self) -> None:
        pass

    async def once(
        self, key: str, compute: Callable[[], Awaitable[T]], *, load: Callable[[], T | None], seconds: float
    ) -> T:
        return await compute()


class ResultCache:
    """Keeps results in `folder`, which is the cache's alone and for its owner's eyes only.

    At most `megabytes` (1 or more) of them; those not used for longest go first. `warn` is given a sentence
    for people, in whichever thread there is reason for it; no text is ever quoted, of a key its first twelve
    characters.
    """

    def __init__(
        self,
        folder: Path,
        *,
        megabytes: int = 256,
        warn: Callable[[str], None],
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._folder = folder
        self._warn = warn
        self._sleep = sleep
        self._cache = self._opened(megabytes)

    def get(self, key: str) -> str | None:
        if self._cache is None:
            return None
        try:
            with closing(self._cache) as cache:
                value: object = cache.get(key)
        except Timeout as error:
            self._failed(f"The result {key[:12]} was not looked up", error)
            return None
        except (PlantedEntryError, *_FAILURES) as error:
            self.discard(key, _in_words(error))
            return None
        if value is None or isinstance(value, str):
            return value
        self.discard(key, "it is not text")
        return None

    def put(self, key: str, text: str) -> None:
        self._try(lambda cache: cache.set(key, text), None, f"The result {key[:12]} was not kept")

    def discard(self, key: str, why: str) -> None:
        self._warn(
            f"The result {key[:12]} in {self._folder} cannot be used ({why}). It is thrown away, and made anew."
        )
        self._try(lambda cache: cache.delete(key), None, f"The result {key[:12]} was not removed")

    def clear(self) -> int:
        return self._try(lambda cache: cache.remove_entries(), 0, "The results were not removed")

    def size(self) -> tuple[int, int]:
        return self._try(
            lambda cache: (cache.entries(), sum(p.stat().st_size for p in self._folder.glob(f"{DBNAME}*"))),
            (0, 0),
            "The results were not counted",
        )

    def close(self) -> None:
        self._cache = None

    async def once(
        self, key: str, compute: Callable[[], Awaitable[T]], *, load: Callable[[], T | None], seconds: float
    ) -> T:
        if (found := load()) is not None:
            return found
        owner = uuid.uuid4().hex
        polls = math.ceil(seconds / _POLL)
        while (claim := self._claim(key, owner, seconds)) == "theirs" and polls > 0:
            polls -= 1
            await self._sleep(_POLL)
            if (found := load()) is not None:
                return found
        if claim != "ours":
            return await compute()
        try:
            # Between the last look and the claim, whoever had it may have finished.
            found = load()
            return found if found is not None else await compute()
        finally:
            self._release(key, owner)

    def _claim(self, key: str, owner: str, seconds: float) -> Literal["ours", "theirs", "impossible"]:
        """The claim lapses after `seconds`, so that one who died holding it holds up nobody for longer."""

        def claim(cache: SafeCache) -> Literal["ours", "theirs"]:
            return "ours" if cache.add(CLAIM + key, owner, expire=seconds) else "theirs"

        return self._try(claim, "impossible", f"The result {key[:12]} was not claimed")

    def _release(self, key: str, owner: str) -> None:
        def release(cache: SafeCache) -> None:
            with cache.transact():
                if cache.get(CLAIM + key) == owner:
                    cache.delete(CLAIM + key)

        self._try(release, None, f"The claim on the result {key[:12]} was not given back")

    def _try(self, work: Callable[[SafeCache], T], otherwise: T, failed: str) -> T:
        """What comes of `work`; `otherwise` where the cache is off, or fails, which is warned of."""
        if self._cache is None:
            return otherwise
        try:
            # Connections belong to threads, and the threads of jobs end: none outlasts the work it is for.
            with closing(self._cache) as cache:
                return work(cache)
        except (PlantedEntryError, *_FAILURES) as error:
            self._failed(failed, error)
            return otherwise

    def _failed(self, what: str, error: Exception) -> None:
        self._warn(
            f"{what}: {self._folder} does not work as a cache ({_in_words(error)}). The studio goes on without; "
            "if this is said again, see that the disk has space, or delete that folder and restart."
        )

    def _opened(self, megabytes: int) -> SafeCache | None:
        try:
            _make_private(self._folder)
            if (why := damage(self._folder)) is not None:
                aside = move_aside(self._folder)
                self._warn(
                    f"The cache in {self._folder} cannot be used ({why}). It is now {aside.name}, which may be "
                    "deleted, and the studio starts with an empty cache."
                )
                _make_private(self._folder)
            return SafeCache(self._folder, limit=megabytes * 2**20)
        except _FAILURES as error:
            self._warn(
                f"{self._folder} cannot be used as a cache ({_in_words(error)}), so no results are kept. See that "
                "you may write there and that the disk has space, or choose another folder."
            )
            return None


def _make_private(folder: Path) -> None:
    """Makes the folder and an empty file for the cache, both for their owner only. Raises `OSError`."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A folder that has other things in it is somebody's own: closing /tmp to all others would be no help.
    if all(DBNAME in path.name for path in folder.iterdir()) and stat.S_IMODE(folder.stat().st_mode) != 0o700:
        folder.chmod(0o700)
    if not (folder / DBNAME).is_symlink():
        (folder / DBNAME).touch(mode=0o600)


def _in_words(error: Exception) -> str:
    if isinstance(error, Timeout):
        return "another program is using it"
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    # Errors that do not come from SQLite itself may quote the text they stumbled over.
    if isinstance(error, PlantedEntryError) or hasattr(error, "sqlite_errorname"):
        return str(error)
    return "it is damaged, or not text"
