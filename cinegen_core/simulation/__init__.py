"""Weeks of events on a simulated clock, for whoever tries alerts, triggers and pages out, or tests them.

Episodes and their scores are real: they are drawn from a pool that the embedded writer wrote. When they were asked for, by whom,
what readers did with them and what went wrong meanwhile is invented. All of it is labelled `simulated`, and takes no part in
anything live.
"""

from cinegen_core.simulation.incidents import KINDS, Incident, Truth, five, parse_incident
from cinegen_core.simulation.pool import Pool, PoolError, build_pool, shipped_pool
from cinegen_core.simulation.stream import Simulation, simulate

__all__ = [
    "KINDS", "Incident", "Pool", "PoolError", "Simulation", "Truth", "build_pool", "five", "parse_incident", "shipped_pool", "simulate",
]  # fmt: skip
