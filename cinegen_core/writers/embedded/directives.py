"""From the engines' directives to the scribe's orders."""

from __future__ import annotations

from collections.abc import Sequence

from cinegen_core.engines.base import Directive
from cinegen_core.writers.embedded.compose import Work, segments
from cinegen_core.writers.embedded.notation import OPTIONAL
from cinegen_core.writers.embedded.orders import Orders, Wish


def orders_from(directives: Sequence[Directive], work: Work, first: Sequence[Directive] = ()) -> Orders:
    raise NotImplementedError


def everything(work: Work) -> Orders:
    """Orders as if every engine asked for everything everywhere: for reading content while it is written."""
    parts = segments(work.plan)
    wishes = [Wish(s.index, beat, 1.0) for s in parts for beat in OPTIONAL]
    motif = next(iter(work.series.cards.motifs.values()), None)
    if motif:
        wishes.append(Wish(parts[0].index, "motif", 1.2, motif.name))
    return Orders(
        wishes=tuple(wishes), hook=True, cliff=True, consequence=True, anchored_choices=True, voices=True, contractions=True,
        presses={s.index: 9 for s in parts}, senses=tuple(s.index for s in parts), background=(parts[-1].index,),
        words=int(195 * work.request.minutes), rising=True,
    )  # fmt: skip
