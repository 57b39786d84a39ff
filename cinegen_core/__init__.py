"""Cinegen Studio's core: story engines, writers, tiers, and what keeps them honest."""

__version__ = "0.1.0"
