"""Charts and tables in a notebook, so that the same figures give the same output."""

from __future__ import annotations

from typing import Any, Protocol

import pandas as pd


class Chart(Protocol):
    """What altair's charts offer."""

    def to_dict(self) -> dict[str, Any]: ...


class Shown:
    """What a notebook displays; in text, what it is."""

    def __init__(self, bundle: dict[str, Any], text: str) -> None:
        self._bundle, self._text = bundle, text

    def __repr__(self) -> str:
        return self._text

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        return {**self._bundle, "text/plain": self._text}


DIGITS = 6
"""Significant digits of the numbers in a chart: sums of floats differ in their last ones from run to run."""


def show(chart: Chart, title: str) -> Shown:
    """A chart as the last value of a cell. Its text names the title and the number of rows that it draws."""
    spec = _steady(chart.to_dict())
    rows = sum(len(data) for data in spec.get("datasets", {}).values())
    version = str(spec.get("$schema", "v6")).rpartition("/v")[2].partition(".")[0] or "6"
    kind = f"application/vnd.vegalite.v{version}+json"
    return Shown({kind: spec}, f"Chart: {title} ({rows} rows)")


def _steady(spec: dict[str, Any]) -> dict[str, Any]:
    """The chart with its numbers rounded, and its data named by their order and not by a digest of all their digits."""
    names = {name: f"data-{number}" for number, name in enumerate(spec.get("datasets", {}), start=1)}
    steady: dict[str, Any] = _rounded(spec, names)
    return steady


def _rounded(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {names.get(key, key): _rounded(inner, names) for key, inner in value.items()}
    if isinstance(value, list):
        return [_rounded(inner, names) for inner in value]
    return names.get(value, value) if isinstance(value, str) else value


def table(frame: pd.DataFrame, *, digits: int = 2) -> Shown:
    """A table with its numbers rounded, as HTML and as text."""
    rounded = frame.copy()
    for name in rounded.columns:
        if pd.api.types.is_float_dtype(rounded[name]):
            rounded[name] = rounded[name].round(digits)
    text = rounded.to_string(index=False, na_rep="no data") if len(rounded) else "no data"
    html = rounded.to_html(index=False, na_rep="no data", border=0) if len(rounded) else "<p>no data</p>"
    return Shown({"text/html": html}, text)
