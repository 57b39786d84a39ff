"""Batches: many seasons, comparisons, ablations and scores at once, on as many workers as there are.

`load_plan` reads what is to be done, `Planner` makes tasks of it and sees what is done already, `run_batch` has them done by a cluster's
`hands` (in `batch.cluster`, the only room that knows Dask) or here, one after the other, and `Landing` keeps what comes back.
"""

from cinegen_core.batch.graph import Graph, Planner
from cinegen_core.batch.landing import Landing
from cinegen_core.batch.plan import LoadedPlan, load_plan
from cinegen_core.batch.results import Results
from cinegen_core.batch.running import BatchError, Hands, HereHands, Outcome, Progress, run_batch
from cinegen_core.batch.tasks import Kit, canonical

__all__ = [
    "BatchError", "Graph", "Hands", "HereHands", "Kit", "Landing", "LoadedPlan", "Outcome", "Planner", "Progress", "Results",
    "canonical", "load_plan", "run_batch",
]  # fmt: skip
