"""Flags, rollouts and rollback: what is on for whom and why, what is changed, and what triggers say or would have said."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Literal, TypeVar, cast, get_args

import streamlit as st

from cinegen_core.access import Action
from cinegen_core.acting import Acting
from cinegen_core.flags import JournalError, Snapshot
from cinegen_core.flags.control import Drift
from cinegen_core.flags.model import Context
from cinegen_core.flags.overviews import Standing, audience, commands_for, phases, standings
from cinegen_core.steering import KEPT, Steering
from pages.flags_asking import asking, dialog, offer, outcome
from pages.flags_journal import journal
from pages.flags_readings import (
    OFTEN,
    SOON,
    Counted,
    fared_reading,
    outcomes_of,
    stages_reading,
    tried_reading,
)  # fmt: skip
from pages.flags_sheets import (
    COUNTING,
    Entry,
    entries_html,
    flags_html,
    phases_html,
    stage_entry,
    triggers_html,
)
from pages.flags_tried import asked, what_if
from pages.frame import moment, page, refused
from pages.shared import literal

Part = Literal["Flags", "Rollouts", "Triggers", "What if", "Journal"]

T = TypeVar("T")


def draw(me: Acting) -> None:
    st.title("Flags and rollback")
    steering = me.studio.steering
    if steering is None:
        st.info(
            "This studio has no flags, so everything is on. `cinegen studio` starts one that goes by flags.toml."
        )
        return
    snapshot = steering.flags.snapshot()
    problem = steering.flags.problem
    if problem:
        st.error(literal(problem))
    outcome()
    _at_hand(me, snapshot)
    part = st.segmented_control(
        "What to look at", get_args(Part), default="Flags", required=True, key="part",
        label_visibility="collapsed", width="stretch", bind="query-params",
    )  # fmt: skip
    _PARTS[cast("Part", part or "Flags")](me, steering)
    dialog(me, steering)


def _at_hand(me: Acting, snapshot: Snapshot) -> None:
    """The two things that cannot wait, whatever is looked at."""
    version = snapshot.overlay.version
    with st.container(horizontal=True):
        offer(me, "rollback", "", version, label="Roll back a flag")
        if me.studio.emergency is None:
            offer(me, "emergency", "", version)
        else:
            offer(me, "emergency_over", "", version, primary=True)
    st.caption(
        "A rollback switches one flag off for everybody until a person re-arms it. Emergency mode leaves only the template."
    )


def _again(draw: Callable[..., None], *given: object, every: float = OFTEN) -> None:
    """Draws a part of the page, and again after so many seconds, without the rest."""
    st.fragment(draw, run_every=every)(*given)


# Flags.


def _flags(me: Acting, steering: Steering) -> None:
    declared = steering.flags.snapshot().declared
    if not declared.flags:
        st.info("No flag is declared. Add a section [flags.my_flag] to flags.toml, and it appears here.")
        return
    _again(_list, me, steering)
    key = st.selectbox("Flag to look at", list(declared.flags), key="flag", bind="query-params")
    if key is not None:
        _again(_one, me, steering, key)
        _explain(me, steering, key)


def _list(me: Acting, steering: Steering) -> None:
    snapshot = steering.flags.snapshot()
    drift = _drift(steering)
    fared = fared_reading(me.studio, snapshot.declared).reading
    if fared.error is not None:
        refused(fared.error)
    st.html(
        flags_html(standings(snapshot.declared, snapshot.overlay), {one.flag for one in drift}, fared.value)
    )
    words = f"With it and without: answers of the last {KEPT.days} days, on the guide's scale."
    st.caption(f"{'An asterisk marks what differs from flags.toml. ' if drift else ''}{words}")


def _drift(steering: Steering) -> tuple[Drift, ...]:
    try:
        return steering.flags.drift()
    except JournalError as error:
        refused(error)
        return ()


def _one(me: Acting, steering: Steering, key: str) -> None:
    snapshot = steering.flags.snapshot()
    one = next((found for found in standings(snapshot.declared, snapshot.overlay) if found.key == key), None)
    if one is None:
        st.info("This flag is no longer declared in flags.toml.")
        return
    st.subheader(literal(f"{key}: {one.words}"))
    if one.latched is not None:
        st.warning(
            literal(f"Rolled back: {one.latched}. It stays off for everybody until a person re-arms it.")
        )
    found = [drift for drift in _drift(steering) if drift.flag == key]
    version = snapshot.overlay.version
    with st.container(horizontal=True):
        if one.latched is None:
            offer(me, "set", key, version)
            if found and not one.rollout:
                offer(me, "fold_back", key, version, label="Write into flags.toml")
            offer(me, "rollback", key, version)
        else:
            offer(me, "rearm", key, version, primary=True)
    if found:
        st.markdown("**Where it differs from flags.toml, and who made it so**")
        st.html(entries_html([_drifted(drift) for drift in found], "Drift"))
    _who_gets_it(snapshot, one)
    _by_percentage(me, steering, snapshot, key)


def _drifted(drift: Drift) -> Entry:
    def shown(value: bool | int) -> str:
        return ("on" if value else "off") if isinstance(value, bool) else f"{value} %"

    return Entry(
        f"{drift.field}: {shown(drift.effective)}",
        f"the file says {shown(drift.declared)}",
        (f"{drift.who}, {moment(drift.at)}: {drift.why}",),
        revised=True,
    )


def _who_gets_it(snapshot: Snapshot, one: Standing) -> None:
    lines = [
        f"Gets it while it is on: {words}."
        for words in audience(snapshot.declared.flags[one.key], one.percent)
    ]
    if one.needs:
        lines.append(f"Needs, for the same person: {', '.join(one.needs)}.")
    if one.needed_by:
        lines.append(f"Needed by: {', '.join(one.needed_by)}.")
    st.markdown("\n".join(f"- {literal(line)}" for line in lines))


def _by_percentage(me: Acting, steering: Steering, snapshot: Snapshot, key: str) -> None:
    st.markdown("**How it fared at each percentage**")
    counted = stages_reading(me.studio, steering, key, snapshot.declared, snapshot.overlay.version)
    found = _there(me, counted)
    if found is None:
        return
    stages = [stage for stage in found if stage.on.usage or stage.off.usage]
    if not stages:
        st.caption("No data: no episode was written with or without it yet.")
        return
    st.html(entries_html([stage_entry(stage) for stage in reversed(stages)], "Percentages, the latest first"))
    st.caption(
        "In brackets the interval of the difference, 95 %. Where people are listed or chosen by an attribute, it may be theirs, not "
        "the flag's."
    )


def _there(me: Acting, counted: Counted[T]) -> T | None:
    """What was counted; while it is, that it is, and the page is drawn anew once it was."""
    reading = counted.reading
    if reading.error is not None:
        refused(reading.error)
    elif reading.value is None:
        st.html(COUNTING)
        _again(_until_done, me, counted.name, every=SOON)
    return reading.value


def _until_done(me: Acting, name: Hashable) -> None:
    if outcomes_of(me.studio).readings.ready(name) and not asking():
        st.rerun()


def _explain(me: Acting, steering: Steering, key: str) -> None:
    """Who gets a flag and why, for anybody who can be named."""
    st.subheader("Who gets it, and why")
    left, right = st.columns(2)
    user = left.text_input(
        "User id", me.person.id, key="explain_user", max_chars=255, help="Yours, unless you give another."
    )
    session = right.text_input("Session id", key="explain_session", max_chars=255)
    beta = st.checkbox("A beta tester", me.studio.settings.beta, key="explain_beta")
    given = st.text_area(
        "Attributes, one a line", key="explain_attributes", height=80, placeholder="country = fr"
    )
    lines = [line for line in given.splitlines() if line.strip()]
    wrong = [line for line in lines if "=" not in line]
    if wrong:
        st.error(
            literal(f"“{wrong[0]}” is no attribute: write a name, =, and a value, such as country = fr.")
        )
        return
    pairs = (line.partition("=") for line in lines)
    attributes = {name.strip(): value.strip() for name, _, value in pairs}
    found = steering.flags.evaluate(
        key, Context(user.strip() or None, session.strip() or None, beta, attributes)
    )
    bucket = ""
    if found.bucket is not None:
        bucket = f" Bucket {found.bucket} of 100 is this person's for this flag, and stays so."
    variant = f" In the variant {found.variant}." if found.variant else ""
    st.markdown(f"**{literal(f'{key} is {found.words} ({found.reason})')}.**{literal(variant + bucket)}")


# Rollouts.


def _rollouts(me: Acting, steering: Steering) -> None:
    if not steering.flags.snapshot().declared.rollouts:
        st.info(
            "No rollout is planned. Add a section [rollouts.my_rollout] with its phases to flags.toml, and it can be started here."
        )
        return
    _again(_every_rollout, me, steering)


def _every_rollout(me: Acting, steering: Steering) -> None:
    snapshot = steering.flags.snapshot()
    declared, overlay = snapshot.declared, snapshot.overlay
    for plan in declared.rollouts.values():
        decision, standing = steering.rollout(plan.key), overlay.rollouts.get(plan.key)
        st.subheader(literal(plan.key))
        if standing is None:
            words = f"Not started. A plan for {plan.flag}, which is only that until somebody starts it."
        else:
            why = f": {standing.why}" if standing.why else ""
            words = f"{standing.state.replace('_', ' ').capitalize()}{why}. It raises {plan.flag}."
        st.markdown(literal(words))
        st.html(phases_html(phases(plan, overlay, decision), me.studio.now))
        if decision is not None and standing is not None and standing.state == "running":
            verb = "Next" if decision.kind != "hold" else "Waits for"
            st.caption(literal(f"{verb}: {decision.reason}."))
        with st.container(horizontal=True):
            offered = commands_for(declared, overlay, plan)
            for place, command in enumerate(offered):
                offer(me, command, plan.key, overlay.version, primary=place == 0 and command != "pause_rollout")  # fmt: skip
        if not offered:
            st.caption(
                literal(
                    f"Nothing can be started: {plan.flag} is rolled back, or another rollout is raising it."
                )
            )


# Triggers.


def _triggers(me: Acting, steering: Steering) -> None:
    st.markdown(
        "The **signal** is the mean over a window held against the threshold: beyond it, the rollout pauses and a warning is raised. "
        "The **evidence** grows with every episode and rolls back once chance no longer explains the breach. With the policy literal "
        "the signal itself rolls back, which at a few episodes an hour also rolls back a flag that is sound."
    )
    _again(_every_trigger, me, steering)


def _every_trigger(me: Acting, steering: Steering) -> None:
    declared = steering.flags.snapshot().declared
    if not declared.triggers:
        st.info("No trigger is declared. Add a section [triggers.my_trigger] to flags.toml.")
        return
    off = []
    for flag in declared.flags:
        found = list(steering.verdicts(flag).values())
        if found:
            st.subheader(literal(flag))
            st.html(triggers_html(found))
        elif any(not trigger.flags or flag in trigger.flags for trigger in declared.triggers.values()):
            off.append(flag)
    if off:
        st.caption(literal(f"Not watched now, because off for everybody or not seen yet: {', '.join(off)}."))


# What if.


def _what_if(me: Acting, steering: Steering) -> None:
    declared = steering.flags.snapshot().declared
    st.markdown(
        "Triggers as they could be, held against what was recorded. Nothing is changed by it; what proves itself goes into flags.toml."
    )
    if not declared.triggers:
        st.info("No trigger is declared. Add a section [triggers.my_trigger] to flags.toml.")
        return
    wanted = asked(declared, me.studio.series)
    if wanted is None:
        return
    found = _there(me, tried_reading(me.studio, steering, declared, wanted))
    if found is not None:
        what_if(found, declared, wanted)


def _journal(me: Acting, steering: Steering) -> None:
    journal(steering)


_PARTS: dict[Part, Callable[[Acting, Steering], None]] = {
    "Flags": _flags,
    "Rollouts": _rollouts,
    "Triggers": _triggers,
    "What if": _what_if,
    "Journal": _journal,
}

page(draw, Action.CHANGE_FLAGS)
