"""Episodes as screenplay pages that stand side by side, as HTML. All text is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from cinegen_core.comparing import Row
from cinegen_core.story import Action, Dialogue, Element, Episode, Scene

NARROW = 900
"""Below so many pixels one page is shown at a time."""

SHEET_STYLE = f"""<style>
.sheets {{ display: grid; gap: 0 1.2rem; font-family: 'Courier Prime', 'Courier New', Courier, 'Liberation Mono', monospace;
  font-size: 0.92rem; line-height: 1.35; overflow-wrap: anywhere; }}
.apart {{ display: grid; gap: 1.2rem; align-items: start; }}
.apart > * {{ max-height: 72vh; min-height: 20rem; overflow-y: auto;
  border-bottom: 1px solid color-mix(in srgb, currentColor 22%, transparent); }}
.sheets > * {{ padding: 0 1.3rem; background: color-mix(in srgb, currentColor 4%, transparent);
  border: solid color-mix(in srgb, currentColor 22%, transparent); border-width: 0 1px; min-width: 0; }}
.sheets .top {{ border-top-width: 1px; padding-top: 1.1rem; }}
.sheets .end {{ border-bottom-width: 1px; padding-bottom: 1.2rem; }}
.sheets .mark {{ font-family: inherit; font-size: 1.15rem; font-weight: 700; margin: 0 0 0.2em; padding: 0; }}
.sheets .title {{ font-weight: 700; text-transform: uppercase; text-align: center; margin: 1em 0 0.4em; }}
.sheets p {{ margin: 0 0 0.9em; font: inherit; white-space: pre-line; }}
.sheets p.title {{ font-weight: 700; }}
.sheets .logline {{ text-align: center; font-style: italic; }}
.sheets h4 {{ font: inherit; font-weight: 700; margin: 1.4em 0 0.9em; padding: 0; display: flex; gap: 1ch; align-items: baseline; }}
.sheets h4 b {{ font-weight: 400; }}
.sheets h4 i {{ margin-left: auto; padding-left: 1ch; font-style: normal; font-weight: 400; white-space: nowrap; }}
.sheets .speech {{ margin: 0 0 0.9em 12%; max-width: 36ch; break-inside: avoid; }}
.sheets .speech p {{ margin: 0; }}
.sheets .speech .cue {{ padding-left: 24%; }}
.sheets .speech .aside {{ padding-left: 12%; }}
.sheets .cut {{ text-align: right; }}
.sheets .none {{ padding-top: 1.4em; font-style: italic; }}
.sheets .end ol {{ margin: 0; font: inherit; padding-left: 2.2em; list-style: decimal; }}
.sheets .end ol li {{ margin: 0 0 0.7em; padding: 0; font: inherit; font-size: inherit; }}
.sheets .end li b {{ display: block; }}
@media (max-width: {NARROW}px) {{ .st-key-sheets_wide {{ display: none; }} .apart {{ display: grid; gap: 1.2rem; align-items: start; }}
.apart > * {{ max-height: 72vh; min-height: 20rem; overflow-y: auto;
  border-bottom: 1px solid color-mix(in srgb, currentColor 22%, transparent); }}
.sheets > * {{ padding: 0 0.8rem; }} }}
@media (min-width: {NARROW + 1}px) {{ .st-key-sheets_narrow {{ display: none; }} }}
</style>"""
"""What is in the container `sheets_wide` is seen on wide screens, what is in `sheets_narrow` on the others."""


TABLES_STYLE = """<style>
.figures td { overflow-wrap: break-word; min-width: 4rem; }
.figures td:first-child { min-width: 9rem; }
</style>"""
"""Tables whose words stay whole on a narrow screen, where they scroll."""


def sheets_html(marks: Sequence[str], episodes: Sequence[Episode], rows: Sequence[Row]) -> str:
    """A column for each episode under its mark, scenes that belong together in one row."""
    return SHEET_STYLE + _sheets(marks, episodes, rows)


def apart_html(marks: Sequence[str], episodes: Sequence[Episode]) -> str:
    """A column for each episode under its mark, each scrolling by itself."""
    columns = "".join(
        f'<div tabindex="0" role="region" aria-label="{escape(mark)}">{_alone(mark, episode)}</div>'
        for mark, episode in zip(marks, episodes, strict=True)
    )
    return f'{SHEET_STYLE}<div class="apart" style="{_columns(len(episodes))}">{columns}</div>'


def sheet_html(mark: str, episode: Episode) -> str:
    """One episode by itself."""
    return SHEET_STYLE + _alone(mark, episode)


def _alone(mark: str, episode: Episode) -> str:
    rows = tuple(Row(places=(place,)) for place in range(len(episode.scenes)))
    return _sheets((mark,), (episode,), rows)


def _sheets(marks: Sequence[str], episodes: Sequence[Episode], rows: Sequence[Row]) -> str:
    cells = [_top(mark, episode) for mark, episode in zip(marks, episodes, strict=True)]
    for row in rows:
        for place, scene in zip(row.places, row.scenes(episodes), strict=True):
            cells.append(_scene(place, scene))
    cells += [_end(episode) for episode in episodes]
    return f'<div class="sheets" style="{_columns(len(episodes))}">{"".join(cells)}</div>'


def _columns(count: int) -> str:
    return f"grid-template-columns: repeat({count}, minmax(0, 1fr))"


def _top(mark: str, episode: Episode) -> str:
    logline = f'<p class="logline">{escape(episode.logline)}</p>' if episode.logline else ""
    return f'<header class="top"><h3 class="mark">{escape(mark)}</h3><p class="title">{escape(episode.title)}</p>{logline}</header>'


def _scene(place: int | None, scene: Scene | None) -> str:
    if place is None or scene is None:
        return '<section><p class="none">No scene beside this one.</p></section>'
    lines = "".join(_element(element) for element in scene.elements)
    head = f"<h4><b>{place + 1}</b><span>{escape(scene.slugline)}</span><i>{scene.seconds} s</i></h4>"
    return f"<section>{head}{lines}</section>"


def _element(element: Element) -> str:
    if isinstance(element, Action):
        return f"<p>{escape(element.text)}</p>"
    if isinstance(element, Dialogue):
        cue = element.speaker + (f" ({element.extension})" if element.extension is not None else "")
        aside = f'<p class="aside">({escape(element.parenthetical)})</p>' if element.parenthetical else ""
        return (
            f'<div class="speech"><p class="cue">{escape(cue)}</p>{aside}<p>{escape(element.text)}</p></div>'
        )
    return f'<p class="cut">{escape(element.text)}</p>'


def _end(episode: Episode) -> str:
    choices = "".join(
        f"<li><b>{escape(one.label)}</b>{escape(one.consequence)}</li>" for one in episode.choices
    )
    return f'<footer class="end"><h4><span>{escape(episode.question)}</span></h4><ol>{choices}</ol></footer>'
