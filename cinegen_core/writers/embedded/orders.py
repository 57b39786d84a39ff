"""What the engines asked for, as the scribe can carry it out: which optional beats are wanted in which scene."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Wish:
    """An optional beat that some engine wants. Higher `worth` is granted first when time is short."""

    scene: int
    beat: str
    worth: float
    argument: str = ""
    inverted: bool = False


@dataclass(frozen=True)
class Touch:
    """A small thing begun in scene `early` and answered in scene `late`; its lines are in the library's `section` under `name`."""

    section: str
    name: str
    early: int
    late: int


@dataclass(frozen=True)
class Orders:
    """Nothing ordered is what a single pass writes with."""

    wishes: tuple[Wish, ...] = ()
    hook: bool = False
    cliff: bool = False
    consequence: bool = False
    anchored_choices: bool = False
    voices: bool = False
    contractions: bool = False
    presses: dict[int, int] = field(default_factory=dict)
    senses: tuple[int, ...] = ()
    background: tuple[int, ...] = ()
    motif: str = ""
    words: int | None = None
    rising: bool = False
    conflict: bool = False
    stakes: frozenset[int] = frozenset()
    twists: bool = False
    evidence: bool = False
    dread: bool = False
    closeness: bool = False
    terms: frozenset[str] = frozenset()
    fast: int | None = None
    slow: int | None = None
    touches: tuple[Touch, ...] = ()

    def wants(self, scene: int, beat: str) -> Wish | None:
        return next((w for w in self.wishes if w.scene == scene and w.beat == beat), None)
