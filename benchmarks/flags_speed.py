"""How fast a flag is evaluated, here and by others, side by side: `python -m benchmarks.flags_speed [--out FILE] [--repeats N]`.

Every evaluation is for another person, and says why where the library can. What the others need is no dependency of this
project: `pip install growthbook UnleashClient launchdarkly-server-sdk` beside it; what is missing is left out, and said so.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.provider import FeatureProvider
from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider

from benchmarks.figures import Promise, Report, add_json, beside, repeated, write
from cinegen_core.flags.evaluate import Snapshot
from cinegen_core.flags.model import Context, Declared, Dependency, Flag, Strategy
from cinegen_core.flags.openfeature import FlagProvider

PEOPLE = [f"user-{number}" for number in range(20_000)]
SPLIT, DEPENDENT, PARENT = "beta_features", "genre_engines", "comprehensive_engines"
ROLLOUTS = {SPLIT: 25, PARENT: 100, DEPENDENT: 90}

Run = Callable[[str], int]
"""Evaluates the flag for everybody; answers for how many it is on."""


class Contender(NamedTuple):
    name: str
    package: str
    explains: bool
    run: Run


class Figure(NamedTuple):
    """Seconds per evaluation: the median of the repeats, the fastest and the slowest, and each. `on` is the share of people."""

    contender: Contender
    median: float
    fastest: float
    slowest: float
    on: float
    each: tuple[float, ...]

    @property
    def row(self) -> str:
        name, package, explains, _ = self.contender
        version = metadata.version(package)
        return (
            f"| {name} | {version} | {self.median * 1e6:.2f} | {self.fastest * 1e6:.2f} - {self.slowest * 1e6:.2f} "
            f"| {1 / self.median:,.0f} | {self.on:.1%} | {'yes' if explains else 'no'} |"
        )


def ours() -> Snapshot:
    flags = [
        Flag(key=SPLIT, enabled=True, beta=True, strategies=(Strategy(percent=ROLLOUTS[SPLIT]),)),
        Flag(key=PARENT, enabled=True),
        Flag(
            key=DEPENDENT,
            enabled=True,
            depends_on=(Dependency(flag=PARENT),),
            strategies=(Strategy(percent=ROLLOUTS[DEPENDENT]),),
        ),
    ]
    return Snapshot(Declared(flags={flag.key: flag for flag in flags}))


def with_contexts_made_on_the_way() -> Run:
    evaluate = ours().evaluate

    def run(key: str) -> int:
        on = 0
        for person in PEOPLE:
            on += evaluate(key, Context(person)).value
        return on

    return run


def with_contexts_made_beforehand() -> Run:
    evaluate = ours().evaluate
    contexts = [Context(person) for person in PEOPLE]

    def run(key: str) -> int:
        on = 0
        for context in contexts:
            on += evaluate(key, context).value
        return on

    return run


def by_openfeature(provider: FeatureProvider, domain: str) -> Run:
    api.set_provider(provider, domain)
    details = api.get_client(domain).get_boolean_details

    def run(key: str) -> int:
        on = 0
        for person in PEOPLE:
            on += details(key, False, EvaluationContext(person)).value
        return on

    return run


def openfeature_in_memory() -> Run:
    """It cannot split or depend: it looks the flag up and answers its variant, the same for everybody."""
    flag = InMemoryFlag("on", {"on": True, "off": False})
    return by_openfeature(InMemoryProvider({SPLIT: flag, DEPENDENT: flag}), "in-memory")


def openfeature_ours() -> Run:
    snapshot = ours()
    return by_openfeature(FlagProvider(lambda: snapshot), "ours")


def growthbook() -> Run:
    library: Any = importlib.import_module("growthbook")
    features: dict[str, Any] = {
        key: {
            "defaultValue": False,
            "rules": [{"force": True, "coverage": percent / 100, "hashAttribute": "id"}],
        }
        for key, percent in ROLLOUTS.items()
    }
    parent = {"id": PARENT, "condition": {"value": True}, "gate": True}
    features[DEPENDENT]["rules"][0]["parentConditions"] = [parent]
    client = library.GrowthBook(features=features)

    def run(key: str) -> int:
        on = 0
        for person in PEOPLE:
            client.set_attributes({"id": person})
            on += client.eval_feature(key).on
        return on

    return run


def unleash() -> Run:
    library: Any = importlib.import_module("UnleashClient")
    cache: Any = importlib.import_module("UnleashClient.cache")

    def feature(key: str) -> dict[str, Any]:
        parameters = {"rollout": f"{ROLLOUTS[key]}", "stickiness": "default", "groupId": key}
        strategies = [{"name": "flexibleRollout", "parameters": parameters, "constraints": []}]
        dependencies = [{"feature": PARENT}] if key == DEPENDENT else []
        return {"name": key, "enabled": True, "strategies": strategies, "dependencies": dependencies}

    with tempfile.TemporaryDirectory() as folder:
        file = cache.FileCache("flags_speed", folder)
        file.bootstrap_from_dict({"version": 2, "features": [feature(key) for key in ROLLOUTS]})
        client = library.UnleashClient(
            "http://127.0.0.1:9", "flags_speed", cache=file, disable_metrics=True, disable_registration=True
        )
        client.is_enabled(SPLIT, {"userId": PEOPLE[0]})

    def run(key: str) -> int:
        on = 0
        for person in PEOPLE:
            on += client.is_enabled(key, {"userId": person})
        return on

    return run


def launchdarkly() -> Run:
    library: Any = importlib.import_module("ldclient")
    test_data: Any = importlib.import_module("ldclient.integrations.test_data")
    config: Any = importlib.import_module("ldclient.config")

    class Percentage(test_data.FlagBuilder):  # type: ignore[misc]
        """A flag by percentage, which the library has, but its builder of test data has not."""

        def _build(self, version: int) -> dict[str, Any]:
            percent = ROLLOUTS[self._key]
            weights = [
                {"variation": 0, "weight": percent * 1000},
                {"variation": 1, "weight": (100 - percent) * 1000},
            ]
            built = {
                **super()._build(version),
                "salt": "salt",
                "fallthrough": {"rollout": {"variations": weights}},
            }
            if self._key == DEPENDENT:
                built["prerequisites"] = [{"key": PARENT, "variation": 0}]
            return built

        def _copy(self) -> Any:
            return self

    data = test_data.TestData.data_source()
    for key in ROLLOUTS:
        data.update(Percentage(key).boolean_flag().on(True))
    client = library.LDClient(config.Config("sdk-key", update_processor_class=data, send_events=False))
    make = library.Context.create

    def run(key: str) -> int:
        on = 0
        for person in PEOPLE:
            on += client.variation_detail(key, make(person), False).value
        return on

    return run


CONTENDERS: Sequence[tuple[str, str, bool, Callable[[], Run]]] = (
    ("ours, context made on the way", "cinegen-studio", True, with_contexts_made_on_the_way),
    ("ours, context made beforehand", "cinegen-studio", True, with_contexts_made_beforehand),
    ("GrowthBook", "growthbook", True, growthbook),
    ("UnleashClient", "UnleashClient", False, unleash),
    ("LaunchDarkly, TestData", "launchdarkly-server-sdk", True, launchdarkly),
    ("OpenFeature, in-memory (same answer for all)", "openfeature-sdk", True, openfeature_in_memory),
    ("OpenFeature, ours", "openfeature-sdk", True, openfeature_ours),
)


def ready() -> tuple[list[Contender], list[str]]:
    """Those that are installed, and the names of the others."""
    found, missing = [], []
    for name, package, explains, make in CONTENDERS:
        try:
            found.append(Contender(name, package, explains, make()))
        except ImportError as error:
            missing.append(f"{name}: not importable ({error}); pip install {package}")
    return found, missing


def measure(contenders: Sequence[Contender], key: str, repeats: int) -> list[Figure]:
    """All in turn, over and over, so that what else the machine does meets each of them."""
    seconds: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    on = {contender.name: contender.run(key) for contender in contenders}
    for repeat in range(repeats):
        print(f"{key}: repeat {repeat + 1} of {repeats}", file=sys.stderr)
        first = repeat % len(contenders)
        for contender in [*contenders[first:], *contenders[:first]]:
            started = time.perf_counter()
            contender.run(key)
            seconds[contender.name].append((time.perf_counter() - started) / len(PEOPLE))
    return [
        Figure(
            contender,
            statistics.median(seconds[contender.name]),
            min(seconds[contender.name]),
            max(seconds[contender.name]),
            on[contender.name] / len(PEOPLE),
            tuple(seconds[contender.name]),
        )
        for contender in contenders
    ]


class Found(NamedTuple):
    """What was measured, by flag; what is missing, and what was promised of the rest."""

    figures: dict[str, list[Figure]]
    missing: list[str]
    promises: list[Promise]

    @property
    def json(self) -> Report:
        """Ours in microseconds, and the others in the time of ours, which each repeat has measured beside them."""
        told = {}
        for key, many in self.figures.items():
            ours = next(one for one in many if one.contender.name == CONTENDERS[0][0])
            told[f"{key}, {ours.contender.name}"] = repeated([1e6 * one for one in ours.each], "µs")
            for one in many:
                if one.contender.name not in (CONTENDERS[0][0], CONTENDERS[1][0]):
                    told[f"{key}, {one.contender.name}: times the time of ours"] = beside(one.each, ours.each, better="")  # fmt: skip
        split = {one.contender.name: one for one in self.figures[SPLIT]}
        theirs, through = CONTENDERS[5][0], CONTENDERS[6][0]
        told[THROUGH] = beside(split[through].each, split[theirs].each)
        return Report(name="flags_speed", figures=told, promises=tuple(self.promises), left_out=tuple(self.missing))  # fmt: skip


THROUGH = f"{SPLIT}, ours through OpenFeature, in its in-memory provider's time"


def promise(words: str, kept: bool) -> str:
    return f"* {words}: {'kept' if kept else '**not kept**'}"


def report(repeats: int, day: str) -> tuple[str, Found]:
    """The tables, and what they hold."""
    load = os.getloadavg()[0]
    contenders, missing = ready()
    titles = {
        SPLIT: f"`{SPLIT}` at {ROLLOUTS[SPLIT]} %",
        DEPENDENT: f"`{DEPENDENT}` at {ROLLOUTS[DEPENDENT]} %, depending on `{PARENT}`",
    }
    lines = [
        "# The speed of flags",
        "",
        f"`python -m benchmarks.flags_speed`, {day}; Python {platform.python_version()}, {platform.machine()}, "
        f"{os.cpu_count()} cores, load {load:.2f} at the start. {len(PEOPLE):,} people, each evaluated once in each of {repeats} "
        "repeats, all contenders in turn; no answer is remembered. Microseconds per evaluation: median, and fastest to slowest repeat.",
    ]
    figures = {key: measure(contenders, key, repeats) for key in titles}
    for key, title in titles.items():
        lines += [
            "",
            f"## {title}",
            "",
            "| library | version | µs | spread | evaluations a second | on | says why |",
            "|---|---|---|---|---|---|---|",
            *(figure.row for figure in figures[key]),
        ]
    split, dependent = ({one.contender.name: one.median for one in figures[key]} for key in titles)
    first, theirs, through = CONTENDERS[0][0], CONTENDERS[5][0], CONTENDERS[6][0]
    each = {one.contender.name: one.each for one in figures[SPLIT]}
    ratio = beside(each[through], each[theirs]).value
    promises = [
        Promise(
            words=f"at least 300,000 explained evaluations a second at 25 %, context included: {1 / split[first]:,.0f}",
            kept=split[first] <= 1 / 300_000,
            figure=f"{SPLIT}, {first}",
        ),
        Promise(
            words=f"at least 150,000 with one dependency: {1 / dependent[first]:,.0f}",
            kept=dependent[first] <= 1 / 150_000,
            figure=f"{DEPENDENT}, {first}",
        ),
        Promise(
            words=f"through OpenFeature within 1.15 of its in-memory provider, which draws no bucket: {ratio:.2f}",
            kept=ratio <= 1.15,
            figure=THROUGH,
        ),
    ]
    lines += [
        "",
        "## Promises",
        "",
        *(promise(one.words, one.kept) for one in promises),
        *(f"* left out: {one}" for one in missing),
    ]
    return "\n".join(lines) + "\n", Found(figures, missing, promises)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--date", default=time.strftime("%Y-%m-%d"))
    add_json(parser)
    options = parser.parse_args()
    text, found = report(options.repeats, options.date)
    write(found.json, options.json)
    print(text, end="")
    if options.out:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
