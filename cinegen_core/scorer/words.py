"""The scorer's word lists: readable files beside this one, checked as they are loaded."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from cinegen_core.story.words import stem


class WordListError(ValueError):
    """A list is empty or has an entry that is no word. The message names the file and the entry."""


@dataclass(frozen=True)
class Genre:
    """What a genre promises. `groups` are signs by name, as stems; see genres.toml."""

    name: str
    named: tuple[str, ...]
    groups: Mapping[str, frozenset[str]]
    given_away: frozenset[str]
    given_away_phrases: re.Pattern[str] | None
    foreign: frozenset[str]


def base(word: str) -> str:
    """A word as the scorer compares it: its stem without a last e, so that a page and its pages are one thing."""
    found = stem(word)
    return found[:-1] if found.endswith("e") and len(found) > 3 else found


def _text(name: str) -> str:
    return (files("cinegen_core.scorer") / name).read_text(encoding="utf-8")


def _rows(name: str) -> list[str]:
    rows = [line.strip() for line in _text(f"words/{name}.txt").splitlines()]
    kept = [row for row in rows if row and not row.startswith("#")]
    if not kept:
        raise WordListError(f"words/{name}.txt: no word stands in this list")
    return kept


@cache
def words(name: str) -> frozenset[str]:
    """The words of a list, as written. Raises `WordListError`."""
    found = [word for row in _rows(name) for word in row.split()]
    for word in found:
        if not re.fullmatch(r"[a-z][a-z'-]*", word):
            raise WordListError(f"words/{name}.txt: {word!r} is not a word in small letters")
    return frozenset(found)


@cache
def stems(name: str) -> frozenset[str]:
    """The words of a list as stems."""
    return frozenset(base(word) for word in words(name))


@cache
def phrases(name: str) -> re.Pattern[str]:
    """One pattern that finds any phrase of a list in folded text; a single word counts only as a whole sentence."""
    rows = _rows(name)
    single = "|".join(sorted(map(re.escape, (r for r in rows if " " not in r)), key=len, reverse=True))
    longer = "|".join(sorted(map(re.escape, (r for r in rows if " " in r)), key=len, reverse=True))
    alone = rf"|(?:^|(?<=[.?!] ))(?:{single})(?=[.?!]|$)" if single else ""
    return re.compile(rf"\b(?:{longer})\b{alone}")


@cache
def first_years() -> Mapping[str, int]:
    """For things of modern times, the year before which they would be out of place."""
    years: dict[str, int] = {}
    for row in _rows("modern"):
        year, *found = row.split()
        if not year.isdigit():
            raise WordListError(f"words/modern.txt: {row!r} does not begin with a year")
        for word in found:
            years.setdefault(base(word), int(year))
    return years


@cache
def genres() -> tuple[Genre, ...]:
    """Every genre that is told apart. Raises `WordListError` where one has no groups."""
    found: list[Genre] = []
    for name, table in tomllib.loads(_text("genres.toml")).items():
        groups = {
            key: frozenset(base(word) for word in value.split())
            for key, value in table.items()
            if key not in ("named", "given_away", "given_away_phrases", "foreign")
        }
        if not groups or not table.get("named"):
            raise WordListError(f"genres.toml: [{name}] needs `named` and at least one group of signs")
        found.append(
            Genre(
                name=name,
                named=tuple(table["named"]),
                groups=groups,
                given_away=frozenset(base(word) for word in table.get("given_away", "").split()),
                given_away_phrases=re.compile(rf"\b(?:{'|'.join(table['given_away_phrases'])})\b")
                if "given_away_phrases" in table
                else None,
                foreign=frozenset(base(word) for word in table.get("foreign", "").split()),
            )
        )
    return tuple(found)
