"""Charts in the colours of the page around them: Streamlit's own are too faint on cream, and rules would be black on black."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import altair as alt
import streamlit as st
from altair.utils.schemapi import debug_mode

Layered = alt.LayerChart | alt.FacetChart


class Ink(NamedTuple):
    """Colours of the theme that the visitor sees, as #rrggbb."""

    text: str
    accent: str
    line: str


def ink() -> Ink:
    """Of the theme in the settings; while it is not known yet which one is seen, of the light one."""
    seen = "dark" if st.context.theme.type == "dark" else "light"
    text, accent, line = (
        str(st.get_option(f"theme.{seen}.{name}") or otherwise)
        for name, otherwise in (
            ("textColor", "#2a2520"),
            ("linkColor", "#8a3b12"),
            ("borderColor", "#d9cfbd"),
        )
    )
    return Ink(text, accent, line)


Spec = dict[str, Any]
"""A chart in Vega-Lite, its data with it."""


def spec_of(make: Callable[[], Layered]) -> Spec:
    """A chart, ready to be shown again and again.

    Altair looks up every part of a chart in its schema, which takes longer than all else. The charts' tests have it do that; a
    reader need not wait for it.
    """
    with debug_mode(False):
        return dict(make().to_dict(validate=False))


def inked(chart: Layered, colours: Ink) -> Layered:
    """Axes, legends and titles in the colour of text."""
    found: Layered = (
        chart.configure_axis(
            labelColor=colours.text, titleColor=colours.text, gridColor=colours.line, titleFontWeight="normal"
        )
        .configure_legend(labelColor=colours.text, titleColor=colours.text)
        .configure_view(stroke=None)
    )
    return found
