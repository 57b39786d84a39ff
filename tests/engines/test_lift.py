"""Every engine's work can be seen in the script, pointed at, and switched off."""

from __future__ import annotations

import statistics
from functools import lru_cache

import pytest

from cinegen_core.analysis.episodes import Take, changed_lines, season, without
from cinegen_core.engines import all_engines
from cinegen_core.story import Episode, StoryBible
from cinegen_core.writers.embedded import EmbeddedWriter

ENGINES = [engine.name for engine in all_engines()]
SEEDS = 6
"""Two episodes each: a dozen."""

OWN_GENRE = {"ComedyTiming": "first_prize", "Horror": "one_more", "RomanceChemistry": "half_a_letter"}
"""Genre engines are tried in a series of their genre, the others in the first of all samples."""


@lru_cache(maxsize=8)
def _takes(writer: EmbeddedWriter, name: str, bible_json: str) -> tuple[Take, ...]:
    bible = StoryBible.model_validate_json(bible_json)
    return tuple(t for seed in range(SEEDS) for t in season(writer, bible, seed=seed, episodes=2))


@pytest.fixture
def takes(engine: str, embedded: EmbeddedWriter, samples: dict[str, StoryBible]) -> list[Take]:
    name = OWN_GENRE.get(engine, "slack_water")
    found = _takes(embedded, name, samples[name].model_dump_json())
    if engine == "SerializedContinuity":  # a first episode has nothing to continue
        return [t for t in found if t.request.state is not None]
    return list(found)


def _shorn(episode: Episode, whole: Take, engine: str) -> Episode:
    """The episode without the lines that the engine points at."""
    actor = next(e for e in whole.engines if e.name == engine)
    directive = next(d for d in whole.directives if d.engine == engine)
    evidence = {(line.scene, line.line) for line in actor.realised(episode, directive, whole.context).lines}
    scenes = []
    for number, scene in enumerate(episode.scenes, 1):
        kept = tuple(e for index, e in enumerate(scene.elements, 1) if (number, index) not in evidence)
        scenes.append(scene.model_copy(update={"elements": kept or scene.elements[:1]}))
    return episode.model_copy(update={"scenes": tuple(scenes)})


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_changes_the_script_and_is_missed_when_it_is_off(
    engine: str, takes: list[Take], embedded: EmbeddedWriter
) -> None:
    on, off, changed = [], [], []
    for whole in takes:
        bare = without(embedded, whole, {engine})
        on.append(whole.realised(engine))
        off.append(whole.realised(engine, bare))
        changed.append(changed_lines(whole.episode, bare))
    assert statistics.mean(on) > statistics.mean(off), f"on {on}, off {off}"
    assert statistics.mean(changed) >= 0.01


@pytest.mark.parametrize("engine", [name for name in ENGINES if name != "FiveMinuteCanvas"])
def test_taking_out_the_lines_that_show_it_is_noticed(engine: str, takes: list[Take]) -> None:
    """The canvas is about the whole script's length: it points at no line."""
    shown = [whole for whole in takes if whole.realised(engine) > 0]
    assert shown, "realised nowhere"
    before = [whole.realised(engine) for whole in shown]
    after = [whole.realised(engine, _shorn(whole.episode, whole, engine)) for whole in shown]
    assert statistics.mean(after) < statistics.mean(before)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_directive_is_small_typed_and_the_same_each_time(engine: str, takes: list[Take]) -> None:
    whole = takes[0]
    actor = next(e for e in whole.engines if e.name == engine)
    directive = actor.propose(whole.context)
    assert type(directive) is actor.directive
    assert directive == actor.propose(whole.context)
    assert actor.directive.model_validate_json(directive.model_dump_json()) == directive
    assert actor.brief(whole.context)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_words_of_a_directive_pasted_into_a_script_do_not_count_for_much(
    engine: str, takes: list[Take]
) -> None:
    """An episode whose every line is the directive in JSON realises no more than the honest one."""
    whole = takes[0]
    directive = next(d for d in whole.directives if d.engine == engine)
    pasted = whole.draft.episode.model_copy(
        update={
            "scenes": tuple(
                scene.model_copy(
                    update={
                        "elements": tuple(
                            e.model_copy(update={"text": directive.model_dump_json()}) for e in scene.elements
                        )
                    }
                )
                for scene in whole.draft.episode.scenes
            )
        }
    )
    assert whole.realised(engine, pasted) <= max(0.67, whole.realised(engine))


def test_an_engine_without_work_in_a_series_is_not_asked(
    embedded: EmbeddedWriter, samples: dict[str, StoryBible]
) -> None:
    names = {e.name for e in season(embedded, samples["slack_water"], seed=1, episodes=1)[0].engines}
    assert "Horror" not in names
    assert "Mystery" in names
