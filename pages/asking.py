"""What a visitor fills in: the bible, and how the next episode should be written."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from cinegen_core.story import StoryBible
from cinegen_core.story.errors import StoryError
from cinegen_core.story.load import bible_from_text, load_sample, sample_names
from cinegen_core.story.source import decode
from cinegen_core.studio import Studio
from cinegen_core.telling import TIER_WORDS
from cinegen_core.tiers.model import TierName
from pages.shared import literal

_EXAMPLE = """\
title: Slack Water
premise: A harbour pilot comes home to find out who let her father drown.
characters:
  - name: Marit Vold
    want: to see the November log
    secret: She has already read it.
  - name: Ansel Roe
    want: to keep the station open
    secret: He cut the page out.
"""

_WAYS: dict[TierName, str] = {
    "comprehensive": "Draft, engines, synthesis, and a repair of what is missing",
    "enhanced_baseline": "One pass of the writer, without the engines",
    "basic_fallback": "Three short scenes that any bible can be put into",
}


@dataclass(frozen=True)
class Chosen:
    """A bible that was accepted; `source` is the sample's name, or empty."""

    bible: StoryBible
    source: str = ""


@dataclass(frozen=True)
class Wish:
    seed: int
    minutes: float
    direction: str
    tier: TierName
    writer: str = ""


def choose_bible() -> Chosen | None:
    """A sample, or a bible of one's own; None while there is nothing that could be used."""
    kind = st.radio(
        "Series", ("A sample", "My own"), key="kind", horizontal=True, label_visibility="collapsed"
    )
    return _own() if kind == "My own" else _sample()


def _sample() -> Chosen | None:
    names = sample_names()
    titles = {name: load_sample(name) for name in names}
    name = st.selectbox("Series", names, format_func=lambda name: titles[name].title, key="sample")
    if name is None:
        return None
    bible = titles[name]
    st.markdown(literal(bible.premise))
    st.caption(literal(", ".join((*bible.genres, *(person.name for person in bible.characters)))))
    return Chosen(bible, name)


def _own() -> Chosen | None:
    file = st.file_uploader("A file", type=["yaml", "yml", "json", "toml", "txt"], key="bible_file")
    text = st.text_area(
        "Or paste it here", height=260, placeholder=_EXAMPLE, key="bible_text",
        help="YAML, JSON or TOML. A title, a premise and two people who want something are enough.",
    )  # fmt: skip
    if file is None and not text.strip():
        st.caption("A title, a premise and two people who want something are enough to begin with.")
        return None
    try:
        bible = (
            bible_from_text(decode(file.getvalue(), file.name), name=file.name)
            if file is not None
            else bible_from_text(text)
        )
    except StoryError as error:
        count = len(error.problems)
        st.error(f"{'One thing keeps' if count == 1 else f'{count} things keep'} this bible from being used:")
        st.markdown("\n".join(f"- {literal(line)}" for line in str(error).split("\n")))
        return None
    st.success(f"{literal(bible.title)}: accepted.")
    gaps = bible.gaps()
    if gaps:
        with st.expander(f"What would make it richer ({len(gaps)})"):
            st.markdown("\n".join(f"- {literal(gap)}" for gap in gaps))
    return Chosen(bible)


def how(studio: Studio, *, key: str, seed: int = 1, minutes: float = 5.0, number: int) -> Wish:
    """How the episode should be written, and who will write it. What was filled in stays for the next one."""
    with st.expander(f"How episode {number} should be written"):
        tier = st.radio(
            "Way of writing", list(_WAYS), key=f"{key}_tier",
            format_func=lambda tier: TIER_WORDS[tier].capitalize(), captions=list(_WAYS.values()),
        )  # fmt: skip
        writer = _who(studio, key)
        left, right = st.columns(2)
        chosen_seed = left.number_input(
            "Seed", min_value=0, max_value=2**53 - 1, value=seed, step=1, key=f"{key}_seed",
            help="The same seed and the same choices give the same episode."
            " With a language model that holds as long as the answer is kept on this computer.",
        )  # fmt: skip
        chosen_minutes = right.slider("Minutes", 2.0, 10.0, minutes, 0.5, key=f"{key}_minutes")
        direction = st.text_area(
            "A note to the writers", max_chars=2000, height=80, key=f"{key}_direction",
            placeholder="Slower. And let Pip be the one who finds it.",
        )  # fmt: skip
    tier = tier or "comprehensive"
    at_work = studio.writer_words(writer) if tier != "basic_fallback" else "the template"
    st.caption(literal(f"Will be written by {at_work}."))
    return Wish(int(chosen_seed), float(chosen_minutes), direction.strip(), tier, writer)


def _who(studio: Studio, key: str) -> str:
    """Which writer is asked first; there is nothing to choose with the embedded one alone."""
    names = studio.writer_names
    if len(names) == 1:
        return ""
    chosen = st.selectbox("Writer", names, key=f"{key}_writer", format_func=studio.writer_words)
    return chosen or ""
