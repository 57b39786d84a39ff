"""Tiers: tried in order, the best attempt kept."""
