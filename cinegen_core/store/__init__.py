"""What must last: seasons and their episodes."""

from cinegen_core.store.episodes import EpisodeStore, MemoryStore, Record, Season, StoreError
from cinegen_core.store.folder import FolderStore

__all__ = ["EpisodeStore", "FolderStore", "MemoryStore", "Record", "Season", "StoreError"]
