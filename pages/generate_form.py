"""The form of a bible: the essentials, or all of it. What is typed is kept while one goes elsewhere and comes back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, TypeVar

import streamlit as st

from cinegen_core.acting import Acting
from cinegen_core.drafting import (
    ArcDraft,
    BibleDraft,
    PersonDraft,
    PlaceDraft,
    advice,
    bible_of,
    keeps_cards,
    needed,
)
from cinegen_core.story import StoryBible
from cinegen_core.story.errors import StoryError
from cinegen_core.story.model import Noun
from pages.generate_room import the_room
from pages.shared import literal

Group = Literal["people", "places", "arcs"]
Drafted = TypeVar("Drafted", bound=Noun)


class _Field(NamedTuple):
    name: str
    label: str
    placeholder: str = ""
    high: bool = False
    most: int | None = 20_000
    tall: bool = False


_ESSENTIAL = (
    _Field("title", "Title", "Slack Water", most=80),
    _Field(
        "premise", "Premise", "A harbour pilot comes home to find out who let her father drown.", high=True
    ),
)
_SERIES = (
    _Field("genres", "Genres, with commas between them", "mystery, drama", most=None),
    _Field("tone", "Tone", "dry, salt, unhurried"),
    _Field(
        "theme", "Theme: what the series keeps asking", "What you keep for someone, you also keep from them."
    ),
)
_WORLD = (
    _Field("setting", "Setting: where this is", "Carrow, a small pilot station on a northern sound"),
    _Field("period", "Period", "the present"),
    _Field("rules", "Rules that hold there, one on each line", "Nothing crosses the bar except at slack water.", True, None),
    _Field("culture", "Culture: how people live together", "People help by doing a job for you and not mentioning it.", True),
)  # fmt: skip
_STORY = (
    _Field("threads", "Threads: open questions, one on each line", "Who cut the page?", True, None),
    _Field("motifs", "Motifs: things that come back, one on each line", "the tide clock that is eleven minutes slow", True, None),
)  # fmt: skip
_PERSON = (
    _Field("name", "Name", "Marit Vold", most=80),
    _Field("role", "Role", "junior pilot"),
    _Field("want", "Wants", "to see the November log", tall=True),
    _Field("need", "Needs", "to stop steering by a dead man", tall=True),
    _Field("flaw", "Flaw", "tests people when she could ask them", tall=True),
    _Field("secret", "Secret", "She has already read it.", tall=True),
    _Field("voice", "Voice: how they speak", "says little, short plain words", tall=True),
    _Field("pronouns", "Pronouns", "she/her"),
    _Field("age", "Age", "34"),
    _Field("look", "Look", "a wool hat that was a man's once", tall=True),
    _Field("relationships", "Relationships, one on each line", "Ansel Roe: her father's oldest friend", True, None),
)  # fmt: skip
_FIRST_TWO = (
    (_Field("name", "Somebody", "Marit Vold", most=80), _Field("want", "Wants", "to see the November log", tall=True)),
    (_Field("name", "Somebody else", "Ansel Roe", most=80), _Field("want", "Wants something else", "to keep the station open", tall=True)),
)  # fmt: skip
_PLACE = (
    _Field("name", "Name", "Watch room", most=80),
    _Field("look", "Look", "a stove, a bench worn by eleven pilots", tall=True),
    _Field("sound", "Sound", "the radio, never turned up and never turned off", tall=True),
    _Field("smell", "Smell", "paraffin, wet wool and brass polish", tall=True),
    _Field("activity", "What people do there", "writing up the log, waiting for slack", tall=True),
)
_ARC = (
    _Field("title", "Title", "The page"),
    _Field("episodes", "Episodes", "3"),
    _Field("events", "Events, one on each line", "the stub is found in the log", True, None),
)
_FIELDS: dict[Group, tuple[_Field, ...]] = {"people": _PERSON, "places": _PLACE, "arcs": _ARC}
_MOST: dict[Group, int] = {"people": 40, "places": 60, "arcs": 60}
_ONE: dict[Group, str] = {"people": "person", "places": "place", "arcs": "arc"}


def bible_form(
    me: Acting, key: str, start: BibleDraft, *, short: bool = False, titled: bool = True
) -> BibleDraft:
    """Shows the form for the draft under this key, `start` where there is none yet; what is in it now.

    `titled` is off where the title is settled.
    """
    draft = the_room().draft(me, key) or start
    if short:
        _essentials(key, draft)
    else:
        _all(me, key, draft, titled)
    draft = _read(key, draft)
    if draft != start:
        the_room().keep_draft(me, key, draft)
    return draft


def usable(draft: BibleDraft) -> StoryBible | None:
    """The bible that is in the form, with a word on what is missing; None while there is something without which there is none."""
    missing = needed(draft)
    if missing:
        st.info(f"Still needed: {', '.join(missing)}. What you type is kept.")
        return None
    try:
        bible = bible_of(draft)
    except StoryError as error:
        st.error("This keeps the bible from being used:")
        lines = [str(problem).removeprefix(f"{problem.file}: ") for problem in error.problems]
        st.markdown("\n".join(f"- {literal(line)}" for line in lines))
        return None
    if draft.cards is not None and not keeps_cards(draft):
        st.info(
            "The scenes that come with this sample were written for its own people and places. Since some have other names"
            " now, it is written as any bible is, without those scenes."
        )
    told = advice(bible)
    if told:
        with st.expander(f"What would make it richer ({len(told)})"):
            st.markdown("\n".join(f"- {literal(line)}" for line in told))
    return bible


def forget(me: Acting, key: str) -> None:
    """The draft under this key is not needed any more."""
    the_room().drop_draft(me, key)
    _clear(key)


def _essentials(key: str, draft: BibleDraft) -> None:
    _fields(key, draft, _ESSENTIAL)
    for index in range(2):
        person = draft.people[index] if index < len(draft.people) else PersonDraft()
        left, right = st.columns([2, 3])
        _field(left, f"{key}.people.{index}", person, _FIRST_TWO[index][0])
        _field(right, f"{key}.people.{index}", person, _FIRST_TWO[index][1])


def _all(me: Acting, key: str, draft: BibleDraft, titled: bool) -> None:
    def series() -> None:
        if not titled:
            st.caption(f"The title is settled, since there are episodes: {literal(draft.title)}.")
        _fields(key, draft, _ESSENTIAL if titled else _ESSENTIAL[1:])
        _fields(key, draft, _SERIES)

    def people() -> None:
        st.caption("Two people with a name who want something are enough.")
        _group(me, key, draft, "people")

    def story() -> None:
        _fields(key, draft, _STORY)
        st.markdown("**Arcs**")
        _group(me, key, draft, "arcs")

    parts: dict[str, Callable[[], None]] = {
        "Series": series,
        "People": people,
        "Places": lambda: _group(me, key, draft, "places"),
        "World": lambda: _fields(key, draft, _WORLD),
        "Threads and arcs": story,
    }
    # A whole bible has a hundred fields: those of the part that is looked at are enough. What is typed is in the draft.
    for tab, part in zip(
        st.tabs(list(parts), key=f"part_{key}", on_change="rerun"), parts.values(), strict=True
    ):
        if tab.open:
            with tab:
                part()


def _group(me: Acting, key: str, draft: BibleDraft, group: Group) -> None:
    rows: Sequence[Any] = getattr(draft, group)
    one = _ONE[group]
    if not rows:
        st.caption(f"No {one} yet.")
    for index, row in enumerate(rows):
        at = f"{key}.{group}.{index}"
        name = row.title if group == "arcs" else row.name
        with st.expander(
            literal(name) if name.strip() else f"{one.capitalize()} {index + 1}", expanded=row.blank
        ):
            columns = st.columns(2)
            plain = [field for field in _FIELDS[group] if not field.high]
            for number, field in enumerate(plain):
                _field(columns[number % 2], at, row, field)
            for field in _FIELDS[group]:
                if field.high:
                    _field(st, at, row, field)
            if group == "places":
                st.session_state.setdefault(f"{at}.interior", row.interior)
                st.checkbox("Inside", key=f"{at}.interior")
            st.button(
                f"Take this {one} out", key=f"{at}.out", type="tertiary", on_click=_changed,
                args=(me, key, draft, lambda now, group=group, index=index: _without(now, group, index)),
            )  # fmt: skip
    st.button(
        f"Add a{'n' if one[0] in 'aeiou' else ''} {one}", key=f"{key}.{group}.more", icon=":material/add:",
        disabled=len(rows) >= _MOST[group], on_click=_changed,
        args=(me, key, draft, lambda now, group=group: _with_one_more(now, group)),
    )  # fmt: skip


def _changed(me: Acting, key: str, draft: BibleDraft, change: Callable[[BibleDraft], BibleDraft]) -> None:
    """Changes how many there are, with what was typed up to now; every field is then filled from the draft."""
    now = change(_read(key, draft))
    _clear(key)
    the_room().keep_draft(me, key, now)


def _with_one_more(draft: BibleDraft, group: Group) -> BibleDraft:
    new = {"people": PersonDraft, "places": PlaceDraft, "arcs": ArcDraft}[group]()
    return draft.model_copy(update={group: (*getattr(draft, group), new)})


def _without(draft: BibleDraft, group: Group, index: int) -> BibleDraft:
    rows = getattr(draft, group)
    return draft.model_copy(update={group: (*rows[:index], *rows[index + 1 :])})


def _clear(key: str) -> None:
    for name in [name for name in st.session_state if str(name).startswith(f"{key}.")]:
        del st.session_state[name]


def _fields(at: str, noun: Any, fields: Sequence[_Field]) -> None:
    for field in fields:
        _field(st, at, noun, field)


def _field(room: Any, at: str, noun: Any, field: _Field) -> None:
    key = f"{at}.{field.name}"
    st.session_state.setdefault(key, getattr(noun, field.name))
    if field.high or field.tall:
        height = 96 if field.high else 68
        room.text_area(
            field.label, key=key, placeholder=field.placeholder, max_chars=field.most, height=height
        )
    else:
        room.text_input(field.label, key=key, placeholder=field.placeholder, max_chars=field.most)


def _read(key: str, draft: BibleDraft) -> BibleDraft:
    """The draft with whatever stands in the fields that are shown."""
    people = draft.people
    while len(people) < 2 and any(
        f"{key}.people.{index}.name" in st.session_state for index in range(len(people), 2)
    ):
        people = (*people, PersonDraft())
    return _filled(draft, key).model_copy(
        update={
            "people": tuple(_filled(row, f"{key}.people.{i}") for i, row in enumerate(people)),
            "places": tuple(_filled(row, f"{key}.places.{i}") for i, row in enumerate(draft.places)),
            "arcs": tuple(_filled(row, f"{key}.arcs.{i}") for i, row in enumerate(draft.arcs)),
        }
    )


def _filled(noun: Drafted, at: str) -> Drafted:
    found = {
        name: st.session_state[f"{at}.{name}"]
        for name in type(noun).model_fields
        if isinstance(st.session_state.get(f"{at}.{name}"), str | bool)
    }
    return noun.model_copy(update=found)
