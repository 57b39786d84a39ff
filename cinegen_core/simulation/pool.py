"""The pool: what the embedded writer and the template really wrote and how it was scored, as compact facts to draw from.

Every request was answered by each of the three tiers, so that their answers to the same can be paired. `seconds` are seconds of
processor time, which do not depend on what else the computer did; everything else is the same wherever it is drawn.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from cinegen_core import __version__
from cinegen_core.engines import all_engines
from cinegen_core.monitor.events import EngineFact, digest_of
from cinegen_core.scorer.scale import shipped
from cinegen_core.story import EpisodeRequest, Policy, StoryState
from cinegen_core.story.load import load_sample, sample_names
from cinegen_core.story.model import Noun
from cinegen_core.tiers.judging import judge
from cinegen_core.tiers.model import Attempt, TierName
from cinegen_core.tiers.runner import TIERS, Budget, run
from cinegen_core.writers.base import Writer
from cinegen_core.writers.embedded.writer import EmbeddedWriter
from cinegen_core.writers.template import TemplateWriter

SEEDS = 22
"""Seeds for each sample bible: with two episodes in a row and seven bibles, 308 requests."""

EPISODES = 2
"""Episodes in a row; the second follows the comprehensive tier's first, whoever answers it."""

REBUILD = "cinegen simulate --build-pool"

_FILE = "pool.jsonl.gz"
_DIGITS = 4


class Take(Noun):
    """One tier's answer to one request. `seconds` of processor time; `score` 0..10, as are the dimensions; `cost` in US dollars."""

    writer: str
    profile: str
    outcome: Literal["accepted", "below_threshold"]
    seconds: Annotated[float, Field(ge=0)]
    score: float
    dimensions: Mapping[str, float]
    engines: tuple[EngineFact, ...] = ()
    calls: int = 0
    tokens: int = 0
    cost: float = 0.0


class Entry(Noun):
    """One request, and each tier's answer to it. `asked` as in the events: `digest_of` the request."""

    sample: str
    seed: int
    number: int
    asked: str
    title: str
    genres: tuple[str, ...]
    takes: Mapping[TierName, Take]


class Header(Noun):
    """What a pool was drawn with: versions, a digest of the code and content that write and judge, the day, how many requests."""

    scorer: str
    version: str
    code: str
    drawn: date
    entries: int
    answers: int


class Pool(Noun):
    """A header, and entries in the order sample, seed, number."""

    header: Header
    entries: tuple[Entry, ...]


class PoolError(Exception):
    """The pool cannot be read. The message says which file, and what to do."""


def shipped_pool() -> Pool:
    """The pool that comes with the studio. Raises `PoolError`."""
    file = files("cinegen_core.simulation") / _FILE
    try:
        content = file.read_bytes()
    except OSError as error:
        raise PoolError(f"{file} cannot be read ({error.strerror}). `{REBUILD}` makes it anew.") from error
    return read_pool(content, str(file))


def read_pool(content: bytes, name: str) -> Pool:
    """A pool from its file's bytes; `name` is the file's, for messages. Raises `PoolError`."""
    try:
        first, *rest = gzip.decompress(content).decode("utf-8").splitlines()
        header = Header.model_validate_json(first)
        entries = tuple(Entry.model_validate_json(line) for line in rest)
    except (OSError, EOFError, ValueError) as error:
        raise PoolError(f"{name} is no pool ({error}). `{REBUILD}` makes it anew.") from error
    if len(entries) != header.entries:
        raise PoolError(
            f"{name} says it has {header.entries} requests, but has {len(entries)}. `{REBUILD}` makes it anew."
        )
    return Pool(header=header, entries=entries)


def pool_bytes(pool: Pool) -> bytes:
    """The file of a pool: gzipped JSON lines, the header first. Equal pools give equal bytes."""
    lines = (pool.header.model_dump_json(), *(entry.model_dump_json() for entry in pool.entries))
    return gzip.compress(("\n".join(lines) + "\n").encode("utf-8"), 9, mtime=0)


def shipped_file() -> Path:
    """Where the shipped pool lies in a checkout, for who rebuilds it."""
    return Path(__file__).with_name(_FILE)


def build_pool(
    file: Path,
    *,
    today: date,
    seeds: int = SEEDS,
    told: Callable[[int, int], None] = lambda done, of: None,
    clock: Callable[[], float] = time.process_time,
) -> Pool:
    """Draws a pool and writes it to `file`. What an interrupted run came to lies beside it in `<file>.part`, and is gone on from
    if nothing that writes or judges has changed since.

    `told` hears how many of how many requests are done. `clock` gives the seconds that are measured. Raises `OSError`.
    """
    code, part = code_digest(), file.with_name(file.name + ".part")
    known = {(entry.sample, entry.seed, entry.number): entry for entry in _begun(part, code)}
    wanted = [(sample, seed) for sample in sample_names() for seed in range(seeds)]
    entries: list[Entry] = []
    with part.open("w", encoding="utf-8") as kept:
        kept.write("\n".join([code, *(entry.model_dump_json() for entry in known.values()), ""]))
        for sample, seed in wanted:
            whole = [known.get((sample, seed, number)) for number in range(1, EPISODES + 1)]
            found = [entry for entry in whole if entry is not None]
            if len(found) < EPISODES:
                found = list(draw(sample, seed, clock=clock))
                kept.writelines(entry.model_dump_json() + "\n" for entry in found)
                kept.flush()
            entries += found
            told(len(entries), len(wanted) * EPISODES)
    header = Header(
        scorer=shipped().version,
        version=__version__,
        code=code,
        drawn=today,
        entries=len(entries),
        answers=sum(len(entry.takes) for entry in entries),
    )
    pool = Pool(header=header, entries=tuple(entries))
    file.write_bytes(pool_bytes(pool))
    part.unlink()
    return pool


def draw(sample: str, seed: int, *, clock: Callable[[], float] = time.process_time) -> Iterator[Entry]:
    """The entries of one sample and seed: episodes in a row, each by every tier."""
    bible = load_sample(sample)
    state: StoryState | None = None
    for number in range(1, EPISODES + 1):
        request = EpisodeRequest(bible=bible, number=number, state=state, seed=seed)
        attempts = {tier: _answer(request, tier, clock) for tier in TIERS}
        yield Entry(
            sample=sample,
            seed=seed,
            number=number,
            asked=digest_of(request),
            title=bible.title,
            genres=tuple(str(genre) for genre in bible.genres),
            takes={tier: _take(attempt) for tier, attempt in attempts.items()},
        )
        episode = attempts["comprehensive"].episode
        assert episode is not None
        state = episode.state


def code_digest() -> str:
    """A digest of the code and content that write and judge: another version of them gives other answers."""
    root = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for room in ("engines", "scorer", "story", "tiers", "writers"):
        for file in sorted((root / room).rglob("*")):
            if file.is_file() and file.suffix != ".pyc":
                digest.update(file.relative_to(root).as_posix().encode())
                digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _writers() -> Mapping[TierName, Writer]:
    embedded = EmbeddedWriter()
    return {"comprehensive": embedded, "enhanced_baseline": embedded, "basic_fallback": TemplateWriter()}


def _answer(request: EpisodeRequest, tier: TierName, clock: Callable[[], float]) -> Attempt:
    answer = asyncio.run(
        run(
            request,
            Policy(tiers=(tier,)),
            writers=_writers(),
            engines=all_engines(),
            judge=judge,
            clock=clock,
            on_update=lambda update: None,
            budget=Budget(),
        )
    )
    return answer.winner


def _take(attempt: Attempt) -> Take:
    card = attempt.scorecard
    assert attempt.outcome in ("accepted", "below_threshold"), attempt.reason
    assert card is not None
    assert card.overall is not None
    return Take(
        writer=attempt.writer,
        profile=_writers()[attempt.tier].profile,
        outcome="accepted" if attempt.outcome == "accepted" else "below_threshold",
        seconds=round(attempt.seconds, _DIGITS),
        score=card.overall,
        dimensions={
            str(name): dimension.score
            for name, dimension in card.dimensions.items()
            if dimension.score is not None
        },
        engines=tuple(
            EngineFact(
                engine=one.engine,
                delivered=one.delivered,
                realised=None if one.realisation is None else round(one.realisation.score, _DIGITS),
            )
            for one in attempt.engines
        ),
        calls=attempt.calls,
        tokens=attempt.tokens,
        cost=attempt.cost,
    )


def _begun(part: Path, code: str) -> Sequence[Entry]:
    """What an interrupted run of the same code came to; a line that it did not finish is left out."""
    if not part.exists():
        return ()
    first, _, rest = part.read_text(encoding="utf-8").partition("\n")
    if first != code:
        return ()
    whole = rest[: rest.rfind("\n") + 1].splitlines()
    try:
        return [Entry.model_validate_json(line) for line in whole]
    except ValidationError:
        return ()
