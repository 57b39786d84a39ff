"""What a visitor fills in: the bible, and how the next episode should be written."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from cinegen_core.acting import Acting
from cinegen_core.drafting import BibleDraft, advice, draft_of
from cinegen_core.story import Policy, StoryBible
from cinegen_core.story.errors import StoryError
from cinegen_core.story.load import bible_from_text, load_sample, sample_names
from cinegen_core.story.source import decode
from cinegen_core.telling import TIER_WORDS
from cinegen_core.tiers.model import TierName
from pages.generate_form import bible_form, usable
from pages.generate_path import asked, stay
from pages.generate_room import the_room
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

SAMPLE, FORM, FILE = "A sample", "A short form", "A file or text"


@dataclass(frozen=True)
class Chosen:
    """A bible that was accepted; `source` is the sample's name, or empty, `draft` the form it was typed into."""

    bible: StoryBible
    source: str = ""
    draft: str = ""


@dataclass(frozen=True)
class Wish:
    """`number` is the episode's, `fresh` asks for new work where the same was written before."""

    number: int
    seed: int
    minutes: float
    direction: str
    tier: TierName
    writer: str = ""
    fresh: bool = False

    def policy(self, me: Acting) -> Policy:
        return me.studio.policy(me.person.id, tier=self.tier, writer=self.writer)


def choose_bible(me: Acting) -> Chosen | None:
    """A sample, a bible typed into a form, or one that is brought; None while there is nothing that could be used."""
    if asked("draft"):
        st.session_state.setdefault("kind", FORM)
    kind = st.radio("Series", (SAMPLE, FORM, FILE), key="kind", horizontal=True, label_visibility="collapsed")
    if kind == FORM:
        return _form(me)
    return _own(me) if kind == FILE else _sample(me)


def _sample(me: Acting) -> Chosen | None:
    names = sample_names()
    titles = {name: load_sample(name) for name in names}
    name = st.selectbox("Series", names, format_func=lambda name: titles[name].title, key="sample")
    if name is None:
        return None
    bible = titles[name]
    st.markdown(literal(bible.premise))
    st.caption(literal(", ".join((*bible.genres, *(person.name for person in bible.characters)))))
    _edit_first(me, bible, name)
    return Chosen(bible, name)


def _edit_first(me: Acting, bible: StoryBible, source: str = "") -> None:
    if st.button("Edit it first", key="edit_first", icon=":material/edit_note:"):
        key = me.studio.new_id()
        the_room().keep_draft(me, key, draft_of(bible, source=source))
        st.session_state.pop("kind", None)
        stay(draft=key, form="all")


def _form(me: Acting) -> Chosen | None:
    key = asked("draft")
    if not key:
        key = me.studio.new_id()
        st.query_params["draft"] = key
    whole = asked("form") == "all"
    if not whole:
        st.caption("A title, a premise and two people who want different things are enough to begin with.")
    draft = bible_form(me, key, BibleDraft(), short=not whole)
    if st.button(
        "Only the essentials" if whole else "More: places, threads, the world, everybody else",
        key="form_extent", type="tertiary", icon=":material/unfold_less:" if whole else ":material/unfold_more:",
    ):  # fmt: skip
        stay(draft=key, form=None if whole else "all")
    bible = usable(draft)
    if bible is None:
        return None
    return Chosen(bible, draft.source if bible == _original(draft.source) else "", key)


def _original(source: str) -> StoryBible | None:
    return load_sample(source) if source in sample_names() else None


def _own(me: Acting) -> Chosen | None:
    file = st.file_uploader("A file", type=["yaml", "yml", "json", "toml", "txt"], key="bible_file")
    text = st.text_area(
        "Or paste it here", height=260, placeholder=_EXAMPLE, key="bible_text", persist_state="session",
        help="YAML, JSON or TOML. A title, a premise and two people who want something are enough.",
    )  # fmt: skip
    if file is None and not (text or "").strip():
        st.caption("A title, a premise and two people who want something are enough to begin with.")
        return None
    try:
        bible = (
            bible_from_text(decode(file.getvalue(), file.name), name=file.name)
            if file is not None
            else bible_from_text(text or "")
        )
    except StoryError as error:
        count = len(error.problems)
        st.error(f"{'One thing keeps' if count == 1 else f'{count} things keep'} this bible from being used:")
        st.markdown("\n".join(f"- {literal(line)}" for line in str(error).split("\n")))
        return None
    st.success(f"{literal(bible.title)}: accepted.")
    told = advice(bible)
    if told:
        with st.expander(f"What would make it richer ({len(told)})"):
            st.markdown("\n".join(f"- {literal(line)}" for line in told))
    _edit_first(me, bible)
    return Chosen(bible)


def how(
    me: Acting, *, key: str, seed: int = 1, minutes: float = 5.0, number: int, first: bool = False
) -> Wish:
    """How the episode should be written, and who will write it. What was filled in stays for the next one.

    For the `first` of a season its number can be chosen too.
    """
    with st.expander(f"How episode {number} should be written" if not first else "How it should be written"):
        direction = st.text_area(
            "A note to the writers", max_chars=2000, height=80, key=f"{key}_direction", persist_state="session",
            placeholder="Slower. And let Pip be the one who finds it.",
        )  # fmt: skip
        columns = iter(st.columns(3 if first else 2))
        if first:
            number = int(
                next(columns).number_input(
                    "Episode", min_value=1, max_value=999, value=number, step=1, key=f"{key}_number",
                    help="A series that has begun elsewhere can go on here.",
                )
            )  # fmt: skip
        chosen_seed = next(columns).number_input(
            "Seed", min_value=0, max_value=2**53 - 1, value=seed, step=1, key=f"{key}_seed", persist_state="session",
            help="The same seed and the same choices give the same episode."
            " With a language model that holds as long as the answer is kept on this computer.",
        )  # fmt: skip
        chosen_minutes = next(columns).slider(
            "Minutes", 2.0, 10.0, minutes, 0.5, key=f"{key}_minutes", persist_state="session"
        )
        tier = st.radio(
            "Way of writing", list(_WAYS), key=f"{key}_tier", persist_state="session",
            format_func=lambda tier: TIER_WORDS[tier].capitalize(), captions=list(_WAYS.values()),
        )  # fmt: skip
        writer = _who(me, key)
        fresh = st.checkbox(
            "Write it anew, even where the same was asked for before",
            key=f"{key}_fresh",
            persist_state="session",
        )
    wish = Wish(
        number,
        int(chosen_seed or 0),
        float(chosen_minutes or minutes),
        (direction or "").strip(),
        tier or "comprehensive",
        writer,
        bool(fresh),
    )
    _told(me, wish)
    return wish


def _told(me: Acting, wish: Wish) -> None:
    """Who will write it, and where flags decide otherwise than was picked."""
    first = wish.policy(me).tiers[0]
    at_work = me.studio.writer_words(wish.writer) if first != "basic_fallback" else "the template"
    words = f"Will be written by {at_work}."
    if first != wish.tier and me.studio.emergency is None:
        words += f" For you, the flags have it written {TIER_WORDS[_tier(first)]}."
    st.caption(literal(words))


def _tier(name: str) -> TierName:
    return next(tier for tier in _WAYS if tier == name)


def _who(me: Acting, key: str) -> str:
    """Which writer is asked first; there is nothing to choose with the embedded one alone."""
    names = me.studio.writer_names
    if len(names) == 1:
        return ""
    chosen = st.selectbox("Writer", names, key=f"{key}_writer", format_func=me.studio.writer_words)
    return chosen or ""
