"""Words as they are compared, everywhere: folded, without endings, and those that carry no meaning left out."""

from __future__ import annotations

import re

STOP = frozenset(
    """
    a an the and or but if then than that this these those there here it its is are was were be been
    being am do does did done have has had having of in on at to from by with without for about into
    out up down off over under again who whom whose which what when where why how i you he she they
    we me him her them us my your his their our mine yours hers theirs not no nor so as just only
    very too also will would can could shall should may might must let get got go goes went come
    comes came one two three all any some each every other another such own same more most much many
    few little put say says said tell told know knows knew think thing things something nothing
    anything everything somebody nobody anybody everybody someone yes well now still ever never back
    way make made take took give gave look looks looked see saw seen hand hands day days night time
    it's that's what's don't didn't doesn't isn't wasn't won't can't couldn't wouldn't i'm i've i'd
    i'll you're you've he's she's they're we're there's where's who's
    """.split()  # noqa: SIM905 (a list to read)
)
"""Words too common to tie one line to another."""


def stem(word: str) -> str:
    word = re.sub(r"['’]s?$", "", word.casefold())
    for ending in ("ing", "ies", "es", "ed", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)] + ("y" if ending == "ies" else "")
    return word


def content_words(text: str) -> frozenset[str]:
    """Stems of the words that carry meaning."""
    return frozenset(
        stem(w) for w in re.findall(r"[A-Za-z][\w'’-]+", text) if w.casefold() not in STOP and len(w) > 2
    )
