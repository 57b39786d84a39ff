"""What a batch is to write and to measure, as its file says: PLAN.toml, read and checked as a whole before anything begins."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator, model_validator

from cinegen_core.engines import all_engines
from cinegen_core.steering import GENERATION_FLAGS
from cinegen_core.store.comparisons import MOST_WAYS, Way
from cinegen_core.store.episodes import is_id
from cinegen_core.story import EpisodeRequest, StoryBible, StoryState
from cinegen_core.story.errors import KeyPath, Problem, StoryError, spell
from cinegen_core.story.load import explain, load_bible, load_sample, load_state, sample_names
from cinegen_core.story.model import Noun
from cinegen_core.story.source import Source, parse, read_text
from cinegen_core.tiers.model import TierName

Seed = Annotated[int, Field(ge=0, lt=2**63)]
Name = Annotated[str, Field(max_length=60, pattern=r"^([A-Za-z0-9][A-Za-z0-9 _-]*)?$")]
"""Letters, digits, spaces, hyphens: it becomes part of a file's name."""

MOST_SEASONS = 100_000
"""Seasons of one entry at most."""


class _Entry(Noun):
    """What entries have in common. Entries that ask for the same under another `name` are done for themselves."""

    name: Name = ""


class SeasonsPlan(_Entry):
    """Seasons of one bible: one for each of `seeds`, or `count` of them with the seeds from `first_seed` on.

    `bible` is a sample's name, or a file beside the plan. `tier`, `writer` and `engines` (or `without`) are picked as on the command
    line; what is left out is as the flags decide for `who`. Each episode takes the choice of the last that is marked as canonical.
    """

    bible: str
    seeds: Annotated[tuple[Seed, ...], Field(max_length=MOST_SEASONS)] = ()
    count: Annotated[int, Field(ge=1, le=MOST_SEASONS)] | None = None
    first_seed: Seed = 0
    episodes: Annotated[int, Field(ge=1, le=999)] = 6
    direction: str = ""
    minutes: Annotated[float, Field(ge=2, le=10)] = 5.0
    tier: TierName | None = None
    writer: str = ""
    engines: tuple[str, ...] | None = None
    without: tuple[str, ...] = ()
    who: str = ""

    @field_validator("engines", "without")
    @classmethod
    def _there_are_such(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return None if names is None else _engines(names)

    @model_validator(mode="after")
    def _said_once(self) -> SeasonsPlan:
        if self.seeds and self.count is not None:
            raise ValueError("has `seeds` and `count`; give one of them")
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError("has a seed twice; the same seed gives the same season, so name it once")
        if self.engines is not None and self.without:
            raise ValueError("has `engines` and `without`; give one of them")
        return self

    @property
    def all_seeds(self) -> Sequence[int]:
        """One for each season."""
        return self.seeds or range(self.first_seed, self.first_seed + (self.count or 1))


class ComparisonPlan(_Entry):
    """One request, answered in each of `ways`. From the second episode on, `state` is a file: the last episode's JSON, or its state."""

    bible: str
    ways: Annotated[tuple[Way, ...], Field(min_length=2, max_length=MOST_WAYS)]
    state: str = ""
    choice: str | None = None
    seed: Seed = 0
    direction: str = ""
    minutes: Annotated[float, Field(ge=2, le=10)] = 5.0
    who: str = ""

    @field_validator("ways")
    @classmethod
    def _ways_can_be_gone(cls, ways: tuple[Way, ...]) -> tuple[Way, ...]:
        if len({way.label for way in ways}) != len(ways):
            raise ValueError("two ways have the same label; give each its own")
        for way in ways:
            _engines(way.without)
            _known("flag", way.flags, GENERATION_FLAGS)
        return ways

    @model_validator(mode="after")
    def _choice_has_its_episode(self) -> ComparisonPlan:
        if self.choice is not None and not self.state:
            raise ValueError("has a `choice` without the episode that offered it; name its file in `state`")
        return self


class AblationPlan(_Entry):
    """Every engine taken out, and every engine alone, as `cinegen ablate` does it; without `bibles`, over all samples."""

    bibles: tuple[str, ...] = ()
    seeds: Annotated[int, Field(ge=1, le=10_000)] = 6
    episodes: Annotated[int, Field(ge=1, le=12)] = 2

    @field_validator("bibles")
    @classmethod
    def _told_apart(cls, bibles: tuple[str, ...]) -> tuple[str, ...]:
        shorts = [_short(bible) for bible in bibles]
        twice = next((short for short in shorts if shorts.count(short) > 1), None)
        if twice is not None:
            raise ValueError(f"has two bibles called {twice!r}; give two files two names")
        return bibles


class RescoringPlan(_Entry):
    """What the store keeps, scored again by the scorer of today; without `seasons` (ids), all of it."""

    seasons: tuple[str, ...] = ()

    @field_validator("seasons")
    @classmethod
    def _are_ids(cls, ids: tuple[str, ...]) -> tuple[str, ...]:
        wrong = next((id for id in ids if not is_id(id)), None)
        if wrong is not None:
            raise ValueError(
                f"has {wrong!r}, which is no season's id; ids have sixteen hexadecimal digits, as in the studio's addresses"
            )
        return ids


class Plan(Noun):
    """All entries of a batch. `budget_seconds` is what each request may take; left out, what the settings say."""

    budget_seconds: Annotated[float, Field(gt=0, le=3600)] | None = None
    seasons: tuple[SeasonsPlan, ...] = ()
    comparisons: tuple[ComparisonPlan, ...] = ()
    ablations: tuple[AblationPlan, ...] = ()
    rescoring: tuple[RescoringPlan, ...] = ()


@dataclass(frozen=True)
class LoadedPlan:
    """A plan with what it names. `bibles` and `states` by the names that the plan has for them."""

    file: Path
    plan: Plan
    bibles: dict[str, StoryBible]
    states: dict[str, StoryState]
    source: Source = field(repr=False)

    def fail(self, path: KeyPath, what: str, fix: str) -> StoryError:
        """An error about the value at `path`."""
        return StoryError([Problem(self.source.file, self.source.line(path), spell(path), what, fix)])


def load_plan(file: Path) -> LoadedPlan:
    """The plan in a TOML file, with its bibles and states. Raises `StoryError` with everything that keeps it from being one."""
    source = parse(read_text(file), "toml", str(file))
    try:
        plan = Plan.model_validate(source.data)
    except ValidationError as error:
        problems = explain(error, source, source.data, given=lambda path: path)
        raise StoryError([_with_known_keys(one, source.data) for one in problems]) from error
    loaded = LoadedPlan(file, plan, {}, {}, source)
    problems = []
    if not any((plan.seasons, plan.comparisons, plan.ablations, plan.rescoring)):
        what = "there is nothing to do in it"
        fix = "Begin a table with [[seasons]], [[comparisons]], [[ablations]] or [[rescoring]]."
        raise StoryError([Problem(str(file), None, "", what, fix)])
    for path, bible in _bibles(plan):
        if bible not in loaded.bibles:
            problems += _into(loaded.bibles, bible, partial(_bible, file), loaded, path)
    for index, one in enumerate(plan.comparisons):
        if one.state and one.state not in loaded.states:
            path = ("comparisons", index, "state")
            problems += _into(loaded.states, one.state, partial(_state, file), loaded, path)
    if not problems:
        problems += [problem for error in _requests(loaded) for problem in error.problems]
    if problems:
        raise StoryError(problems)
    return loaded


def request_of(loaded: LoadedPlan, one: ComparisonPlan) -> EpisodeRequest:
    """The request of a comparison. Raises `ValidationError`."""
    state = loaded.states[one.state] if one.state else None
    values = {
        "bible": loaded.bibles[one.bible],
        "number": state.episode + 1 if state is not None else 1,
        "state": state,
        "choice": one.choice,
        "seed": one.seed,
        "direction": one.direction,
        "minutes": one.minutes,
    }
    return EpisodeRequest.model_validate(values)


def short_names(loaded: LoadedPlan, one: AblationPlan) -> dict[str, StoryBible]:
    """The series of an ablation by the names that they have in its table."""
    return {_short(name): loaded.bibles[name] for name in one.bibles or sample_names()}


def _into(
    kept: dict[str, Any], name: str, load: Callable[[str], Any], loaded: LoadedPlan, path: KeyPath
) -> list[Problem]:
    """Keeps what is loaded; what is wrong with it, told as being of the plan."""
    try:
        kept[name] = load(name)
    except StoryError as error:
        first = error.problems[0]
        what = f"cannot be used: {first.file}: {first.what.rstrip('.')}"
        return [Problem(str(loaded.file), loaded.source.line(path), spell(path), what, first.fix)]
    return []


def _requests(loaded: LoadedPlan) -> Iterator[StoryError]:
    """What is wrong with requests, once all that they name is there."""
    for index, one in enumerate(loaded.plan.comparisons):
        try:
            request_of(loaded, one)
        except ValidationError as error:
            said = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
            yield loaded.fail(("comparisons", index), f"cannot be asked for: {said}", "Correct it.")
    for index, many in enumerate(loaded.plan.seasons):
        values = {"bible": loaded.bibles[many.bible], "direction": many.direction, "minutes": many.minutes}
        try:
            EpisodeRequest.model_validate(values)
        except ValidationError as error:
            said = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
            yield loaded.fail(("seasons", index), f"cannot be asked for: {said}", "Correct it.")


def _bibles(plan: Plan) -> Iterator[tuple[KeyPath, str]]:
    for index, many in enumerate(plan.seasons):
        yield ("seasons", index, "bible"), many.bible
    for index, one in enumerate(plan.comparisons):
        yield ("comparisons", index, "bible"), one.bible
    for index, ablation in enumerate(plan.ablations):
        for place, bible in enumerate(ablation.bibles or sample_names()):
            yield ("ablations", index, "bibles", place), bible


def _bible(plan: Path, name: str) -> StoryBible:
    """A sample by its name; anything else is a file, from the plan's folder on."""
    if name in sample_names() or not Path(name).suffix:
        return load_sample(name)
    return load_bible(plan.parent / name)


def _state(plan: Path, name: str) -> StoryState:
    return load_state(plan.parent / name)


def _short(bible: str) -> str:
    return Path(bible).stem


def _engines(names: Iterable[str]) -> tuple[str, ...]:
    _known("engine", names, [engine.name for engine in all_engines()])
    return tuple(sorted(set(names)))


def _known(what: str, names: Iterable[str], there: Sequence[str]) -> None:
    for name in names:
        if name not in there:
            near = difflib.get_close_matches(name[:60], there, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(there))}"
            raise ValueError(f"names the {what} {name[:60]!r}, which there is not; {hint}")


_KEYS: dict[str, type[Noun]] = {
    "seasons": SeasonsPlan,
    "comparisons": ComparisonPlan,
    "ablations": AblationPlan,
    "rescoring": RescoringPlan,
}


def _with_known_keys(problem: Problem, data: Any) -> Problem:
    """For a key that is not known: what it may have been meant to be."""
    if problem.fix != "Leave it out.":
        return problem
    *around, key = problem.key.replace("]", "").replace("[", ".").split(".")
    block: type[Noun] = _KEYS.get(around[0], Plan) if around else Plan
    block = Way if "ways" in around else block
    known = list(block.model_fields)
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    fix = f"Did you mean `{near[0]}`?" if near else f"Known keys: {', '.join(known)}."
    return Problem(problem.file, problem.line, problem.key, problem.what, fix)
