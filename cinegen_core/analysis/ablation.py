"""What a script loses without an engine, and what one alone gives it: the same requests written with every set of engines and scored.

Settings of one request: `all` engines, `none`, `-X` (all but engine X), `+X` (X alone), and `placebo`: all engines again, drawn by another
seed. All share request, plan and chance, but for the placebo, whose seed is another: what it differs by is luck alone, and more of it than
any engine has. Everything goes through `tiers.runner`, as in the studio, repairs included.

The table that `cinegen ablate` writes has one row a series, seed, episode and measure, and one column a setting. `effects` reads it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cinegen_core.analysis.scoring import by_dimension, chance
from cinegen_core.engines import Directive, Engine, EngineContext, active_engines, all_engines, realisation
from cinegen_core.scorer import DIMENSION_WORDS
from cinegen_core.story import Draft, EpisodeRequest, Policy, StoryBible, StoryState
from cinegen_core.story.load import load_bible, load_sample, sample_names
from cinegen_core.tiers.judging import judge
from cinegen_core.tiers.model import Attempt
from cinegen_core.tiers.runner import Budget, Clock, run
from cinegen_core.writers.base import Desk, Writer
from cinegen_core.writers.model.manuscript import as_manuscript
from cinegen_core.writers.model.prompts.directive import directive_task
from cinegen_core.writers.model.prompts.house import HOUSE
from cinegen_core.writers.model.prompts.material import estimated_tokens, fenced, material

if TYPE_CHECKING:
    import pandas as pd

ALL, NONE, PLACEBO = "all", "none", "placebo"
WITHOUT, ALONE = "-", "+"

SCORES: tuple[str, ...] = ("overall", *DIMENSION_WORDS)
"""Measures that are scores, 0..10."""

REALISED, UNREALISED = "realised_with", "realised_without"
"""How far an engine's directive is in the script, 0..1: with the engine, and in the script of the same setting but for it."""

WRITING, WORK = "writing_ms", "engine_ms"
"""Milliseconds of processor time: of the whole attempt, and (by `-X`) of engine X proposing and looking for its directive once."""

TOKENS, SHARED = "tokens", "shared_tokens"
"""What a model in the engine's place would read and write, estimated from the prompts at three bytes a token: by `-X` its own question,
its answer, and its directive in the last question; by `all` the beginning that the calls of an episode share, read again in each."""

MEASURES: tuple[str, ...] = (*SCORES, REALISED, UNREALISED, WRITING, WORK, TOKENS, SHARED)

KEYS = ("series", "seed", "episode", "measure")
VERSION = "1"


class AblationError(ValueError):
    """An ablation cannot go on, or its table cannot be used. The message says what, where, and what to do."""


class Figure(NamedTuple):
    """One number of a table. `value` is in the measure's unit."""

    series: str
    seed: int
    episode: int
    measure: str
    setting: str
    value: float


@dataclass(frozen=True)
class Head:
    """How a table was made: day (ISO), version of the scorer, command, episodes a seed."""

    made: str
    scorer: str
    command: str
    episodes: int


class Table(NamedTuple):
    """A table read: its head, and its figures in the columns of `Figure`."""

    head: Head
    figures: pd.DataFrame


async def measured(
    writer: Writer,
    series: str,
    bible: StoryBible,
    *,
    seed: int,
    episodes: int,
    clock: Clock,
    engines: Sequence[Engine] | None = None,
) -> list[Figure]:
    """All figures of one series and seed. Each episode follows the one by all engines, with the choice marked as canonical, in every setting.

    `clock` in seconds: processor time, to be undisturbed by others on the machine. `engines` are all nineteen unless given.
    Raises `AblationError` where an engine fails or a script has no score.
    """
    engines = all_engines() if engines is None else engines
    found: list[Figure] = []
    state: StoryState | None = None
    for number in range(1, episodes + 1):
        request = EpisodeRequest(bible=bible, number=number, state=state, seed=seed)
        bench = _Bench(writer, tuple(engines), request, clock, f"{series}, seed {seed}, episode {number}")
        rows, state = await bench.rows()
        found += [Figure(series, seed, number, *row) for row in rows]
    return found


Row = tuple[str, str, float]
"""Measure, setting, value."""


@dataclass(frozen=True)
class _Bench:
    """One request, and what is needed to write it in every setting."""

    writer: Writer
    engines: tuple[Engine, ...]
    request: EpisodeRequest
    clock: Clock
    where: str

    async def rows(self) -> tuple[list[Row], StoryState]:
        """All figures of the request, and the state that the episode by all engines leaves behind."""
        # The plan, which all settings share, is made and kept here, so that no setting is charged for it.
        draft = await self.writer.draft(self.request, Policy(), Desk())
        working = [engine for engine in self._suitable() if _has_work(engine, self.request)]
        names = frozenset(engine.name for engine in self._suitable())
        sets = {NONE: frozenset[str]()}
        sets |= {f"{WITHOUT}{engine.name}": names - {engine.name} for engine in working}
        sets |= {f"{ALONE}{engine.name}": frozenset((engine.name,)) for engine in working}
        sets[ALL] = names
        attempts = {setting: await self._attempt(self.request, setting, on) for setting, on in sets.items()}
        found: list[Row] = []
        for setting, attempt in attempts.items():
            found += [*_scores(setting, attempt), (WRITING, setting, 1000 * attempt.seconds)]
        other = self.request.model_copy(update={"seed": another_seed(self.request.seed)})
        found += _scores(PLACEBO, await self._attempt(other, PLACEBO, names))
        context = EngineContext(request=self.request, draft=draft)
        for engine in working:
            found += self._of(engine, attempts, context)
        found.append((SHARED, ALL, float(_shared_tokens(self.request, draft))))
        episode = attempts[ALL].episode
        assert episode is not None
        return found, episode.state

    def _suitable(self) -> tuple[Engine, ...]:
        return active_engines(self.engines, self.request.bible, Policy())

    async def _attempt(self, request: EpisodeRequest, setting: str, on: frozenset[str]) -> Attempt:
        answer = await run(
            request,
            Policy(tiers=("comprehensive",), engines=on),
            writers={"comprehensive": self.writer},
            engines=self.engines,
            judge=judge,
            clock=self.clock,
            on_update=lambda update: None,
            budget=Budget(),
        )
        failed = [one for one in answer.winner.engines if one.error is not None]
        if failed:
            raise AblationError(
                f"{self.where}, setting {setting}: {failed[0].engine} failed ({failed[0].error}). Mend the engine, then go on."
            )
        if answer.winner.score is None:
            raise AblationError(
                f"{self.where}, setting {setting}: the script has no score ({answer.winner.reason}). Leave this series or seed out."
            )
        return answer.winner

    def _of(self, engine: Engine, attempts: Mapping[str, Attempt], context: EngineContext) -> Iterable[Row]:
        """What is known of one engine beside scores: whether it is carried out, with it and without, and what it costs."""
        begun = self.clock()
        directive = engine.propose(context)
        _realised(engine, directive, attempts[ALL], context)
        yield WORK, f"{WITHOUT}{engine.name}", 1000 * (self.clock() - begun)
        yield TOKENS, f"{WITHOUT}{engine.name}", float(_own_tokens(engine, directive, context))
        for setting, on, off in (
            (f"{WITHOUT}{engine.name}", ALL, f"{WITHOUT}{engine.name}"),
            (f"{ALONE}{engine.name}", f"{ALONE}{engine.name}", NONE),
        ):
            yield REALISED, setting, _realised(engine, directive, attempts[on], context)
            yield UNREALISED, setting, _realised(engine, directive, attempts[off], context)


def another_seed(seed: int) -> int:
    """The placebo's seed: of another stream than the seeds that are counted up from 0."""
    return chance("placebo", str(seed)).getrandbits(62)


def _has_work(engine: Engine, request: EpisodeRequest) -> bool:
    """A first episode has nothing to continue."""
    return engine.name != "SerializedContinuity" or request.state is not None


def _scores(setting: str, attempt: Attempt) -> list[Row]:
    card = attempt.scorecard
    assert card is not None
    assert card.overall is not None
    judged = [(name, setting, value) for name, value in by_dimension(card).items() if value is not None]
    return [("overall", setting, card.overall), *judged]


def _realised(engine: Engine, directive: Directive, attempt: Attempt, context: EngineContext) -> float:
    assert attempt.episode is not None
    return realisation(engine, directive, attempt.episode, context).score


def _own_tokens(engine: Engine, directive: Directive, context: EngineContext) -> int:
    answer = estimated_tokens(directive.model_dump_json())
    return estimated_tokens(directive_task(engine, context, directive)) + 2 * answer


def _shared_tokens(request: EpisodeRequest, draft: Draft) -> int:
    shown = fenced("draft", as_manuscript(draft.episode, draft.outline, request.state))
    return estimated_tokens(HOUSE + material(request, complete=True) + shown)


def settings() -> tuple[str, ...]:
    """The table's columns of settings, in order."""
    names = [engine.name for engine in all_engines()]
    return (
        ALL,
        NONE,
        PLACEBO,
        *(f"{WITHOUT}{name}" for name in names),
        *(f"{ALONE}{name}" for name in names),
    )


async def fill(
    path: Path,
    head: Head,
    bibles: Mapping[str, StoryBible],
    *,
    writer: Writer,
    seeds: int,
    clock: Clock,
    fresh: bool = False,
    told: Callable[[int, int], None] = lambda done, of: None,
    measure: Callable[..., Awaitable[list[Figure]]] = measured,
) -> None:
    """Writes the table at `path`, or goes on with it: what is there already is kept, unless `fresh`. It may be stopped at any time.

    Seeds 0 to `seeds` - 1, all series for one seed before the next seed, so that a table stopped early is balanced. `told` gets the
    number of series and seeds done, and of how many. Raises `AblationError` for a table made in another way, and `OSError`.
    """
    done = set() if fresh else _done(path, head)
    _begin(path, head, done)
    wanted = [(series, seed) for seed in range(seeds) for series in bibles]
    for count, (series, seed) in enumerate(wanted):
        told(count, len(wanted))
        if (series, seed) not in done:
            found = await measure(
                writer, series, bibles[series], seed=seed, episodes=head.episodes, clock=clock
            )
            with path.open("a", encoding="utf-8", newline="") as file:
                file.write(_block(found))
    told(len(wanted), len(wanted))


def _head_lines(head: Head) -> list[str]:
    return [
        f"# What each engine adds; table of `cinegen ablate`, version {VERSION}.",
        f"# made: {head.made}",
        f"# scorer: {head.scorer}",
        f"# command: {head.command}",
        f"# episodes: {head.episodes}",
        "# A row is a series, seed, episode and measure; a column a setting: all engines, none, the placebo, -X all but X, +X alone.",
        "# Scores 0 to 10; realised 0 to 1; times in ms of processor time; tokens are estimated. Empty: no work in that series or episode.",
        ",".join((*KEYS, *settings())),
    ]


def _block(figures: Iterable[Figure]) -> str:
    """Rows of the table: one for every measure of every episode, also where it could not be judged."""
    cells = {figure[:5]: _written(figure.measure, figure.value) for figure in figures}
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    for key in sorted({cell[:3] for cell in cells}):
        for measure in MEASURES:
            out.writerow([*key, measure, *(cells.get((*key, measure, one), "") for one in settings())])
    return text.getvalue()


def _written(measure: str, value: float) -> str:
    if measure == WORK:
        return f"{value:.2g}"
    return f"{value:.0f}" if measure in (WRITING, TOKENS, SHARED) else f"{value:.2f}".rstrip("0").rstrip(".")


def _begin(path: Path, head: Head, keep: set[tuple[str, int]]) -> None:
    """A file with this head and, of what is there, what belongs to the series and seeds to keep. All of it is there or the old file."""
    kept = [line for line in _lines(path) if _pair(line) in keep] if keep else []
    new = path.with_name(f"{path.name}.new")
    new.write_text("\n".join((*_head_lines(head), *kept, "")), encoding="utf-8", newline="\n")
    new.replace(path)


def _done(path: Path, head: Head) -> set[tuple[str, int]]:
    """Series and seeds that are there as a whole; one that was being written when the last run was stopped is not."""
    if not path.exists():
        return set()
    there = _read_head(path)
    if (there.scorer, there.episodes) != (head.scorer, head.episodes):
        raise AblationError(
            f"{path}: this table has scorer {there.scorer} and {there.episodes} episodes a seed, not scorer {head.scorer} and "
            f"{head.episodes}; the two do not mix. Give another --out, or begin anew with --fresh."
        )
    counted: dict[tuple[str, int], set[tuple[str, str]]] = {}
    width = len(KEYS) + len(settings())
    for line in _lines(path):
        fields = next(csv.reader([line]))
        if len(fields) == width:
            counted.setdefault((fields[0], int(fields[1])), set()).add((fields[2], fields[3]))
    return {pair for pair, rows in counted.items() if len(rows) == head.episodes * len(MEASURES)}


def _lines(path: Path) -> list[str]:
    """The rows as they stand, whole ones only: what was cut off in the middle has no end of line."""
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1].splitlines()
    return [line for line in whole if not line.startswith("#")][1:]


def _pair(line: str) -> tuple[str, int]:
    fields = next(csv.reader([line]))
    return fields[0], int(fields[1])


def _read_head(path: Path) -> Head:
    try:
        with path.open(encoding="utf-8") as file:
            said = dict(
                line[2:].strip().split(": ", 1)
                for line in file
                if line.startswith("# ") and ": " in line and not line.startswith("# A row")
            )
        return Head(said["made"], said["scorer"], said["command"], int(said["episodes"]))
    except (OSError, UnicodeDecodeError, KeyError, ValueError) as error:
        raise AblationError(
            f"{path}: this is no table of `cinegen ablate` ({type(error).__name__}: {error}). Make one with "
            f"`cinegen ablate --out {path}`."
        ) from error


def read_table(path: str | Path) -> Table:
    """A table as `cinegen ablate` wrote it. Raises `AblationError` for anything else."""
    import pandas as pd  # takes as long to load as all the rest, and the command line needs none

    path = Path(path)
    head = _read_head(path)
    try:
        wide = pd.read_csv(
            path, skiprows=len(_head_lines(head)) - 1, dtype={"series": "str", "measure": "str"}
        )
        long = wide.melt(id_vars=list(KEYS), var_name="setting", value_name="value").dropna(subset="value")
        long["value"] = long["value"].astype("float64")
    except (KeyError, ValueError) as error:
        raise AblationError(
            f"{path}: its rows are not those of `cinegen ablate` ({error}). Make it anew with --fresh."
        ) from error
    if long.empty:
        raise AblationError(
            f"{path}: there are no rows yet. Let `cinegen ablate --out {path}` come to an end."
        )
    return Table(head, long.reset_index(drop=True))


def named_bible(name: str) -> tuple[str, StoryBible]:
    """A series' short name in tables, and its bible: a sample by its name, or a file by its path. Raises `StoryError`."""
    if name in sample_names() or (not Path(name).suffix and not Path(name).exists()):
        return name, load_sample(name)
    return Path(name).stem, load_bible(Path(name))


def as_frame(figures: Iterable[Figure]) -> pd.DataFrame:
    """Figures just measured, in the columns of a table's, rounded as a table's are."""
    import pandas as pd

    frame = pd.DataFrame(list(figures), columns=list(Figure._fields))
    frame["value"] = [float(_written(m, v)) for m, v in zip(frame["measure"], frame["value"], strict=True)]
    return frame


class Agreement(NamedTuple):
    """A part measured again against the table: scores compared, those that are the same, and the largest distance in points."""

    compared: int
    same: int
    furthest: float

    @property
    def words(self) -> str:
        if not self.compared:
            return "Nothing of what was measured again is in the table."
        if self.same == self.compared:
            return f"Measured again, all {self.compared:,} scores are those of the table."
        return (
            f"Measured again, {self.compared - self.same:,} of {self.compared:,} scores differ from the table, by up to "
            f"{self.furthest:.2f} points: the code has changed since. Make the table anew with --fresh."
        )


def agreement(table: pd.DataFrame, again: pd.DataFrame) -> Agreement:
    """Whether the scores that were measured again are the table's. Times, which depend on the machine, are not compared."""
    keys = [*KEYS, "setting"]
    both = table.merge(again, on=keys, suffixes=("", "_again"))
    both = both[both["measure"].isin(SCORES)]
    apart = (both["value"] - both["value_again"]).abs()
    return Agreement(len(both), int((apart < 0.005).sum()), float(apart.max()) if len(both) else 0.0)
