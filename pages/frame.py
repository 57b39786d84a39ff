"""What is around every page: who is there, what they may do, what everybody must know now, and words for figures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

import streamlit as st
from streamlit.errors import StreamlitSecretNotFoundError

from cinegen_core.access import (
    Action,
    ClaimsError,
    NotAllowedError,
    OpenStudioError,
    Person,
    person_from_claims,
    single_user,
)
from cinegen_core.acting import Acting
from cinegen_core.operators import NameNotKeptError, name_of, remember
from cinegen_core.studio import Studio
from pages.shared import literal, the_studio

NO_DATA = "no data"


def signs_in() -> bool:
    """Whether sign-in is set up (a section [auth] in .streamlit/secrets.toml)."""
    try:
        return "auth" in st.secrets
    except StreamlitSecretNotFoundError:
        return False


def visitor(studio: Studio) -> Person | None:
    """Who is there; None for somebody who has yet to sign in. Raises `ClaimsError`, `OpenStudioError` and `NameNotKeptError`."""
    if not signs_in():
        address = str(st.get_option("server.address") or "")
        person = single_user(studio.settings, listens_on=address, headers=st.context.headers.to_dict())
        name = name_of(studio.settings)
        return person.model_copy(update={"name": name}) if name else person
    claims: Mapping[str, object] = st.user.to_dict()
    if not claims.get("is_logged_in"):
        return None
    return person_from_claims(claims, role_claim=studio.settings.role_claim)


def acting() -> Acting:
    """The visitor in the studio; stops the page where nobody has signed in."""
    studio = the_studio()
    try:
        person = visitor(studio)
    except ClaimsError as error:
        st.error(literal(str(error)))
        st.button("Sign out", on_click=st.logout, key="sign_out_anyway")
        st.stop()
    except (OpenStudioError, NameNotKeptError) as error:
        st.error(literal(str(error)))
        st.stop()
    if person is None:
        st.title("Cinegen Studio")
        st.write("Sign in to write, compare, explore or look after the studio.")
        st.button("Sign in", type="primary", on_click=st.login, key="sign_in")
        st.stop()
    return Acting(studio, person)


def page(draw: Callable[[Acting], None], action: Action) -> None:
    """A page for those who may do `action`: what everybody must know, then the page itself."""
    st.html(PAGE_STYLE)
    me = acting()
    if not me.may(action):
        st.error(literal(str(NotAllowedError(me.person, action))))
        return
    to_know(me.studio)
    draw(me)


def to_know(studio: Studio) -> None:
    """An emergency, and monitoring that is switched off."""
    emergency = studio.emergency
    if emergency is not None:
        st.warning(
            literal(
                f"Emergency mode, by {emergency.by}: {emergency.reason}. Only the template writes until it ends."
            )
        )
    if studio.monitoring is not None and not studio.monitored():
        st.warning(
            "production\\_monitoring is off: what happens is recorded, but no alert is raised and nothing is rolled back."
        )


def who_is_there(me: Acting) -> None:
    """In the sidebar: whom the studio takes the visitor for."""
    with st.sidebar:
        if signs_in():
            st.caption(
                f"Signed in as {literal(me.person.name)} ({', '.join(sorted(me.person.roles)) or 'no role'})"
            )
            st.button("Sign out", on_click=st.logout, key="sign_out", type="tertiary")
        else:
            st.caption("Single-user mode: nobody signs in, and only this computer is served.")


def operator_name(me: Acting) -> bool:
    """Asks once for the name that changes are recorded under, in single-user mode; whether there is one."""
    if signs_in() or name_of(me.studio.settings):
        return True
    name = st.text_input(
        "Your name",
        key="operator_name_asked",
        max_chars=100,
        help="It is recorded with every change that you make.",
    )
    if name.strip():
        try:
            remember(me.studio.settings, name)
        except NameNotKeptError as error:
            refused(error)
            return False
        st.rerun()
    return False


def fold(label: str, draw: Callable[[], None], *, key: str) -> None:
    """A part that is drawn once somebody has opened it, and stays from then on, so that nothing typed there is lost: what nobody
    looks at costs nobody time."""
    folded = st.expander(label, key=key, on_change="rerun")
    seen = f"{key}_seen"
    if folded.open:
        st.session_state[seen] = True
    if st.session_state.get(seen):
        with folded:
            draw()


def refused(error: Exception) -> None:
    """What could not be done, in its own words."""
    st.error(literal(str(error)))


def number(value: float | None, unit: str = "", digits: int = 1) -> str:
    """A figure with its unit, or that there is none."""
    if value is None:
        return NO_DATA
    return f"{value:,.{digits}f}{' ' if unit and unit != '%' else ''}{unit}"


def percent(value: float | None, digits: int = 1) -> str:
    """Of 0..100."""
    return NO_DATA if value is None else f"{value:.{digits}f} %"


def span(seconds: float | None) -> str:
    """A time in the unit that reads best."""
    if seconds is None:
        return NO_DATA
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def moment(at: datetime | None) -> str:
    """A time, in UTC, as all times of the record are shown."""
    return NO_DATA if at is None else f"{at.astimezone(UTC):%d %b %Y, %H:%M} UTC"


def ago(at: datetime, now: datetime) -> str:
    """How long ago, in words."""
    seconds = max(0.0, (now - at).total_seconds())
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"


def table(rows: Iterable[Mapping[str, str]], *, caption: str = "") -> None:
    """A small table of texts, as text: nothing in it is read as Markdown or HTML."""
    from html import escape

    given = list(rows)
    if not given:
        return
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in given[0])
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row.values()) + "</tr>" for row in given
    )
    told = f"<caption>{escape(caption)}</caption>" if caption else ""
    st.html(
        f'{TABLE_STYLE}<div class="figures-room"><table class="figures">{told}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


TABLE_STYLE = """<style>
.figures-room { overflow-x: auto; max-width: 100%; }
.figures { width: 100%; border-collapse: collapse; font-size: 0.92rem; line-height: 1.4; font-variant-numeric: tabular-nums; }
.figures caption { text-align: left; padding-bottom: 0.4rem; }
.figures th, .figures td { text-align: left; vertical-align: top; padding: 0.35rem 0.9rem 0.35rem 0;
  border-top: 1px solid color-mix(in srgb, currentColor 22%, transparent); overflow-wrap: break-word; min-width: 4.5rem; }
.figures thead th { font-weight: 600; border-top: 0; white-space: nowrap; }
</style>"""

PAGE_STYLE = """<style>
[data-testid="stCaptionContainer"] { color: inherit; opacity: 0.85; }
[data-testid="stButtonGroup"] [role="radiogroup"] button[aria-checked="true"],
[data-testid="stButtonGroup"] [role="radiogroup"] button[aria-checked="true"] * { color: inherit; font-weight: 600; }
[data-testid="stSliderThumbValue"], [data-testid="stSliderThumbValue"] * { color: inherit; }
</style>"""
"""What can be read in both themes everywhere: captions, what is chosen of a few, and a slider's value."""
