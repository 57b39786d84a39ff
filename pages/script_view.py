"""An episode as a screenplay page, and the engines' part in it, as HTML. All text is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from textwrap import shorten

from cinegen_core.report import place
from cinegen_core.scorer import DIMENSION_WORDS, DimensionScore, Evidence, Scorecard
from cinegen_core.story import Action, Dialogue, Element, Episode
from cinegen_core.telling import TIER_WORDS
from cinegen_core.tiers.model import Attempt, EngineRun

LINES_SHOWN = 3

_STYLE = """<style>
.script { font-family: 'Courier Prime', 'Courier New', Courier, 'Liberation Mono', monospace; font-size: 1rem;
  line-height: 1.3; max-width: 64ch; margin: 0 auto; padding: 1.5rem 0 0.5rem; overflow-wrap: anywhere; }
.script h3 { font: inherit; font-weight: 700; margin: 2.2em 0 1em; padding: 0; }
.script h3:first-child { margin-top: 0; }
.script h3 span { display: inline-block; min-width: 3ch; opacity: 0.72; font-weight: 400; }
.script p { margin: 0 0 1em; font: inherit; white-space: pre-line; }
.script .speech { margin: 0 0 1em; padding-left: 10ch; max-width: 45ch; break-inside: avoid; }
.script .speech p { margin: 0; }
.script .cue { padding-left: 12ch; }
.script .aside { padding-left: 6ch; max-width: 28ch; }
.script .cut { text-align: right; }
.script .asked { margin: 2.5em 0 0.5em; text-align: center; font-weight: 700; }
.script [id]:target { background: color-mix(in srgb, #e8a33d 30%, transparent); scroll-margin-top: 5rem; }
.script [id] { scroll-margin-top: 5rem; }
.card { width: 100%; font-size: 0.9rem; line-height: 1.4; }
.card .head { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 0.8rem; margin: 0 0 0.6rem; }
.card .head b { font-size: 1.9rem; font-weight: 700; font-variant-numeric: tabular-nums; }
.card details { border-top: 1px solid color-mix(in srgb, currentColor 22%, transparent); padding: 0.45rem 0; }
.card summary { cursor: pointer; display: grid; grid-template-columns: 1rem minmax(9rem, 14rem) 1fr 3rem; gap: 0.7rem; align-items: center;
  list-style: none; }
.card summary::-webkit-details-marker { display: none; }
.card summary::before { content: "\\25B8"; opacity: 0.7; }
.card details[open] > summary::before { content: "\\25BE"; }
.card .bar { height: 0.5rem; border-radius: 0.25rem; background: color-mix(in srgb, currentColor 14%, transparent); overflow: hidden; }
.card .bar i { display: block; height: 100%; background: #3d7ea6; }
.card .points { text-align: right; font-weight: 600; font-variant-numeric: tabular-nums; }
.card ul { margin: 0.5rem 0 0.3rem; padding: 0; list-style: none; }
.card li { margin: 0 0 0.35rem; padding: 0 0 0 1.7rem; font-size: 0.9rem; position: relative; }
.card li::before { position: absolute; left: 0.4rem; font-weight: 700; content: "+"; color: #2e8b57; }
.card li.hurt::before { content: "\\2212"; color: #c0563b; }
.card li.todo::before { content: "\\2192"; color: inherit; }
.card a { color: inherit; font-weight: 600; font-variant-numeric: tabular-nums; }
.card q { quotes: none; font-style: italic; }
.card p { margin: 0.5rem 0 0; opacity: 0.85; font-size: 0.9rem; }
.engines { width: 100%; border-collapse: collapse; font-size: 0.9rem; line-height: 1.4; }
.engines caption { text-align: left; padding-bottom: 0.5rem; }
.engines th, .engines td { text-align: left; vertical-align: top; padding: 0.5rem 0.8rem 0.5rem 0;
  border-top: 1px solid color-mix(in srgb, currentColor 22%, transparent); overflow-wrap: break-word; }
.engines ul { margin: 0; padding-left: 1.1em; }
.engines tbody td ul li { margin: 0; padding: 0; font-size: 0.9rem; }
.engines .where { font-variant-numeric: tabular-nums; font-weight: 600; white-space: nowrap; }
@media (max-width: 640px) {
  .script { font-size: 0.94rem; padding-top: 0.5rem; }
  .script .speech { padding-left: 2.5ch; padding-right: 1ch; max-width: 38ch; }
  .script .cue { padding-left: 8ch; }
  .script .aside { padding-left: 4ch; }
  .engines thead { display: none; }
  .engines tr { display: block; padding: 0.6rem 0; }
  .engines th, .engines td { display: block; border: 0; padding: 0.1rem 0; }
  .engines tr { border-top: 1px solid color-mix(in srgb, currentColor 22%, transparent); }
}
</style>"""


PAGE_STYLE = """<style>
[data-testid="stCaptionContainer"] { color: inherit; opacity: 0.82; }
[class*="st-key-choice_"] button, [class*="st-key-choice_"] button *,
[class*="st-key-to_"] button, [class*="st-key-to_"] button *,
[class*="st-key-season_"] button, [class*="st-key-season_"] button * {
  justify-content: flex-start; text-align: left; }
[class*="st-key-choice_"] button p { font-size: 1.02rem; font-weight: 600; }
</style>"""
"""Captions that can be read (Streamlit's are too faint), and choices that look like sentences."""


def script_html(episode: Episode) -> str:
    """The scenes, numbered from 1 as the engines' table counts them, and the question at the end."""
    parts: list[str] = []
    for number, scene in enumerate(episode.scenes, start=1):
        parts.append(f"<h3><span>{number}</span>{escape(scene.slugline)}</h3>")
        parts += [
            _element(element, f"line-{number}-{line}") for line, element in enumerate(scene.elements, start=1)
        ]
    parts.append(f'<p class="asked">{escape(episode.question)}</p>')
    return f'{_STYLE}<article class="script">{"".join(parts)}</article>'


def _element(element: Element, anchor: str) -> str:
    if isinstance(element, Action):
        return f'<p id="{anchor}">{escape(element.text)}</p>'
    if isinstance(element, Dialogue):
        cue = element.speaker + (f" ({element.extension})" if element.extension is not None else "")
        aside = f'<p class="aside">({escape(element.parenthetical)})</p>' if element.parenthetical else ""
        return f'<div class="speech" id="{anchor}"><p class="cue">{escape(cue)}</p>{aside}<p>{escape(element.text)}</p></div>'
    return f'<p class="cut" id="{anchor}">{escape(element.text)}</p>'


def scorecard_html(card: Scorecard) -> str:
    """The overall score, and for each dimension the lines that earned and cost most; a line's number leads to it."""
    if card.overall is None:
        return f'{_STYLE}<div class="card"><p>No score. {escape(card.reason)}</p></div>'
    rows = [_dimension(DIMENSION_WORDS[name], dimension) for name, dimension in card.dimensions.items()]
    notes = "".join(f"<p>{escape(note)}</p>" for note in card.notes)
    return (
        f'{_STYLE}<div class="card"><div class="head"><b>{card.overall:.1f}</b><span>of 10: {escape(str(card.quality_class))}'
        f"</span><span>scorer {escape(card.scorer_version)}</span></div>{''.join(rows)}{notes}</div>"
    )


def _dimension(words: str, dimension: DimensionScore) -> str:
    if dimension.score is None:
        return f"<details><summary><span>{escape(words)}</span><span></span><span>-</span></summary><p>{escape(dimension.note)}</p></details>"
    items = [_evidence(row, "helped") for row in dimension.helped] + [
        _evidence(row, "hurt") for row in dimension.hurt
    ]
    if dimension.suggestion:
        items.append(f'<li class="todo">{escape(dimension.suggestion)}</li>')
    return (
        f'<details><summary><span>{escape(words)}</span><span class="bar"><i style="width:{10 * dimension.score:.0f}%"></i></span>'
        f'<span class="points">{dimension.score:.1f}</span></summary><ul>{"".join(items)}</ul></details>'
    )


def _evidence(row: Evidence, kind: str) -> str:
    where = place(row)
    link = f'<a href="#line-{row.scene}-{row.line}">{where}</a>' if row.scene else f"<b>{where}</b>"
    quote = shorten(row.text, 90, placeholder=" \u2026")
    return f'<li class="{kind}">{link} <q>{escape(quote)}</q> {escape(row.what)}</li>'


DRAFT_SHOWN = 1400
"""Characters of a text that is being written: its last page or so."""


def draft_html(text: str) -> str:
    """The end of what has been written so far."""
    shown = text if len(text) <= DRAFT_SHOWN else "…" + text[-DRAFT_SHOWN:].partition(" ")[2]
    lines = "".join(f"<p>{escape(line)}</p>" for line in shown.split("\n\n"))
    return f'{_STYLE}<article class="script">{lines}</article>'


def attempts_html(attempts: Sequence[Attempt]) -> str:
    """A row for each attempt: what became of it, and what it took."""
    rows = "".join(
        f'<tr><th scope="row">{escape(TIER_WORDS[attempt.tier])}</th><td>{escape(_became(attempt))}</td>'
        f"<td>{attempt.seconds:.1f}&nbsp;s</td><td>{escape(_took(attempt))}</td></tr>"
        for attempt in attempts
    )
    return (
        f'{_STYLE}<table class="engines"><thead><tr><th scope="col">Attempt</th><th scope="col">Came to</th>'
        f'<th scope="col">Time</th><th scope="col">Model calls</th></tr></thead><tbody>{rows}</tbody></table>'
    )


def _became(attempt: Attempt) -> str:
    words = attempt.outcome.replace("_", " ")
    return f"{words}: {attempt.reason}" if attempt.reason else words


def _took(attempt: Attempt) -> str:
    if not attempt.calls:
        return "none"
    words = f"{attempt.calls} to {', '.join(attempt.providers) or 'nobody who answered'}, {attempt.tokens:,} tokens"
    if attempt.cached_tokens:
        words += f" ({attempt.cached_tokens:,} from the server's cache)"
    return words + (f", ${attempt.cost:.4f}" if attempt.cost else "")


def engines_html(runs: Sequence[EngineRun], asked: Mapping[str, Sequence[str]]) -> str:
    """A row for each engine: what it asked for, whether that is in the script, and the lines that show it."""
    rows = "".join(
        f'<tr><th scope="row">{escape(run.engine)}</th><td>{_listed(asked.get(run.engine, ()))}</td>'
        f"<td>{escape(_found(run))}</td><td>{_lines(run)}</td></tr>"
        for run in runs
    )
    return (
        f'{_STYLE}<table class="engines">'
        "<caption>Scenes and lines count from 1, as in the script above.</caption>"
        '<thead><tr><th scope="col">Engine</th><th scope="col">Asked for</th>'
        '<th scope="col">In the script</th><th scope="col">Where</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def _listed(words: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(word)}</li>' for word in words)}</ul>" if words else "-"


def _found(run: EngineRun) -> str:
    if run.error is not None:
        return f"failed: {run.error}"
    if run.realisation is None:
        return "asked for nothing"
    words = f"{round(100 * run.realisation.score)} %"
    if run.instead:
        words += f", asked by its rules, since {run.instead}"
    if run.repaired:
        words += ", after a repair"
    if run.realisation.missing:
        words += "; missing: " + "; ".join(run.realisation.missing)
    return words


def _lines(run: EngineRun) -> str:
    lines = run.realisation.lines if run.realisation else ()
    if not lines:
        return "-"
    items = [
        f'<li><span class="where">{line.scene}.{line.line}</span> {escape(line.text)}</li>'
        for line in lines[:LINES_SHOWN]
    ]
    if len(lines) > LINES_SHOWN:
        items.append(f"<li>and {len(lines) - LINES_SHOWN} more</li>")
    return f"<ul>{''.join(items)}</ul>"
