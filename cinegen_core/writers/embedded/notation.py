"""Reads the writers' notation (FORMAT.md) into frozen values. Knows the form, not the meaning."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

REQUIRED = ("open", "raise", "press", "turn", "button")
OPTIONAL = (
    "deflect", "cut", "layer", "stake", "quick", "pause", "motif", "plant", "payoff", "callback", "rule", "trade",
    "convention", "gag", "runner", "cue", "gesture", "admit", "clue", "herring",
)  # fmt: skip
KINDS = ("find", "ask", "confront", "scheme", "tell", "reckon", "near", "plan", "alone", "own")
TIMES = ("dawn", "day", "dusk", "night")
REGISTERS = ("plain", "terse", "talker", "formal", "quick", "gentle", "wry")


class NotationError(ValueError):
    """A text that does not follow the notation. The message names file, line and what was expected."""


@dataclass(frozen=True)
class Alternative:
    text: str
    register: str | None = None
    parenthetical: str | None = None
    extension: str | None = None


@dataclass(frozen=True)
class Turn:
    """One line of a script: a speech (`who` set) or an action, with its alternatives."""

    who: str | None
    options: tuple[Alternative, ...]
    number: int

    @property
    def spoken(self) -> bool:
        return self.who is not None


Lines = tuple[Turn, ...]


@dataclass(frozen=True)
class BeatScript:
    kind: str
    optional: bool
    argument: str
    inverted: bool
    needs: tuple[str, ...]
    variants: tuple[Lines, ...]
    number: int


@dataclass(frozen=True)
class SceneScript:
    id: str
    source: str
    number: int
    head: dict[str, str]
    beats: tuple[BeatScript, ...]
    who: tuple[str, ...]
    kind: str
    fact: str
    places: tuple[str, ...]
    needs: tuple[str, ...]
    gives: tuple[str, ...]
    tension: tuple[float, float]

    @property
    def time(self) -> str:
        return self.head.get("time", "")


@dataclass(frozen=True)
class HookScript:
    id: str
    source: str
    number: int
    places: tuple[str, ...]
    needs: tuple[str, ...]
    genre: str
    lines: Lines


@dataclass(frozen=True)
class ChoiceScript:
    id: str
    label: str
    cost: str
    image: str
    did: str
    gives: tuple[str, ...]
    place: str
    time: str
    who: tuple[str, ...]
    lines: Lines
    number: int


@dataclass(frozen=True)
class EndingScript:
    id: str
    source: str
    number: int
    head: dict[str, str]
    fact: str
    who: tuple[str, ...]
    needs: tuple[str, ...]
    turns: tuple[str, ...]
    places: tuple[str, ...]
    lines: Lines
    question: str
    choices: tuple[ChoiceScript, ...]


@dataclass(frozen=True)
class Script:
    """All that one or more texts in the notation hold. `blocks` keeps the plain lists of other sections."""

    scenes: tuple[SceneScript, ...] = ()
    hooks: tuple[HookScript, ...] = ()
    endings: tuple[EndingScript, ...] = ()
    blocks: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...] = field(default=())

    def __add__(self, other: Script) -> Script:
        return Script(
            self.scenes + other.scenes,
            self.hooks + other.hooks,
            self.endings + other.endings,
            self.blocks + other.blocks,
        )


_HEADER = re.compile(r"^===\s+(\w+)\s*(.*?)\s*$")
_BEAT = re.compile(r"^--\s+(\??)([\w-]+)\s*(.*?)\s*$")
_SAY = re.compile(r"^([A-Za-z][\w'-]*)\s*(?:\(([^()]*)\))?\s*(?:\[([^\]]*)\])?\s*:\s+(.+)$")
_KEY = re.compile(r"^([a-z]+)\s*:\s*(.*)$")
_CHOICE = re.compile(r"^([abc])\s*:\s+(.+)$")
_HEAD_KEYS = {
    "scene": {"place", "who", "fact", "kind", "time", "tension", "needs", "gives", "wants", "block", "gist", "secret", "genre"},
    "hook": {"place", "needs", "genre"},
    "ending": {"fact", "who", "needs", "turns", "place", "secret", "genre", "tension"},
}  # fmt: skip


def split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


@dataclass
class _Reader:
    source: str
    lines: list[tuple[int, str]]
    at: int = 0

    def fail(self, number: int, message: str) -> NotationError:
        return NotationError(f"{self.source}:{number}: {message}")

    def peek(self) -> tuple[int, str] | None:
        return self.lines[self.at] if self.at < len(self.lines) else None

    def block(self) -> Iterator[tuple[int, str]]:
        """The lines up to the next `===`."""
        while self.at < len(self.lines) and not self.lines[self.at][1].startswith("==="):
            self.at += 1
            yield self.lines[self.at - 1]


def parse(text: str, source: str = "text") -> Script:
    """Read a whole file. Raises `NotationError` at the first line that does not fit."""
    kept = [
        (number, line.strip())
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    reader = _Reader(source, kept)
    result = Script()
    while (head := reader.peek()) is not None:
        number, line = head
        match = _HEADER.match(line)
        if not match:
            raise reader.fail(
                number,
                f"expected '=== scene NAME', '=== hook NAME' or '=== ending NAME', found {line[:40]!r}",
            )
        reader.at += 1
        section, name = match.groups()
        body = list(reader.block())
        if section == "scene":
            result += Script(scenes=(_scene(reader, name, number, body),))
        elif section == "hook":
            result += Script(hooks=(_hook(reader, name, number, body),))
        elif section == "ending":
            result += Script(endings=(_ending(reader, name, number, body),))
        else:
            result += Script(blocks=((section, name, _pairs(reader, body)),))
    return result


def _pairs(reader: _Reader, body: Sequence[tuple[int, str]]) -> tuple[tuple[str, str], ...]:
    pairs = []
    for number, line in body:
        key, colon, value = line.partition(":")
        if not colon:
            raise reader.fail(number, f"expected 'key: text', found {line[:40]!r}")
        pairs.append((key.strip(), value.strip()))
    return tuple(pairs)


def _head(reader: _Reader, section: str, body: list[tuple[int, str]]) -> dict[str, str]:
    head: dict[str, str] = {}
    while body and (match := _KEY.match(body[0][1])) and match.group(1) in _HEAD_KEYS[section]:
        head[match.group(1)] = match.group(2)
        body.pop(0)
    return head


def _option(reader: _Reader, number: int, text: str, base: Alternative | None = None) -> Alternative:
    register = base.register if base else None
    parenthetical = base.parenthetical if base else None
    extension = base.extension if base else None
    if text.startswith("~"):
        word, _, text = text[1:].partition(" ")
        if word not in REGISTERS:
            raise reader.fail(number, f"unknown voice ~{word}; use one of {', '.join(REGISTERS)}")
        register = word
    if match := re.match(r"^\(([^()]*)\)\s+(.+)$", text):
        parenthetical, text = match.groups()
    if not text.strip():
        raise reader.fail(number, "an empty line of script")
    return Alternative(text.strip(), register, parenthetical, extension)


def _turns(reader: _Reader, body: Sequence[tuple[int, str]]) -> Lines:
    turns: list[Turn] = []
    for number, line in body:
        if line.startswith("/"):
            if not turns:
                raise reader.fail(number, "'/' gives an alternative of the line above, but there is none")
            last = turns[-1]
            text = line[1:].strip()
            if last.spoken and (match := _SAY.match(text)) and match.group(1) == last.who:
                text = match.group(4)
            elif not last.spoken and text.startswith("* "):
                text = text[2:]
            base = replace(last.options[0], register=None)
            turns[-1] = replace(last, options=(*last.options, _option(reader, number, text, base)))
        elif line.startswith("*"):
            turns.append(Turn(None, (_option(reader, number, line[1:].strip()),), number))
        elif match := _SAY.match(line):
            who, parenthetical, extension, text = match.groups()
            option = _option(reader, number, text)
            if parenthetical or extension:
                option = replace(
                    option, parenthetical=parenthetical or option.parenthetical, extension=extension
                )
            turns.append(Turn(who, (option,), number))
        else:
            raise reader.fail(
                number, f"expected '* action', 'name: speech' or '/ alternative', found {line[:50]!r}"
            )
    return tuple(turns)


def _tension(reader: _Reader, number: int, text: str) -> tuple[float, float]:
    if not text:
        return (2.0, 8.0)
    low, _, high = text.partition("-")
    try:
        return (float(low), float(high or low))
    except ValueError:
        raise reader.fail(number, f"tension is two numbers like 4-7, not {text!r}") from None


def _scene(reader: _Reader, name: str, number: int, body: list[tuple[int, str]]) -> SceneScript:  # noqa: C901 - a small state machine, kept in one place
    head = _head(reader, "scene", body)
    for key in ("who", "kind", "gist"):
        if not head.get(key):
            raise reader.fail(number, f"scene {name} has no '{key}:'")
    if head["kind"] not in KINDS:
        raise reader.fail(number, f"scene {name}: kind {head['kind']!r} is not one of {', '.join(KINDS)}")
    beats: list[BeatScript] = []
    current: list[tuple[int, str]] = []
    opened: tuple[int, str, str, str] | None = None
    joined = False

    def close() -> None:
        if opened is None:
            return
        at, mark, kind, rest = opened
        lines = _turns(reader, current)
        if not lines:
            raise reader.fail(at, f"scene {name}: the beat '{kind}' is empty")
        if joined:
            beats[-1] = replace(beats[-1], variants=(*beats[-1].variants, lines))
            return
        needs: tuple[str, ...] = ()
        if match := re.search(r"\bneeds\s*[=:]\s*(.+)$", rest):
            needs, rest = split(match.group(1)), rest[: match.start()].strip()
        words = rest.split()
        beats.append(
            BeatScript(
                kind=kind,
                optional=mark == "?",
                argument=" ".join(w for w in words if w != "inverted"),
                inverted="inverted" in words,
                needs=needs,
                variants=(lines,),
                number=at,
            )
        )

    for at, line in body:
        match = _BEAT.match(line)
        if not match:
            if opened is None:
                raise reader.fail(
                    at, f"scene {name}: expected '-- open' or another beat, found {line[:50]!r}"
                )
            current.append((at, line))
            continue
        close()
        current.clear()
        mark, kind, rest = match.groups()
        if kind == "or":
            if opened is None:
                raise reader.fail(at, f"scene {name}: '-- or' has no beat before it")
            joined = True
            opened = (at, opened[1], opened[2], "")
            continue
        joined = False
        if mark == "?" and kind not in OPTIONAL:
            raise reader.fail(
                at, f"scene {name}: unknown optional beat ?{kind}; use one of {', '.join(OPTIONAL)}"
            )
        if mark != "?" and kind not in REQUIRED:
            raise reader.fail(at, f"scene {name}: unknown beat {kind}; use {', '.join(REQUIRED)} or ?{kind}")
        opened = (at, mark, kind, rest)
    close()
    if not beats:
        raise reader.fail(number, f"scene {name} has no beats")
    return SceneScript(
        id=name,
        source=reader.source,
        number=number,
        head=head,
        beats=tuple(beats),
        who=split(head["who"]),
        kind=head["kind"],
        fact=head.get("fact", ""),
        places=split(head.get("place", "any")),
        needs=split(head.get("needs", "")),
        gives=split(head.get("gives", "")),
        tension=_tension(reader, number, head.get("tension", "")),
    )


def _hook(reader: _Reader, name: str, number: int, body: list[tuple[int, str]]) -> HookScript:
    head = _head(reader, "hook", body)
    lines = _turns(reader, body)
    if not lines:
        raise reader.fail(number, f"hook {name} is empty")
    return HookScript(
        name,
        reader.source,
        number,
        split(head.get("place", "any")),
        split(head.get("needs", "")),
        head.get("genre", ""),
        lines,
    )


def _ending(reader: _Reader, name: str, number: int, body: list[tuple[int, str]]) -> EndingScript:
    head = _head(reader, "ending", body)
    cliff: list[tuple[int, str]] = []
    question = ""
    while body and not body[0][1].startswith("?"):
        cliff.append(body.pop(0))
    if not body:
        raise reader.fail(number, f"ending {name} has no question ('? ...')")
    question = body.pop(0)[1][1:].strip()
    choices: list[ChoiceScript] = []
    while body:
        at, line = body.pop(0)
        match = _CHOICE.match(line)
        if not match:
            raise reader.fail(at, f"ending {name}: expected 'a: label', found {line[:50]!r}")
        letter, label = match.groups()
        keys: dict[str, str] = {}
        script: list[tuple[int, str]] = []
        while body and not _CHOICE.match(body[0][1]):
            here, text = body[0]
            found = _KEY.match(text)
            if found and found.group(1) in ("cost", "image", "gives", "did", "next") and not script:
                keys[found.group(1)] = found.group(2)
            else:
                script.append((here, text))
            body.pop(0)
        for key in ("cost", "did", "next"):
            if not keys.get(key):
                raise reader.fail(at, f"ending {name}, choice {letter}: no '{key}:'")
        target = split(keys["next"])
        if len(target) < 3 or target[1] not in TIMES:
            raise reader.fail(
                at, f"ending {name}, choice {letter}: 'next:' wants place, time ({'/'.join(TIMES)}), people"
            )
        choices.append(
            ChoiceScript(
                letter, label, keys["cost"], keys.get("image", ""), keys["did"], split(keys.get("gives", "")),
                target[0], target[1], target[2:], _turns(reader, script), at,
            )
        )  # fmt: skip
    if [c.id for c in choices] != ["a", "b", "c"]:
        raise reader.fail(number, f"ending {name} needs the choices a, b and c, in this order")
    return EndingScript(
        id=name,
        source=reader.source,
        number=number,
        head=head,
        fact=head.get("fact", "any"),
        who=split(head.get("who", "")),
        needs=split(head.get("needs", "")),
        turns=split(head.get("turns", "")),
        places=split(head.get("place", "any")),
        lines=_turns(reader, cliff),
        question=question,
        choices=tuple(choices),
    )
