"""One request, several ways of writing: written at once, read side by side, voted on blind, and what the votes say."""

from cinegen_core.comparing.beside import DimensionRow, Overlay, Row, aligned, overlay
from cinegen_core.comparing.blind import SUBJECTS, Ballot, BallotError, Candidate, Pair, ballot, vote_event
from cinegen_core.comparing.running import ComparisonJob, ComparisonView, WayUpdate, compare
from cinegen_core.comparing.votes import Estimate, LeftBias, PairResult, ReaderTally, Results, results
from cinegen_core.comparing.ways import WayError, on_and_off, policy_for, request_for, ways_from
from cinegen_core.store.comparisons import Answered, Comparison, Comparisons, Way

__all__ = [
    "SUBJECTS", "Answered", "Ballot", "BallotError", "Candidate", "Comparison", "ComparisonJob", "ComparisonView", "Comparisons",
    "DimensionRow", "Estimate", "LeftBias", "Overlay", "Pair", "PairResult", "ReaderTally", "Results", "Row", "Way", "WayError",
    "WayUpdate", "aligned", "ballot", "compare", "on_and_off", "overlay", "policy_for", "request_for", "results", "vote_event", "ways_from",
]  # fmt: skip
