"""What must last: seasons and their episodes, in a database; in folders, as they were before."""

from cinegen_core.store.episodes import (
    EpisodeStore,
    LeftOutError,
    MemoryStore,
    Record,
    Season,
    StoreError,
    Summary,
)
from cinegen_core.store.folder import FolderStore, bring_in
from cinegen_core.store.sql_episodes import SqlStore

__all__ = [
    "EpisodeStore",
    "FolderStore",
    "LeftOutError",
    "MemoryStore",
    "Record",
    "Season",
    "SqlStore",
    "StoreError",
    "Summary",
    "bring_in",
]
