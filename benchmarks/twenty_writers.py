"""Twenty people have an episode written at once by one studio: `python -m benchmarks.twenty_writers [--writers 20] [--rounds 5] [--out FILE]`.

The studio is served as `cinegen studio` serves it, on a SQLite file, in a process of its own; so is the model, over a real socket,
whose answers begin after 300 ms. Each writer has an address and a connection of their own, posts an episode (`"wait": false`), follows
the job's events to their end and then asks for the result. In the end the database is asked whether every episode is there.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import platform
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import yaml

from benchmarks.figures import Report, add_json, at_most, exactly, load, repeated, write
from benchmarks.tiers import started
from benchmarks.tiers_served import FIRST_TOKEN, PER_TOKEN
from cinegen_core.store import SqlStore
from cinegen_core.store.sql import Database, sqlite_url
from tests.model.brain import SHELF
from tests.pages.browser import served

SOON = 1.0
"""Seconds from asking to the first sign of progress, at the median, that were promised."""

TOKEN = "twenty-writers"
PATIENCE = 180.0


@dataclass(frozen=True)
class Written:
    """What one writer saw, in seconds from the beginning of the POST: its answer, the first event, the first text, the end.

    `error` says what went wrong, if anything did; `kept` is whether a job that was accepted came to a result that can be read.
    """

    job: str
    answered: float
    first: float
    text: float
    ended: float
    tier: str
    kept: bool
    error: str


def bibles() -> list[dict[str, Any]]:
    """Those that the model knows episodes for."""
    files = sorted((SHELF / "bibles").glob("*.yaml"))
    return [yaml.safe_load(file.read_text(encoding="utf-8")) for file in files]


def provider(address: str) -> str:
    """The model as the studio's settings name it, without a limit of calls at the same time that would make writers wait."""
    return f'[[provider]]\nname = "primary"\nbase_url = "{address}"\nmodel = "primary-model"\nat_once = 64\n'


def a_writer(studio: str, place: int) -> httpx2.AsyncClient:
    """Each has an address of their own: the studio lets nobody ask more often than a person would."""
    return httpx2.AsyncClient(
        base_url=f"{studio}/api",
        headers={"authorization": f"Bearer {TOKEN}"},
        transport=httpx2.AsyncHTTPTransport(local_address=f"127.0.0.{place + 2}", verify=False),
        timeout=PATIENCE,
    )


async def write_one(client: httpx2.AsyncClient, bible: dict[str, Any], seed: int) -> Written:
    begun = time.perf_counter()

    def now() -> float:
        return time.perf_counter() - begun

    def failed(words: str, job: str = "", answered: float = 0.0) -> Written:
        return Written(job, answered, 0.0, 0.0, now(), "", False, words)

    answer = await client.post("/generate/episode", json={"storyBible": bible, "seed": seed, "wait": False})
    answered = now()
    if answer.status_code != 202:
        return failed(f"POST: {answer.status_code} {answer.text[:200]}")
    job = str(answer.json()["job"])
    first = text = 0.0
    kind = state = error = ""
    async with client.stream("GET", f"/jobs/{job}/events") as stream:
        if stream.status_code != 200:
            return failed(f"events: {stream.status_code}", job, answered)
        async for line in stream.aiter_lines():
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
                first = first or now()
                if kind == "text":
                    text = text or now()
            elif line.startswith("data: ") and kind == "end":
                end = json.loads(line.removeprefix("data: "))
                state, error = end["state"], end["error"] or ""
    ended = now()
    if state != "done":
        return failed(f"{state or 'the stream broke off'}: {error}", job, answered)
    result = (await client.get(f"/jobs/{job}")).json()["result"]
    if result is None:
        return failed("done, and no episode", job, answered)
    return Written(job, answered, first, text, ended, result["metadata"]["tier"], True, "")


async def a_round(studio: str, writers: int, number: int) -> list[Written]:
    """All of them at once, each with a series and a seed of their own; their connections are open already, as a page's is."""
    found = bibles()
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(a_writer(studio, place)) for place in range(writers)]
        for client in clients:
            await client.get("/healthz")
        return list(
            await asyncio.gather(
                *(
                    write_one(client, found[place % len(found)], number * writers + place)
                    for place, client in enumerate(clients)
                )
            )
        )


async def ready(studio: str) -> None:
    async with httpx2.AsyncClient(timeout=PATIENCE) as client:
        (await client.get(f"{studio}/healthz")).raise_for_status()


def measured(writers: int, rounds: int) -> tuple[list[list[Written]], set[str]]:
    """What each writer saw in each round, and which jobs' episodes are in the database when the studio has been closed."""
    with (
        tempfile.TemporaryDirectory() as name,
        started("model", sys.executable, "tiers_served", "--whole") as model,
    ):
        folder = Path(name)
        (folder / "providers.toml").write_text(provider(model.ask(None)["timed"]), encoding="utf-8")
        found = []
        with served(
            folder,
            providers=str(folder / "providers.toml"),
            jobs=str(writers),
            api_token=TOKEN,
            cache_megabytes="0",
        ) as studio:
            asyncio.run(ready(studio))
            for number in range(rounds):
                found.append(asyncio.run(a_round(studio, writers, number)))
                print(f"round {number + 1}: {summary(found[-1])}", file=sys.stderr)
        with Database(sqlite_url(folder / "cinegen.db")) as database:
            store = SqlStore(database)
            kept = {one.job for each in found for one in each if one.job and store.season_of(one.job)}
        return found, kept


def summary(written: Sequence[Written]) -> str:
    firsts = [one.first for one in written if not one.error]
    if not firsts:
        return "; ".join(sorted({one.error for one in written}))
    return f"first progress {statistics.median(firsts):.3f} s, last end {max(one.ended for one in written):.1f} s"


def figures(found: list[list[Written]], kept: set[str], writers: int) -> Report:
    """Each time by its median over the writers of a round, spread over rounds; p95 is of all writers of all rounds."""
    everybody = [one for each in found for one in each]
    good = [[one for one in each if not one.error] for each in found]
    accepted = {one.job for one in everybody if one.job}
    firsts = [[one.first for one in each] for each in good if each]
    told = {
        "errors": exactly(float(sum(bool(one.error) for one in everybody)), "count", better="lower"),
        "lost jobs": exactly(float(len(accepted - kept)), "count", better="lower"),
        "POST to first progress, median": repeated([statistics.median(one) for one in firsts], "s"),
        "POST to first progress, p95": repeated([p95(one) for one in firsts], "s"),
        "POST to its answer, median": repeated(
            [statistics.median(one.answered for one in each) for each in good if each], "s"
        ),
        "POST to first text, median": repeated(
            [statistics.median(one.text for one in each) for each in good if each], "s"
        ),
        "POST to the end, median": repeated(
            [statistics.median(one.ended for one in each) for each in good if each], "s"
        ),
    }
    promises = (
        at_most(told, "errors", 0, "no errors"),
        at_most(told, "lost jobs", 0, "no lost jobs"),
        at_most(
            told, "POST to first progress, median", SOON, f"first progress within {SOON:g} s at the median"
        ),
    )
    return Report(name="twenty_writers", figures=told, promises=promises)


def p95(values: Sequence[float]) -> float:
    return sorted(values)[math.ceil(0.95 * len(values)) - 1]


def report(found: list[list[Written]], told: Report, loads: tuple[float, float], date: str) -> str:
    """The rounds, and what was promised."""
    everybody = [one for each in found for one in each]
    tiers = Counter(one.tier for one in everybody if one.tier)
    lines = [
        f"# {len(found[0])} writers at once",
        "",
        f"`python -m benchmarks.twenty_writers`, {date}; Python {platform.python_version()}, {platform.machine()}, "
        f"{os.cpu_count()} cores, load before and after {loads[0]:.1f} and {loads[1]:.1f}. One studio with its pages and its HTTP "
        f"interface, SQLite; a model in a process of its own, {FIRST_TOKEN * 1000:.0f} ms to the first token and "
        f"{PER_TOKEN * 1000:.0f} ms for each. {len(found)} rounds; seconds, from the beginning of each writer's POST.",
        "",
        "| round | errors | answer, median | first progress: median | p95 | most | first text, median | end: median | most |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for number, each in enumerate(found, 1):
        good = [one for one in each if not one.error]
        if not good:
            lines.append(f"| {number} | {len(each)} | | | | | | | |")
            continue
        firsts, ends = [one.first for one in good], [one.ended for one in good]
        lines.append(
            f"| {number} | {len(each) - len(good)} | {statistics.median(one.answered for one in good):.3f} "
            f"| {statistics.median(firsts):.3f} | {p95(firsts):.3f} | {max(firsts):.3f} "
            f"| {statistics.median(one.text for one in good):.2f} | {statistics.median(ends):.1f} | {max(ends):.1f} |"
        )
    lines += [
        "",
        "The first progress is the first event of the job's stream, that a tier has begun; the first text is what the model writes. The "
        "first round is that of a studio that has just begun. "
        + ", ".join(f"{count} episodes are of the tier {tier}" for tier, count in sorted(tiers.items()))
        + ".",
        "",
    ]
    if errors := Counter(one.error for one in everybody if one.error):
        lines += ["## Errors", "", *(f"* {count} times: {error}" for error, count in errors.items()), ""]
    lines += ["## Promises", ""]
    for promise in told.promises:
        figure = told.figures[promise.figure]
        spread = (
            f" ({figure.low:.3g} to {figure.high:.3g} over the rounds)"
            if figure.unit == "s" and figure.low
            else ""
        )
        lines.append(
            f"* {promise.words}: {figure.value:.3g}{spread}: {'kept' if promise.kept else 'NOT KEPT'}"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--writers", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--date", default=time.strftime("%Y-%m-%d"))
    add_json(parser)
    options = parser.parse_args()
    before = load()
    found, kept = measured(options.writers, options.rounds)
    told = figures(found, kept, options.writers)
    write(told, options.json)
    text = report(found, told, (before, load()), options.date)
    print(text, end="")
    if options.out:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
