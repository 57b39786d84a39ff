"""The operators' commands: `cinegen health`, `metrics`, `alerts`, `preflight` and `readiness`.

They read what the studios of this installation have recorded, whether one runs or not. Exit codes: 0 all is well, 1 it is not
(health is CRITICAL, a check failed, a criterion is not met) or the records cannot be read, 2 wrong use, 3 there is not enough
data to tell (`health`, `readiness`).
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from cinegen_core.clock import Clock
from cinegen_core.flags.declared import DeclarationError
from cinegen_core.flags.journal import JournalError
from cinegen_core.monitor.alerts import RULES, AlertView
from cinegen_core.monitor.health import LEAST_SAMPLES
from cinegen_core.monitor.metrics import CohortFigures, Correlation, Figures
from cinegen_core.monitor.prometheus_rules import export
from cinegen_core.monitoring import Monitoring, NoSuchAlertError, NoSuchRuleError
from cinegen_core.operators import NameNotKeptError, name_of
from cinegen_core.settings import Settings, SettingsError
from cinegen_core.store import StoreError
from cinegen_core.studio import Studio

if TYPE_CHECKING:
    # loaded by the commands that need them: the HTTP interface comes with them, which the others would wait for
    from cinegen_core.preflight import Check, Preflight
    from cinegen_core.readiness import Finding, Readiness

NO_DATA = "no data"
"""What stands where nothing was measured."""

UNKNOWN = 3
"""The exit code where there is not enough data to tell."""

FAILURES = (StoreError, SettingsError, DeclarationError, JournalError, NoSuchAlertError, NoSuchRuleError)

_SPAN = re.compile(r"(\d+(?:\.\d+)?)([mhd])")
_MINUTES = {"m": 1.0, "h": 60.0, "d": 24 * 60.0}


class SeriesName(StrEnum):
    live = "live"
    staging = "staging"
    simulated = "simulated"


AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]
By = Annotated[
    str, typer.Option("--by", help="Who says so; without it, the operator's name.", show_default=False)
]


def monitor_commands(
    app: typer.Typer,
    *,
    open_studio: Callable[[], Studio],
    load_settings: Callable[[], Settings],
    environ: Mapping[str, str],
    clock: Clock,
) -> None:
    """Adds the commands to `app`. `open_studio` opens what they read; `load_settings` raises `SettingsError`."""

    @contextmanager
    def at_work() -> Iterator[tuple[Studio, Monitoring]]:
        try:
            with open_studio() as studio:
                assert studio.monitoring is not None
                yield studio, studio.monitoring
        except FAILURES as error:
            _stop(str(error), 1)

    _add_figures(app, at_work)
    _add_alerts(app, at_work)
    _add_preflight(app, load_settings, environ, clock)
    _add_readiness(app, at_work)


_AtWork = Callable[[], AbstractContextManager[tuple[Studio, Monitoring]]]


def _add_figures(app: typer.Typer, at_work: _AtWork) -> None:
    @app.command()
    def health(*, as_json: AsJson = False) -> None:
        """How the last hour went: score, what cost points, uptime, open alerts. Exit code 1 if CRITICAL, 3 with too little data."""
        with at_work() as (studio, monitoring):
            found = monitoring.health()
            uptime = monitoring.uptime()
            firing = [one for one in monitoring.alerts() if one.state == "firing"]
            emergency = studio.emergency
        if as_json:
            shown = {
                **found.model_dump(mode="json"),
                "uptime": uptime,
                "active_alerts": len(firing),
                "emergency": emergency.reason if emergency is not None else None,
            }
            typer.echo(json.dumps(shown, indent=2))
        else:
            if found.score is None:
                typer.echo(f"Health: {NO_DATA} (fewer than {LEAST_SAMPLES} episodes in the last hour).")
            else:
                typer.echo(f"Health: {found.score} of 100, {found.status}.")
            for issue in found.issues:
                typer.echo(f"  -{issue.points:<3} {issue.text}")
            typer.echo(f"Uptime in the last 24 h: {_percent(uptime, digits=2)}.")
            named = ", ".join(f"{one.rule} ({one.severity})" for one in firing)
            typer.echo(f"Alerts: {named or 'none'}.")
            if emergency is not None:
                typer.echo(f"Emergency mode, by {emergency.by}: {emergency.reason}")
        if found.status is None:
            raise typer.Exit(UNKNOWN)
        if found.status == "CRITICAL":
            raise typer.Exit(1)

    @app.command()
    def metrics(
        *,
        hours: Annotated[float, typer.Option(min=0.01, max=8784, help="How far back.")] = 24.0,
        series: Annotated[
            SeriesName, typer.Option(help="Which episodes: only live ones decide anything.")
        ] = SeriesName.live,
        as_json: AsJson = False,
    ) -> None:
        """What was measured: quality, times, engines, tiers, flags, readers."""
        with at_work() as (_, monitoring):
            found = monitoring.figures(hours, series=series.value)
            uptime = monitoring.uptime(hours, series=series.value)
        if as_json:
            shown = {
                "series": series.value,
                "hours": hours,
                "uptime": uptime,
                **found.model_dump(mode="json"),
            }
            typer.echo(json.dumps(shown, indent=2))
            return
        typer.echo(f"The last {hours:g} h, {series.value} episodes.")
        for line in _figures_lines(found, uptime):
            typer.echo(line)


def _add_alerts(app: typer.Typer, at_work: _AtWork) -> None:
    alerts = typer.Typer(help="Alerts: what is open, who has seen it, who is told.", no_args_is_help=True)
    app.add_typer(alerts, name="alerts")
    _add_trial(alerts, at_work)

    @alerts.command(name="list")
    def list_alerts(*, as_json: AsJson = False) -> None:
        """Alerts that are pending or firing, critical ones first, and the silences that hold."""
        with at_work() as (_, monitoring):
            open_, silences = monitoring.alerts(), monitoring.silences()
            resolve = monitoring.mean_time_to_resolve()
        if as_json:
            shown = {
                "alerts": [one.model_dump(mode="json") for one in open_],
                "silences": [one.model_dump(mode="json") for one in silences],
                "mean_time_to_resolve": resolve,
            }
            typer.echo(json.dumps(shown, indent=2))
            return
        if open_:
            head = (
                "id",
                "severity",
                "state",
                "since (UTC)",
                "rule",
                "value",
                "threshold",
                "seen by",
                "cause",
            )
            for line in table([head, *(_alert_row(one) for one in open_)]):
                typer.echo(line)
        else:
            typer.echo("No alert is open.")
        for one in silences:
            why = f": {one.why}" if one.why else ""
            typer.echo(f"Nobody is told of {one.rule} until {_when(one.until)} UTC, by {one.by}{why}")
        typer.echo(f"Mean time to resolve: {_minutes(resolve)}.")

    @alerts.command()
    def ack(
        id: Annotated[str, typer.Argument(metavar="ID", help="As `cinegen alerts list` shows it.")],
        *,
        by: By = "",
    ) -> None:
        """Record that a person has seen an alert."""
        with at_work() as (studio, monitoring):
            view = monitoring.acknowledge(id, _by(by, studio.settings))
        typer.echo(f"{view.rule} ({view.id}): seen by {view.acknowledged_by}.")

    @alerts.command()
    def silence(
        rule: Annotated[str, typer.Argument(help="A rule, as `cinegen alerts list` or `export` name it.")],
        *,
        for_: Annotated[
            str, typer.Option("--for", metavar="SPAN", help="How long: 30m, 2h, 1d; 0m ends a silence.")
        ],
        why: Annotated[str, typer.Option(help="Why, for those who wonder.")] = "",
        by: By = "",
    ) -> None:
        """Tell nobody of a rule for a while. The alert itself goes on as ever."""
        span = span_of(for_)
        with at_work() as (studio, monitoring):
            said = monitoring.silence(
                rule, until=monitoring.now() + span, by=_by(by, studio.settings), why=why
            )
        ended = said.until <= said.at
        typer.echo(
            f"{rule}: people are told again." if ended else f"{rule}: silent until {_when(said.until)} UTC."
        )

    @alerts.command(name="export")
    def export_rules(
        *,
        out: Annotated[
            Path | None, typer.Option(help="The file to write; without it, it is printed.")
        ] = None,
    ) -> None:
        """The rules as Prometheus' alerting rules, for those who have alerts come from there."""
        text = export()
        if out is None:
            typer.echo(text, nl=False)
            return
        try:
            out.write_text(text, encoding="utf-8")
        except OSError as error:
            _stop(f"--out {out}: the file cannot be written ({error.strerror}).", 2)
        typer.echo(f"{len(RULES)} rules in {out}.", err=True)


def _add_trial(alerts: typer.Typer, at_work: _AtWork) -> None:
    @alerts.command("test")
    def try_notices() -> None:
        """Send a trial notice to everybody who is told of alerts; exit code 1 if it did not arrive somewhere."""
        with at_work() as (studio, _):
            if studio.notifier is None:
                _stop("Nobody is told of alerts: set CINEGEN_WEBHOOK_URL or CINEGEN_NOTIFY_URLS.", 1)
            tried = asyncio.run(studio.notifier.test_notice())
        for trial in tried:
            typer.echo(f"{trial.target}: {trial.problem or 'it arrived'}")
        if any(trial.problem for trial in tried):
            raise typer.Exit(1)


def _add_preflight(
    app: typer.Typer, load_settings: Callable[[], Settings], environ: Mapping[str, str], clock: Clock
) -> None:
    @app.command()
    def preflight(
        *,
        url: Annotated[
            str, typer.Option(help="A running studio to ask over HTTP, such as http://127.0.0.1:8501.")
        ] = "",
        notify: Annotated[
            bool, typer.Option("--notify", help="Send a test notice to those who are told of alerts.")
        ] = False,
        only: Annotated[
            list[str] | None,
            typer.Option(
                metavar="CHECK",
                help="settings, data, store, ...; may be repeated. Such a report is not kept.",
            ),
        ] = None,
        as_json: AsJson = False,
    ) -> None:
        """The checklist before a studio goes to work. Exit code 1 if a check failed."""

        from cinegen_core.preflight import preflight as gone_through
        from cinegen_core.preflight import unusable

        def told(check: Check) -> None:
            if not as_json:
                for line in check_lines(check):
                    typer.echo(line)

        try:
            settings = load_settings()
        except SettingsError as error:
            report = unusable(error, at=clock.now())
            told(report.checks[0])
        else:
            try:
                report = asyncio.run(
                    gone_through(
                        settings, environ=environ, clock=clock, url=url, notify=notify, only=only or (),
                        on_check=told,
                    )
                )  # fmt: skip
            except ValueError as error:
                _stop(f"--only: {error}", 2)
            if not only:
                _kept(report, settings.data_dir)
        if as_json:
            typer.echo(json.dumps({"verdict": report.verdict, **report.model_dump(mode="json")}, indent=2))
        else:
            verdicts = [check.verdict for check in report.checks]
            counts = (f"{verdicts.count(one)} {one}" for one in ("ok", "warning", "failed"))
            typer.echo(", ".join(counts) + ".")
        if report.verdict == "failed":
            raise typer.Exit(1)


def _kept(report: Preflight, folder: Path) -> None:
    from cinegen_core.preflight import keep

    try:
        keep(report, folder)
    except StoreError as error:
        typer.echo(str(error), err=True)


def _add_readiness(app: typer.Typer, at_work: _AtWork) -> None:
    @app.command()
    def readiness(
        *,
        days: Annotated[float, typer.Option(min=0.04, max=366, help="How far back.")] = 7.0,
        as_json: AsJson = False,
        markdown: Annotated[bool, typer.Option("--markdown", help="As Markdown, for a report.")] = False,
    ) -> None:
        """Success criteria and the plan's indicators, as measured. Exit code 1 if a criterion is not met, 3 if it cannot be told."""
        from cinegen_core.readiness import readiness_of

        if as_json and markdown:
            _stop("--json or --markdown, not both.", 2)
        with at_work() as (studio, _):
            report = readiness_of(studio, days)
        if as_json:
            weeks = [{"verdict": week.verdict, **week.model_dump(mode="json")} for week in report.weeks]
            shown = {"verdict": report.verdict, **report.model_dump(mode="json"), "weeks": weeks}
            typer.echo(json.dumps(shown, indent=2))
        else:
            typer.echo("\n".join(in_markdown(report) if markdown else in_text(report)))
        if report.verdict != "met":
            raise typer.Exit(1 if report.verdict == "not met" else UNKNOWN)


# In words.


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of one length as lines with their columns aligned."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def check_lines(check: Check) -> list[str]:
    """A check of the preflight list, for people."""
    lines = [f"{check.verdict:7}  {check.name} ({check.seconds:.1f} s): {check.seen}"]
    if check.todo:
        lines.append(f"         {check.todo}")
    return lines


def in_text(report: Readiness) -> Iterator[str]:
    """Readiness for a terminal: a table, and what is measured how where there is more to say."""
    yield f"Success criteria over {report.days:g} days to {_when(report.at)} UTC: {report.verdict}."
    yield from table([_HEAD, *map(_finding_row, report.criteria)])
    for week in report.weeks:
        yield ""
        yield f"Week {week.number}, {week.title.lower()}: {week.verdict}."
        yield from table([_HEAD, *map(_finding_row, week.indicators)])
    notes = {
        f.name: f.note for f in (*report.criteria, *(f for w in report.weeks for f in w.indicators)) if f.note
    }
    if notes:
        yield ""
        yield from (f"{name}: {note}" for name, note in notes.items())


def in_markdown(report: Readiness) -> Iterator[str]:
    """Readiness as a page, with how each figure was measured."""
    yield "# Readiness"
    yield ""
    yield f"{report.days:g} days to {_when(report.at)} UTC."
    parts = [("Success criteria", report.verdict, report.criteria)]
    parts += [(f"Week {week.number}: {week.title}", week.verdict, week.indicators) for week in report.weeks]
    for title, verdict, findings in parts:
        yield ""
        yield f"## {title}: {verdict}"
        yield ""
        head = (*_HEAD, "how")
        yield f"| {' | '.join(head)} |"
        yield "|" + "---|" * len(head)
        for finding in findings:
            how = f"{finding.how} {finding.note}".strip()
            yield f"| {' | '.join(cell.replace('|', '/') for cell in (*_finding_row(finding), how))} |"


_HEAD = ("verdict", "what", "measured", "target", "from")


def _finding_row(finding: Finding) -> tuple[str, ...]:
    of = finding.of
    few = f" (at least {finding.least})" if finding.samples < finding.least else ""
    return (finding.verdict, finding.name, _measured(finding), finding.target, f"{finding.samples} {of}{few}")


def _measured(finding: Finding) -> str:
    if finding.measured is None:
        return NO_DATA
    digits = 0 if not finding.unit else 2 if finding.unit == "of 10" else 1
    unit = f" {finding.unit}" if finding.unit in ("%", "s", "min") else ""
    interval = "" if finding.low is None else f" ({finding.low:.2f} to {finding.high:.2f})"
    return f"{finding.measured:.{digits}f}{unit}{interval}"


def span_of(text: str) -> timedelta:
    """A span of time as people write it: 30m, 2h, 1.5d. Stops the command (exit code 2) for anything else."""
    found = _SPAN.fullmatch(text.strip().casefold())
    if found is None or float(found[1]) * _MINUTES[found[2]] > 366 * _MINUTES["d"]:
        _stop(f"--for {text}: give a number and m, h or d, such as 30m, 2h or 1d; a year at most.", 2)
    return timedelta(minutes=float(found[1]) * _MINUTES[found[2]])


def _figures_lines(found: Figures, uptime: float | None) -> Iterator[str]:
    times, readers = found.seconds, found.satisfaction
    agree = found.rating_quality
    classes = ", ".join(f"{name} {share:.0f} %" for name, share in (found.quality_classes or {}).items())
    rows = [
        ("Episodes", f"{found.episodes} (since the start {found.total_episodes})"),
        ("Quality", _number(found.mean_quality, 2, " of 10, on the guide's scale")),
        ("Score", _number(found.mean_score, 2, " of 10, on the scorer's scale")),
        ("Classes", classes or NO_DATA),
        ("Cinematic (8.0 or more)", _percent(found.cinematic_share)),
        ("Success", _percent(found.success_rate)),
        ("Errors", _percent(found.error_rate)),
        ("Fallback", _percent(found.fallback_rate)),
        ("Seamless fallback", _percent(found.seamless_fallback)),
        ("Engine success", _percent(found.engine_success_rate)),
        ("Time, mean", _number(times.mean if times else None, 2, " s")),
        ("Time, P50 P95 P99", f"{times.p50:.2f}  {times.p95:.2f}  {times.p99:.2f} s" if times else NO_DATA),
        ("Uptime", _percent(uptime, digits=2)),
        ("Tokens", NO_DATA if found.tokens is None else f"{found.tokens:,}"),
        ("Cost", NO_DATA if found.cost is None else f"${found.cost:.4f}"),
        ("Satisfaction", f"{readers.mean:.2f} of 10 ({readers.count} ratings)" if readers else NO_DATA),
        ("Completion", _percent(found.completion)),
        ("Ratings with quality", _correlation(agree) if agree else NO_DATA),
    ]
    yield from table(rows)
    yield from _section(
        ("tier", "answers", "quality", "seconds"),
        (
            (name, str(tier.count), _number(tier.quality, 2), f"{tier.seconds:.2f}")
            for name, tier in (found.tiers or {}).items()
        ),
    )
    yield from _section(
        ("engine", "active", "delivered", "success", "in the script"),
        (
            (
                name, str(engine.active), str(engine.delivered), _percent(engine.success_rate),
                _number(engine.realised, 2),
            )
            for name, engine in (found.engines or {}).items()
        ),
    )  # fmt: skip
    yield from _section(
        ("flag", "cohort", "episodes", "quality", "success", "seconds"),
        (
            _cohort_row(key, name, cohort)
            for key, flag in (found.flags or {}).items()
            for name, cohort in (("on", flag.on), ("off", flag.off))
        ),
    )


def _section(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    shown = list(rows)
    if shown:
        yield ""
        yield from table([head, *shown])


def _cohort_row(key: str, name: str, cohort: CohortFigures) -> tuple[str, ...]:
    return (
        key,
        name,
        str(cohort.usage),
        _number(cohort.quality, 2),
        _percent(cohort.success_rate),
        _number(cohort.seconds, 2),
    )


def _alert_row(view: AlertView) -> tuple[str, ...]:
    return (
        view.id,
        view.severity,
        view.state,
        _when(view.since),
        view.rule,
        _amount(view.rule, view.value),
        _amount(view.rule, view.threshold),
        view.acknowledged_by or "nobody",
        view.cause,
    )


def _amount(rule: str, value: float | None) -> str:
    """In the unit of the rule's metric."""
    metric = next((one.metric for one in RULES if one.key == rule), None)
    if value is None:
        return NO_DATA
    if metric in ("engines", "fallback", "uptime"):
        return f"{100 * value:.1f} %"
    return f"{value:.1f} s" if metric == "seconds" else f"{value:.2f}"


def _correlation(found: Correlation) -> str:
    interval = f" ({found.low:.2f} to {found.high:.2f})" if found.low is not None else ""
    return f"rank correlation {found.value:.2f}{interval}, {found.pairs} pairs"


def _number(value: float | None, digits: int, unit: str = "") -> str:
    return NO_DATA if value is None else f"{value:.{digits}f}{unit}"


def _percent(value: float | None, *, digits: int = 1) -> str:
    return NO_DATA if value is None else f"{value:.{digits}f} %"


def _minutes(seconds: float | None) -> str:
    return NO_DATA if seconds is None else f"{seconds / 60:.1f} min"


def _when(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}"


def _by(given: str, settings: Settings) -> str:
    """The name to record: as given, that of the settings, or the one that was given first."""
    try:
        name = given.strip() or name_of(settings)
    except NameNotKeptError as error:
        _stop(f"{error} Or say it with --by.", 1)
    if not name:
        _stop("Say who you are with --by NAME, or set CINEGEN_OPERATOR; it is recorded.", 2)
    return name


def _stop(message: str, code: int) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(code)
