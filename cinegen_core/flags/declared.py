"""Reads flags.toml. All that is wrong with it is told at once, by line, each with what to do."""

from __future__ import annotations

import difflib
import json
import math
import re
import tomllib
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar

from pydantic import BaseModel, Field, ValidationError
from pydantic_core import ErrorDetails

from cinegen_core.flags.evaluate import NO_VARIANT, dependency_cycle, variants_of
from cinegen_core.flags.model import (
    Declared,
    Dependency,
    Flag,
    Key,
    Metric,
    Noun,
    Percent,
    Phase,
    RolloutPlan,
    Strategy,
    Trigger,
    TriggerPolicy,
    Variant,
)

Place = tuple[str | int, ...]
"""Where a value stands in a document: its keys from the outside in, and positions in arrays from 0."""


class Problem(NamedTuple):
    """One thing that is wrong. `line` counts from 1; `key` says under what it stands, and is empty if the file cannot be read."""

    file: str
    line: int
    key: str
    words: str

    def __str__(self) -> str:
        return (
            f"{self.file}:{self.line}: {self.key} {self.words}"
            if self.key
            else f"{self.file}:{self.line}: {self.words}"
        )


class DeclarationError(ValueError):
    """A flags file that cannot be used. `problems` has all that is wrong with it, in the order of its lines."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line))
        super().__init__("\n".join(str(problem) for problem in self.problems))


def load_declared(path: Path) -> Declared:
    """What the file at `path` declares. Raises `DeclarationError`, also for a file that cannot be read."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        words = f"cannot be read: {error.strerror or error}. Put it there, or name another file."
        raise DeclarationError([Problem(str(path), 1, "", words)]) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise DeclarationError(
            [Problem(str(path), line, "", "is not UTF-8: save the file as UTF-8")]
        ) from error
    return read_declared(text, str(path))


def read_declared(text: str, name: str) -> Declared:
    """What this text declares; `name` is the file's, for messages. Raises `DeclarationError`."""
    try:
        document = tomllib.loads(text, parse_float=_finite)
        lines = key_lines(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", str(error))
        line = int(found[1]) if found and found[1] else text.count("\n") + 1
        words = str(error)[: found.start()] if found else str(error)
        raise DeclarationError([Problem(name, line, "", f"is not TOML: {words}")]) from error
    except RecursionError as error:
        raise DeclarationError([Problem(name, 1, "", "is nested too deeply")]) from error
    reader = _Reader(name, lines)
    declared = reader.read(document)
    if reader.problems:
        raise DeclarationError(reader.problems)
    return declared


def _finite(text: str) -> float | str:
    """Infinity stays a text, and so is refused where a number is wanted."""
    number = float(text)
    return number if math.isfinite(number) else text


class _FlagTable(Noun):
    description: str = ""
    enabled: bool = False
    rollout: Percent = 100
    group: str = ""
    stickiness: str = "default"
    depends_on: tuple[Dependency, ...] = ()
    users: frozenset[str] = frozenset()
    sessions: frozenset[str] = frozenset()
    beta: bool = False
    attributes: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    variants: tuple[Variant, ...] = ()
    strategies: tuple[Strategy, ...] | None = None


class _RolloutTable(Noun):
    flag: Key
    phases: Annotated[tuple[Phase, ...], Field(min_length=1)]


class _TriggerTable(Noun):
    metric: Metric
    below: float | None = None
    above: float | None = None
    minutes: Annotated[float, Field(gt=0)]
    samples: Annotated[int, Field(ge=1)] = 20
    policy: TriggerPolicy = "evidence"
    bound: Annotated[float, Field(gt=1)] = 1000.0
    low: float = 0.0
    high: float = 1.0
    flags: tuple[Key, ...] = ()


_ONE_STRATEGY = ("rollout", "group", "stickiness")
_NESTED: Mapping[str, type[Noun]] = {
    "depends_on": Dependency, "phases": Phase, "strategies": Strategy, "variants": Variant,
}  # fmt: skip
_PLAIN_WORDS = {
    "a valid boolean": "true or false",
    "a valid string": "text in quotes",
    "a valid integer": "a whole number",
    "a valid number": "a number",
    "a valid array": "a list in brackets",
    "an object": "a table",
}
_KEY = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
_KEY_WORDS = "may hold letters, digits, '.', '_' and '-', up to 100, the first a letter or a digit"
_T = TypeVar("_T", bound=BaseModel)


class _Reader:
    """Turns a document into nouns, and collects what is wrong with it."""

    def __init__(self, name: str, lines: Mapping[Place, int]) -> None:
        self.problems: list[Problem] = []
        self._name, self._lines = name, lines

    def read(self, document: Mapping[str, Any]) -> Declared:
        sections = ("flags", "rollouts", "triggers")
        for section in document:
            if section not in sections:
                self._report((section,), f"is not known: {_hint(section, sections)}")
        flag_tables = self._tables(document, "flags", _FlagTable)
        rollout_tables = self._tables(document, "rollouts", _RolloutTable)
        trigger_tables = self._tables(document, "triggers", _TriggerTable)
        flags = {key: self._flag(key, table) for key, table in flag_tables.items()}
        self._check_references(flags, rollout_tables, trigger_tables)
        triggers = {key: self._trigger(key, table) for key, table in trigger_tables.items()}
        return Declared(
            flags=flags,
            rollouts={
                key: RolloutPlan(key=key, flag=one.flag, phases=one.phases)
                for key, one in rollout_tables.items()
            },
            triggers={key: trigger for key, trigger in triggers.items() if trigger},
        )

    def _tables(self, document: Mapping[str, Any], section: str, form: type[_T]) -> dict[str, _T]:
        """The tables of a section, without what is wrong with them, unless nothing usable is left."""
        tables = document.get(section, {})
        if not isinstance(tables, dict):
            self._report((section,), f"has to be a table: write [{section}.<key>]")
            return {}
        found = {}
        for key, table in tables.items():
            if not re.fullmatch(_KEY, key):
                self._report((section, key), f"cannot be a key: it {_KEY_WORDS}")
            elif not isinstance(table, dict):
                self._report((section, key), f"has to be a table: write [{section}.{key}]")
            elif made := self._made((section, key), table, form):
                found[key] = made
        return found

    def _made(self, place: Place, table: Mapping[str, Any], form: type[_T]) -> _T | None:
        depends_on = table.get("depends_on")
        if isinstance(depends_on, list):
            depends_on = [{"flag": one} if isinstance(one, str) else one for one in depends_on]
            table = {**table, "depends_on": depends_on}
        try:
            return _checked(table, form)
        except ValidationError as errors:
            for error in errors.errors():
                # A list whose elements are all wrong is not empty, though nothing of it is left.
                if not (error["type"] == "too_short" and error["input"]):
                    self._report((*place, *error["loc"]), _wrong(error, form))
            wrong = {error["loc"][0] for error in errors.errors()}
        # What there is to say about the other keys does not wait until these are mended.
        try:
            return _checked({key: value for key, value in table.items() if key not in wrong}, form)
        except ValidationError:
            return None

    def _flag(self, key: str, table: _FlagTable) -> Flag:
        place: Place = ("flags", key)
        strategies = table.strategies
        if strategies is None:
            strategies = (Strategy(percent=table.rollout, group=table.group, stickiness=table.stickiness),)
        else:
            for name in _ONE_STRATEGY:
                if name in table.model_fields_set:
                    self._report(
                        (*place, name),
                        "stands beside strategies: write it in one of these, or leave these out",
                    )
        flag = Flag(
            key=key,
            description=table.description,
            enabled=table.enabled,
            depends_on=table.depends_on,
            users=table.users,
            sessions=table.sessions,
            attributes=table.attributes,
            beta=table.beta,
            strategies=strategies,
            variants=table.variants,
        )
        self._check_variants((*place, "variants"), table.variants)
        for number, strategy in enumerate(strategies):
            if not strategy.stickiness:
                where = (*place, "strategies", number) if table.strategies else place
                self._report((*where, "stickiness"), "is empty: name what is hashed, or leave it out")
            self._check_variants((*place, "strategies", number, "variants"), strategy.variants)
        payloads: dict[str, str] = {}
        for variant in variants_of(flag):
            if payloads.setdefault(variant.name, variant.payload) != variant.payload:
                self._report(
                    place, f"has two variants {variant.name} with different payloads: give one another name"
                )
        return flag

    def _check_variants(self, place: Place, variants: Sequence[Variant]) -> None:
        names: set[str] = set()
        for number, variant in enumerate(variants):
            if variant.name in names:
                self._report((*place, number, "name"), f"is {variant.name} again: give it another name")
            names.add(variant.name)
        if variants and not any(variant.weight for variant in variants):
            self._report(place, "all weigh 0, so that none can be chosen: give one a weight")

    def _check_references(
        self,
        flags: Mapping[str, Flag],
        rollouts: Mapping[str, _RolloutTable],
        triggers: Mapping[str, _TriggerTable],
    ) -> None:
        told: set[frozenset[str]] = set()
        for key, flag in flags.items():
            for number, dependency in enumerate(flag.depends_on):
                place: Place = ("flags", key, "depends_on", number)
                self._check_flag(place, dependency.flag, flags)
                if dependency.flag in flags:
                    self._check_variant_names(place, dependency, flags[dependency.flag])
            cycle = dependency_cycle(flags, key)
            if cycle and frozenset(cycle) not in told:
                told.add(frozenset(cycle))
                self._report(
                    ("flags", key, "depends_on"),
                    f"runs in a circle, {' -> '.join(cycle)}: take one of them out",
                )
        for key, plan in rollouts.items():
            self._check_flag(("rollouts", key, "flag"), plan.flag, flags)
            if plan.flag in flags and not flags[plan.flag].strategies:
                self._report(
                    ("rollouts", key, "flag"), f"is {plan.flag}, which has no strategy to raise: give it one"
                )
            before = 0
            for number, phase in enumerate(plan.phases):
                if phase.percent <= before:
                    words = f"is {phase.percent} after {before}: each phase has to let in more than the one before it"
                    self._report(("rollouts", key, "phases", number, "percent"), words)
                before = phase.percent
        for key, trigger in triggers.items():
            for number, watched in enumerate(trigger.flags):
                self._check_flag(("triggers", key, "flags", number), watched, flags)

    def _check_flag(self, place: Place, flag: str, known: Iterable[str]) -> None:
        if flag not in known:
            self._report(place, f"names the flag {flag}, which is not declared: {_hint(flag, known)}")

    def _check_variant_names(self, place: Place, dependency: Dependency, parent: Flag) -> None:
        known = [NO_VARIANT, *(variant.name for variant in variants_of(parent))]
        for name in dependency.variants:
            if name not in known:
                self._report(
                    place, f"names the variant {name}, which {parent.key} does not have: {_hint(name, known)}"
                )

    def _trigger(self, key: str, table: _TriggerTable) -> Trigger | None:
        place: Place = ("triggers", key)
        threshold = table.above if table.below is None else table.below
        if threshold is None or None not in (table.below, table.above):
            self._report(place, "needs a threshold: write either below or above")
            return None
        side = "above" if table.below is None else "below"
        if not table.low < threshold < table.high:
            words = f"is {threshold:g}, but low is {table.low:g} and high is {table.high:g}"
            self._report((*place, side), f"{words}: write as low and high between what {table.metric} can be")
            return None
        return Trigger(
            key=key, worse=side, threshold=threshold, **table.model_dump(exclude={"below", "above"})
        )

    def _report(self, place: Place, words: str) -> None:
        key = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place).removeprefix(
            "."
        )
        line = next(
            (self._lines[place[:end]] for end in range(len(place), 0, -1) if place[:end] in self._lines), 1
        )
        self.problems.append(Problem(self._name, line, key, words))


def _checked(table: Mapping[str, Any], form: type[_T]) -> _T:
    # By way of JSON, since that is where strict types and lists for tuples go together.
    return form.model_validate_json(json.dumps(table, default=str), strict=True)


def _wrong(error: ErrorDetails, form: type[BaseModel]) -> str:
    """What the validator says, in our words."""
    kind, place = error["type"], error["loc"]
    if kind == "missing":
        return "is missing: add it"
    if kind == "extra_forbidden":
        outer = next((step for step in reversed(place[:-1]) if isinstance(step, str)), "")
        return f"is not known: {_hint(str(place[-1]), _NESTED.get(outer, form).model_fields)}"
    if kind == "string_pattern_mismatch":
        words = _KEY_WORDS
    elif place[-1] in ("rollout", "percent"):
        words = "has to be a whole percentage from 0 to 100"
    elif kind == "too_short":
        words = "has to hold at least one"
    else:
        words = re.sub("^(Input|String) should", "has to", error["msg"])
        for theirs, ours in _PLAIN_WORDS.items():
            words = words.replace(theirs, ours)
    return f"{words}, not {json.dumps(error['input'], ensure_ascii=False)}"


def _hint(name: str, known: Iterable[str]) -> str:
    known = sorted(set(known))
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"did you mean {close[0]}?"
    return f"there are {', '.join(known)}" if known else "there are none"


_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY_PART = re.compile(r"""[ \t]*("(?:\\.|[^"\\])*"|'[^']*'|[A-Za-z0-9_-]+)[ \t]*""")
_SCALAR = re.compile(
    r"""\"{3}(?:\\.|[^\\])*?\"{3}(?!")|'{3}.*?'{3}(?!')|"(?:\\.|[^"\\])*"|'[^']*'|[^,\]}\n#]+""", re.DOTALL
)


def key_lines(text: str) -> dict[Place, int]:
    """The line, from 1, on which each key and each element of an array begins, in a text that is known to be TOML 1.0
    (https://toml.io/en/v1.0.0). Raises RecursionError for arrays within arrays within arrays."""
    lines = _Lines(text)
    table: Place = ()
    while not lines.over():
        table = lines.statement(table)
    return lines.found


class _Lines:
    """Walks over a document without understanding its values."""

    def __init__(self, text: str) -> None:
        self.found: dict[Place, int] = {}
        self._text, self._at = text, 0
        self._breaks = [found.start() for found in re.finditer("\n", text)]
        self._last_of: dict[Place, int] = {}

    def over(self) -> bool:
        self._skip(_BLANK)
        return self._at == len(self._text)

    def statement(self, table: Place) -> Place:
        """A header or a pair; answers with the table that the next pair belongs to."""
        if self._text[self._at] != "[":
            self._pair(table)
            return table
        brackets = 2 if self._text.startswith("[[", self._at) else 1
        self._at += brackets
        line, keys = self._line(), self._keys()
        self._at += brackets
        place: Place = ()
        for key in keys[:-1]:
            place = (*place, key)
            if place in self._last_of:
                place = (*place, self._last_of[place])
        place = (*place, keys[-1])
        self._note(place, line)
        if brackets == 2:
            self._last_of[place] = self._last_of.get(place, -1) + 1
            place = (*place, self._last_of[place])
            self._note(place, line)
        return place

    def _pair(self, table: Place) -> None:
        line = self._line()
        place = (*table, *self._keys())
        self._note(place, line)
        self._at += 1  # the equals sign
        self._value(place)

    def _value(self, place: Place) -> None:
        self._skip(_BLANK)
        opening = self._text[self._at]
        if opening not in "[{":
            self._skip(_SCALAR)
            return
        self._at += 1
        number = 0
        while self._next() not in "]}":
            if opening == "{":
                self._pair(place)
            else:
                self._note((*place, number), self._line())
                self._value((*place, number))
                number += 1
        self._at += 1

    def _next(self) -> str:
        self._skip(_BLANK)
        if self._text[self._at] == ",":
            self._at += 1
            self._skip(_BLANK)
        return self._text[self._at]

    def _keys(self) -> list[str]:
        keys = [self._key()]
        while self._text[self._at] == ".":
            self._at += 1
            keys.append(self._key())
        return keys

    def _key(self) -> str:
        part = self._skip(_KEY_PART).strip(" \t")
        key: str = next(iter(tomllib.loads(f"{part} = 0")))
        return key

    def _note(self, place: Place, line: int) -> None:
        for end in range(1, len(place) + 1):
            self.found.setdefault(place[:end], line)

    def _line(self) -> int:
        return bisect_left(self._breaks, self._at) + 1

    def _skip(self, what: re.Pattern[str]) -> str:
        found = what.match(self._text, self._at)
        assert found is not None  # the text is TOML, and this is what comes next
        self._at = found.end()
        return found[0]
