"""An episode as a screenplay page, and the engines' part in it, as HTML. All text is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from textwrap import shorten

from cinegen_core.report import place
from cinegen_core.scorer import DIMENSION_WORDS, DimensionScore, Evidence, Scorecard
from cinegen_core.scorer.model import MeasureScore
from cinegen_core.story import Action, Dialogue, Element, Episode
from cinegen_core.story.differences import (
    Difference,
    ElementDifference,
    FieldDifference,
    SceneDifference,
    Words,
)
from cinegen_core.telling import TIER_WORDS
from cinegen_core.tiers.model import Attempt, EngineRun

LINES_SHOWN = 12

_STYLE = """<style>
.script { position: relative; font-family: 'Courier Prime', 'Courier New', Courier, 'Liberation Mono', monospace; font-size: 0.97rem;
  line-height: 1.34; max-width: calc(64ch + 5rem); margin: 0; padding: 2rem 1.8rem 1.4rem 3.2rem; overflow-wrap: anywhere;
  background: color-mix(in srgb, currentColor 3%, transparent); background: oklch(from currentColor 1 0 0 / calc(0.75 * (1 - l)));
  border: 1px solid color-mix(in srgb, currentColor 16%, transparent); border-radius: 2px; }
.script h3 { position: relative; font: inherit; font-weight: 700; margin: 2.2em 0 1em; padding: 0; }
.script h3:first-child { margin-top: 0; }
.script h3 span { position: absolute; left: -2.2rem; opacity: 0.75; font-weight: 400; }
.script p { margin: 0 0 1em; font: inherit; white-space: pre-line; }
.script .speech { margin: 0 0 1em; padding-left: 10ch; max-width: 45ch; break-inside: avoid; }
.script .speech p { margin: 0; }
.script .cue { padding-left: 12ch; }
.script .aside { padding-left: 6ch; max-width: 28ch; }
.script .cut { text-align: right; }
.script .asked { margin: 2.5em 0 0.5em; text-align: center; font-weight: 700; }
.script .row { position: relative; scroll-margin-top: 5rem; }
.script .row:target, .script .row.marked { background: color-mix(in srgb, #e8a33d 30%, transparent);
  box-shadow: 0 0 0 0.3rem color-mix(in srgb, #e8a33d 30%, transparent); }
.script .note { position: absolute; left: -2.2rem; top: 0; font-style: normal; font-weight: 700; letter-spacing: 0.1ch; cursor: help; }
.script .note .earned { color: color-mix(in srgb, #2e8b57 62%, currentColor); }
.script .note .cost { color: color-mix(in srgb, #c0563b 72%, currentColor); }
.script del { text-decoration-thickness: 0.1em; background: color-mix(in srgb, #c0563b 20%, transparent); }
.script ins { text-decoration-thickness: 0.1em; text-underline-offset: 0.18em; background: color-mix(in srgb, #2e8b57 20%, transparent); }
.script .same:first-child { margin-top: 0; }
.script .same { margin: 1em 0; font-style: italic; opacity: 0.85; }
.card { width: 100%; font-size: 0.9rem; line-height: 1.4; }
.card .head { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 0.8rem; margin: 0 0 0.6rem; }
.card .head b { font-size: 1.9rem; font-weight: 700; font-variant-numeric: tabular-nums; }
.card details { border-top: 1px solid color-mix(in srgb, currentColor 22%, transparent); padding: 0.45rem 0; }
.card summary { cursor: pointer; display: grid; grid-template-columns: 0.8rem minmax(8.6rem, 45%) 1fr 2.6rem; gap: 0.5rem; align-items: center;
  list-style: none; }
.card summary::-webkit-details-marker { display: none; }
.card summary::before { content: "\\25B8"; opacity: 0.75; }
.card details[open] > summary::before { content: "\\25BE"; }
.card details details { border: 0; padding: 0.1rem 0 0.3rem; }
.card details details summary { display: flex; gap: 0.5rem; }
.card .bar { height: 0.5rem; border-radius: 0.25rem; background: color-mix(in srgb, currentColor 14%, transparent); overflow: hidden; }
.card .bar i { display: block; height: 100%; background: #3d7ea6; }
.card .points { text-align: right; font-weight: 600; font-variant-numeric: tabular-nums; }
.card ul { margin: 0.5rem 0 0.3rem; padding: 0; list-style: none; }
.card li { margin: 0 0 0.4rem; padding: 0 0 0 1.4rem; font-size: 0.9rem; position: relative; overflow-wrap: anywhere; }
.card li::before { position: absolute; left: 0.2rem; font-weight: 700; content: "+"; color: color-mix(in srgb, #2e8b57 62%, currentColor); }
.card li.hurt::before { content: "\\2212"; color: color-mix(in srgb, #c0563b 72%, currentColor); }
.card li.todo::before { content: "\\2192"; color: inherit; }
.card a, .engines a { color: inherit; font-weight: 600; font-variant-numeric: tabular-nums; text-decoration: underline;
  text-underline-offset: 0.15em; }
.card q { quotes: none; font-style: italic; }
.card p { margin: 0.5rem 0 0; opacity: 0.88; font-size: 0.9rem; }
.card h4 { font-size: 0.9rem; font-weight: 600; margin: 0.4rem 0 0; padding: 0; }
.engines { width: 100%; border-collapse: collapse; font-size: 0.9rem; line-height: 1.4; }
.engines caption { text-align: left; padding-bottom: 0.5rem; }
.engines th, .engines td { text-align: left; vertical-align: top; padding: 0.5rem 0.8rem 0.5rem 0;
  border-top: 1px solid color-mix(in srgb, currentColor 22%, transparent); overflow-wrap: break-word; }
.engines ul { margin: 0; padding-left: 1.1em; }
.engines tbody td ul li { margin: 0; padding: 0; font-size: 0.9rem; }
.engines .where { font-variant-numeric: tabular-nums; font-weight: 600; white-space: nowrap; }
.asks { font-size: 0.9rem; line-height: 1.4; }
@media (max-width: 640px) {
  .script { font-size: 0.92rem; padding: 1rem 0.5rem 0.6rem 1.6rem; border-width: 1px 0; }
  .script h3 span, .script .note { left: -1.3rem; }
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
[data-testid="stCaptionContainer"] { color: inherit; opacity: 0.85; }
[class*="st-key-choice_"] button, [class*="st-key-choice_"] button *,
[class*="st-key-to_"] button, [class*="st-key-to_"] button *,
[class*="st-key-season_"] button, [class*="st-key-season_"] button *,
[class*="st-key-version_"] button, [class*="st-key-version_"] button * {
  justify-content: flex-start; text-align: left; }
[class*="st-key-choice_"] button p { font-size: 1.02rem; font-weight: 600; }
[data-testid="stMainBlockContainer"]:has(.st-key-room, .st-key-view) { max-width: 80rem; padding: 3.2rem 2rem 4rem; }
.st-key-room { gap: 1rem 1.8rem; align-items: flex-start; }
.st-key-room > .st-key-sheet, .st-key-room > div:has(> .st-key-sheet) { flex: 1 1 33rem; min-width: min(100%, 33rem); }
.st-key-room > .st-key-side, .st-key-room > div:has(> .st-key-side) { flex: 1 1 19rem; min-width: min(100%, 19rem); }
.st-key-room .stHtml { width: 100%; }
.st-key-beside [role="radiogroup"] button { padding-left: 0.6rem; padding-right: 0.6rem; }
:is(.st-key-beside, .st-key-view) [role="radiogroup"] button[aria-checked="true"],
:is(.st-key-beside, .st-key-view) [role="radiogroup"] button[aria-checked="true"] * { color: inherit; font-weight: 600; }
.picks-lines .script .row { cursor: pointer; }
.to-side a { color: inherit; }
#beside-script { scroll-margin-top: 5rem; }
@media (min-width: 1180px) {
  .to-side { display: none; }
  .st-key-room > .st-key-side, .st-key-room > div:has(> .st-key-side) { position: sticky; top: 4rem;
    max-height: calc(100vh - 5rem); overflow-y: auto; padding: 0 0.4rem 0 0.2rem; }
}
@media (max-width: 640px) {
  [data-testid="stMainBlockContainer"]:has(.st-key-room, .st-key-view) { padding-left: 0.9rem; padding-right: 0.9rem; }
}
</style>"""
"""Captions that can be read (Streamlit's are too faint), choices that look like sentences, and a room beside the script."""

Marks = Mapping[tuple[int, int], Sequence[tuple[float, str]]]
"""For a scene and a line of it: points that it earned or cost, and what for, in words."""


def marks_of(card: Scorecard | None) -> Marks:
    """The lines that did most for a score, or against it."""
    found: dict[tuple[int, int], list[tuple[float, str]]] = {}
    for name, dimension in card.dimensions.items() if card is not None else ():
        for sign, rows in ((1.0, dimension.helped), (-1.0, dimension.hurt)):
            for row in rows:
                if row.scene:
                    words = f"{DIMENSION_WORDS[name]}: {row.what}"
                    found.setdefault((row.scene, row.line), []).append((sign, words))
    return found


def script_html(episode: Episode, *, marks: Marks | None = None, marked: str = "") -> str:
    """The scenes, numbered from 1 as the engines' list counts them, and the question at the end.

    `marks` stand in the margin; the line `marked` ("2.14") is highlighted.
    """
    parts: list[str] = []
    for number, scene in enumerate(episode.scenes, start=1):
        parts.append(f"<h3><span>{number}</span>{escape(scene.slugline)}</h3>")
        for line, element in enumerate(scene.elements, start=1):
            note = _note((marks or {}).get((number, line), ()))
            chosen = " marked" if marked == f"{number}.{line}" else ""
            parts.append(element_html(element, f"line-{number}-{line}", note, chosen))
    parts.append(f'<p class="asked">{escape(episode.question)}</p>')
    return f'{_STYLE}<article class="script">{"".join(parts)}</article>'


def _note(rows: Sequence[tuple[float, str]]) -> str:
    if not rows:
        return ""
    signs = "".join(
        f'<span class="{"earned" if there else "cost"}">{"+" if there else MINUS}</span>'
        for there in dict.fromkeys(sign > 0 for sign, _ in rows)
    )
    said = "; ".join(f"{'earned points' if sign > 0 else 'cost points'}, {words}" for sign, words in rows)
    return f'<i class="note" role="img" aria-label="{escape(said)}" title="{escape(said)}">{signs}</i>'


MINUS = "\u2212"


def element_html(element: Element, anchor: str, note: str = "", chosen: str = "") -> str:
    """One line of a script; `note` is what stands in its margin, as HTML, and `chosen` one more class."""
    return _set(element, escape(element.text), f'class="{{}}row{chosen}" id="{escape(anchor)}"', note)


def _set(element: Element, text: str, attributes: str, note: str = "") -> str:
    """`text` is HTML already."""
    if isinstance(element, Action):
        return f"<p {attributes.format('')}>{note}{text}</p>"
    if isinstance(element, Dialogue):
        cue = element.speaker + (f" ({element.extension})" if element.extension is not None else "")
        aside = f'<p class="aside">({escape(element.parenthetical)})</p>' if element.parenthetical else ""
        return f'<div {attributes.format("speech ")}>{note}<p class="cue">{escape(cue)}</p>{aside}<p>{text}</p></div>'
    return f"<p {attributes.format('cut ')}>{note}{text}</p>"


def differences_html(differences: Sequence[Difference]) -> str:
    """A marked-up script: what went is struck out, what came is underlined, and what stayed is passed over in a word."""
    parts: list[str] = []
    same = 0
    heading = ""

    def passed_over() -> None:
        nonlocal same, heading
        if same:
            parts.append(f'<p class="same">{same} line{"s" if same > 1 else ""} as before</p>')
        same = 0

    for one in differences:
        if isinstance(one, SceneDifference):
            heading = _heading_html(one)
            if one.kind != "kept":
                passed_over()
                parts.append(heading)
                heading = ""
        elif isinstance(one, ElementDifference) and one.kind == "kept":
            same += 1
        elif isinstance(one, ElementDifference):
            passed_over()
            if heading:
                parts.append(heading)
                heading = ""
            parts.append(_change_html(one))
        elif isinstance(one, FieldDifference) and one.kind == "changed" and one.words:
            parts.append(
                f"<p>{escape(one.name.replace('_', ' ').capitalize())}: {_words_html(one.words)}</p>"
            )
    passed_over()
    if not any(one.kind != "kept" for one in differences if not isinstance(one, FieldDifference)):
        parts = ['<p class="same">Every line is as it was.</p>']
    return f'{_STYLE}<article class="script">{"".join(parts)}</article>'


def _heading_html(one: SceneDifference) -> str:
    number = one.now or one.was or 0
    was = (
        f"<del>{escape(one.before.slugline)}</del> " if one.before is not None and one.kind != "kept" else ""
    )
    now = escape(one.after.slugline) if one.after is not None else ""
    return f"<h3><span>{number}</span>{was}{f'<ins>{now}</ins>' if now and one.kind != 'kept' else now}</h3>"


WORDS_STAY = 0.4
"""Where fewer of a line's words than this share stayed, it reads better struck out and written anew as a whole."""


def _change_html(one: ElementDifference) -> str:
    if one.kind == "changed" and one.before is not None and one.after is not None:
        alike = {**one.before.model_dump(), "text": ""} == {**one.after.model_dump(), "text": ""}
        stayed = sum(len(run.text.split()) for run in one.words if run.kind == "kept")
        if alike and stayed >= WORDS_STAY * len(one.after.text.split()):
            return _set(one.after, _words_html(one.words), 'class="{}row"')
    gone = _set(one.before, f"<del>{escape(one.before.text)}</del>", 'class="{}row"') if one.before else ""
    come = _set(one.after, f"<ins>{escape(one.after.text)}</ins>", 'class="{}row"') if one.after else ""
    return gone + come


def _words_html(words: Sequence[Words]) -> str:
    tags = {"added": "ins", "removed": "del"}
    return "".join(
        f"<{tags[one.kind]}>{escape(one.text)}</{tags[one.kind]}>" if one.kind in tags else escape(one.text)
        for one in words
    )


def scorecard_html(card: Scorecard, was: Scorecard | None = None) -> str:
    """The overall score, and for each dimension the lines that earned and cost points; a line's number leads to it.

    `was` is the scorecard of the version before, whose scores are told beside those that differ from them.
    """
    if card.overall is None:
        return f'{_STYLE}<div class="card"><p>No score. {escape(card.reason)}</p></div>'
    earlier = was.dimensions if was is not None else {}
    rows = [
        _dimension(DIMENSION_WORDS[name], dimension, earlier.get(name))
        for name, dimension in card.dimensions.items()
    ]
    notes = "".join(f"<p>{escape(note)}</p>" for note in card.notes)
    before = ""
    if was is not None and was.overall is not None and was.overall != card.overall:
        before = f"<span>before: {was.overall:.1f}</span>"
    return (
        f'{_STYLE}<div class="card"><div class="head"><b>{card.overall:.1f}</b><span>of 10: {escape(str(card.quality_class))}'
        f"</span>{before}<span>scorer {escape(card.scorer_version)}</span></div>{''.join(rows)}{notes}</div>"
    )


def _dimension(words: str, dimension: DimensionScore, was: DimensionScore | None = None) -> str:
    if dimension.score is None:
        return f"<details><summary><span>{escape(words)}</span><span></span><span>-</span></summary><p>{escape(dimension.note)}</p></details>"
    items = [_evidence(row, "helped") for row in dimension.helped] + [
        _evidence(row, "hurt") for row in dimension.hurt
    ]
    if dimension.suggestion:
        items.append(f'<li class="todo">{escape(dimension.suggestion)}</li>')
    before = ""
    if was is not None and was.score is not None and f"{was.score:.1f}" != f"{dimension.score:.1f}":
        before = f"<p>{was.score:.1f} in the version before.</p>"
    return (
        f'<details><summary><span>{escape(words)}</span><span class="bar"><i style="width:{10 * dimension.score:.0f}%"></i></span>'
        f'<span class="points">{dimension.score:.1f}</span></summary>{before}<ul>{"".join(items)}</ul>'
        f"{_measures(dimension.measures)}</details>"
    )


def _measures(measures: Sequence[MeasureScore]) -> str:
    """Every line that the dimension's measures point at, the weightiest first."""
    told = [one for one in measures if one.evidence]
    if not told:
        return ""
    blocks = "".join(
        f"<h4>{escape(one.name[:1].upper() + one.name[1:])}</h4><ul>"
        + "".join(
            _evidence(row, "hurt" if row.points <= 0 else "helped")
            for row in sorted(one.evidence, key=lambda row: -abs(row.points))
        )
        + "</ul>"
        for one in told
    )
    count = sum(len(one.evidence) for one in told)
    return f"<details><summary>All {count} lines, by measure</summary>{blocks}</details>"


def _evidence(row: Evidence, kind: str) -> str:
    where = place(row)
    link = line_link(row.scene, row.line, where) if row.scene else f"<b>{where}</b>"
    quote = shorten(row.text, 90, placeholder=" \u2026")
    return f'<li class="{kind}">{link} <q>{escape(quote)}</q> {escape(row.what)}</li>'


def line_link(scene: int, line: int, words: str = "") -> str:
    """Leads to a line of the script on the same page, which is then highlighted."""
    return f'<a href="#line-{scene}-{line}">{escape(words or f"{scene}.{line}")}</a>'


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
    """For each engine what it asked for, whether that is in the script, and the lines that show it; a line's number leads to it."""
    rows = "".join(
        f"<details><summary><span>{escape(run.engine)}</span>{_share(run)}</summary>"
        f"<p>{escape(_found(run))}</p>{_listed(asked.get(run.engine, ()))}{_lines(run)}</details>"
        for run in runs
    )
    return f'{_STYLE}<div class="card asks">{rows}</div>'


def _share(run: EngineRun) -> str:
    if run.realisation is None:
        return '<span></span><span class="points">-</span>'
    share = round(100 * run.realisation.score)
    return (
        f'<span class="bar"><i style="width:{share}%"></i></span><span class="points">{share}&nbsp;%</span>'
    )


def _listed(words: Sequence[str]) -> str:
    if not words:
        return ""
    items = "".join(f'<li class="todo">{escape(word)}</li>' for word in words)
    return f"<h4>Asked for</h4><ul>{items}</ul>"


def _found(run: EngineRun) -> str:
    if run.error is not None:
        return f"Failed: {run.error}"
    if run.directive is None:
        return "Asked for nothing."
    if run.realisation is None:
        return "Not looked for in this version."
    words = f"{round(100 * run.realisation.score)} % of it is in the script"
    if run.instead:
        words += f", asked by its rules, since {run.instead}"
    if run.repaired:
        words += ", after a repair"
    if run.realisation.missing:
        words += "; missing: " + "; ".join(run.realisation.missing)
    return words + "."


def _lines(run: EngineRun) -> str:
    lines = run.realisation.lines if run.realisation else ()
    if not lines:
        return ""
    items = "".join(
        f"<li>{line_link(line.scene, line.line)} <q>{escape(shorten(line.text, 90, placeholder=' …'))}</q></li>"
        for line in lines[:LINES_SHOWN]
    )
    more = f"<li>and {len(lines) - LINES_SHOWN} more</li>" if len(lines) > LINES_SHOWN else ""
    return f"<h4>Where it shows</h4><ul>{items}{more}</ul>"
