"""Reading a script as a script editor does: what engines need to judge it, whoever wrote it.

Pure functions on episodes and scenes. Words are compared folded and without endings, so that "keys" meets "key".
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Sequence

from cinegen_core.engines.base import Line
from cinegen_core.story import Action, Dialogue, Element, Episode, Scene, StoryBible
from cinegen_core.story.words import content_words, stem

_CONTRACTION = re.compile(
    r"\b\w+(?:n['’]t|['’](?:m|re|ve|ll|d))\b|\b(?:it|that|what|who|there|here|he|she|where|how)['’]s\b",
    re.IGNORECASE,
)
_FULL_FORM = re.compile(
    r"\b(?:(?:do|does|did|is|are|was|were|have|has|had|could|would|should|will) not|cannot|I am|I have|I will|I would|you are|you have|it is|that is|"
    r"there is|he is|she is|they are|we are|we have)\b",
    re.IGNORECASE,
)
_BLOCK = re.compile(
    r"\b(no|not|never|cannot|nobody|none|nothing|neither|nor|refuse)\b|n['’]t\b|\?", re.IGNORECASE
)
_DEMAND = re.compile(
    r"\?|\b(tell|give|show|say|sign|want|need|let|put|open|read|swear|promise|ask|stop|bring|hand|come|stay|go|wait|look|listen|think|take|leave)\b",
    re.IGNORECASE,
)
_STAKE = re.compile(
    r"\b(los\w+|lost|cost\w*|clos\w+|finish\w*|ruin\w*|end of|out of (a|the)|never (again|work|see)|prison|shut|take (it|everything) away|everything|every(one|body) "
    r"will|pay for|gone for good|sack\w*|struck|fined|dead|die\w*|owe\w*|worth|price|last chance|too late|by (tomorrow|morning|noon|midnight|monday))\b"
    r"|\bif\b.*\b(?:I|you|he|she|they|we|it|that|nobody|everybody|somebody)\b(?:['’](?:ll|d)| will| would| could| can)",
    re.IGNORECASE,
)


def head_noun(phrase: str) -> str:
    """The word that a phrase is about: "a mug that says BOSS" -> "mug"."""
    words = re.findall(r"[A-Za-z][\w'’-]*", head_phrase(phrase))
    return stem(words[-1]) if words else ""


def head_phrase(phrase: str) -> str:
    """A phrase up to what is said of its noun: "the dial on the wall" -> "the dial"."""
    return re.split(r"\b(?:that|which|who|of|with|in|on|from|for|at)\b", phrase, maxsplit=1)[0]


def mentions(text: str, noun: str) -> bool:
    return bool(noun) and any(stem(w) == noun for w in re.findall(r"[A-Za-z][\w'’-]*", text))


def lines(episode: Episode, scene: int | None = None) -> Iterator[tuple[Line, Element]]:
    """Every line with its place; `scene` counts from 1."""
    for number, part in enumerate(episode.scenes, 1):
        if scene is not None and number != scene:
            continue
        for index, element in enumerate(part.elements, 1):
            yield Line(scene=number, line=index, text=element.text), element


def scene_of(episode: Episode, number: int) -> Scene | None:
    return episode.scenes[number - 1] if 1 <= number <= len(episode.scenes) else None


def cues(scene: Scene) -> list[Dialogue]:
    return [e for e in scene.elements if isinstance(e, Dialogue)]


def scene_text(scene: Scene, *, spoken: bool = True, action: bool = True) -> str:
    return "\n".join(
        e.text
        for e in scene.elements
        if (spoken and isinstance(e, Dialogue)) or (action and isinstance(e, Action))
    )


def mean_speech(scene: Scene) -> float:
    """Words per speech; 0 where nobody speaks."""
    spoken = cues(scene)
    return sum(len(e.text.split()) for e in spoken) / len(spoken) if spoken else 0.0


def contraction_rate(speeches: Iterable[str]) -> float | None:
    """Contractions among the places where one could stand, 0..1; None where there is no such place."""
    text = "\n".join(speeches)
    short, full = len(_CONTRACTION.findall(text)), len(_FULL_FORM.findall(text))
    return short / (short + full) if short + full else None


def distinctness(speeches: dict[str, list[str]]) -> float:
    """How far apart people's ways of speaking are, 0 and up: the spread between speakers, over those with four speeches or more,
    of speech length, contractions, questions, commas and first words, each in units that make 1 a plain difference."""
    rows: list[tuple[float, ...]] = []
    for said in speeches.values():
        if len(said) < 4:
            continue
        text = "\n".join(said)
        words = max(1, len(text.split()))
        rows.append(
            (
                words / len(said) / 4,
                3 * len(_CONTRACTION.findall(text)) / len(said),
                2 * text.count("?") / len(said),
                10 * text.count(",") / words,
                20
                * len(
                    re.findall(
                        r"\b(well|oh|yeah|aye|right|listen|look|no|please|perhaps|quite|honestly|now)\b",
                        text,
                        re.IGNORECASE,
                    )
                )
                / words,
                2 * text.count("!") / len(said),
            )
        )
    if len(rows) < 2:
        return 0.0
    spread = [float(max(column) - min(column)) for column in zip(*rows, strict=True)]
    return sum(spread) / len(spread)


def interruptions(episode: Episode, scene: int) -> list[Line]:
    """Speeches broken off with a dash and answered at once by somebody else."""
    found = []
    rows = list(lines(episode, scene))
    for (line, element), (after, following) in itertools.pairwise(rows):
        if (
            isinstance(element, Dialogue)
            and isinstance(following, Dialogue)
            and following.speaker != element.speaker
            and re.search(r"(--|—|–)\s*[\"”']?$", element.text)
        ):
            found += [line, after]
    return found


def answered_questions(episode: Episode, scene: int, holder: str) -> list[Line]:
    """Questions to `holder` that come back as a question, or are turned aside without a word of the answer."""
    found = []
    spoken = [(line, e) for line, e in lines(episode, scene) if isinstance(e, Dialogue)]
    for (line, asked), (after, answer) in itertools.pairwise(spoken):
        if (
            asked.text.rstrip('"”').endswith("?")
            and answer.speaker == holder != asked.speaker
            and "?" in answer.text
        ):
            found += [line, after]
    return found


def is_round(asked: str, answered: str) -> bool:
    """Whether one speech wants something and the next one blocks it."""
    return bool(_DEMAND.search(asked) and _BLOCK.search(answered))


def says_stake(text: str) -> bool:
    """Whether a speech says what will be lost."""
    return bool(_STAKE.search(text))


def rounds(episode: Episode, scene: int, holder: str, opponent: str) -> list[Line]:
    """Turns in which `holder` wants something and `opponent` blocks it in the next speech; two lines each."""
    found = []
    spoken = [(line, e) for line, e in lines(episode, scene) if isinstance(e, Dialogue)]
    for (line, asked), (after, answer) in itertools.pairwise(spoken):
        if asked.speaker == holder and answer.speaker == opponent and is_round(asked.text, answer.text):
            found += [line, after]
    return found


def stakes(episode: Episode, scene: int) -> list[Line]:
    """Speeches that say what will be lost."""
    return [line for line, e in lines(episode, scene) if isinstance(e, Dialogue) and _STAKE.search(e.text)]


def tension(scene: Scene) -> float:
    """How tense a scene reads, 0..1: questions, refusals, broken-off and very short speeches, stakes, per cue."""
    spoken = cues(scene)
    if not spoken:
        return 0.15
    total = 0.0
    for e in spoken:
        total += 0.25 * ("?" in e.text)
        total += 0.25 * bool(re.search(r"\b(no|not|never)\b|n['’]t\b", e.text, re.IGNORECASE))
        total += 0.3 * bool(re.search(r"(--|—)", e.text))
        total += 0.2 * (len(e.text.split()) <= 4)
        total += 0.35 * bool(_STAKE.search(e.text))
    return min(1.0, total / len(spoken) * (0.7 + min(1.0, len(spoken) / 20) * 0.3))


def rank_correlation(left: Sequence[float], right: Sequence[float]) -> float:
    """Spearman's rho with mean ranks for ties; 0 where one side does not vary."""
    n = len(left)
    if n < 2:
        return 0.0

    def ranks(values: Sequence[float]) -> list[float]:
        return [sum(v < x for v in values) + (sum(v == x for v in values) + 1) / 2 for x in values]

    a, b = ranks(left), ranks(right)
    mean = (n + 1) / 2
    cov = sum((x - mean) * (y - mean) for x, y in zip(a, b, strict=True))
    va, vb = sum((x - mean) ** 2 for x in a), sum((y - mean) ** 2 for y in b)
    return float(cov / math.sqrt(va * vb)) if va and vb else 0.0


def vocabulary(bible: StoryBible) -> frozenset[str]:
    """The words of this world: from its places, motifs, rules, culture and trades."""
    texts = [
        *(f"{p.name} {p.look} {p.activity}" for p in bible.locations), *bible.motifs, *bible.world.rules, bible.world.culture,
        *(c.role for c in bible.characters),
    ]  # fmt: skip
    names = {stem(w) for c in bible.characters for w in c.name.split()}
    return frozenset(w for text in texts for w in content_words(text) if len(w) > 3) - names


_MANNERS = (
    ("formal", r"formal|precise|legal|academic|clinical|polite|exact|bureaucra|stiff|correct|careful|educated|proper|cold"),
    ("terse", r"few words|terse|clipped|laconic|blunt|quiet|short|taciturn|gruff|silent|monosyll|curt|direct|plain-?spoken|stoic|says little"),
    ("quick", r"fast|quick|jok|slang|nervous|chatty|rapid|excit|young|breathless|jumpy|energetic|babbl|restless"),
    ("wry", r"dry|wry|sarcas|sardon|iron|wit|deadpan|cynic|mocking|sharp|teas"),
    ("gentle", r"soft|gentle|kind|shy|tender|hesita|patient|calm|sooth|whisper|mild|caring"),
    ("talker", r"warm|rambl|stor|old|folks|charm|grand|poet|eloquent|lyric|long|loud|talk|flower|theatr|wander"),
)  # fmt: skip


def manner_of(voice: str) -> str:
    """A manner of speaking from a phrase such as "few words, dry"; plain where the phrase tells nothing."""
    folded = voice.casefold()
    best = min(
        ((m.start(), manner) for manner, pattern in _MANNERS if (m := re.search(pattern, folded))),
        default=None,
    )
    return best[1] if best else "plain"


def is_formal(voice: str) -> bool:
    """Whether a voice phrase says outright that somebody speaks in full forms."""
    return bool(
        re.search(
            r"\b(formal|legal|stiff|bureaucra\w+|without contractions|no contractions|never contracts)\b",
            voice.casefold(),
        )
    )
