"""An episode as a file: Fountain, FDX, plain text laid out like a screenplay, and JSON; and scripts read back."""

from cinegen_core.story.formats.fdx import from_fdx, to_fdx
from cinegen_core.story.formats.fountain import to_fountain
from cinegen_core.story.formats.fountain_reader import from_fountain
from cinegen_core.story.formats.plain import from_json, to_json, to_text
from cinegen_core.story.formats.reader import read_script

__all__ = [
    "from_fdx",
    "from_fountain",
    "from_json",
    "read_script",
    "to_fdx",
    "to_fountain",
    "to_json",
    "to_text",
]
