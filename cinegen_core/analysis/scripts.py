"""Scripts of one's own, scored: several files at once, each with its scorecard or what is the matter with it."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from cinegen_core.scorer import Scorecard, score
from cinegen_core.story import StoryBible
from cinegen_core.story.errors import StoryError, shorten
from cinegen_core.story.formats import read_script
from cinegen_core.story.model import Noun
from cinegen_core.story.source import decode

MOST_FILES = 50
MOST_BYTES = 2 * 1024 * 1024


class Scored(Noun):
    """One file. Without a `card` it could not be read, and `error` says why and what to do; a card without an overall score has its
    reason. `name` is the file's, on one line; `title` is what the script calls itself, where it does."""

    name: str
    title: str = ""
    card: Scorecard | None = None
    error: str = ""


def score_files(files: Iterable[tuple[str, bytes]], bible: StoryBible | None = None) -> tuple[Scored, ...]:
    """Scores Fountain, FDX, plain text laid out like a screenplay, and our JSON, in the order given, all by one bible if there is one.

    At most `MOST_FILES`, each of at most `MOST_BYTES`; one entry stands for all files beyond, which are not looked at. Takes
    seconds for a feature film, so that pages call it away from their own thread. Raises nothing for what is in the files.
    """
    given = iter(files)
    scored = [_scored(name, raw, bible) for name, raw in islice(given, MOST_FILES)]
    beyond = next(given, None)
    if beyond is not None:
        error = f"This file and those after it were not read: at most {MOST_FILES} at once. Score them in another round."
        scored.append(Scored(name=shorten(beyond[0], 120), error=error))
    return tuple(scored)


def _scored(name: str, raw: bytes, bible: StoryBible | None) -> Scored:
    shown = shorten(name, 120)
    try:
        script = read_script(decode(raw, shown, limit=MOST_BYTES), name=shown)
    except StoryError as error:
        return Scored(name=shown, error=str(error))
    except RecursionError:
        deep = f"{shown}: brackets stand in brackets too often to be read. Export the script again, as Fountain or FDX."
        return Scored(name=shown, error=deep)
    return Scored(name=shown, title=script.title or script.series, card=score(script, bible))
