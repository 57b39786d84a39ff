"""What is different between two versions of an episode: by scene, by element, and inside a line by words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import Annotated, Any, Literal

from pydantic import Field

from cinegen_core.story.episode import Element, Episode, Scene
from cinegen_core.story.model import Noun

Kind = Literal["kept", "changed", "added", "removed"]

ALIKE = 0.34
"""Two lines of one kind that share at least this much of their words (`difflib`'s ratio) count as one line, changed."""

MOST_WORDS = 2000
"""A line longer than this is compared as a whole."""

Number = Annotated[int, Field(ge=1)]


class Words(Noun):
    """A run of words with the blanks between them. Kept and removed runs together are the text before; kept and added, after."""

    kind: Literal["kept", "added", "removed"]
    text: str


class FieldDifference(Noun):
    """One of the episode's own fields (`title`, `choices`, `state`). `before` and `after` are plain JSON, None where it was kept."""

    of: Literal["field"] = "field"
    kind: Literal["kept", "changed"]
    name: str
    before: Any = None
    after: Any = None
    words: tuple[Words, ...] = ()


class Heading(Noun):
    """A scene without its elements."""

    slugline: str
    seconds: Annotated[int, Field(ge=0)]


class SceneDifference(Noun):
    """A scene's heading; its elements follow. `was` and `now` are its numbers from 1, None where it is not there."""

    of: Literal["scene"] = "scene"
    kind: Kind
    was: Number | None = None
    now: Number | None = None
    before: Heading | None = None
    after: Heading | None = None


class ElementDifference(Noun):
    """A line of the scene named last. `was` and `now` count from 1 in the scene as it was and as it is.

    `words` are those of a changed line's text; that its speaker or parenthetical changed is to be seen in `before` and `after`.
    """

    of: Literal["element"] = "element"
    kind: Kind
    was: Number | None = None
    now: Number | None = None
    before: Element | None = None
    after: Element | None = None
    words: tuple[Words, ...] = ()


Difference = Annotated[FieldDifference | SceneDifference | ElementDifference, Field(discriminator="of")]


def diff(before: Episode, after: Episode) -> tuple[Difference, ...]:
    """Everything about both versions: the episode's fields, then scene by scene its heading and its elements, in the
    order of `after`, with what was removed where it stood. Of equal episodes, everything is kept."""
    found: list[Difference] = list(_fields(before, after))
    for was, now in _paired_scenes(before.scenes, after.scenes):
        found.append(_heading(before, after, was, now))
        old = before.scenes[was].elements if was is not None else ()
        new = after.scenes[now].elements if now is not None else ()
        found += _elements(old, new)
    return tuple(found)


def applied(before: Episode, differences: Sequence[Difference]) -> Episode:
    """The later version: `applied(a, diff(a, b)) == b`. Raises `ValueError` for differences from another episode."""
    fields: dict[str, Any] = {}
    scenes: list[tuple[Heading, list[Element]]] = []
    standing: Scene | None = None
    for one in differences:
        if isinstance(one, FieldDifference):
            fields[one.name] = one.after if one.kind == "changed" else getattr(before, one.name)
        elif isinstance(one, SceneDifference):
            standing = _standing(before, one)
            if one.after is not None:
                scenes.append((one.after, []))
        elif one.kind != "removed":
            element = _kept(standing, one) if one.kind == "kept" else one.after
            if element is None or not scenes:
                raise ValueError("these differences belong to another episode")
            scenes[-1][1].append(element)
    written = tuple(
        Scene(slugline=heading.slugline, seconds=heading.seconds, elements=tuple(rows))
        for heading, rows in scenes
    )
    return Episode.model_validate({**fields, "scenes": written})


def _standing(before: Episode, one: SceneDifference) -> Scene | None:
    if one.was is None:
        return None
    if one.was > len(before.scenes):
        raise ValueError("these differences belong to another episode")
    return before.scenes[one.was - 1]


def _kept(scene: Scene | None, one: ElementDifference) -> Element | None:
    if scene is None or one.was is None or one.was > len(scene.elements):
        return None
    element = scene.elements[one.was - 1]
    return element if element == one.before else None


def words_between(before: str, after: str) -> tuple[Words, ...]:
    """The runs of words that two texts share, and those that only one of them has, in reading order."""
    old, new = _tokens(before), _tokens(after)
    if max(len(old), len(new)) > MOST_WORDS:
        old, new = [before], [after]
    runs: list[Words] = []
    for tag, i, j, k, m in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            runs.append(Words(kind="kept", text="".join(old[i:j])))
            continue
        if i < j:
            runs.append(Words(kind="removed", text="".join(old[i:j])))
        if k < m:
            runs.append(Words(kind="added", text="".join(new[k:m])))
    return tuple(runs)


def _tokens(text: str) -> list[str]:
    return re.findall(r"\s+|\S+", text)


def _fields(before: Episode, after: Episode) -> Iterator[FieldDifference]:
    for name in Episode.model_fields:
        if name == "scenes":
            continue
        old, new = getattr(before, name), getattr(after, name)
        if old == new:
            yield FieldDifference(kind="kept", name=name)
            continue
        texts = isinstance(old, str) and isinstance(new, str)
        yield FieldDifference(
            kind="changed",
            name=name,
            before=before.model_dump(mode="json", include={name})[name],
            after=after.model_dump(mode="json", include={name})[name],
            words=words_between(old, new) if texts else (),
        )


def _paired_scenes(
    before: Sequence[Scene], after: Sequence[Scene]
) -> Iterator[tuple[int | None, int | None]]:
    """Which scene became which: those that are the same, and between them in order."""
    matcher: SequenceMatcher[Scene] = SequenceMatcher(None, before, after, autojunk=False)
    for _, i, j, k, m in matcher.get_opcodes():
        for step in range(max(j - i, m - k)):
            yield (i + step if i + step < j else None, k + step if k + step < m else None)


def _heading(before: Episode, after: Episode, was: int | None, now: int | None) -> SceneDifference:
    old = _as_heading(before.scenes[was]) if was is not None else None
    new = _as_heading(after.scenes[now]) if now is not None else None
    kind: Kind = "added" if old is None else "removed" if new is None else "kept" if old == new else "changed"
    return SceneDifference(
        kind=kind,
        was=None if was is None else was + 1,
        now=None if now is None else now + 1,
        before=old,
        after=new,
    )


def _as_heading(scene: Scene) -> Heading:
    return Heading(slugline=scene.slugline, seconds=scene.seconds)


def _elements(old: Sequence[Element], new: Sequence[Element]) -> Iterator[ElementDifference]:
    matcher: SequenceMatcher[Element] = SequenceMatcher(None, old, new, autojunk=False)
    for tag, i, j, k, m in matcher.get_opcodes():
        if tag == "equal":
            for step in range(j - i):
                was, now = i + step, k + step
                yield ElementDifference(
                    kind="kept", was=was + 1, now=now + 1, before=old[was], after=new[now]
                )
            continue
        yield from _replaced(old, new, range(i, j), range(k, m))


def _replaced(
    old: Sequence[Element], new: Sequence[Element], gone: range, come: range
) -> Iterator[ElementDifference]:
    """Lines that took the place of others: those that are much alike as changed, the rest as removed and added.

    One line for one line of its kind is that line changed, however it reads now.
    """
    least = 0.0 if len(gone) == len(come) == 1 and old[gone[0]].kind == new[come[0]].kind else ALIKE
    start = come.start
    for was in gone:
        likeness = {now: _alike(old[was], new[now]) for now in range(start, come.stop)}
        now = max(likeness, key=lambda index: likeness[index], default=start)
        if likeness.get(now, -1.0) < least:
            yield ElementDifference(kind="removed", was=was + 1, before=old[was])
            continue
        yield from (_added(new, index) for index in range(start, now))
        yield ElementDifference(
            kind="changed",
            was=was + 1,
            now=now + 1,
            before=old[was],
            after=new[now],
            words=words_between(old[was].text, new[now].text),
        )
        start = now + 1
    yield from (_added(new, index) for index in range(start, come.stop))


def _added(new: Sequence[Element], index: int) -> ElementDifference:
    return ElementDifference(kind="added", now=index + 1, after=new[index])


def _alike(left: Element, right: Element) -> float:
    if left.kind != right.kind:
        return 0.0
    if left.text == right.text:
        return 1.0
    old, new = left.text.split()[:MOST_WORDS], right.text.split()[:MOST_WORDS]
    return SequenceMatcher(None, old, new, autojunk=False).ratio()
