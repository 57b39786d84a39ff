"""What every noun of the house has in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Noun(BaseModel):
    """A frozen value: compared by content, safe to share, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
