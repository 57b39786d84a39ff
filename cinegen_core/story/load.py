"""Bibles and states from files and texts, and the sample series that come with the studio."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cinegen_core.story.bible import StoryBible
from cinegen_core.story.episode import Episode
from cinegen_core.story.errors import KeyPath, Problem, StoryError, shorten, spell
from cinegen_core.story.source import SUFFIXES, Format, Source, fail, parse, read_text, sniff
from cinegen_core.story.state import StoryState
from cinegen_core.story.wording import context_of, known, reword, spellings

_EXAMPLES = {
    "title": "Write the name of the series: `title: Slack Water`.",
    "premise": "Write what the series is about in a sentence: `premise: ...`.",
    "characters": "List two people or more, each with a `name` and a `want`.",
    "name": "Give a name: `name: Marit Sørli`.",
}


def load_bible(source: str | Path, format: Format | None = None, *, name: str | None = None) -> StoryBible:
    """A bible from a file's path or from text, in YAML, JSON (ours or the guide's) or TOML.

    A `Path`, or a single line that looks like a file's name, is read from disk; any other `str` is the text
    itself. `format` defaults to what the file's ending says, else to what the text looks like. `name` stands
    for the source in messages. Raises `StoryError` with everything that is wrong.
    """
    if isinstance(source, Path) or _names_a_file(source):
        path = Path(source)
        text = read_text(path)
        name = name or str(path)
        format = format or SUFFIXES.get(path.suffix.casefold())
    else:
        text = source
    return bible_from_text(text, format, name=name or "the bible")


def bible_from_text(text: str, format: Format | None = None, *, name: str = "the bible") -> StoryBible:
    """A bible from text alone, which is never taken for a file's name: for what strangers send.

    Raises `StoryError` as `load_bible` does.
    """
    return bible_from(parse(text, format or sniff(text), name))


def _names_a_file(text: str) -> bool:
    line = text.strip()
    if "\n" in text or not line or len(line) > 1000:
        return False
    if line[0] in "{[" or re.match(r"""["']?[\w.\- ]+["']?\s*(:\s|=)""", line):
        return False
    return Path(line).suffix.casefold() in SUFFIXES or "/" in line or " " not in line


def bible_from(source: Source) -> StoryBible:
    """The bible that a parsed file holds. Raises `StoryError`."""
    if not isinstance(source.data, dict):
        fail(
            source.file,
            "a bible is a block of keys, this is " + _kind(source.data),
            "Start with `title: ...` and `premise: ...`.",
            1,
        )
    reworded = reword(source.data)
    problems = [
        Problem(
            source.file,
            source.line(second),
            spell(second),
            f"says the same as {spell(first)}",
            "Keep one of the two.",
        )
        for first, second in reworded.clashes
    ]
    try:
        bible = StoryBible.model_validate(reworded.data)
    except ValidationError as error:
        problems += explain(error, source, reworded.data, given=reworded.given, bible=True)
    if problems:
        raise StoryError(sorted(problems, key=lambda problem: problem.line or 0))
    return bible


def load_state(path: str | Path) -> StoryState:
    """The state in a JSON file: a state, an episode (its `state` is taken) or a saved generation.

    Raises `StoryError`.
    """
    file = str(path)
    source = parse(read_text(Path(path)), "json", file)
    data: Any = source.data
    at: KeyPath = ()
    for key in ("generation", "episode", "state"):
        if isinstance(data, dict) and isinstance(data.get(key), dict):
            data, at = data[key], (*at, key)
    if not isinstance(data, dict) or "series" not in data:
        fail(
            file,
            "this is neither a story state nor an episode",
            "Give a JSON file that `cinegen write` made.",
            1,
        )
    try:
        return StoryState.model_validate(data)
    except ValidationError as error:
        raise StoryError(explain(error, source, data, given=lambda path: (*at, *path))) from error


def episode_from_json(text: str, *, name: str = "the episode") -> Episode:
    """The episode that `to_json` wrote. Raises `StoryError`."""
    source = parse(text, "json", name)
    try:
        return Episode.model_validate(source.data)
    except ValidationError as error:
        raise StoryError(explain(error, source, source.data, given=lambda path: path)) from error


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    kinds: tuple[tuple[type, str], ...] = (
        (bool, "true or false"),
        (dict, "a block of keys"),
        (list, "a list"),
        (str, "text"),
        (int, "a number"),
        (float, "a number"),
    )
    return next((words for kind, words in kinds if isinstance(value, kind)), "something else")


def explain(
    error: ValidationError,
    source: Source,
    data: Any,
    *,
    given: Callable[[KeyPath], KeyPath],
    bible: bool = False,
) -> list[Problem]:
    """What validation found, in words, with places. `given` leads from our paths to those in the file."""
    problems: list[Problem] = []
    for found in error.errors(include_url=False):
        path = _existing(tuple(found["loc"]), data, found["type"])
        if bible and not path and found["type"] == "value_error":
            problems += _about_people(data, source, given, str(found["msg"]).removeprefix("Value error, "))
            continue
        given_list = found["input"] if isinstance(found["input"], list) else []
        if found["type"] == "too_short" and len(given_list) >= found["ctx"]["min_length"]:
            continue  # entries that failed were not counted; each has its own problem
        what, fix = _words(found, path, bible=bible)
        place = given(path)
        problems.append(Problem(source.file, source.line(place), spell(place), what, fix))
    return problems


def _existing(path: KeyPath, data: Any, kind: str) -> KeyPath:
    """The path without what validation adds to it: the tags of unions, and marks for keys."""
    kept: list[str | int] = []
    for index, part in enumerate(path):
        last = index == len(path) - 1
        if isinstance(data, Mapping) and part in data:  # noqa: SIM114 (one line would be too long)
            data = data[part]
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        elif not (last and kind == "missing"):
            continue
        kept.append(part)
    return tuple(kept)


def _words(found: Any, path: KeyPath, *, bible: bool) -> tuple[str, str]:
    kind, context, value = found["type"], found.get("ctx", {}), found.get("input")
    last = str(path[-1]) if path else ""
    block = context_of(path[:-1]) if bible else None
    if kind == "missing":
        return "is missing", _EXAMPLES.get(last, f"Add `{last}`.")
    if kind == "extra_forbidden":
        return "is not a key that is known here", _nearest(last, block)
    if kind == "string_type":
        return (
            f"should be text, but is {_kind(value)}",
            "Write one text; put it in quotes if it looks like something else.",
        )
    if kind == "string_too_short" or (kind == "too_short" and isinstance(value, str)):
        return "is empty", _EXAMPLES.get(last, "Write it, or leave the key out.")
    if kind == "string_too_long" or (kind == "too_long" and isinstance(value, str)):
        return (
            f"is longer than {context.get('max_length')} characters",
            "Shorten it; details have keys of their own.",
        )
    if kind == "too_short":
        return f"has {context.get('actual_length')} of at least {context.get('min_length')}", _EXAMPLES.get(
            last, "Add some."
        )
    if kind == "too_long":
        return f"has more than {context.get('max_length')} entries", "Keep those that matter most."
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        inside = context_of(path) if bible else None
        keys = f"Its keys are {', '.join(known(inside))}." if inside else "Write `key: value` lines under it."
        return f"should be a block of keys, but is {_kind(value)}", keys
    if kind in ("tuple_type", "list_type"):
        return (
            f"should be a list, but is {_kind(value)}",
            "Write one entry per line, each after a hyphen, or [one, two].",
        )
    if kind.startswith("bool_"):
        return f"should be true or false, but is {shorten(str(value))!r}", "Write true or false."
    if kind == "value_error":
        return str(found["msg"]).removeprefix("Value error, "), ""
    message = str(found["msg"])
    return f"{message[:1].lower()}{message[1:]}", ""


def _nearest(key: str, block: str | None) -> str:
    if block is None:
        return "Leave it out."
    near = difflib.get_close_matches(key[:60], spellings(block), n=1, cutoff=0.6)
    if near:
        return f"Did you mean `{near[0]}`?"
    return f"Known keys: {', '.join(known(block))}."


def _about_people(
    data: Mapping[str, Any], source: Source, given: Callable[[KeyPath], KeyPath], message: str
) -> list[Problem]:
    """The two things that hold of the people together: names that differ, and two who want something."""
    people = data["characters"]
    seen: dict[str, int] = {}
    for index, person in enumerate(people):
        key = str(person.get("name", "")).strip().casefold()
        if key in seen:
            place = given(("characters", index, "name"))
            return [Problem(source.file, source.line(place), spell(place), message, "")]
        seen[key] = index
    without = [index for index, person in enumerate(people) if not str(person.get("want") or "").strip()]
    return [
        Problem(
            source.file,
            source.line(place),
            spell((*place, "want")),
            f"is missing; {message}",
            f"Write what {shorten(str(people[index].get('name')))} is after: `want: ...`.",
        )
        for index in without
        for place in (given(("characters", index)),)
    ]


def sample_names() -> tuple[str, ...]:
    """The sample series that come with the studio, in alphabetical order."""
    return tuple(
        sorted(entry.name for entry in _samples().iterdir() if entry.joinpath("bible.yaml").is_file())
    )


def load_sample(name: str) -> StoryBible:
    """A sample series by its name, with the cards written for it. Raises `StoryError` for an unknown name."""
    names = sample_names()
    if name not in names:
        near = difflib.get_close_matches(name[:60], names, n=1, cutoff=0.5)
        fix = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(names)}."
        fail(shorten(name), "there is no sample of this name", fix)
    folder = _samples().joinpath(name)
    bible = bible_from(_parsed(folder.joinpath("bible.yaml"), f"{name}/bible.yaml"))
    if not folder.joinpath("cards.yaml").is_file():
        return bible
    cards = _parsed(folder.joinpath("cards.yaml"), f"{name}/cards.yaml").data
    if not isinstance(cards, dict):
        fail(
            f"{name}/cards.yaml",
            "cards are a block of keys, this is " + _kind(cards),
            "See the embedded writer's FORMAT.md.",
        )
    texts = {name: _joined(folder, name) for name in ("scenes", "hooks", "endings")}
    return bible.model_copy(update={"cards": {**cards, **texts}})


def _samples() -> Traversable:
    return resources.files("cinegen_core.story").joinpath("samples")


def _parsed(file: Traversable, name: str) -> Source:
    return parse(file.read_text(encoding="utf-8"), "yaml", name)


def _joined(folder: Traversable, start: str) -> str:
    files = sorted(
        (entry for entry in folder.iterdir() if re.fullmatch(rf"{start}.*\.txt", entry.name)),
        key=lambda entry: entry.name,
    )
    return "\n".join(file.read_text(encoding="utf-8") for file in files)
