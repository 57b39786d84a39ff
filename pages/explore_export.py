"""What an analyst takes away: the chosen answers and their views as files, and a link that shows the same again."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pandas as pd
import streamlit as st

from cinegen_core.access import Action
from cinegen_core.acting import Acting
from cinegen_core.analysis import explore
from cinegen_core.analysis.exporting import Ending, file_name, labelled, link, meanings, to_csv, to_parquet
from cinegen_core.monitor.events import Series
from pages.explore_answers import ORDERS, listed_view
from pages.explore_charts import GROUPS, Look, group_view
from pages.explore_path import chosen, own, picked
from pages.frame import fold, table
from pages.shared import literal

_ENDINGS: Mapping[Ending, str] = {"csv": "CSV", "parquet": "Parquet"}
_MEDIA: Mapping[Ending, str] = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet"}
_TABLES = {
    "answers": "The answers, one row each",
    "engines": "Their engines, one row each",
    "ratings": "What readers did with them",
    "distribution": "The distribution",
    "trend": "The trend",
}


def take_away(me: Acting, look: Look) -> None:
    """A file of what is seen, what its columns say, and the link."""
    if not me.may(Action.EXPORT_FIGURES):
        return
    st.header("Take it away")
    made = makers(look)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        what = picked("What", "what", tuple(made), words=_words)
        ending = chosen("File", "ending", tuple(_ENDINGS), words=_ENDINGS.__getitem__)
        st.download_button(
            "Download", lambda: file_of(made[what], look.filters.series, ending),
            file_name(f"{what} {look.measure}" if what not in _PLAIN else what, look.filters.series, me.studio.now, ending),
            _MEDIA[ending], key="take_away", on_click="ignore", icon=":material/download:",
        )  # fmt: skip
    st.caption("Of the answers above, with what is brushed. " + _labelled(look))

    def columns() -> None:
        table(
            {"Column": row["column"], "Type": row["type"], "Meaning": row["meaning"]}
            for row in meanings(labelled(_columns(look, made, what), look.filters.series)).to_dict("records")
        )

    fold("What the columns say", columns, key="columns_say")
    st.markdown("A link that shows the same again, what is brushed as a filter:")
    st.code(link(_address(), look.narrowed, **own()), language=None, wrap_lines=True)


_PLAIN = ("answers", "engines", "ratings")


def _words(what: str) -> str:
    if what in GROUPS:
        return f"By {GROUPS[what].lower()}"
    return _TABLES.get(what) or f"The {ORDERS[what].lower()} answers"


def file_of(make: Callable[[], pd.DataFrame], series: Series, ending: Ending) -> bytes:
    """What `make` makes, as a file each of whose rows says its series."""
    frame = labelled(make(), series)
    return to_csv(frame) if ending == "csv" else to_parquet(frame)


def _columns(look: Look, made: Mapping[str, Callable[[], pd.DataFrame]], what: str) -> pd.DataFrame:
    """Without rows; tables with many are not gone through for it."""
    tables = look.tables
    whole = {"answers": tables.answers, "engines": tables.engines, "ratings": tables.ratings}
    return (whole[what] if what in whole else made[what]()).head(0)


def makers(look: Look) -> Mapping[str, Callable[[], pd.DataFrame]]:
    """What can be taken, the views last: each is made when it is asked for."""

    def shown() -> pd.DataFrame:
        return look.held.shown(look.tables, look.narrowed)

    def of_shown(frame: pd.DataFrame) -> pd.DataFrame:
        return frame[frame["id"].isin(shown()["id"])].reset_index(drop=True)

    made: dict[str, Callable[[], pd.DataFrame]] = {
        "answers": lambda: shown().reset_index(drop=True),
        "engines": lambda: of_shown(look.tables.engines),
        "ratings": lambda: of_shown(look.tables.ratings),
        "distribution": lambda: look.view(
            "distribution", lambda answers: explore.distribution(answers, look.column)
        ),
        "trend": lambda: look.view("trend", lambda answers: explore.trend(answers, look.column)),
    }
    for by in GROUPS:
        made[by] = lambda by=by: group_view(look, by)  # type: ignore[misc]
    for order in ORDERS:
        made[order] = lambda order=order: listed_view(look, order)  # type: ignore[misc]
    return made


def _labelled(look: Look) -> str:
    series = look.filters.series
    if series == "live":
        return "Every row says that it is live."
    return literal(f"Every row, and the file's name, say that it is {series}.")


def _address() -> str:
    """The page's own, without its query; nothing where the browser did not tell."""
    return (st.context.url or "").partition("?")[0]
