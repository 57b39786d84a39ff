"""Feature flags that would stand on their own: declared in a file, overlaid by a journal, evaluated with a reason, rolled out by
gates, rolled back by evidence. Nothing here knows what a flag switches.
"""

from cinegen_core.flags.bucket import bucket
from cinegen_core.flags.control import Flags, LatchedError, RefusedError, UnknownFlagError
from cinegen_core.flags.declared import DeclarationError, load_declared, read_declared
from cinegen_core.flags.evaluate import Snapshot
from cinegen_core.flags.journal import Journal, JournalError, MemoryJournal, StaleVersionError
from cinegen_core.flags.model import Change, Context, Evaluation, Sample
from cinegen_core.flags.replay import replay

__all__ = [
    "Change", "Context", "DeclarationError", "Evaluation", "Flags", "Journal", "JournalError", "LatchedError", "MemoryJournal",
    "RefusedError", "Sample", "Snapshot", "StaleVersionError", "UnknownFlagError", "bucket", "load_declared", "read_declared",
    "replay",
]  # fmt: skip
