"""The scorer held against spoiled scripts, planted faults, talk about writing, and formats."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from cinegen_core.analysis.scoring import Case, by_dimension, chance
from cinegen_core.analysis.validation import ROUNDS, Numbers, wilson
from cinegen_core.scorer import DIMENSION_WORDS, Scorecard, score
from cinegen_core.scorer.corruptions import ALL, CRAFT, Corruption, held_out
from cinegen_core.story import Action, Beat, Choice, Dialogue, Element, Episode, Scene, StoryState
from cinegen_core.story.formats import read_script, to_fdx, to_fountain, to_json, to_text
from cinegen_core.story.load import load_bible
from cinegen_core.story.script import Script, ScriptScene

EXEMPLARS, SAMPLES, TYPED = "exemplar", "sample", "bible without cards"
"""What is spoiled: good episodes written for the shelf; episodes of the samples; episodes of bibles as people type them."""

PAIR_COLUMNS = ("group", "bible", "name", "kind", "before", "after", *DIMENSION_WORDS)


def shelf_cases(shelf: Path) -> list[Case]:
    """The good episodes of the reference shelf with their bibles."""
    return [
        Case(path.stem, _script(path), load_bible(shelf / "bibles" / f"{path.stem}.yaml"))
        for path in sorted((shelf / "good").glob("*.fountain"))
    ]


def _script(path: Path) -> Script:
    return read_script(path.read_text(encoding="utf-8"), name=path.name)


def spoiled_pairs(
    cases: Sequence[Case],
    groups: Sequence[str],
    kinds: Sequence[Corruption] = ALL,
    *,
    drawn_from: int | None = None,
) -> pd.DataFrame:
    """A row for each case and kind that spoils it: `PAIR_COLUMNS`; `before` and `after` are the overall 0..10, a dimension is what
    was lost there, in points (NaN where it could not be judged before).

    The draws are those of `scoring.damage` on the same cases, so that both give the same pairs. To make the first few of a larger
    table again, give those cases, `drawn_from` as the number that the table had, and kinds that need no other script.
    Raises `ValueError` for kinds that need another script which is not there.
    """
    count = drawn_from or len(cases)
    if count != len(cases) and any(kind.needs_other for kind in kinds):
        raise ValueError("kinds that splice need all cases; leave `drawn_from` out, or leave these kinds out")
    rows = []
    for index, (case, group) in enumerate(zip(cases, groups, strict=True)):
        before = score(case.script, case.bible)
        for kind in kinds:
            rng = chance(case.name, kind.name)
            place = (index + 1 + rng.randrange(count - 1)) % count if count > 1 else 0
            other = cases[place].script if kind.needs_other else case.script
            spoiled = kind.corrupt(case.script, rng, other)
            if spoiled != case.script:
                after = score(spoiled, case.bible)
                title = case.bible.title if case.bible else case.name
                whole = (before.overall or 0.0, after.overall or 0.0)
                rows.append((group, title, case.name, kind.name, *whole, *_lost(before, after)))
    return pd.DataFrame(rows, columns=list(PAIR_COLUMNS))


def _lost(before: Scorecard, after: Scorecard) -> list[float]:
    now = by_dimension(after)
    return [
        math.nan if was is None else round(was - (now[name] or 0.0), 2)
        for name, was in by_dimension(before).items()
    ]


def likeness(hits: Sequence[tuple[Numbers, Sequence[str]]]) -> float:
    """How much hits (0 or 1) of one cluster resemble each other, 0..1: the intraclass correlation by analysis of variance, its mean
    squares pooled over the given tables (Ridout, Demetrio and Firth 1999, Biometrics 55). Each table: hits, and their clusters."""
    between = within = size = 0.0
    used = 0
    for values, clusters in hits:
        parts = [part.to_numpy() for _, part in pd.Series(values).groupby(list(clusters))]
        total, groups = len(values), len(parts)
        if groups < 2 or total <= groups or values.std() == 0:
            continue
        mean = values.mean()
        between += sum(len(p) * (p.mean() - mean) ** 2 for p in parts) / (groups - 1)
        within += sum(((p - p.mean()) ** 2).sum() for p in parts) / (total - groups)
        size += (total - sum(len(p) ** 2 for p in parts) / total) / (groups - 1)
        used += 1
    if not used or between + within == 0:
        return 0.0
    return float(np.clip((between - within) / (between + (size / used - 1) * within), 0.0, 1.0))


def worth(clusters: Sequence[str], alike: float) -> float:
    """How many independent ones so many clustered ones are worth: n / (1 + (m - 1) * alike), m the mean size of the cluster that one
    is in (Kish 1965, Survey Sampling, 8.2)."""
    sizes = pd.Series(list(clusters)).value_counts()
    count = float(sizes.sum())
    return count / (1 + (float((sizes**2).sum()) / count - 1) * alike) if count else 0.0


def detection(pairs: pd.DataFrame) -> pd.DataFrame:
    """For each kind, how well the score gives a spoiled script away. Sorted by `alone`, the best seen first.

    `caught`: share of pairs in which the spoiled copy scores below its original, with `low` and `high` (Wilson's interval on the
    number that the pairs are worth, as episodes of one bible resemble each other); `asked`: the bar it was set.
    `alone`: without the original, how often a spoiled script scores below another, sound one of the same group (the area under the
    ROC curve; a tie counts half; .5 is chance) with `alone low`, `alone high` (95 %, bibles drawn again).
    `own`: share of pairs whose own dimension fell; `lost`: mean loss overall, in points.
    """
    kinds = [kind for kind in ALL if kind.name in set(pairs["kind"])]
    parts = {kind.name: pairs[pairs["kind"] == kind.name] for kind in kinds}
    hit = {name: (part["after"] < part["before"]).to_numpy(float) for name, part in parts.items()}
    alike = likeness([(hit[name], parts[name]["bible"].tolist()) for name in parts])
    found = []
    for kind in kinds:
        part = parts[kind.name]
        caught = float(hit[kind.name].mean())
        low, high = wilson(caught, worth(part["bible"].tolist(), alike))
        kept = kind.name in held_out()
        own = float((part[kind.dimension].dropna() > 0).mean())
        found.append(
            (kind.name, kind.dimension, kept, len(part), caught, low, high, 0.90 if kept else 0.95,
             *_alone(part), own, float((part["before"] - part["after"]).mean()))
        )  # fmt: skip
    names = [
        *("kind", "dimension", "held out", "pairs", "caught", "low", "high", "asked"),
        *("alone", "alone low", "alone high", "own", "lost"),
    ]
    return pd.DataFrame(found, columns=names).sort_values("alone", ascending=False, ignore_index=True)


def _alone(part: pd.DataFrame) -> tuple[float, float, float]:
    """The area under the ROC curve within groups, and its interval: bibles drawn again, within their groups."""
    sound, spoiled = part["before"].to_numpy(float), part["after"].to_numpy(float)
    groups, bibles = part["group"].to_numpy(), part["bible"].to_numpy()
    fair = (groups[:, None] == groups[None, :]) & ~np.eye(len(part), dtype=bool)
    wins = ((spoiled[:, None] < sound[None, :]) + 0.5 * (spoiled[:, None] == sound[None, :])) * fair
    rng = np.random.default_rng(1)
    weights = np.zeros((ROUNDS, len(part)))
    for group in np.unique(groups):
        there = np.unique(bibles[groups == group])
        drawn = rng.integers(0, len(there), (ROUNDS, len(there)))
        for place, bible in enumerate(there):
            rows = (groups == group) & (bibles == bible)
            weights[:, rows] = (drawn == place).sum(axis=1)[:, None]
    again = ((weights @ wins) * weights).sum(axis=1) / ((weights @ fair) * weights).sum(axis=1)
    low, high = np.quantile(again, [0.025, 0.975])
    return float(wins.sum() / fair.sum()), float(low), float(high)


def by_group(pairs: pd.DataFrame) -> pd.DataFrame:
    """Share of pairs caught, by kind and group of scripts: `kind`, then a column each."""
    rows = pairs.assign(caught=pairs["after"] < pairs["before"])
    table = rows.pivot_table(index="kind", columns="group", values="caught", aggfunc="mean")
    order = [kind.name for kind in ALL if kind.name in table.index]
    groups = [name for name in (EXEMPLARS, SAMPLES, TYPED) if name in table.columns]
    return table.loc[order, groups].reset_index().rename_axis(columns=None)


def roc(pairs: pd.DataFrame, kinds: Iterable[str], group: str = SAMPLES) -> pd.DataFrame:
    """ROC curves within one group: calling spoiled whatever scores below a bar, for every bar. `kind`, `bar`, `false` (sound scripts
    called spoiled, 0..1) and `found` (spoiled ones called so, 0..1)."""
    rows = []
    for kind in kinds:
        part = pairs[(pairs["kind"] == kind) & (pairs["group"] == group)]
        bars = [0.0, *np.unique(np.concatenate([part["before"], part["after"]])), 10.01]
        rows += [
            (kind, float(b), float((part["before"] < b).mean()), float((part["after"] < b).mean()))
            for b in bars
        ]
    return pd.DataFrame(rows, columns=["kind", "bar", "false", "found"])


def shelf_faults(shelf: Path) -> pd.DataFrame:
    """The shelf's copies with one fault planted by hand: `dimension`, `fault`, `script`, `own` (points lost there), `other` (the most
    that another dimension lost) and `overall` lost. Asked: own 1 or more, other half a point at most."""
    good = {case.name: case for case in shelf_cases(shelf)}
    rows = []
    for path in sorted((shelf / "faults").glob("*.fountain")):
        dimension, fault, name = path.stem.split("__")
        case = good[name]
        before, after = score(case.script, case.bible), score(_script(path), case.bible)
        lost = dict(zip(DIMENSION_WORDS, _lost(before, after), strict=True))
        other = max(loss for key, loss in lost.items() if key != dimension)
        whole = round((before.overall or 0) - (after.overall or 0), 2)
        rows.append((dimension, fault.replace("_", " "), name, lost[dimension], other, whole))  # type: ignore[index]
    return pd.DataFrame(rows, columns=["dimension", "fault", "script", "own", "other", "overall"])


PRAISE = "A masterpiece of subtext, motivation, conflict, layered dialogue and emotional depth. "
"""What keyword scorers reward."""

Trick = Callable[[Script, Sequence[str]], Script]


def _added(script: Script, line: Callable[[str], Element | None], words: Sequence[str]) -> Script:
    """One more line in the middle of every scene; `line` makes it from who speaks there first."""
    scenes = []
    for scene in script.scenes:
        cue = next((e.speaker for e in scene.elements if isinstance(e, Dialogue)), "")
        extra = line(cue)
        half = len(scene.elements) // 2
        row = scene.elements if extra is None else (*scene.elements[:half], extra, *scene.elements[half:])
        scenes.append(ScriptScene(slugline=scene.slugline, elements=row))
    return script.model_copy(update={"scenes": tuple(scenes)})


def _in_action(script: Script, words: Sequence[str]) -> Script:
    return _added(script, lambda cue: Action(text=f"The scene is full of {', '.join(words)}."), words)


def _spoken(script: Script, words: Sequence[str]) -> Script:
    return _added(
        script,
        lambda cue: Dialogue(speaker=cue, text=f"This is about {', '.join(words)}.") if cue else None,
        words,
    )


def _directed(script: Script, words: Sequence[str]) -> Script:
    def change(element: Element) -> Element:
        return (
            element.model_copy(update={"parenthetical": f"with {words[0]}"})
            if isinstance(element, Dialogue)
            else element
        )

    scenes = tuple(
        ScriptScene(slugline=s.slugline, elements=tuple(map(change, s.elements))) for s in script.scenes
    )
    return script.model_copy(update={"scenes": scenes})


def _titled(script: Script, words: Sequence[str]) -> Script:
    return script.model_copy(update={"title": PRAISE, "series": PRAISE})


def _in_choices(script: Script, words: Sequence[str]) -> Script:
    made = tuple(
        c.model_copy(update={"consequence": f"{c.consequence} It raises {' and '.join(words)}."})
        for c in script.choices
    )
    return script.model_copy(update={"choices": made})


def _twice(script: Script, words: Sequence[str]) -> Script:
    return script.model_copy(update={"scenes": script.scenes * 2})


TRICKS: Mapping[str, Trick] = {
    "words about writing in the action": _in_action,
    "words about writing, spoken": _spoken,
    "words about writing in every parenthetical": _directed,
    "praise for a title": _titled,
    "words about writing in the choices": _in_choices,
    "everything written twice": _twice,
}
"""Ways to ask for a better score without writing a better script."""


def talked_up(cases: Sequence[Case]) -> pd.DataFrame:
    """What each trick gains: a row for each case and trick that changes it, `trick`, `name`, `before` and `gain`, in points overall."""
    rows = []
    for case in cases:
        before = score(case.script, case.bible).overall
        if before is None:
            continue
        for name, trick in TRICKS.items():
            tricked = trick(case.script, chance(case.name, name).sample(CRAFT, 4))
            if tricked != case.script:
                after = score(tricked, case.bible).overall or 0.0
                rows.append((name, case.name, before, round(after - before, 2)))
    return pd.DataFrame(rows, columns=["trick", "name", "before", "gain"])


def same_in_formats(cases: Sequence[Case]) -> pd.DataFrame:
    """Each case with three choices as Fountain, FDX, text laid out on a page, our JSON, and JSON with praise in every field that a
    script does not show: `name`, then the overall of each."""
    rows = []
    for case in cases:
        if len(case.script.choices) != 3:
            continue
        plain, praised = _episode(case.script, ""), _episode(case.script, PRAISE)
        texts = (to_fountain(plain), to_fdx(plain), to_text(plain), to_json(plain), to_json(praised))
        rows.append((case.name, *(score(read_script(text), case.bible).overall for text in texts)))
    return pd.DataFrame(rows, columns=["name", "Fountain", "FDX", "text", "JSON", "JSON, praised"])


def _episode(script: Script, praise: str) -> Episode:
    """An episode that shows this script; `praise` stands in the fields that no script shows."""
    choices = tuple(
        Choice(id=id, label=c.label, consequence=c.consequence, axis=praise, anchor=praise)
        for id, c in zip("abc", script.choices, strict=True)
    )
    return Episode.model_validate(
        {
            "series": script.series, "number": max(1, script.number), "title": script.title, "logline": praise, "synopsis": praise,
            "scenes": tuple(Scene(slugline=s.slugline, seconds=60, elements=s.elements) for s in script.scenes),
            "question": script.question, "choices": choices, "state": StoryState(series=script.series),
            "rundown": (Beat(start=0, seconds=9, text=praise),) if praise else (),
        }
    )  # fmt: skip
