"""What is a sentence of a script, and what is only words: the net that gibberish and lists of terms are caught in.

A net of small words, not a parser: it knows a few dozen places where English cannot go on ("the of", "to is", an article at
the end) and leaves everything else alone. Words caught here earn nothing anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from cinegen_core.scorer.words import phrases, words

_END_OPEN = frozenset("the a an my your their our its and than every i'm they're we're".split())
_NOT_AFTER_ARTICLE = frozenset(
    "of to and or but is was are were be in on at by for with from the a an he she they we i you it his her my your their has had have does did do not if that this him them me us would could".split()
)
_ARTICLES = frozenset("the a an my your their our its".split())
_NOT_AFTER_TO = frozenset(
    "of is was are were has had does did he she they we i would will could can went said saw".split()
)
_ASKS = frozenset(
    "is was are were has had have does did do isn't wasn't aren't weren't will would could can and".split()
)
"""Before a subject these make a question of it, after which much may come."""
_SUBJECTS = frozenset("i he she they we".split())
_NOT_AFTER_SUBJECT = frozenset("the a an of to my your their".split())
_MAY_DOUBLE = frozenset("had that her you it is no".split())
_SMALL = _NOT_AFTER_ARTICLE | frozenset(
    "as so no there who what which up out off down into over through all one two three its it's don't isn't i'm than about under behind yes well oh then when where why how nobody nothing".split()
)
_CAPITAL_INSIDE = re.compile(
    r"(?<=[a-z]) (?:The|A|An|And|But|It|He|She|They|You|We|That|What|Of|To|In|Is)(?= [a-z])"
)
_TRAILS_OFF = ("--", "...", "-", ",", "\u2026", "?")


def breaks(row: Sequence[str], shown: Sequence[str], text: str) -> int:
    """How often a sentence goes on where English cannot. `row` is folded, `shown` as written."""
    count = 0
    folded = text.casefold()
    for index, (word, after) in enumerate(pairwise(row)):
        if f"{word} {after}" not in folded:
            continue  # a comma, a dash or a quotation stands between them
        if word in _ARTICLES:
            count += (
                shown[index].islower()
                and after in _NOT_AFTER_ARTICLE
                and after != "that"
                and (word, after) != ("a", "to")
            )
        elif word == "to":
            count += after in _NOT_AFTER_TO
        elif word in _SUBJECTS:
            count += after in _NOT_AFTER_SUBJECT and (index == 0 or row[index - 1] not in _ASKS)
        elif word == after and word in _NOT_AFTER_ARTICLE:
            count += word not in _MAY_DOUBLE
    count += len(_CAPITAL_INSIDE.findall(text))
    if len(row) > 1 and row[-1] in _END_OPEN and shown[-1].islower():
        count += not text.rstrip("\"'").endswith(_TRAILS_OFF)
    return count


def is_list(row: Sequence[str]) -> bool:
    """Terms in a row instead of a sentence: no small word, and at least two ideas that are half of it."""
    if not _SMALL.isdisjoint(row):
        return False
    abstract = words("abstract")
    ideas = sum(word in abstract for word in row)
    return ideas >= 2 and ideas * 2 >= len(row)


def fault(row: Sequence[str], shown: Sequence[str], text: str) -> str:
    """Why these words earn nothing, or an empty text for a sound sentence."""
    if len(row) < 2:
        return ""
    if breaks(row, shown, text):
        return "is not a sentence that anybody could say"
    craft = sum(word in words("craft") for word in row)
    ideas = sum(word in words("abstract") for word in row)
    if craft >= 2 or (craft and (ideas or len(row) <= 8)) or phrases("terms").search(" ".join(row)):
        return "talks about writing instead of the story"
    if is_list(row):
        return "is a list of terms, not a sentence"
    return ""


def plain_text(text: str) -> str:
    """Folded, and without signs: what phrases are looked for in."""
    return re.sub(r"[,;:]", "", text.casefold())
