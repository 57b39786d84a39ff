"""Nineteen specialists in five phases. To add the twentieth is to add one file and its test."""

from cinegen_core.engines.base import PHASES, Directive, Engine, EngineContext, Line, Phase, Realisation

__all__ = ["PHASES", "Directive", "Engine", "EngineContext", "Line", "Phase", "Realisation"]
