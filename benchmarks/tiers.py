"""Prints what the studio adds to the calls it makes: `python -m benchmarks.tiers [--out FILE] [--runs N] [--frameworks]`.

A model of known speed is served from a process of its own; the studio, and others that make the same calls, run against it,
each in a process of its own and all in turn. A way that needs what is not installed is left out in so many words;
`--frameworks-python` names a Python that has it (with this project installed beside it), and may be given several times.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.figures import Figure, Report, add_json, at_least, at_most, beside, repeated, write
from benchmarks.scorer import table
from benchmarks.tiers_clients import Body, Calls, Task, Took
from benchmarks.tiers_served import FIRST_TOKEN, PER_TOKEN, TRIMMED, digest, specialist, trimmed, whole
from benchmarks.tiers_studio import LOOKS, NAMES, ONE_TIER, Thinking, a_studio, requests
from cinegen_core.engines import PHASES, all_engines
from tests.model.faults import CHARACTERS_PER_TOKEN, prompt_of, shared, tokens
from tests.model.transport import FaultyTransport
from tests.model.virtual import virtually

AT_ONCE = 50
ROOT = Path(__file__).parent.parent

SILENT = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_TELEMETRY": "False",
    "LANGCHAIN_TRACING_V2": "false",
    "LANGSMITH_TRACING": "false",
    "DO_NOT_TRACK": "1",
}
"""Keeps frameworks from calling home; `tiers_process` refuses what tries to nevertheless."""


class Way(NamedTuple):
    """One way of making the calls: its name in `tiers_process` and in the table, what it needs, and with how many episodes at
    once it is measured."""

    name: str
    words: str
    needs: tuple[str, ...] = ()
    episodes: tuple[int, ...] = (1, AT_ONCE)


PLAIN = (
    Way("studio", "the studio"),
    Way("studio, not thinking", "the studio, checks and judge left out", episodes=(AT_ONCE,)),
    Way("httpx2", "bare asyncio on httpx2"),
    Way("httpx2, one client", "the same, one client for all episodes", episodes=(AT_ONCE,)),
    Way("openai", "openai SDK on httpx2"),
    Way("openai on aiohttp", "openai SDK on aiohttp", needs=("aiohttp",), episodes=(AT_ONCE,)),
    Way("aiohttp", "bare asyncio on aiohttp, one client for all episodes", needs=("aiohttp",)),
)
FRAMEWORKS = (
    Way("LangGraph", "LangGraph, nodes on the openai SDK", needs=("langgraph",)),
    Way("LiteLLM", "LiteLLM's router", needs=("litellm",)),
    Way("in phases", "openai SDK on httpx2, engines phase by phase"),
    Way("in turn", "openai SDK on httpx2, one call after the other", episodes=(1,)),
)
BASE, POOLED = "httpx2", "httpx2, one client"

COLD = 0
"""Stands for the number of episodes where it is the first one of a new process."""


@dataclass(frozen=True)
class Recorded:
    """The calls of one episode; `path` is the least seconds it can take, `answered` the tokens of all answers."""

    calls: Calls
    path: float
    answered: tuple[int, ...]


def record(count: int, mind: Callable[[Body, bool], str]) -> list[Recorded]:
    """What the studio asks for the first `count` requests, with no waiting."""

    async def asked(n: int) -> list[Body]:
        model = FaultyTransport(brain=mind)
        with a_studio("http://127.0.0.1:1/v1", Thinking(), transport=lambda _: model) as studio:
            await studio.generate(requests(n + 1)[n], policy=ONE_TIER)
        return [body for _, body in model.requests]

    return [_recorded(virtually(asked(n)), mind) for n in range(count)]


def _recorded(bodies: Sequence[Body], mind: Callable[[Body, bool], str]) -> Recorded:
    draft, *wave, synthesis = bodies
    assert draft.get("stream"), "an episode begins with a streamed draft"
    assert synthesis.get("stream"), "an episode ends with a streamed synthesis"
    phase_of = {engine.name: engine.phase for engine in all_engines()}
    phases = tuple(tuple(b for b in wave if phase_of[specialist(b)] == phase) for phase in PHASES)
    took = [tokens(mind(body, False)) for body in bodies]
    seconds = [FIRST_TOKEN + PER_TOKEN * count for count in took]
    path = seconds[0] + max(seconds[1:-1]) + seconds[-1]
    return Recorded(Calls(draft, tuple(filter(None, phases)), synthesis), path, tuple(took))


# --- processes -----------------------------------------------------------------------------------------------------------


class Process:
    """A program that answers each line of JSON with another."""

    def __init__(self, name: str, process: subprocess.Popen[str]) -> None:
        self._name, self._process = name, process

    def ask(self, question: object) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._name} has ended: {self._process.wait()}")
        return json.loads(line)


@contextmanager
def started(name: str, python: str, module: str, *arguments: str) -> Iterator[Process]:
    """A process of our own; it ends with this."""
    command = [python, "-m", f"benchmarks.{module}", *arguments]
    pipe, environ = subprocess.PIPE, {**os.environ, **SILENT}
    with subprocess.Popen(command, cwd=ROOT, env=environ, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()  # it says when it is ready, so that no other's work is measured while it begins
            yield Process(name, process)
        finally:
            process.terminate()


def pythons(ways: Sequence[Way], candidates: Sequence[str]) -> dict[str, str]:
    """For each way the first Python that has what it needs; ways that none has are left out."""
    found: dict[str, str] = {}
    for way in ways:
        code = "import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, sys.argv[1:])))"
        for python in candidates:
            if subprocess.run([python, "-c", code, *way.needs]).returncode == 0:
                found[way.name] = python
                break
    return found


# --- prompts -------------------------------------------------------------------------------------------------------------


class Shares(NamedTuple):
    """Of one episode: tokens of all prompts, and the shares of them that stand at the beginning of another call's prompt:
    of any made before or at the same time, and of one that had ended before."""

    prompt: int
    beside: float
    ended: float


def shares(calls: Calls) -> Shares:
    draft, wave, synthesis = prompt_of(calls.draft), [*map(prompt_of, calls.wave)], prompt_of(calls.synthesis)
    size = len(draft) + sum(map(len, wave)) + len(synthesis)
    last = _common(synthesis, [draft, *wave])
    ended = sum(_common(prompt, [draft]) for prompt in wave) + last
    beside = last + sum(_common(prompt, [draft, *wave[:n], *wave[n + 1 :]]) for n, prompt in enumerate(wave))
    return Shares(size // CHARACTERS_PER_TOKEN, beside / size, ended / size)


def _common(prompt: str, others: Sequence[str]) -> int:
    return max(shared(prompt, other) for other in others)


# --- figures -------------------------------------------------------------------------------------------------------------


class Measured(NamedTuple):
    """What is promised, each as often as it was measured: the studio's wall over the critical path of one episode, and of many at once
    over bare asyncio with a client for each and with one for all; shares of prompts; and milliseconds of a kept episode."""

    over: list[float]
    over_own: list[float]
    over_pooled: list[float]
    prompts: list[Shares]
    medians: list[float]


def measured(
    recorded: Sequence[Recorded], found: dict[tuple[str, int], list[Took]], kept: Sequence[Took]
) -> Measured:
    over_own, over_pooled = (
        [a.wall / b.wall for a, b in zip(found["studio", AT_ONCE], found[base, AT_ONCE], strict=True)]
        for base in (BASE, POOLED)
    )
    return Measured(
        [took.wall / recorded[0].path for took in found["studio", 1]],
        over_own,
        over_pooled,
        [shares(each.calls) for each in record(len(NAMES), whole)],
        [1000 * statistics.median(took.each) for took in kept],
    )


def figures(
    of: Measured, ways: Sequence[Way], found: dict[tuple[str, int], list[Took]], missing: Sequence[Way]
) -> Report:
    """What is promised, and the wall of every way in that of bare asyncio on httpx2, side by side."""
    one, many, same = "one episode, wall over its critical path", f"{AT_ONCE} at once, wall over bare httpx2 with a client for each", f"{AT_ONCE} at once, wall over bare httpx2 with one client for all"  # fmt: skip
    prefix, again = "share of prompt tokens that is a prefix of another call", "a kept episode"
    told: dict[str, Figure] = {
        one: repeated(of.over, "ratio", better="lower"),
        many: repeated(of.over_own, "ratio", better="lower"),
        same: repeated(of.over_pooled, "ratio", better="lower"),
        prefix: repeated([100 * share.beside for share in of.prompts], "%", better="higher", what_it_means=f"the bibles of {len(of.prompts)} series"),
        again: repeated(of.medians, "ms"),
    }  # fmt: skip
    promises = [at_most(told, one, 1.05), at_most(told, many, 1.10), at_most(told, same, 1.10), at_least(told, prefix, 85), at_most(told, again, 10)]  # fmt: skip
    for way in ways:
        for episodes in way.episodes:
            runs = found.get((way.name, episodes))
            # The studio's many at once are promised above.
            if runs and way.name != BASE and (way.name, episodes) != ("studio", AT_ONCE):
                walls, bare = [run.wall for run in runs], [run.wall for run in found[BASE, episodes]]
                size = "one episode" if episodes == 1 else f"{episodes} at once"
                words = "bare httpx2 with one client for all" if way.name == POOLED else way.words
                told[f"{size}, {words}, in bare httpx2's wall"] = beside(walls, bare, better="lower" if way.name == "studio" else "")  # fmt: skip
    left = tuple(f"{way.words}: {' and '.join(way.needs)} not installed (the extra bench)" for way in missing)
    return Report(name="tiers", figures=told, promises=tuple(promises), left_out=left)


# --- words ---------------------------------------------------------------------------------------------------------------


def spread(values: Sequence[float], form: str) -> str:
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def _met(value: float, bound: float, *, least: bool = False) -> str:
    return "yes" if (value >= bound if least else value <= bound) else "**no**"


def ways_table(ways: Sequence[Way], found: dict[tuple[str, int], list[Took]], episodes: int) -> str:
    base = found[BASE, episodes]
    rows = []
    for way in ways:
        runs = found.get((way.name, episodes))
        if not runs:
            continue
        ratios = [ours.wall / theirs.wall for ours, theirs in zip(runs, base, strict=True)]
        rows.append([
            way.words,
            spread([run.wall for run in runs], ".2f"),
            spread(ratios, ".2f"),
            spread([1000 * run.cpu / episodes for run in runs], ".0f"),
            f"{statistics.median(run.peak for run in runs):.0f}",
        ])  # fmt: skip
    return table(["", "wall, s", "of bare httpx2", "CPU, ms an episode", "peak of memory, MB"], rows)


def thinking_words(runs: Sequence[Took], episodes: int) -> str:
    parts = {part: [1000 * run.parts[part] / episodes for run in runs] for part in runs[0].parts}
    words = {"proposals": "examples by the engines' rules", "checks": "engines' checks", "judge": "judging"}
    return ", ".join(f"{words[part]} {spread(values, '.0f')} ms" for part, values in sorted(parts.items()))


def _model_name() -> str:
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    return found.group(1) if found else platform.machine()


# --- all of it -----------------------------------------------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--frameworks", action="store_true")
    parser.add_argument("--frameworks-python", action="append", default=[], metavar="PATH")
    parser.add_argument("--whole", action="store_true", help="episodes at full length")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="WAY",
        help="leave out other ways than the studio, bare httpx2, and these",
    )
    parser.add_argument("--date", default=time.strftime("%Y-%m-%d"))
    add_json(parser)
    options = parser.parse_args(arguments)
    ways = [
        way
        for way in (*PLAIN, *(FRAMEWORKS if options.frameworks else ()))
        if not options.only or way.name in ("studio", BASE, POOLED, *options.only)
    ]
    python = pythons(ways, [sys.executable, *options.frameworks_python])
    began = time.perf_counter()
    load = os.getloadavg()[0]
    mind = whole if options.whole else trimmed
    recorded = record(AT_ONCE, mind)
    found: defaultdict[tuple[str, int], list[Took]] = defaultdict(list)
    cases = [(way, episodes) for way in ways if way.name in python for episodes in way.episodes]
    kept: list[Took] = []
    with tempfile.TemporaryDirectory() as folder, ExitStack() as open_processes:
        file = Path(folder) / "calls"
        file.write_text("".join(json.dumps(list(each.calls)) + "\n" for each in recorded), encoding="utf-8")
        length = ["--whole"] if options.whole else []
        model = open_processes.enter_context(started("the model", sys.executable, "tiers_served", *length))

        def process(name: str) -> AbstractContextManager[Process]:
            return started(name, python[name], "tiers_process", name, str(file))

        def measure(client: Process, name: str, episodes: int, *, warm: bool = True) -> Took:
            addresses = model.ask("begin")
            task = Task(addresses["timed"], addresses["instant"] if warm else "", episodes)
            took = Took(**client.ask(asdict(task)))
            _check(name, took, recorded[:episodes], model.ask("begin"))
            return took

        clients = [open_processes.enter_context(process(way.name)) for way, _ in cases]
        cache = open_processes.enter_context(
            started("kept", sys.executable, "tiers_process", "kept", str(file))
        )
        for run in range(options.runs):
            turn = len(cases) * run // options.runs
            order = [*range(turn, len(cases)), *range(turn)]
            for way, episodes, client in ((*cases[n], clients[n]) for n in order):
                print(f"run {run + 1} of {options.runs}: {way.name}, {episodes}", file=sys.stderr)
                found[way.name, episodes].append(measure(client, way.name, episodes))
            with process("studio") as client:
                found["studio", COLD].append(measure(client, "studio", 1, warm=False))
            kept.append(Took(**cache.ask(asdict(Task()))))
    of = measured(recorded, found, kept)
    write(figures(of, ways, found, [way for way in ways if way.name not in python]), options.json)
    text = _report(options, ways, python, recorded, found, kept, of, load)
    text += f"\n\nAll of it took {(time.perf_counter() - began) / 60:.0f} minutes; the machine's load was {load:.1f} when it began, and then {os.getloadavg()[0]:.1f}.\n"
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    return 0


def _check(name: str, took: Took, recorded: Sequence[Recorded], report: dict[str, Any]) -> None:
    """That the same has been asked and answered as everywhere else."""
    bodies = [
        body for each in recorded for body in (each.calls.draft, *each.calls.wave, each.calls.synthesis)
    ]
    assert report["calls"] == len(bodies), (name, report, len(bodies))
    assert report["digest"] == digest(bodies), f"{name} asks something else"
    answered = sum(sum(each.answered) for each in recorded)
    # Counted in characters, an answer has up to three fewer than its tokens make.
    assert 0 <= 4 * answered - took.answered <= 3 * len(bodies), (name, took.answered, 4 * answered)


def _report(
    options: argparse.Namespace,
    ways: Sequence[Way],
    python: dict[str, str],
    recorded: Sequence[Recorded],
    found: dict[tuple[str, int], list[Took]],
    kept: Sequence[Took],
    of: Measured,
    load: float,
) -> str:
    first = recorded[0]
    over, over_own, over_pooled, prompts, medians = of
    cold = [took.wall / first.path for took in found["studio", COLD]]
    late = [1000 * statistics.quantiles(took.each, n=20)[-1] for took in kept]
    episodes = [count for each in recorded for count in (each.answered[0], each.answered[-1])]
    directives = [count for each in recorded for count in each.answered[1:-1]]
    beside = [share.beside for share in prompts]
    bounds = [
        ["one episode, wall over its critical path", "<= 1.05", spread(over, ".3f"), _met(statistics.median(over), 1.05)],
        [f"{AT_ONCE} episodes at once, wall over bare asyncio on httpx2 with a client for each, as the studio has it", "<= 1.10", spread(over_own, ".2f"), _met(statistics.median(over_own), 1.10)],
        ["the same with one client for all", "<= 1.10", spread(over_pooled, ".2f"), _met(statistics.median(over_pooled), 1.10)],
        ["share of prompt tokens that is a prefix of another call", ">= 85 %", spread([100 * b for b in beside], ".1f") + " %", _met(statistics.median(beside), 0.85, least=True)],
        ["a kept episode, median", "<= 10 ms", spread(medians, ".1f") + " ms", _met(statistics.median(medians), 10.0)],
    ]  # fmt: skip
    missing = [way for way in ways if way.name not in python]
    left_out = "".join(
        f"\nLeft out, {' and '.join(way.needs)} being not installed: {way.words}." for way in missing
    )
    paths = [each.path for each in recorded]
    return "\n".join([
        f"# What the studio adds to its calls ({options.date})", "",
        f"`python -m benchmarks.tiers` writes this. {os.cpu_count()} cores ({_model_name()}), Python {platform.python_version()}; "
        f"{options.runs} runs in turn, each beginning at another way; the median, and in brackets the least and the most.", "",
        table(["", "asked", "measured", "met"], bounds), "",
        "## How", "",
        f"The model is a server on 127.0.0.1 in a process of its own: {FIRST_TOKEN:g} s to the first token and {1000 * PER_TOKEN:g} ms to a token of "
        f"{CHARACTERS_PER_TOKEN} characters, pieces of 4 tokens. Episodes are by hand"
        + (", at their full length" if options.whole else f", cut to {TRIMMED} lines a scene so that a run does not take too long")
        + f" ({min(episodes)} to {max(episodes)} tokens), directives {min(directives)} to {max(directives)} tokens, their median {statistics.median(directives):.0f}. "
        f"An episode is {min(len(e.answered) for e in recorded)} to {max(len(e.answered) for e in recorded)} calls: a streamed draft, all active engines at once, a streamed synthesis; "
        f"its critical path, the draft's seconds, the slowest engine's and the synthesis's, is {min(paths):.2f} to {max(paths):.2f} s. The engines check the episode as ever and are then "
        "content with it, so that no repair is asked for, and no second tier is tried.",
        "",
        "Every way has a process of its own, and does one episode that is not measured before each that is. Ways have a client for each episode where nothing else "
        "is said, and as many connections as they ask for. Those that are not the studio repeat its calls as recorded; that the server was asked the same, to the letter, is checked after "
        "each run. CPU is that of the process, user and system. Memory holds what was imported and, but for the studio, the recorded calls.", "",
        f"## One episode (critical path {first.path:.3f} s)", "", ways_table(ways, found, 1), "",
        f"The studio's wall over the critical path: {spread(over, '.3f')}; of the first episode in a new process {spread(cold, '.3f')}.",
        f"Of its CPU: {thinking_words(found['studio', 1], 1)}.", "",
        f"## {AT_ONCE} episodes at once (longest critical path {max(paths):.3f} s)", "", ways_table(ways, found, AT_ONCE), "",
        f"Of the studio's CPU, for each episode: {thinking_words(found['studio', AT_ONCE], AT_ONCE)}.", left_out, "",
        "## Prompts", "",
        f"Of one episode of each of {len(prompts)} bibles at full length, counted at {CHARACTERS_PER_TOKEN} characters to a token; the schemas, which go beside the prompt, are not counted:", "",
        table(["", "median, least and most"], [
            ["tokens of all prompts of an episode", spread([float(share.prompt) for share in prompts], ".0f")],
            ["of it the beginning of a call made before or at the same time", spread([100 * share.beside for share in prompts], ".1f") + " %"],
            ["of it the beginning of a call that had ended before", spread([100 * share.ended for share in prompts], ".1f") + " %"],
        ]), "",
        "## Kept episodes", "",
        f"`Studio.generate` of {LOOKS} requests that are kept, {len(NAMES)} bibles in turn at full length, in a temporary folder: median {spread(medians, '.1f')} ms, "
        f"95 of 100 within {spread(late, '.1f')} ms.",
    ])  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
