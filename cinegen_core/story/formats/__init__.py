"""An episode as a file: Fountain, plain text laid out like a screenplay, and JSON. All end in one newline."""

from cinegen_core.story.formats.fountain import to_fountain
from cinegen_core.story.formats.fountain_reader import (
    FountainScript,
    ScriptChoice,
    ScriptScene,
    from_fountain,
)
from cinegen_core.story.formats.plain import from_json, to_json, to_text

__all__ = [
    "FountainScript",
    "ScriptChoice",
    "ScriptScene",
    "from_fountain",
    "from_json",
    "to_fountain",
    "to_json",
    "to_text",
]
