"""From a script to its scorecard."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from cinegen_core.scorer import character, choices, cinematic, dialogue, genre, structure, world
from cinegen_core.scorer.measure import Found, Measure
from cinegen_core.scorer.model import (
    DIMENSION_WORDS,
    DimensionName,
    DimensionScore,
    Evidence,
    MeasureScore,
    Scorecard,
    quality_class,
)
from cinegen_core.scorer.reading import Line, Reading
from cinegen_core.scorer.scale import DimensionScale, Scale, Worth, shipped
from cinegen_core.story import Episode, StoryBible
from cinegen_core.story.script import Script

MEASURES: Mapping[DimensionName, tuple[Measure, ...]] = {
    "character": character.MEASURES,
    "dialogue": dialogue.MEASURES,
    "structure": structure.MEASURES,
    "world": world.MEASURES,
    "genre": genre.MEASURES,
    "choices": choices.MEASURES,
    "cinematic": cinematic.MEASURES,
}

LEAST_WORDS = 60
"""Below this many words in the scenes, there is too little to judge."""

EVIDENCE_KEPT = 12
"""Lines kept for one measure: those that did most."""

_WHAT_IS_MISSING: Mapping[DimensionName, str] = {
    "character": "too few speeches to tell people by",
    "dialogue": "too few speeches",
    "structure": "a single short scene has no structure yet",
    "world": "too little is shown",
    "genre": "too few lines",
    "choices": "this script ends without choices",
    "cinematic": "too few lines of action",
}


def score(
    script: Script | Episode, bible: StoryBible | None = None, *, scale: Scale | None = None
) -> Scorecard:
    """How good a script is, 0..10, by what is on its pages; the same script, bible and scale give the same card.

    Without a bible, measures that need one are left out and the card says so. A text that is no screenplay, or too short a
    one, gets `overall` None with the reason.
    """
    scale = scale or shipped()
    shown = Script.of(script) if isinstance(script, Episode) else script
    reading = Reading(shown, bible)
    reason = _cannot_judge(reading)
    if reason:
        return Scorecard(overall=None, reason=reason, scorer_version=scale.version)
    legible = _legible(reading, scale.legible)
    dimensions = {
        name: _dimension(name, reading, scale.dimensions[name], legible) for name in DIMENSION_WORDS
    }
    judged = [(scale.dimensions[name].weight, d) for name, d in dimensions.items() if d.score is not None]
    if len(judged) < 3:
        reason = (
            "There is not enough here to judge: "
            + "; ".join(d.note for d in dimensions.values() if d.note)
            + "."
        )
        return Scorecard(overall=None, reason=reason, dimensions=dimensions, scorer_version=scale.version)
    total = sum(weight for weight, _ in judged)
    overall = round(sum(weight * (d.score or 0.0) for weight, d in judged) / total, 2)
    sure = sum(weight * d.confidence for weight, d in judged) / sum(
        d.weight for d in scale.dimensions.values()
    )
    return Scorecard(
        overall=overall,
        quality_class=quality_class(overall),
        confidence=round(sure, 2),
        dimensions=dimensions,
        notes=_notes(reading),
        scorer_version=scale.version,
    )


def _cannot_judge(reading: Reading) -> str:
    headings = sum(bool(scene.slugline) for scene in reading.scenes)
    if headings == 0 and len(reading.speeches) < 6:
        return "This is not a screenplay: it has no scene headings (INT. or EXT.) and no speeches under the name of who speaks."
    if headings < 2 and len(reading.speeches) < 2:
        return "This is not a screenplay: there is not more than one heading, and nobody speaks."
    if reading.word_count < LEAST_WORDS:
        return f"There is not enough here to judge: {reading.word_count} words in the scenes, and {LEAST_WORDS} are the least."
    return ""


def _notes(reading: Reading) -> tuple[str, ...]:
    notes: list[str] = []
    if reading.bible is None:
        blind = [m.name for measures in MEASURES.values() for m in measures if m.needs_bible]
        notes.append(f"Read without a bible, so these were not looked at: {', '.join(blind)}.")
    if reading.bible is None or not reading.bible.genres:
        kinds = " and ".join(g.name.replace("_", " ") for g in genre.of(reading))
        notes.append(f"No genre is given; read as {kinds}.")
    return tuple(notes)


def _legible(reading: Reading, worth: Worth) -> float:
    """What is left of any dimension of a script that can be read only in parts."""
    good = sum(len(line.sentences) for line in reading.written)
    bad = sum(len(line.unsound) + len(line.repeated) for line in reading.written)
    floor = worth.gate or 0.0
    return floor + (1 - floor) * worth.value(good / max(1, good + bad))


def _dimension(
    name: DimensionName, reading: Reading, scale: DimensionScale, legible: float
) -> DimensionScore:
    found = [(measure, measure.look(reading), scale.measures[measure.name]) for measure in MEASURES[name]]
    seen = [
        (worth.weight, worth.value(f.raw))
        for _, f, worth in found
        if f.raw is not None and worth.gate is None
    ]
    whole = sum(
        worth.weight
        for measure, _, worth in found
        if worth.gate is None and not (measure.needs_bible and reading.bible is None)
    )
    weight = sum(w for w, _ in seen)
    if whole == 0 or weight < whole / 3:
        return DimensionScore(score=None, note=f"not enough to judge: {_WHAT_IS_MISSING[name]}")
    factor = math.prod(
        worth.gate + (1 - worth.gate) * worth.value(f.raw)
        for _, f, worth in found
        if worth.gate is not None and f.raw is not None
    )
    value = sum(w * v for w, v in seen) / weight
    points = round(max(0.0, min(10.0, scale.points(value) * factor * legible)), 2)
    measures = tuple(_measured(measure, f, worth, weight) for measure, f, worth in found)
    confidence = (
        min(1.0, sum(f.seen for _, f, _ in found if f.raw is not None) / scale.needs) * weight / whole
    )
    return DimensionScore(
        score=points,
        confidence=round(confidence, 2),
        helped=_most([e for m in measures for e in m.evidence if e.points > 0]),
        hurt=_most([e for m in measures for e in m.evidence if e.points < 0]),
        suggestion=_suggestion(name, measures),
        measures=measures,
    )


def _measured(measure: Measure, found: Found, worth: Worth, whole: float) -> MeasureScore:
    part = 10 * (worth.weight / whole if worth.gate is None else 1 - worth.gate)
    spread = max(4.0, found.seen / 4)
    earned = 0.0 if found.raw is None else worth.value(found.raw)
    evidence = [
        Evidence(
            scene=f.line.scene,
            line=f.line.number,
            text=f.text or f.line.text,
            what=f.what,
            measure=measure.name,
            # What a measure did not earn, no line earned; what it did not cost, none cost.
            points=round(f.weight * part / spread * (earned if f.weight > 0 else 1 - earned), 3),
        )
        for f in found.findings
    ]
    evidence.sort(key=lambda e: (-abs(e.points), e.scene == 0, e.scene, e.line))
    value = None if found.raw is None else round(worth.value(found.raw), 4)
    raw = None if found.raw is None else round(found.raw, 4)
    return MeasureScore(
        name=measure.name,
        raw=raw,
        value=value,
        weight=worth.weight,
        gate=worth.gate is not None,
        evidence=tuple(evidence[:EVIDENCE_KEPT]),
    )


def _most(evidence: Sequence[Evidence]) -> tuple[Evidence, ...]:
    """The two lines that did most, one entry a line."""
    best: dict[tuple[int, int], Evidence] = {}
    for row in sorted(evidence, key=lambda e: (-abs(e.points), e.scene == 0, e.scene, e.line, e.measure)):
        best.setdefault((row.scene, row.line), row)
    return tuple(list(best.values())[:2])


def _suggestion(name: DimensionName, measures: Sequence[MeasureScore]) -> str:
    """Advice on the measure that cost most, at the line that shows it best."""
    costs = [
        ((1 - m.value) * (m.weight if not m.gate else 10.0), measure, m)
        for measure, m in zip(MEASURES[name], measures, strict=True)
        if m.value is not None and (m.weight or m.gate)
    ]
    cost, measure, worst = max(costs, key=lambda row: (row[0], row[1].name), default=(0.0, None, None))
    if measure is None or worst is None or cost < 0.02:
        return ""
    line = next((e for e in worst.evidence if e.points < 0), None)
    where = f" ({_place(line)})" if line is not None else ""
    return measure.suggestion + where


def _place(line: Evidence | Line) -> str:
    number = line.line if isinstance(line, Evidence) else line.number
    return f"scene {line.scene}, line {number}" if line.scene else f"choice {number}"
