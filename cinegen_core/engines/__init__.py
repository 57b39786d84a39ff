"""Nineteen specialists in five phases. To add the twentieth is to add one file and its test."""

from cinegen_core.engines.base import PHASES, Directive, Engine, EngineContext, Line, Phase, Realisation
from cinegen_core.engines.ensemble import active_engines, all_engines, by_priority, check, realisation

__all__ = [
    "PHASES", "Directive", "Engine", "EngineContext", "Line", "Phase", "Realisation", "active_engines", "all_engines", "by_priority", "check", "realisation",
]  # fmt: skip
