"""The command line's flags: `cinegen flags list`, `explain`, `set`, `rollout`, `rollback`, `emergency`, `journal`, `replay` ...

Every write needs `--reason`, and is recorded with the operator's name: `--who`, or CINEGEN_OPERATOR, or the name given first.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, NoReturn

import typer

from cinegen_core.flags.cohorts import Cohort, cohorts
from cinegen_core.flags.control import RefusedError, UnknownFlagError
from cinegen_core.flags.declared import DeclarationError
from cinegen_core.flags.journal import JournalError, StaleVersionError
from cinegen_core.flags.model import Change, Context, Trigger
from cinegen_core.flags.replay import replay as replayed
from cinegen_core.operators import NameNotKeptError, name_of, remember
from cinegen_core.settings import Settings
from cinegen_core.steering import Steering
from cinegen_core.store import StoreError

Reason = Annotated[str, typer.Option("--reason", help="Why, for the journal.", show_default=False)]
Who = Annotated[
    str, typer.Option("--who", help="Who makes the change; remembered once given.", show_default=False)
]
Version = Annotated[
    int | None, typer.Option("--version", min=0, help="Refuse if the flags have changed since this version.")
]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]
Key = Annotated[str, typer.Argument(help="A flag's key, as `cinegen flags list` shows it.")]

FAILURES = (
    RefusedError,
    UnknownFlagError,
    StaleVersionError,
    JournalError,
    DeclarationError,
    StoreError,
    ValueError,
)


class RolloutStep(StrEnum):
    start = "start"
    pause = "pause"
    resume = "resume"
    approve = "approve"
    abort = "abort"


class Switch(StrEnum):
    on = "on"
    off = "off"


def flags_app(open_steering: Callable[[], tuple[Steering, Settings]]) -> typer.Typer:  # noqa: C901 (holds the commands)
    """The commands; `open_steering` opens what they work on."""
    app = typer.Typer(
        help="Feature flags: what is on, for whom and why; rollouts and rollback.", no_args_is_help=True
    )

    @contextmanager
    def at_work() -> Iterator[tuple[Steering, Settings]]:
        try:
            steering, settings = open_steering()
            try:
                yield steering, settings
            finally:
                steering.close()
        except FAILURES as error:
            _stop(str(error), 1)

    def write(change: Callable[[Steering, str], Sequence[Change]], who: str, reason: str) -> None:
        if not reason.strip():
            _stop("Say why with --reason; it goes into the journal.", 2)
        with at_work() as (steering, settings):
            made = change(steering, _operator(who, settings))
            steering.catch_up()
            for one in made:
                typer.echo(_line(one))
            if not made:
                typer.echo("Nothing to change: it is so already.")

    @app.command(name="list")
    def list_flags(*, as_json: AsJson = False) -> None:
        """Every flag: on or off, for how many, how its cohorts fare, and where it differs from its file."""
        with at_work() as (steering, _):
            rows = _rows(steering)
            if as_json:
                typer.echo(json.dumps(rows, indent=2))
                return
            for row in rows:
                typer.echo(_row_words(row))
            overlay = steering.flags.overlay
            if overlay.emergency is not None:
                typer.echo(
                    f"Emergency since {overlay.emergency.since:%Y-%m-%d %H:%M}: {overlay.emergency.why}"
                )
            if steering.flags.problem:
                typer.echo(steering.flags.problem, err=True)

    @app.command()
    def explain(
        key: Key,
        *,
        user: Annotated[str, typer.Option(help="A user's id; without it, this installation's.")] = "",
        session: Annotated[str, typer.Option(help="A session's id.")] = "",
        beta: Annotated[bool, typer.Option("--beta", help="As a beta tester.")] = False,
        attribute: Annotated[
            list[str] | None, typer.Option("--attribute", metavar="NAME=VALUE", help="May be repeated.")
        ] = None,
        as_json: AsJson = False,
    ) -> None:
        """Whether somebody gets a flag, and why."""
        pairs = [text.partition("=") for text in attribute or ()]
        if any(not sign for _, sign, _ in pairs):
            _stop("--attribute takes NAME=VALUE.", 2)
        attributes = {name: value for name, _, value in pairs}
        with at_work() as (steering, settings):
            if key not in steering.flags.declared.flags:
                raise UnknownFlagError("flag", key, steering.flags.declared.flags)
            context = Context(user or settings.install_id or None, session or None, beta, attributes)
            found = steering.flags.evaluate(key, context)
            if as_json:
                typer.echo(json.dumps({**found._asdict(), "words": found.words}, indent=2))
            else:
                typer.echo(f"{key} is {found.words} ({found.reason})")

    @app.command(name="set")
    def set_flag(
        key: Key,
        *,
        on: Annotated[bool | None, typer.Option("--on/--off", help="Switch it.")] = None,
        percent: Annotated[
            int | None, typer.Option(min=0, max=100, help="How many of a hundred get it.")
        ] = None,
        reason: Reason = "",
        who: Who = "",
        version: Version = None,
    ) -> None:
        """Switch a flag or set its percentage, for now; `fold-back` writes it into the file."""
        write(lambda s, by: s.flags.set(key, on, percent, who=by, why=reason, version=version), who, reason)

    @app.command()
    def rollback(key: Key, *, reason: Reason = "", who: Who = "", version: Version = None) -> None:
        """Switch a flag off at once for everybody, until somebody re-arms it."""
        write(lambda s, by: s.flags.rollback(key, who=by, why=reason, version=version), who, reason)

    @app.command()
    def rearm(key: Key, *, reason: Reason = "", who: Who = "", version: Version = None) -> None:
        """Lift a rollback."""
        write(lambda s, by: s.flags.rearm(key, who=by, why=reason, version=version), who, reason)

    @app.command()
    def emergency(switch: Switch, *, reason: Reason = "", who: Who = "", version: Version = None) -> None:
        """Disable everything above the template, or end that."""

        def change(steering: Steering, by: str) -> Sequence[Change]:
            flags = steering.flags
            command = flags.emergency if switch is Switch.on else flags.emergency_over
            return command(who=by, why=reason, version=version)

        write(change, who, reason)

    @app.command()
    def rollout(
        step: RolloutStep,
        key: Annotated[str, typer.Argument(help="A rollout strategy's key.")],
        *,
        reason: Reason = "",
        who: Who = "",
        version: Version = None,
    ) -> None:
        """Start, pause, resume, approve or abort a rollout."""

        def change(steering: Steering, by: str) -> Sequence[Change]:
            flags = steering.flags
            command = {
                RolloutStep.start: flags.start_rollout,
                RolloutStep.pause: flags.pause_rollout,
                RolloutStep.resume: flags.resume_rollout,
                RolloutStep.approve: flags.approve_rollout,
                RolloutStep.abort: flags.abort_rollout,
            }[step]
            return command(key, who=by, why=reason, version=version)

        write(change, who, reason)

    @app.command()
    def status(*, as_json: AsJson = False) -> None:
        """Where rollouts and triggers stand: gates met or not, distance to the threshold, evidence so far."""
        with at_work() as (steering, _):
            steering.catch_up()
            rows = _standing(steering)
            if as_json:
                typer.echo(json.dumps(rows, indent=2))
                return
            for row in rows:
                typer.echo(f"{row['what']}: {row['words']}")

    @app.command()
    def journal(
        *,
        last: Annotated[int, typer.Option(min=1, help="How many, from the end.")] = 20,
        as_json: AsJson = False,
    ) -> None:
        """Who changed what, when and why."""
        with at_work() as (steering, _):
            made = steering.changes(0)[-last:]
            if as_json:
                typer.echo(json.dumps([change.model_dump(mode="json") for change in made], indent=2))
                return
            for change in made:
                typer.echo(_line(change))
            if not made:
                typer.echo("Nothing has been changed.")

    @app.command()
    def drift(*, as_json: AsJson = False) -> None:
        """Where the flags differ from their file."""
        with at_work() as (steering, _):
            found = steering.flags.drift()
            if as_json:
                typer.echo(json.dumps([one.model_dump(mode="json") for one in found], indent=2))
                return
            for one in found:
                typer.echo(
                    f"{one.flag}.{one.field}: {one.declared} in the file, {one.effective} in force ({one.who}, "
                    f"{one.at:%Y-%m-%d %H:%M}: {one.why})"
                )
            if not found:
                typer.echo("The flags are as their file says.")

    @app.command(name="fold-back")
    def fold_back(
        keys: Annotated[
            list[str] | None, typer.Argument(help="Which flags; all that differ if none is named.")
        ] = None,
        *,
        reason: Reason = "",
        who: Who = "",
        version: Version = None,
    ) -> None:
        """Write what is in force into flags.toml, its comments kept."""
        write(
            lambda s, by: s.flags.fold_back(who=by, why=reason, keys=keys or None, version=version),
            who,
            reason,
        )

    @app.command(name="replay")
    def replay_recorded(
        *,
        trigger: Annotated[str, typer.Option(help="A trigger to try otherwise.")] = "",
        threshold: Annotated[float | None, typer.Option(help="Its threshold.")] = None,
        minutes: Annotated[float | None, typer.Option(help="Its window.")] = None,
        policy: Annotated[str | None, typer.Option(help="evidence or literal.")] = None,
        days: Annotated[float, typer.Option(min=0.01, help="How far back.")] = 90.0,
        as_json: AsJson = False,
    ) -> None:
        """When triggers and gates would have paused or rolled back, over what was recorded."""
        with at_work() as (steering, _):
            triggers = _tried(
                steering.flags.declared.triggers, trigger, threshold=threshold, minutes=minutes, policy=policy
            )
            since = steering.now() - timedelta(days=days)
            found = replayed(
                steering.samples(since), steering.changes(0), steering.flags.declared,
                triggers=triggers, until=steering.now(),
            )  # fmt: skip
            if as_json:
                rows = [
                    {
                        **one.action._asdict(),
                        "at": one.action.at.isoformat(),
                        "before": one.before,
                        "after": one.after,
                    }
                    for one in found
                ]
                typer.echo(json.dumps(rows, indent=2))
                return
            for one in found:
                typer.echo(
                    f"{one.action.at:%Y-%m-%d %H:%M}  {one.action.kind.replace('_', ' ')} {one.action.flag}: {one.action.words} "
                    f"({one.before} episodes before, {one.after} after)"
                )
            if not found:
                typer.echo("Nothing would have been called for.")

    return app


def _tried(
    declared: Any, key: str, *, threshold: float | None, minutes: float | None, policy: str | None
) -> dict[str, Trigger]:
    triggers = dict(declared)
    changes = {
        name: value
        for name, value in (("threshold", threshold), ("minutes", minutes), ("policy", policy))
        if value is not None
    }
    if changes and not key:
        _stop("Say with --trigger which one to try otherwise.", 2)
    if key:
        if key not in triggers:
            raise UnknownFlagError("trigger", key, triggers)
        triggers[key] = Trigger.model_validate({**triggers[key].model_dump(), **changes})
    return triggers


def _rows(steering: Steering) -> list[dict[str, Any]]:
    flags = steering.flags
    declared, overlay = flags.declared, flags.overlay
    samples = steering.samples()
    drifted = {one.flag for one in flags.drift()}
    rows = []
    for key, flag in declared.flags.items():
        over = overlay.flags.get(key)
        enabled = flag.enabled if over is None or over.enabled is None else over.enabled
        percent = flag.percent if over is None or over.percent is None else over.percent
        on, off = cohorts(samples, key)
        rows.append(
            {
                "flag": key,
                "description": flag.description,
                "enabled": enabled,
                "percent": percent,
                "depends_on": [one.flag for one in flag.depends_on],
                "rolled_back": over.latched if over is not None else None,
                "differs_from_file": key in drifted,
                "on": on.model_dump(),
                "off": off.model_dump(),
                "version": overlay.version,
            }
        )
    return rows


def _row_words(row: dict[str, Any]) -> str:
    state = f"on for {row['percent']} %" if row["enabled"] else "off"
    if row["rolled_back"]:
        state = f"rolled back: {row['rolled_back']}"
    parts = [f"{row['flag']:24} {state}"]
    if row["depends_on"]:
        parts.append(f"needs {', '.join(row['depends_on'])}")
    if row["differs_from_file"]:
        parts.append("differs from its file")
    parts += [f"{name}: {_cohort(Cohort.model_validate(row[name]))}" for name in ("on", "off")]
    return "; ".join(parts)


def _cohort(cohort: Cohort) -> str:
    if not cohort.usage:
        return "no data"
    quality = "no quality" if cohort.quality is None else f"quality {cohort.quality:.1f}"
    return f"{cohort.usage} episodes, {quality}, {100 * (cohort.error_rate or 0):.0f} % errors"


def _standing(steering: Steering) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for key in steering.flags.declared.rollouts:
        found = steering.rollout(key)
        words = "not started" if found is None else f"{found.kind}: {found.reason}"
        gates = [] if found is None else [gate._asdict() for gate in found.gates]
        rows.append({"what": key, "words": words, "gates": gates})
    for flag in steering.flags.declared.flags:
        for trigger, verdict in steering.verdicts(flag).items():
            rows.append(
                {
                    "what": f"{flag}, {trigger}", "words": verdict.words, "value": verdict.value,
                    "distance": verdict.distance, "signal": verdict.signal, "evidence": verdict.evidence,
                    "bound": verdict.bound,
                }
            )  # fmt: skip
    return rows


def _line(change: Change) -> str:
    return (
        f"{change.version:4}  {change.at:%Y-%m-%d %H:%M:%S}  {change.who}: {change.kind.replace('_', ' ')} {change.subject} "
        f"{_plain(change.after)} (was {_plain(change.before)}): {change.why}"
    )


def _plain(overlay: dict[str, Any] | None) -> str:
    shown = {name: value for name, value in (overlay or {}).items() if value is not None}
    return ", ".join(f"{name} {value}" for name, value in shown.items()) or "as declared"


def _operator(who: str, settings: Settings) -> str:
    """The name to record: as given, or remembered."""
    try:
        if who.strip():
            remember(settings, who)
            return who.strip()
        name = name_of(settings)
    except NameNotKeptError as error:
        _stop(str(error), 1)
    if not name:
        _stop("Say who you are with --who NAME, once; it is remembered and recorded with every change.", 2)
    return name


def _stop(message: str, code: int) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(code)
